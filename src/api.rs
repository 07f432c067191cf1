//! The Kubernetes kinds droppod serves. The types are those of `k8s-openapi`; what is ours is which of them count.

pub(crate) mod kinds;
pub(crate) mod sysctls;

pub(crate) use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, Job, JobSpec};
pub(crate) use k8s_openapi::api::core::v1::{
    ConfigMap, Container, Namespace, Pod, PodSpec, PodStatus, Secret,
};
pub(crate) use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// A declared object, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Object {
    Pod(Box<Pod>),
    ConfigMap(ConfigMap),
    Secret(Secret),
    Namespace(Namespace),
    Job(Box<Job>),
    CronJob(Box<CronJob>),
    /// A kind that is valid in Kubernetes and without effect here.
    Unserved {
        api_version: String,
        kind: String,
        metadata: Box<ObjectMeta>,
    },
}

impl Object {
    pub(crate) fn metadata(&self) -> &ObjectMeta {
        match self {
            Object::Pod(pod) => &pod.metadata,
            Object::ConfigMap(map) => &map.metadata,
            Object::Secret(secret) => &secret.metadata,
            Object::Namespace(namespace) => &namespace.metadata,
            Object::Job(job) => &job.metadata,
            Object::CronJob(cron) => &cron.metadata,
            Object::Unserved { metadata, .. } => metadata,
        }
    }

    pub(crate) fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Object::Pod(pod) => &mut pod.metadata,
            Object::ConfigMap(map) => &mut map.metadata,
            Object::Secret(secret) => &mut secret.metadata,
            Object::Namespace(namespace) => &mut namespace.metadata,
            Object::Job(job) => &mut job.metadata,
            Object::CronJob(cron) => &mut cron.metadata,
            Object::Unserved { metadata, .. } => metadata,
        }
    }

    /// `apiVersion` and `kind`.
    pub(crate) fn type_meta(&self) -> (&str, &str) {
        match self {
            Object::Pod(_) => ("v1", "Pod"),
            Object::ConfigMap(_) => ("v1", "ConfigMap"),
            Object::Secret(_) => ("v1", "Secret"),
            Object::Namespace(_) => ("v1", "Namespace"),
            Object::Job(_) => ("batch/v1", "Job"),
            Object::CronJob(_) => ("batch/v1", "CronJob"),
            Object::Unserved { api_version, kind, .. } => (api_version, kind),
        }
    }
}

/// A kind as commands name it: `po`, `pod`, `pods`, `Pod` are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KindName {
    pub(crate) group: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) short: &'static str,
    pub(crate) namespaced: bool,
}

/// The kinds served, in the order in which they are applied.
pub(crate) const KINDS: &[KindName] = &[
    KindName { group: "", kind: "Namespace", plural: "namespaces", short: "ns", namespaced: false },
    KindName { group: "", kind: "ConfigMap", plural: "configmaps", short: "cm", namespaced: true },
    KindName { group: "", kind: "Secret", plural: "secrets", short: "", namespaced: true },
    KindName { group: "", kind: "Pod", plural: "pods", short: "po", namespaced: true },
    KindName { group: "batch", kind: "Job", plural: "jobs", short: "", namespaced: true },
    KindName { group: "batch", kind: "CronJob", plural: "cronjobs", short: "cj", namespaced: true },
];

/// What is told of objects; nobody declares it.
pub(crate) const EVENT: KindName =
    KindName { group: "", kind: "Event", plural: "events", short: "ev", namespaced: true };

pub(crate) fn kind_named(word: &str) -> Option<&'static KindName> {
    KINDS.iter().find(|kind| kind.is_named(word))
}

impl KindName {
    /// `pods`, `pod`, `po`, in any case, and with what follows a dot in kubectl's full names: `jobs.batch`,
    /// `jobs.v1.batch`, `pods.v1.`.
    pub(crate) fn is_named(&self, word: &str) -> bool {
        let word = word.to_ascii_lowercase();
        let (word, rest) = word.split_once('.').unwrap_or((&word, self.group));
        let group = match rest.strip_prefix("v1") {
            Some(group) => group.strip_prefix('.').unwrap_or(group),
            None => rest,
        };
        group == self.group
            && (word == self.plural
                || word == self.kind.to_ascii_lowercase()
                || (!self.short.is_empty() && word == self.short))
    }
}
