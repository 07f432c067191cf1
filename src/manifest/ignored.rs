//! Fields that are accepted without effect here, each with the reason.

use crate::api::Object;

use super::Policy;
use super::node::{At, Kind};
use super::validate::UNCONFINED_TYPE;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ignored {
    pub(crate) field: String,
    pub(crate) reason: String,
    /// Byte of the file.
    pub(crate) start: usize,
}

const SCHEDULER: &str = "there is one machine and no scheduler";
const IDENTITY: &str = "there is no API server that a service account could speak to";
const MODULES: &str = "SELinux labels are not set by this version";
const CLAIMS: &str = "device claims are not served by this version";
const WINDOWS: &str = "containers here are Linux containers";
const RESIZE: &str = "resources are changed in place wherever the kernel can do it";

type Table = &'static [(&'static str, &'static str)];

const OF_POD: Table = &[
    ("affinity", SCHEDULER),
    ("automountServiceAccountToken", IDENTITY),
    ("evictionResponders", SCHEDULER),
    ("hostnameOverride", "the host name is made from `hostname` or the pod's name"),
    ("nodeName", SCHEDULER),
    ("nodeSelector", SCHEDULER),
    ("overhead", SCHEDULER),
    ("preemptionPolicy", SCHEDULER),
    ("priority", SCHEDULER),
    ("priorityClassName", SCHEDULER),
    ("readinessGates", "nobody sets the conditions that readiness gates wait for"),
    ("resourceClaims", CLAIMS),
    ("runtimeClassName", "there is one runtime"),
    ("schedulerName", SCHEDULER),
    ("schedulingGates", SCHEDULER),
    ("schedulingGroup", SCHEDULER),
    ("serviceAccount", IDENTITY),
    ("serviceAccountName", IDENTITY),
    ("setHostnameAsFQDN", "the host name is not made a full domain name by this version"),
    ("subdomain", "there is no cluster domain"),
    ("tolerations", SCHEDULER),
    ("topologySpreadConstraints", SCHEDULER),
];

/// Of a folder that others can write to.
const OF_GUEST: Table =
    &[("imagePullSecrets", "images of a folder that others can write to are pulled without credentials")];

const OF_POD_SECURITY: Table = &[
    ("fsGroupChangePolicy", "the group of a volume is always set"),
    ("seLinuxChangePolicy", MODULES),
    ("windowsOptions", WINDOWS),
];

const OF_CONTAINER: Table = &[
    ("resizePolicy", RESIZE),
    ("restartPolicyRules", "restart rules by exit code are not served by this version"),
    ("volumeDevices", "raw block devices are not served by this version"),
];

const OF_HTTP: Table = &[("protocol", "probes and hooks speak HTTP/1.1")];

const OF_RESOURCES: Table = &[("claims", CLAIMS)];

const OF_SECURITY: Table = &[("windowsOptions", WINDOWS)];

const OF_SELINUX: Table = &[("type", MODULES)];

const OF_MOUNT: Table = &[("bindMountOptions", "mounts get the default options")];

const OF_JOB: Table = &[
    ("managedBy", "Jobs are run by droppod itself"),
    ("manualSelector", "a Job's pods are told by their owner"),
    ("scheduling", SCHEDULER),
    ("selector", "a Job's pods are told by their owner"),
];

const OF_DISK_EMPTY_DIR: Table =
    &[("sizeLimit", "what lies on the disc is not measured; `medium: Memory` keeps to the limit")];

const OF_LIMITS: Table = &[("ephemeral-storage", "what lies on the disc is not measured")];

/// `root` is the whole object's place.
pub(crate) fn collect(object: &Object, root: &At<'_>, policy: &Policy, into: &mut Vec<Ignored>) {
    match object {
        Object::Unserved { kind, .. } => {
            let at = root.key("kind");
            into.push(Ignored {
                field: at.to_string(),
                reason: format!("kind {kind} is not served by this version"),
                start: at.span().start,
            });
        }
        Object::Pod(_) => pod(&root.key("spec"), policy, into),
        Object::Job(_) => job(&root.key("spec"), policy, into),
        Object::CronJob(_) => job(&root.key("spec").key("jobTemplate").key("spec"), policy, into),
        Object::ConfigMap(_) | Object::Secret(_) | Object::Namespace(_) => {}
    }
}

fn job(spec: &At<'_>, policy: &Policy, into: &mut Vec<Ignored>) {
    look_up(spec, OF_JOB, into);
    pod(&spec.key("template").key("spec"), policy, into);
}

fn pod(spec: &At<'_>, policy: &Policy, into: &mut Vec<Ignored>) {
    look_up(spec, OF_POD, into);
    if policy.scope.is_some() {
        look_up(spec, OF_GUEST, into);
    }
    let context = spec.key("securityContext");
    look_up(&context, OF_POD_SECURITY, into);
    selinux(&context, into);
    resources(&spec.key("resources"), into);
    for volume in spec.key("volumes").each_item() {
        let empty_dir = volume.key("emptyDir");
        if empty_dir.key("medium").text() != Some("Memory") {
            look_up(&empty_dir, OF_DISK_EMPTY_DIR, into);
        }
    }
    for list in ["initContainers", "containers"] {
        for container in spec.key(list).each_item() {
            look_up(&container, OF_CONTAINER, into);
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                look_up(&container.key(probe).key("httpGet"), OF_HTTP, into);
            }
            for hook in ["postStart", "preStop"] {
                look_up(&container.key("lifecycle").key(hook).key("httpGet"), OF_HTTP, into);
            }
            resources(&container.key("resources"), into);
            let context = container.key("securityContext");
            look_up(&context, OF_SECURITY, into);
            selinux(&context, into);
            for mount in container.key("volumeMounts").each_item() {
                look_up(&mount, OF_MOUNT, into);
            }
        }
    }
}

fn resources(at: &At<'_>, into: &mut Vec<Ignored>) {
    look_up(at, OF_RESOURCES, into);
    look_up(&at.key("limits"), OF_LIMITS, into);
}

/// What would confine is a mistake.
fn selinux(context: &At<'_>, into: &mut Vec<Ignored>) {
    let options = context.key("seLinuxOptions");
    if options.key("type").text() == Some(UNCONFINED_TYPE) {
        look_up(&options, OF_SELINUX, into);
    }
}

fn look_up(at: &At<'_>, table: Table, into: &mut Vec<Ignored>) {
    for field in at.each_entry().filter(has_effect) {
        if let Some((_, reason)) = table.iter().find(|(name, _)| *name == field.last_key()) {
            into.push(Ignored {
                field: field.to_string(),
                reason: (*reason).to_owned(),
                start: field.key_span().start,
            });
        }
    }
}

/// Whether a cluster would do anything for the field: `automountServiceAccountToken: false` and `tolerations: []`
/// are what happens here anyway.
fn has_effect(at: &At<'_>) -> bool {
    at.node.is_some_and(|node| match &node.kind {
        Kind::Null => false,
        Kind::Bool(truth) => *truth,
        Kind::Number(number) => number.as_i64() != Some(0),
        Kind::Text(text) => !text.is_empty(),
        Kind::List(items) => !items.is_empty(),
        Kind::Map(entries) => !entries.is_empty(),
    })
}
