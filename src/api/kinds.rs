//! Every kind a Kubernetes server has of itself, so that a kind without effect here is told from a mistyped one.

/// One kind, and the versions of its group that have it, the preferred one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownKind {
    pub(crate) group: &'static str,
    pub(crate) versions: &'static [&'static str],
    pub(crate) kind: &'static str,
    pub(crate) scope: Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespaced,
    Cluster,
}

impl KnownKind {
    /// The `apiVersion` to write for it.
    pub(crate) fn api_version(&self) -> String {
        let version = self.versions.first().copied().unwrap_or_default();
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }
}

/// `apps/v1` → `("apps", "v1")`; the core group has no name.
pub(crate) fn group_and_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

const fn namespaced(group: &'static str, versions: &'static [&'static str], kind: &'static str) -> KnownKind {
    KnownKind { group, versions, kind, scope: Scope::Namespaced }
}

const fn cluster(group: &'static str, versions: &'static [&'static str], kind: &'static str) -> KnownKind {
    KnownKind { group, versions, kind, scope: Scope::Cluster }
}

const V1: &[&str] = &["v1"];
const V1_BETA: &[&str] = &["v1", "v1beta1"];
const V1_OR_ALPHA: &[&str] = &["v1", "v1beta1", "v1alpha1"];
const RESOURCE: &[&str] = &["v1", "v1beta2", "v1beta1"];
const ADMISSION: &str = "admissionregistration.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const STORAGE: &str = "storage.k8s.io";
const NETWORKING: &str = "networking.k8s.io";

/// Kinds that a manifest can hold, by group.
pub(crate) const KNOWN: &[KnownKind] = &[
    namespaced("", V1, "ConfigMap"),
    namespaced("", V1, "Endpoints"),
    namespaced("", V1, "Event"),
    namespaced("", V1, "LimitRange"),
    cluster("", V1, "Namespace"),
    cluster("", V1, "Node"),
    cluster("", V1, "PersistentVolume"),
    namespaced("", V1, "PersistentVolumeClaim"),
    namespaced("", V1, "Pod"),
    namespaced("", V1, "PodTemplate"),
    namespaced("", V1, "ReplicationController"),
    namespaced("", V1, "ResourceQuota"),
    namespaced("", V1, "Secret"),
    namespaced("", V1, "Service"),
    namespaced("", V1, "ServiceAccount"),
    namespaced("apps", V1, "ControllerRevision"),
    namespaced("apps", V1, "DaemonSet"),
    namespaced("apps", V1, "Deployment"),
    namespaced("apps", V1, "ReplicaSet"),
    namespaced("apps", V1, "StatefulSet"),
    namespaced("batch", V1, "CronJob"),
    namespaced("batch", V1, "Job"),
    namespaced("autoscaling", &["v2", "v1"], "HorizontalPodAutoscaler"),
    namespaced("policy", V1, "PodDisruptionBudget"),
    namespaced(NETWORKING, V1, "Ingress"),
    cluster(NETWORKING, V1, "IngressClass"),
    namespaced(NETWORKING, V1, "NetworkPolicy"),
    cluster(NETWORKING, V1_BETA, "IPAddress"),
    cluster(NETWORKING, V1_BETA, "ServiceCIDR"),
    cluster(RBAC, V1, "ClusterRole"),
    cluster(RBAC, V1, "ClusterRoleBinding"),
    namespaced(RBAC, V1, "Role"),
    namespaced(RBAC, V1, "RoleBinding"),
    cluster(STORAGE, V1, "CSIDriver"),
    cluster(STORAGE, V1, "CSINode"),
    namespaced(STORAGE, V1, "CSIStorageCapacity"),
    cluster(STORAGE, V1, "StorageClass"),
    cluster(STORAGE, V1, "VolumeAttachment"),
    cluster(STORAGE, V1_BETA, "VolumeAttributesClass"),
    cluster("scheduling.k8s.io", V1, "PriorityClass"),
    cluster("node.k8s.io", V1, "RuntimeClass"),
    namespaced("discovery.k8s.io", V1, "EndpointSlice"),
    namespaced("events.k8s.io", V1, "Event"),
    namespaced("coordination.k8s.io", V1, "Lease"),
    cluster("certificates.k8s.io", V1, "CertificateSigningRequest"),
    cluster("certificates.k8s.io", &["v1beta1", "v1alpha1"], "ClusterTrustBundle"),
    cluster(ADMISSION, V1_OR_ALPHA, "MutatingAdmissionPolicy"),
    cluster(ADMISSION, V1_OR_ALPHA, "MutatingAdmissionPolicyBinding"),
    cluster(ADMISSION, V1, "MutatingWebhookConfiguration"),
    cluster(ADMISSION, V1_OR_ALPHA, "ValidatingAdmissionPolicy"),
    cluster(ADMISSION, V1_OR_ALPHA, "ValidatingAdmissionPolicyBinding"),
    cluster(ADMISSION, V1, "ValidatingWebhookConfiguration"),
    cluster("apiextensions.k8s.io", V1, "CustomResourceDefinition"),
    cluster("apiregistration.k8s.io", V1, "APIService"),
    cluster("flowcontrol.apiserver.k8s.io", V1, "FlowSchema"),
    cluster("flowcontrol.apiserver.k8s.io", V1, "PriorityLevelConfiguration"),
    cluster("resource.k8s.io", RESOURCE, "DeviceClass"),
    namespaced("resource.k8s.io", RESOURCE, "ResourceClaim"),
    namespaced("resource.k8s.io", RESOURCE, "ResourceClaimTemplate"),
    cluster("resource.k8s.io", RESOURCE, "ResourceSlice"),
];

/// What `apiVersion` and `kind` of a document say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Known(&'static KnownKind),
    /// Of a group that a server learns from a CustomResourceDefinition.
    Custom,
    /// The kind exists, in another group or version.
    OtherVersion(&'static KnownKind),
    NoSuchKind,
}

pub(crate) fn meaning(api_version: &str, kind: &str) -> Meaning {
    let (group, version) = group_and_version(api_version);
    let of_kind = || KNOWN.iter().filter(|known| known.kind == kind);
    if let Some(known) = of_kind().find(|known| known.group == group && known.versions.contains(&version)) {
        return Meaning::Known(known);
    }
    if group.contains('.') && !KNOWN.iter().any(|known| known.group == group) {
        return Meaning::Custom;
    }
    of_kind().next().map_or(Meaning::NoSuchKind, Meaning::OtherVersion)
}
