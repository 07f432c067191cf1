//! Where a field that is unknown in one place is known, so that a wrong indentation or a wrong kind is told as such.

use std::fmt;

use k8s_openapi::api::apps::v1::{DaemonSetSpec, DeploymentSpec, StatefulSetSpec};
use k8s_openapi::api::batch::v1::{CronJobSpec, JobSpec};
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, HTTPGetAction, Lifecycle, PodSpec, Probe, ResourceRequirements,
    SecurityContext, ServiceSpec, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// What people write, and the field that they mean by it.
const MEANT: &[(&str, &str)] = &[
    ("environment", "env"),
    ("envs", "env"),
    ("cmd", "command"),
    ("entrypoint", "command"),
    ("arguments", "args"),
    ("mounts", "volumeMounts"),
    ("port", "containerPort"),
    ("published", "hostPort"),
    ("restart", "restartPolicy"),
    ("pullPolicy", "imagePullPolicy"),
    ("pullSecrets", "imagePullSecrets"),
    ("workdir", "workingDir"),
    ("cwd", "workingDir"),
    ("user", "runAsUser"),
    ("group", "runAsGroup"),
    ("path", "mountPath"),
    ("claim", "claimName"),
    ("mode", "defaultMode"),
    ("init", "initContainers"),
    ("probe", "livenessProbe"),
    ("healthcheck", "livenessProbe"),
    ("delay", "initialDelaySeconds"),
    ("timeout", "timeoutSeconds"),
    ("period", "periodSeconds"),
    ("interval", "periodSeconds"),
];

/// What lists the fields of one type.
type FieldsOf = fn() -> &'static [&'static str];

/// The field of `known` that is commonly called `word` elsewhere.
pub(super) fn meant(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let (_, field) = MEANT.iter().find(|(name, _)| name.eq_ignore_ascii_case(word))?;
    known.iter().copied().find(|name| name == field)
}

/// What a field of this name is a field of, and what may be wrong.
pub(super) fn home(word: &str) -> Option<String> {
    if matches!(word, "cpu" | "memory") {
        return Some(format!("write `{word}` under `limits` or `requests`, and these under `resources`"));
    }
    let homes: [(FieldsOf, &str); 17] = [
        (fields::<ObjectMeta>, "`metadata`"),
        (fields::<PodSpec>, POD),
        (fields::<Container>, "a container"),
        (fields::<ResourceRequirements>, "`resources`"),
        (fields::<SecurityContext>, "`securityContext`"),
        (fields::<VolumeMount>, "an entry of `volumeMounts`"),
        (fields::<ContainerPort>, "an entry of `ports`"),
        (fields::<Probe>, "a probe"),
        (fields::<HTTPGetAction>, "`httpGet`"),
        (fields::<Lifecycle>, "`lifecycle`"),
        (fields::<DeploymentSpec>, "a Deployment's `spec`"),
        (fields::<StatefulSetSpec>, "a StatefulSet's `spec`"),
        (fields::<DaemonSetSpec>, "a DaemonSet's `spec`"),
        (fields::<JobSpec>, "a Job's `spec`"),
        (fields::<CronJobSpec>, "a CronJob's `spec`"),
        (fields::<ServiceSpec>, "a Service's `spec`"),
        (|| &["data", "binaryData", "stringData"], "a ConfigMap or a Secret"),
    ];
    let (fields, home) = homes.iter().find(|(fields, _)| fields().contains(&word))?;
    let field = fields().iter().find(|field| **field == word)?;
    let doubtful = if home.starts_with("a ") && home.ends_with("`spec`") && *home != POD {
        "kind"
    } else {
        "indentation"
    };
    Some(format!("`{field}` is a field of {home}; is the {doubtful} right?"))
}

const POD: &str = "a Pod's `spec`";

/// The fields that a type asks its deserializer for.
fn fields<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    T::deserialize(Asked).err().map_or(&[], |asked| asked.0)
}

/// Answers the question for a struct's fields with an error that holds their names.
struct Asked;

#[derive(Debug)]
struct Fields(&'static [&'static str]);

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fields are known")
    }
}

impl std::error::Error for Fields {}

impl Error for Fields {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Fields(&[])
    }
}

impl<'de> Deserializer<'de> for Asked {
    type Error = Fields;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fields> {
        Err(Fields(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fields> {
        Err(Fields(fields))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_known_to_be_at_home_elsewhere() {
        let replicas = "`replicas` is a field of a Deployment's `spec`; is the kind right?";
        assert_eq!(home("replicas").as_deref(), Some(replicas));
        let containers = "`containers` is a field of a Pod's `spec`; is the indentation right?";
        assert_eq!(home("containers").as_deref(), Some(containers));
        assert_eq!(home("nonsense"), None);
        assert_eq!(meant("environment", &["args", "env"]), Some("env"));
        assert_eq!(meant("environment", &["args"]), None);
    }
}
