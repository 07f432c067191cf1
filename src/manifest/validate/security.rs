//! Security contexts, of the pod and of a container.

use std::collections::HashMap;
use std::ops::Range;

use k8s_openapi::api::core::v1::{PodSecurityContext, SecurityContext};

use crate::api::PodSpec;
use crate::manifest::fault::Fault;
use crate::manifest::node::At;
use crate::manifest::unknown::similar;
use crate::model::capability::{ALL_CAPABILITIES, plain};

use super::Rules;
use super::container::inner_path;

/// Users and groups, as Kubernetes limits them.
const IDS: std::ops::RangeInclusive<i64> = 0..=2_147_483_647;

pub(super) fn of_pod(context: &PodSecurityContext, at: &At<'_>, rules: &mut Rules) {
    rules.within(&at.key("runAsUser"), context.run_as_user, IDS);
    rules.within(&at.key("runAsGroup"), context.run_as_group, IDS);
    rules.within(&at.key("fsGroup"), context.fs_group, IDS);
    rules.one_of(&at.key("fsGroupChangePolicy"), &["OnRootMismatch", "Always"]);
    rules.one_of(&at.key("supplementalGroupsPolicy"), &["Merge", "Strict"]);
    rules.one_of(&at.key("seLinuxChangePolicy"), &["MountOption", "Recursive"]);
    let groups_at = at.key("supplementalGroups");
    for (index, group) in context.supplemental_groups.iter().flatten().enumerate() {
        rules.within(&groups_at.index(index), Some(*group), IDS);
    }
    root_twice(context.run_as_user, context.run_as_non_root, at, rules);
    profile(&at.key("seccompProfile"), rules);
    app_armor(&at.key("appArmorProfile"), rules);
    selinux(&at.key("seLinuxOptions"), rules);
    sysctls(context, &at.key("sysctls"), rules);
}

fn sysctls(context: &PodSecurityContext, at: &At<'_>, rules: &mut Rules) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let mut names: HashMap<String, Range<usize>> = HashMap::new();
    for (index, sysctl) in context.sysctls.iter().flatten().enumerate() {
        let at = at.index(index);
        let name_at = at.key("name");
        rules.required(&name_at);
        if sysctl.name.is_empty() {
            continue;
        }
        if sysctl.name.split(['.', '/']).any(str::is_empty) || !sysctl.name.chars().all(plain) {
            rules.wrong(&name_at, "the name is not a kernel parameter's", "write it as net.core.somaxconn");
        }
        if let Some(first) = names.insert(dotted(&sysctl.name), name_at.span()) {
            let fault = Fault::at(&name_at, "the kernel parameter is set twice", "set again")
                .label(first, "first set here");
            rules.push(fault.help("remove one of the two"));
        }
    }
}

/// `net/core/somaxconn` and `net.core.somaxconn` are one.
fn dotted(sysctl: &str) -> String {
    sysctl.replace('/', ".")
}

const OF_IPC: &[&str] = &["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."];

/// A pod cannot set what belongs to a namespace that it shares with the host.
pub(super) fn host_sysctls(spec: &PodSpec, context: &PodSecurityContext, at: &At<'_>, rules: &mut Rules) {
    let context_at = at.key("securityContext");
    let sysctls_at = context_at.key("sysctls");
    for (index, sysctl) in context.sysctls.iter().flatten().enumerate() {
        let name = dotted(&sysctl.name);
        let of_ipc = OF_IPC.iter().any(|start| name.starts_with(start));
        let shared = if spec.host_network == Some(true) && name.starts_with("net.") {
            "hostNetwork"
        } else if spec.host_ipc == Some(true) && of_ipc {
            "hostIPC"
        } else {
            continue;
        };
        let sysctl_at = sysctls_at.index(index);
        let message = "the pod cannot set a kernel parameter of the host";
        let fault = Fault::at(&sysctl_at.key("name"), message, "the host's own")
            .label(at.key(shared).key_span(), "because of this")
            .help("remove one of the two");
        rules.push(fault);
    }
}

pub(super) fn of_container(context: &SecurityContext, at: &At<'_>, rules: &mut Rules) {
    rules.within(&at.key("runAsUser"), context.run_as_user, IDS);
    rules.within(&at.key("runAsGroup"), context.run_as_group, IDS);
    let proc_mount = at.key("procMount");
    rules.one_of(&proc_mount, &["Default", "Unmasked"]);
    if proc_mount.text() == Some("Unmasked") {
        let message = "an unmasked /proc needs a user namespace, which this version does not make";
        rules.wrong(&proc_mount, message, "write `Default`, or remove the field");
    }
    root_twice(context.run_as_user, context.run_as_non_root, at, rules);
    profile(&at.key("seccompProfile"), rules);
    app_armor(&at.key("appArmorProfile"), rules);
    selinux(&at.key("seLinuxOptions"), rules);
    escalation(context, at, rules);
    let capabilities = at.key("capabilities");
    for list in ["add", "drop"] {
        capabilities.key(list).each_item().for_each(|name| capability(&name, rules));
    }
}

/// An API server takes any, and no container comes of it; or it has what it was not to have.
fn capability(at: &At<'_>, rules: &mut Rules) {
    let Some(name) = at.text().map(plain) else { return };
    if name == "ALL" || ALL_CAPABILITIES.contains(&name.as_str()) {
        return;
    }
    let fault = Fault::at(at, "there is no such capability", "unknown capability");
    rules.push(match similar(&name, ALL_CAPABILITIES.iter().copied()) {
        Some(likely) => fault.help(format!("did you mean `{likely}`?")),
        None => fault.help("write one of capabilities(7) without `CAP_`, such as `NET_ADMIN`, or `ALL`"),
    });
}

fn escalation(context: &SecurityContext, at: &At<'_>, rules: &mut Rules) {
    if context.allow_privilege_escalation != Some(false) {
        return;
    }
    let escalation = at.key("allowPrivilegeEscalation");
    let mut contradiction = |message: &str, with: &At<'_>| {
        let fault = Fault::at_key(&escalation, message, "contradicts")
            .label(with.key_span(), "this")
            .help("remove one of the two");
        rules.push(fault);
    };
    if context.privileged == Some(true) {
        let message = "a privileged container cannot be kept from gaining privileges";
        contradiction(message, &at.key("privileged"));
    }
    let capabilities_at = at.key("capabilities");
    let add_at = capabilities_at.key("add");
    let admin = add_at.each_item().find(|name| matches!(name.text(), Some("SYS_ADMIN" | "CAP_SYS_ADMIN")));
    if let Some(admin) = admin {
        contradiction("a container with SYS_ADMIN cannot be kept from gaining privileges", &admin);
    }
}

fn root_twice(user: Option<i64>, must_not_be_root: Option<bool>, at: &At<'_>, rules: &mut Rules) {
    if user == Some(0) && must_not_be_root == Some(true) {
        let fault = Fault::at(&at.key("runAsUser"), "the user is root and must not be root", "root")
            .label(at.key("runAsNonRoot").key_span(), "not to be root");
        rules.push(fault);
    }
}

const UNARMED: &str = "AppArmor profiles are not applied by this version";

/// As a kubelet without AppArmor admits no such pod, nothing runs without the protection that was asked for.
fn app_armor(at: &At<'_>, rules: &mut Rules) {
    profile(at, rules);
    let type_at = at.key("type");
    if let Some("RuntimeDefault" | "Localhost") = type_at.text() {
        rules.wrong(&type_at, UNARMED, "write `Unconfined`, or remove the field");
    }
}

/// Of SELinux's types the one that confines nothing.
pub(in crate::manifest) const UNCONFINED_TYPE: &str = "spc_t";

/// As with AppArmor. `spc_t` asks for no protection, and manifests of agents name it wherever they run.
fn selinux(at: &At<'_>, rules: &mut Rules) {
    for option in ["level", "role", "type", "user"].map(|name| at.key(name)) {
        let confines = !matches!(option.text(), None | Some("" | UNCONFINED_TYPE));
        if confines {
            rules.wrong(&option, "SELinux labels are not set by this version", "remove `seLinuxOptions`");
        }
    }
}

/// What asked for AppArmor before there was a field.
pub(super) fn annotations(metadata: &At<'_>, rules: &mut Rules) {
    for annotation in metadata.key("annotations").each_entry() {
        let is_one = annotation.last_key().starts_with("container.apparmor.security.beta.kubernetes.io/");
        if is_one && !matches!(annotation.text(), None | Some("" | "unconfined")) {
            rules.wrong(&annotation, UNARMED, "write `unconfined`, or remove the annotation");
        }
    }
}

/// Of seccomp or AppArmor.
fn profile(at: &At<'_>, rules: &mut Rules) {
    if !at.is_set() {
        return;
    }
    let (type_at, local_at) = (at.key("type"), at.key("localhostProfile"));
    rules.required(&type_at);
    rules.one_of(&type_at, &["RuntimeDefault", "Localhost", "Unconfined"]);
    match (type_at.text(), local_at.is_set()) {
        (Some("Localhost"), false) => {
            let fault =
                Fault::at(&type_at, "a profile of this machine is named by `localhostProfile`", "which one?");
            rules.push(fault.help("add `localhostProfile`, or write `RuntimeDefault`"));
        }
        (Some("Localhost"), true) => {
            inner_path(local_at.text().unwrap_or_default(), &local_at, "the directory of profiles", rules);
        }
        (Some(_), true) => {
            let fault = Fault::at_key(
                &local_at,
                "`localhostProfile` belongs to the type `Localhost`",
                "not allowed here",
            )
            .label(type_at.span(), "with this type");
            rules.push(fault.help("remove it, or write `type: Localhost`"));
        }
        (Some(_) | None, _) => {}
    }
}
