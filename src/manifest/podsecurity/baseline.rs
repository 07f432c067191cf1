//! What keeps a pod from the host: the baseline standard.

use super::super::node::{At, Node};
use super::{Broken, Levels, Rule, each_container, each_context, truth};
use crate::api::sysctls;

const CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const SELINUX_TYPES: &[&str] =
    &["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

const APPARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

const HOST_ROOT_IMAGE: &str = "droppod.local/host";

/// Images that are read from this machine's file system.
const LOCAL_IMAGES: [&str; 3] = ["oci:", "oci-archive:", "docker-archive:"];

const REMOVE: &str = "remove the field";

pub(super) const RULES: &[Rule] = &[
    Rule {
        at: Levels::Both,
        sentence: "sharing the host namespaces must be disallowed",
        help: REMOVE,
        find: host_namespaces,
    },
    Rule {
        at: Levels::Both,
        sentence: "privileged pods disable most security mechanisms and must be disallowed",
        help: REMOVE,
        find: privileged,
    },
    Rule {
        at: Levels::BaselineOnly,
        sentence: "adding capabilities beyond the listed ones must be disallowed",
        help: "leave it out, or add only AUDIT_WRITE, CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, MKNOD, \
               NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP, SETUID, SYS_CHROOT",
        find: capabilities,
    },
    Rule {
        at: Levels::BaselineOnly,
        sentence: "hostPath volumes must be forbidden",
        help: "use emptyDir, configMap, secret, downwardAPI or projected",
        find: host_path,
    },
    Rule {
        at: Levels::Both,
        sentence: "an image that is the host's own files counts as a hostPath volume and must be forbidden",
        help: "use an image from a registry, or an archive beside the manifest",
        find: host_image,
    },
    Rule {
        at: Levels::Both,
        sentence: "host ports must be disallowed",
        help: "remove the field, and reach the pod by its address",
        find: host_ports,
    },
    Rule {
        at: Levels::Both,
        sentence: "the host field in probes and lifecycle hooks must be disallowed",
        help: "remove the field: probes go to the pod itself",
        find: probe_hosts,
    },
    Rule {
        at: Levels::Both,
        sentence: "overriding or disabling the default AppArmor profile must be prevented",
        help: "write RuntimeDefault or Localhost, or remove the field",
        find: app_armor,
    },
    Rule {
        at: Levels::Both,
        sentence: "setting the SELinux type is restricted, and setting a user or role is forbidden",
        help: "use container_t, container_init_t, container_kvm_t or container_engine_t, without user and role",
        find: selinux,
    },
    Rule {
        at: Levels::Both,
        sentence: "the default /proc masks reduce attack surface and are required",
        help: "write Default, or remove the field",
        find: proc_mount,
    },
    Rule {
        at: Levels::BaselineOnly,
        sentence: "the seccomp profile must not be explicitly set to Unconfined",
        help: "write RuntimeDefault or Localhost, or remove the field",
        find: seccomp,
    },
    Rule {
        at: Levels::Both,
        sentence: "sysctls can affect all containers of a host and are disallowed except for a safe subset",
        help: "remove it",
        find: unsafe_sysctls,
    },
];

fn host_namespaces(pod: &At<'_>, broken: &mut Broken<'_>) {
    let spec = pod.key("spec");
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        true_at(&spec.key(field), broken);
    }
}

fn privileged(pod: &At<'_>, broken: &mut Broken<'_>) {
    each_context(pod, |context| {
        true_at(&context.key("privileged"), broken);
        true_at(&context.key("windowsOptions").key("hostProcess"), broken);
    });
}

fn true_at(at: &At<'_>, broken: &mut Broken<'_>) {
    if truth(at) == Some(true) {
        broken.at(at);
    }
}

fn capabilities(pod: &At<'_>, broken: &mut Broken<'_>) {
    added(pod, CAPABILITIES, broken);
}

/// Capabilities that are added and are none of `allowed`.
pub(super) fn added(pod: &At<'_>, allowed: &[&str], broken: &mut Broken<'_>) {
    each_container(pod, |container| {
        let context = container.key("securityContext");
        let capabilities = context.key("capabilities");
        let add = capabilities.key("add");
        for name in add.each_item().filter(|name| !name.text().is_some_and(|name| allowed.contains(&name))) {
            broken.at(&name);
        }
    });
}

fn host_path(pod: &At<'_>, broken: &mut Broken<'_>) {
    let spec = pod.key("spec");
    for volume in spec.key("volumes").each_item() {
        let source = volume.key("hostPath");
        if source.is_set() {
            broken.at(&source);
        }
    }
}

pub(super) fn is_local(image: &str) -> bool {
    LOCAL_IMAGES.iter().any(|prefix| image.starts_with(prefix))
}

/// The host's root, and archives outside of the folder that the manifest lies in.
fn host_image(pod: &At<'_>, broken: &mut Broken<'_>) {
    each_container(pod, |container| {
        let image = container.key("image");
        let Some(named) = image.text() else { return };
        let path = LOCAL_IMAGES.iter().find_map(|prefix| named.strip_prefix(prefix));
        let leaves =
            path.is_some_and(|path| path.starts_with('/') || path.split('/').any(|part| part == ".."));
        if named.split([':', '@']).next() == Some(HOST_ROOT_IMAGE) || leaves {
            broken.at(&image);
        }
    });
}

fn host_ports(pod: &At<'_>, broken: &mut Broken<'_>) {
    each_container(pod, |container| {
        for port in container.key("ports").each_item() {
            let host = port.key("hostPort");
            if host.is_set() && host.node.and_then(Node::whole) != Some(0) {
                broken.at(&host);
            }
        }
    });
}

fn probe_hosts(pod: &At<'_>, broken: &mut Broken<'_>) {
    let mut look = |handler: &At<'_>| {
        for action in ["httpGet", "tcpSocket"] {
            let action = handler.key(action);
            let host = action.key("host");
            if host.text().is_some_and(|host| !host.is_empty()) {
                broken.at(&host);
            }
        }
    };
    each_container(pod, |container| {
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            look(&container.key(probe));
        }
        let lifecycle = container.key("lifecycle");
        for hook in ["postStart", "preStop"] {
            look(&lifecycle.key(hook));
        }
    });
}

fn app_armor(pod: &At<'_>, broken: &mut Broken<'_>) {
    each_context(pod, |context| {
        let profile = context.key("appArmorProfile");
        one_of(&profile.key("type"), &["RuntimeDefault", "Localhost"], broken);
    });
    let metadata = pod.key("metadata");
    for annotation in metadata.key("annotations").each_entry() {
        let profile = annotation.text().unwrap_or_default();
        let allowed = profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/");
        if annotation.last_key().starts_with(APPARMOR_ANNOTATION) && !allowed {
            broken.at(&annotation);
        }
    }
}

fn selinux(pod: &At<'_>, broken: &mut Broken<'_>) {
    each_context(pod, |context| {
        let options = context.key("seLinuxOptions");
        one_of(&options.key("type"), SELINUX_TYPES, broken);
        one_of(&options.key("user"), &[""], broken);
        one_of(&options.key("role"), &[""], broken);
    });
}

fn proc_mount(pod: &At<'_>, broken: &mut Broken<'_>) {
    each_context(pod, |context| one_of(&context.key("procMount"), &["Default"], broken));
}

fn seccomp(pod: &At<'_>, broken: &mut Broken<'_>) {
    each_context(pod, |context| {
        let profile = context.key("seccompProfile");
        one_of(&profile.key("type"), &["RuntimeDefault", "Localhost"], broken);
    });
}

/// Nothing, or one of these.
pub(super) fn one_of(at: &At<'_>, allowed: &[&str], broken: &mut Broken<'_>) {
    if at.is_set() && !at.text().is_some_and(|text| allowed.contains(&text)) {
        broken.at(at);
    }
}

fn unsafe_sysctls(pod: &At<'_>, broken: &mut Broken<'_>) {
    let spec = pod.key("spec");
    let context = spec.key("securityContext");
    for sysctl in context.key("sysctls").each_item() {
        let name = sysctl.key("name");
        if name.text().and_then(sysctls::safe).is_none() {
            broken.at(&name);
        }
    }
}
