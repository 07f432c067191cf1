//! A container's environment: `envFrom`, then `env` over it, in order, each value resolved.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVarSource};

use crate::api::Container;

use super::downward;
use super::expansion::expand;
use super::pod::Facts;
use super::references::{Unresolved, secret_data, secret_value};

/// What a process gets where neither image nor pod sets it.
pub(super) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables in the order in which they were first set; setting one again replaces its value.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Env(Vec<(String, String)>);

impl Env {
    pub(super) fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, present)) => *present = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn into_vec(self) -> Vec<(String, String)> {
        self.0
    }
}

/// What the pod asks for; only this is seen by `$(VAR)`, the image's own environment is not.
pub(super) fn declared(facts: &Facts<'_>, container: &Container) -> Result<Env, Unresolved> {
    let mut env = Env::default();
    for source in container.env_from.iter().flatten() {
        add_all(facts, source, &mut env)?;
    }
    for variable in container.env.iter().flatten() {
        let value = match &variable.value_from {
            Some(source) => match resolve(facts, container, source)? {
                Some(value) => value,
                None => continue,
            },
            None => expand(variable.value.as_deref().unwrap_or_default(), |name| env.get(name)),
        };
        env.set(&variable.name, value);
    }
    Ok(env)
}

/// The image's environment, what every process has, then what the pod asks for.
pub(super) fn complete(image: &[String], hostname: &str, declared: Env) -> Vec<(String, String)> {
    let mut env = Env::default();
    for (name, value) in image.iter().filter_map(|line| line.split_once('=')) {
        env.set(name, value.to_owned());
    }
    if env.get("PATH").is_none() {
        env.set("PATH", DEFAULT_PATH.to_owned());
    }
    env.set("HOSTNAME", hostname.to_owned());
    for (name, value) in declared.0 {
        env.set(&name, value);
    }
    env.into_vec()
}

fn add_all(facts: &Facts<'_>, source: &EnvFromSource, env: &mut Env) -> Result<(), Unresolved> {
    let prefix = source.prefix.as_deref().unwrap_or_default();
    let namespace = &facts.id.namespace;
    if let Some(wanted) = &source.config_map_ref {
        let found = facts.references.config_map(namespace, &wanted.name);
        for (key, value) in
            unless_optional(found, wanted.optional)?.iter().flat_map(|map| map.data.iter().flatten())
        {
            set_named(env, prefix, key, Cow::Borrowed(value));
        }
    }
    if let Some(wanted) = &source.secret_ref {
        let found = facts.references.secret(namespace, &wanted.name);
        for (key, value) in unless_optional(found, wanted.optional)?.into_iter().flat_map(secret_data) {
            set_named(env, prefix, key, String::from_utf8_lossy(value));
        }
    }
    Ok(())
}

/// A key that cannot name a variable is passed over, as kubelet does.
fn set_named(env: &mut Env, prefix: &str, key: &str, value: Cow<'_, str>) {
    let name = format!("{prefix}{key}");
    let nameable = !name.is_empty() && name.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=');
    if nameable {
        env.set(&name, value.into_owned());
    }
}

/// `None` for an optional value that is not there: the variable is then not set at all.
fn resolve(
    facts: &Facts<'_>,
    container: &Container,
    source: &EnvVarSource,
) -> Result<Option<String>, Unresolved> {
    let namespace = &facts.id.namespace;
    if let Some(wanted) = &source.config_map_key_ref {
        let found = facts.references.config_map(namespace, &wanted.name).and_then(|map| {
            let value = map.data.as_ref().and_then(|data| data.get(&wanted.key));
            value.cloned().ok_or_else(|| Unresolved::NoConfigMapKey {
                key: wanted.key.clone(),
                namespace: namespace.clone(),
                name: wanted.name.clone(),
            })
        });
        return unless_optional(found, wanted.optional);
    }
    if let Some(wanted) = &source.secret_key_ref {
        let found = facts.references.secret(namespace, &wanted.name).and_then(|secret| {
            let value = secret_value(secret, &wanted.key).map(Cow::into_owned);
            value.ok_or_else(|| Unresolved::NoSecretKey {
                key: wanted.key.clone(),
                namespace: namespace.clone(),
                name: wanted.name.clone(),
            })
        });
        return unless_optional(found, wanted.optional);
    }
    if let Some(wanted) = &source.field_ref {
        return downward::field(facts, &wanted.field_path).map(Some);
    }
    if let Some(wanted) = &source.resource_field_ref {
        let of = match &wanted.container_name {
            Some(name) => facts.container(name)?,
            None => container,
        };
        return downward::resource(facts, of, wanted).map(Some);
    }
    match &source.file_key_ref {
        Some(_) => Err(Unresolved::NotServed { source_kind: "fileKeyRef" }),
        None => Ok(Some(String::new())),
    }
}

/// What is optional may be missing.
pub(super) fn unless_optional<T>(
    found: Result<T, Unresolved>,
    optional: Option<bool>,
) -> Result<Option<T>, Unresolved> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(_) if optional == Some(true) => Ok(None),
        Err(missing) => Err(missing),
    }
}
