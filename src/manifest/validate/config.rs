//! ConfigMaps and Secrets.

use serde::de::IgnoredAny;

use crate::api::{ConfigMap, Secret};
use crate::manifest::document::Type;
use crate::manifest::fault::Fault;
use crate::manifest::node::At;
use crate::manifest::scalar;

use super::Rules;
use super::names::CONFIG_KEY;

/// The field of a kind whose values are base64.
pub(crate) fn base64_field(its: &Type) -> Option<&'static str> {
    match (its.group.as_str(), its.kind.as_str()) {
        ("", "Secret") => Some("data"),
        ("", "ConfigMap") => Some("binaryData"),
        _ => None,
    }
}

/// Runs before the object is decoded, for decoding takes base64 only.
pub(crate) fn base64(at: &At<'_>, its: &Type, rules: &mut Rules) {
    let Some(field) = base64_field(its) else { return };
    for value in at.key(field).each_entry() {
        if value.text().is_some_and(|text| scalar::base64(text).is_none()) {
            let fault = Fault::at(&value, "the value is not base64", "not base64");
            rules.push(match field {
                "data" => fault.help("put plain text under `stringData`, or encode it with `base64`"),
                _ => fault.help("put plain text under `data`, or encode it with `base64`"),
            });
        }
    }
}

/// Bytes that a ConfigMap or Secret may hold, keys not counted.
const SIZE_LIMIT: usize = 1024 * 1024;

pub(super) fn config_map(map: &ConfigMap, at: &At<'_>, rules: &mut Rules) {
    let (data, binary) = (at.key("data"), at.key("binaryData"));
    let plain = map.data.iter().flatten().map(|(_, value)| value.len());
    let bytes = map.binary_data.iter().flatten().map(|(_, value)| value.0.len());
    size(plain.chain(bytes).sum(), &data, &binary, rules);
    keys(&data, rules);
    keys(&binary, rules);
    for value in binary.each_entry() {
        let same = data.key(value.last_key());
        if same.is_set() {
            let fault = Fault::at_key(&value, "a key is both in `data` and in `binaryData`", "the same key")
                .label(same.key_span(), "also here");
            rules.push(fault);
        }
    }
}

/// Keys that a Secret of a type must have (kubernetes `ValidateSecret`).
const DEMANDED: &[(&str, &[&str])] = &[
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
];

/// `kubernetes.io/basic-auth` needs one of these.
const BASIC: &[&str] = &["username", "password"];
/// The annotation that a token's Secret names its account by.
const ACCOUNT: &str = "kubernetes.io/service-account.name";

pub(super) fn secret(secret: &Secret, at: &At<'_>, rules: &mut Rules) {
    let (data, plain) = (at.key("data"), at.key("stringData"));
    let bytes = secret.data.iter().flatten().map(|(_, value)| value.0.len());
    let texts = secret.string_data.iter().flatten().map(|(_, value)| value.len());
    size(bytes.chain(texts).sum(), &data, &plain, rules);
    keys(&data, rules);
    keys(&plain, rules);
    let type_at = at.key("type");
    // A value that is no base64 is empty by now and has been told of: its key is there.
    let has = |key: &str| data.key(key).node.is_some() || plain.key(key).node.is_some();
    let demanded = DEMANDED.iter().find(|(name, _)| secret.type_.as_deref() == Some(*name));
    let demanded = demanded.map_or(&[][..], |(_, keys)| keys);
    let missing: Vec<String> =
        demanded.iter().filter(|key| !has(key)).map(|key| format!("`{key}`")).collect();
    match missing.as_slice() {
        [] => {}
        [key] => {
            let fault = Fault::at(&type_at, "a Secret of this type lacks a key it must have", "of this type");
            rules.push(fault.help(format!("add the key {key}, or write `type: Opaque`")));
        }
        several => {
            let fault = Fault::at(&type_at, "a Secret of this type lacks keys it must have", "of this type");
            rules
                .push(fault.help(format!("add the keys {}, or write `type: Opaque`", several.join(" and "))));
        }
    }
    match secret.type_.as_deref() {
        Some("kubernetes.io/basic-auth") if !BASIC.iter().any(|key| has(key)) => {
            let fault = Fault::at(&type_at, "a Secret of this type lacks a key it must have", "of this type");
            rules.push(fault.help("add the key `username` or `password`, or write `type: Opaque`"));
        }
        Some("kubernetes.io/service-account-token") if !names_account(secret) => {
            let fault =
                Fault::at(&type_at, "a Secret of this type names the account it is for", "of this type");
            rules.push(fault.help(format!("add the annotation `{ACCOUNT}`")));
        }
        Some("kubernetes.io/dockerconfigjson") => json(secret, ".dockerconfigjson", &[data, plain], rules),
        Some("kubernetes.io/dockercfg") => json(secret, ".dockercfg", &[data, plain], rules),
        Some(_) | None => {}
    }
}

fn names_account(secret: &Secret) -> bool {
    secret.metadata.annotations.as_ref().and_then(|all| all.get(ACCOUNT)).is_some_and(|name| !name.is_empty())
}

/// A registry's credentials are a JSON document.
fn json(secret: &Secret, key: &str, places: &[At<'_>], rules: &mut Rules) {
    let data = secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
    let plain = secret.string_data.as_ref().and_then(|data| data.get(key)).map(String::as_bytes);
    // What `stringData` says replaces what `data` says.
    let Some(text) = plain.or(data).filter(|text| !text.is_empty()) else { return };
    if serde_json::from_slice::<IgnoredAny>(text).is_err() {
        let place = places.iter().rev().find(|place| place.key(key).is_set());
        if let Some(place) = place {
            let fault = Fault::at(&place.key(key), "the registry credentials are not JSON", "not JSON");
            rules.push(fault.help(
                "take the text of a Docker config.json, under `stringData` as it is, under `data` in base64",
            ));
        }
    }
}

fn size(bytes: usize, first: &At<'_>, second: &At<'_>, rules: &mut Rules) {
    if bytes > SIZE_LIMIT {
        let at = if first.is_set() { first } else { second };
        let message = format!("the object holds more than {SIZE_LIMIT} bytes");
        rules.push(Fault::at_key(at, message, "too much").help("split it, or use a volume"));
    }
}

fn keys(at: &At<'_>, rules: &mut Rules) {
    for value in at.each_entry() {
        rules.key_name(&value, &CONFIG_KEY);
    }
}
