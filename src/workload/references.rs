//! What pods refer to by name: ConfigMaps and Secrets, as they are now.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::api::{ConfigMap, Object, Secret};
use crate::model::object::ObjectKey;
use crate::model::objects::Objects;

#[derive(Clone, Copy)]
pub(super) struct References<'a>(&'a Objects);

/// A reference that leads nowhere, in kubelet's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("configmap \"{name}\" not found")]
    NoConfigMap { name: String },
    #[error("secret \"{name}\" not found")]
    NoSecret { name: String },
    #[error("couldn't find key {key} in ConfigMap {namespace}/{name}")]
    NoConfigMapKey { key: String, namespace: String, name: String },
    #[error("couldn't find key {key} in Secret {namespace}/{name}")]
    NoSecretKey { key: String, namespace: String, name: String },
    #[error("configmap references non-existent config key: {key}")]
    NoConfigMapItem { key: String },
    #[error("references non-existent secret key: {key}")]
    NoSecretItem { key: String },
    #[error("unsupported fieldPath: {path}")]
    Field { path: String },
    #[error("unsupported container resource: {resource}")]
    Resource { resource: String },
    #[error("container {container} not found")]
    NoContainer { container: String },
    #[error("path \"{path}\" must be relative and must not contain '..'")]
    Path { path: String },
    #[error("persistentvolumeclaim \"{claim}\" not found")]
    NoClaim { claim: String },
    #[error("source {source_kind} is not served on one machine")]
    NotServed { source_kind: &'static str },
}

impl<'a> References<'a> {
    pub(super) fn among(objects: &'a Objects) -> Self {
        References(objects)
    }

    pub(super) fn config_map(&self, namespace: &str, name: &str) -> Result<&'a ConfigMap, Unresolved> {
        let map = self.named("ConfigMap", namespace, name).and_then(|object| match object {
            Object::ConfigMap(map) => Some(map),
            Object::Secret(_)
            | Object::Pod(_)
            | Object::Namespace(_)
            | Object::Job(_)
            | Object::CronJob(_)
            | Object::Unserved { .. } => None,
        });
        map.ok_or_else(|| Unresolved::NoConfigMap { name: name.to_owned() })
    }

    pub(super) fn secret(&self, namespace: &str, name: &str) -> Result<&'a Secret, Unresolved> {
        let secret = self.named("Secret", namespace, name).and_then(|object| match object {
            Object::Secret(secret) => Some(secret),
            Object::ConfigMap(_)
            | Object::Pod(_)
            | Object::Namespace(_)
            | Object::Job(_)
            | Object::CronJob(_)
            | Object::Unserved { .. } => None,
        });
        secret.ok_or_else(|| Unresolved::NoSecret { name: name.to_owned() })
    }

    /// An object that is to go is not there any more for those that start.
    fn named(&self, kind: &str, namespace: &str, name: &str) -> Option<&'a Object> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let key = ObjectKey { group: String::new(), kind: kind.to_owned(), namespace, name };
        let objects: &'a Objects = self.0;
        let mut found = objects.of_key(&key).filter(|known| known.record.deletion.is_none());
        found.next().map(|known| &*known.object)
    }
}

/// Keys and values as files and variables see them: `stringData` wins over `data`, as at the API server.
pub(super) fn secret_data(secret: &Secret) -> BTreeMap<&str, &[u8]> {
    let encoded = secret.data.iter().flatten().map(|(key, value)| (key.as_str(), value.0.as_slice()));
    let plain = secret.string_data.iter().flatten().map(|(key, value)| (key.as_str(), value.as_bytes()));
    encoded.chain(plain).collect()
}

pub(super) fn secret_value<'a>(secret: &'a Secret, key: &str) -> Option<Cow<'a, str>> {
    secret_data(secret).get(key).map(|value| String::from_utf8_lossy(value))
}

pub(super) fn config_map_data(map: &ConfigMap) -> BTreeMap<&str, &[u8]> {
    let text = map.data.iter().flatten().map(|(key, value)| (key.as_str(), value.as_bytes()));
    let binary = map.binary_data.iter().flatten().map(|(key, value)| (key.as_str(), value.0.as_slice()));
    text.chain(binary).collect()
}
