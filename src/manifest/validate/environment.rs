//! `env` and `envFrom` of a container.

use k8s_openapi::api::core::v1::EnvVarSource;

use crate::api::Container;
use crate::manifest::fault::Fault;
use crate::manifest::node::At;
use crate::manifest::unknown::similar;

use super::Rules;
use super::names::{CONFIG_KEY, ENV};

/// Fields of a pod that an environment variable can take; labels and annotations are asked for one by one.
const FIELDS: &[&str] = &[
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
    for (index, variable) in container.env.iter().flatten().enumerate() {
        let at = env_at.index(index);
        let name_at = at.key("name");
        rules.required(&name_at);
        if !variable.name.is_empty() {
            rules.name(&name_at, &variable.name, &ENV);
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
            (Some(_), Some(_)) | (None, None) => {
                let help = "write `configMapRef` or `secretRef`";
                rules.push(Fault::at(&at, "exactly one source is needed", "not exactly one").help(help));
            }
            (Some(_), None) => rules.required(&at.key("configMapRef").key("name")),
            (None, Some(_)) => rules.required(&at.key("secretRef").key("name")),
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
    if given != 1 {
        let help = "write one of `configMapKeyRef`, `secretKeyRef`, `fieldRef`, `resourceFieldRef`";
        rules.push(Fault::at_key(at, "exactly one source is needed", "not exactly one").help(help));
    }
    if file_at.is_set() {
        let fault = Fault::at_key(&file_at, "values from files are not served by this version", "not served");
        rules.push(fault.help("use `configMapKeyRef` or `secretKeyRef`"));
    }
    if let Some(field) = &from.field_ref {
        field_path(&field.field_path, &field_at.key("fieldPath"), rules);
    }
    if let Some(resource) = &from.resource_field_ref {
        resource_name(&resource.resource, &resource_at.key("resource"), rules);
    }
    if let Some(selector) = &from.config_map_key_ref {
        key_selector(&selector.key, &map_at, rules);
    }
    if let Some(selector) = &from.secret_key_ref {
        key_selector(&selector.key, &secret_at, rules);
    }
}

fn key_selector(key: &str, at: &At<'_>, rules: &mut Rules) {
    rules.required(&at.key("name"));
    let key_at = at.key("key");
    rules.required(&key_at);
    if !key.is_empty() {
        rules.name(&key_at, key, &CONFIG_KEY);
    }
}

/// `metadata.labels['x']` and the like.
fn is_single_entry(path: &str) -> bool {
    ["metadata.labels['", "metadata.annotations['"]
        .iter()
        .filter_map(|start| path.strip_prefix(start)?.strip_suffix("']"))
        .any(|key| !key.is_empty())
}

pub(super) fn field_path(path: &str, at: &At<'_>, rules: &mut Rules) {
    rules.required(at);
    if path.is_empty() || FIELDS.contains(&path) || is_single_entry(path) {
        return;
    }
    let fault = Fault::at(at, "the pod has no such field to offer", "not offered");
    rules.push(match similar(path, FIELDS.iter().copied()) {
        Some(similar) => fault.help(format!("did you mean `{similar}`?")),
        None => fault.help("for example `metadata.name`, `status.podIP`, `metadata.labels['app']`"),
    });
}

pub(super) fn resource_name(name: &str, at: &At<'_>, rules: &mut Rules) {
    rules.required(at);
    let huge = ["limits.hugepages-", "requests.hugepages-"].iter().any(|start| name.starts_with(start));
    if !name.is_empty() && !huge {
        rules.one_of(at, RESOURCES);
    }
}
