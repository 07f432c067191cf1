//! ConfigMaps and Secrets.

use crate::api::Secret;
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

pub(super) fn config_map(at: &At<'_>, rules: &mut Rules) {
    let (data, binary) = (at.key("data"), at.key("binaryData"));
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

pub(super) fn secret(secret: &Secret, at: &At<'_>, rules: &mut Rules) {
    let (data, plain) = (at.key("data"), at.key("stringData"));
    keys(&data, rules);
    keys(&plain, rules);
    let type_at = at.key("type");
    let demanded = DEMANDED.iter().find(|(name, _)| secret.type_.as_deref() == Some(*name));
    for key in demanded.map_or(&[][..], |(_, keys)| keys) {
        if !data.key(key).is_set() && !plain.key(key).is_set() {
            let fault = Fault::at(&type_at, "a Secret of this type lacks a key it must have", "of this type")
                .help(format!("add the key `{key}`"));
            rules.push(fault);
        }
    }
}

fn keys(at: &At<'_>, rules: &mut Rules) {
    for value in at.each_entry() {
        rules.key_name(&value, &CONFIG_KEY);
    }
}
