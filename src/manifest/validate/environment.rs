//! `env` and `envFrom` of a container.

use std::collections::HashMap;
use std::ops::Range;

use k8s_openapi::api::core::v1::{EnvVarSource, ResourceFieldSelector};

use crate::api::Container;
use crate::manifest::fault::Fault;
use crate::manifest::node::At;
use crate::manifest::unknown::similar;
use crate::model::quantity;

use super::Rules;
use super::names::{ANNOTATION, CONFIG_KEY, ENV};
use super::volume::reference;

/// Fields of a pod that an environment variable can take; labels and annotations are asked for one by one.
const VARIABLES: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields of a pod that a file can take; labels and annotations also one by one.
const FILES: &[&str] =
    &["metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations"];

/// What takes a field of the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    Variable,
    File,
}

impl Offer {
    fn fields(self) -> &'static [&'static str] {
        match self {
            Offer::Variable => VARIABLES,
            Offer::File => FILES,
        }
    }
}

const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
];

pub(super) fn check(container: &Container, at: &At<'_>, rules: &mut Rules) {
    let env_at = at.key("env");
    let mut names: HashMap<&str, Range<usize>> = HashMap::new();
    for (index, variable) in container.env.iter().flatten().enumerate() {
        let at = env_at.index(index);
        let name_at = at.key("name");
        rules.required(&name_at);
        if !variable.name.is_empty() {
            rules.name(&name_at, &variable.name, &ENV);
            if let Some(first) = names.insert(&variable.name, name_at.span()) {
                let fault =
                    Fault::at(&name_at, "the variable is set twice: the last one counts", "set again")
                        .label(first, "first set here");
                rules.push(fault.help("remove one of the two").warning());
            }
        }
        let from_at = at.key("valueFrom");
        let Some(from) = &variable.value_from else { continue };
        if variable.value.as_deref().is_some_and(|value| !value.is_empty()) {
            let fault = Fault::at_key(
                &from_at,
                "`value` and `valueFrom` exclude each other",
                "remove one of the two",
            )
            .label(at.key("value").key_span(), "given here");
            rules.push(fault);
        }
        source(from, &from_at, rules);
    }
    let from_at = at.key("envFrom");
    for (index, from) in container.env_from.iter().flatten().enumerate() {
        let at = from_at.index(index);
        match (&from.config_map_ref, &from.secret_ref) {
            (None, None) if rules.doubts(&at) => {}
            (Some(_), Some(_)) | (None, None) => {
                let help = "write `configMapRef` or `secretRef`";
                rules.push(Fault::at(&at, "exactly one source is needed", "not exactly one").help(help));
            }
            (Some(map), None) => reference(&map.name, &at.key("configMapRef").key("name"), rules),
            (None, Some(secret)) => reference(&secret.name, &at.key("secretRef").key("name"), rules),
        }
        if let Some(prefix) = from.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
            rules.name(&at.key("prefix"), prefix, &ENV);
        }
    }
}

fn source(from: &EnvVarSource, at: &At<'_>, rules: &mut Rules) {
    let (field_at, resource_at) = (at.key("fieldRef"), at.key("resourceFieldRef"));
    let (map_at, secret_at) = (at.key("configMapKeyRef"), at.key("secretKeyRef"));
    let file_at = at.key("fileKeyRef");
    let given =
        [&field_at, &resource_at, &map_at, &secret_at, &file_at].iter().filter(|at| at.is_set()).count();
    if given != 1 && !rules.doubts(at) {
        let help = "write one of `configMapKeyRef`, `secretKeyRef`, `fieldRef`, `resourceFieldRef`";
        rules.push(Fault::at_key(at, "exactly one source is needed", "not exactly one").help(help));
    }
    if file_at.is_set() {
        let fault = Fault::at_key(&file_at, "values from files are not served by this version", "not served");
        rules.push(fault.help("use `configMapKeyRef` or `secretKeyRef`"));
    }
    if let Some(field) = &from.field_ref {
        field_path(&field.field_path, Offer::Variable, &field_at.key("fieldPath"), rules);
    }
    if let Some(resource) = &from.resource_field_ref {
        resource_field(resource, &resource_at, rules);
    }
    if let Some(selector) = &from.config_map_key_ref {
        key_selector(&selector.name, &selector.key, &map_at, rules);
    }
    if let Some(selector) = &from.secret_key_ref {
        key_selector(&selector.name, &selector.key, &secret_at, rules);
    }
}

fn key_selector(name: &str, key: &str, at: &At<'_>, rules: &mut Rules) {
    reference(name, &at.key("name"), rules);
    let key_at = at.key("key");
    rules.required(&key_at);
    if !key.is_empty() {
        rules.name(&key_at, key, &CONFIG_KEY);
    }
}

/// The key in `metadata.labels['key']` and the like.
fn single_entry(path: &str) -> Option<&str> {
    ["metadata.labels['", "metadata.annotations['"]
        .iter()
        .find_map(|start| path.strip_prefix(start)?.strip_suffix("']"))
}

pub(super) fn field_path(path: &str, offer: Offer, at: &At<'_>, rules: &mut Rules) {
    rules.required(at);
    if path.is_empty() || offer.fields().contains(&path) {
        return;
    }
    if let Some(key) = single_entry(path) {
        return rules.name(at, key, &ANNOTATION);
    }
    let fault = Fault::at(at, "the pod has no such field to offer", "not offered");
    rules.push(match (offer, path) {
        (Offer::Variable, "metadata.labels" | "metadata.annotations") => {
            fault.help("a variable takes one of them: write `metadata.labels['app']`, for example")
        }
        (Offer::File, _) if VARIABLES.contains(&path) => {
            fault.help("this one is offered to environment variables only, by `env` and `valueFrom`")
        }
        (Offer::Variable | Offer::File, _) => match similar(path, offer.fields().iter().copied()) {
            Some(similar) => fault.help(format!("did you mean `{similar}`?")),
            None => {
                let names: Vec<String> = offer.fields().iter().map(|field| format!("`{field}`")).collect();
                fault.help(format!("write one of {}, or `metadata.labels['app']`", names.join(", ")))
            }
        },
    });
}

pub(super) fn resource_field(field: &ResourceFieldSelector, at: &At<'_>, rules: &mut Rules) {
    let (name, name_at) = (field.resource.as_str(), at.key("resource"));
    rules.required(&name_at);
    let huge = ["limits.hugepages-", "requests.hugepages-"].iter().any(|start| name.starts_with(start));
    if !name.is_empty() && !huge {
        rules.one_of(&name_at, RESOURCES);
    }
    let Some(milli) = field.divisor.as_ref().and_then(|divisor| quantity::milli(&divisor.0)) else { return };
    let is_cpu = name.ends_with(".cpu");
    // Zero stands for one.
    let fits = match milli {
        0 | 1000 => true,
        1 => is_cpu,
        _ => !is_cpu && is_unit(milli),
    };
    if !fits {
        let help =
            if is_cpu { "write `1` or `1m`" } else { "write `1`, or a unit such as `1k`, `1Mi` or `1G`" };
        rules.wrong(&at.key("divisor"), "the divisor is none that this resource is told in", help);
    }
}

/// One of `1`, `1k`, `1M` … `1E`, `1Ki` … `1Ei`.
fn is_unit(milli: i128) -> bool {
    let power_of = |base: i128| (0..=6).any(|power| base.pow(power) * 1000 == milli);
    power_of(1000) || power_of(1024)
}
