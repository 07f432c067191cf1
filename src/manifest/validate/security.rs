//! Security contexts, of the pod and of a container.

use k8s_openapi::api::core::v1::{PodSecurityContext, SecurityContext};

use crate::manifest::fault::Fault;
use crate::manifest::node::At;

use super::Rules;

/// Users and groups, as Kubernetes limits them.
const IDS: std::ops::RangeInclusive<i64> = 0..=2_147_483_647;

pub(super) fn of_pod(context: &PodSecurityContext, at: &At<'_>, rules: &mut Rules) {
    rules.within(&at.key("runAsUser"), context.run_as_user, IDS);
    rules.within(&at.key("runAsGroup"), context.run_as_group, IDS);
    rules.within(&at.key("fsGroup"), context.fs_group, IDS);
    rules.one_of(&at.key("fsGroupChangePolicy"), &["OnRootMismatch", "Always"]);
    rules.one_of(&at.key("supplementalGroupsPolicy"), &["Merge", "Strict"]);
    let groups_at = at.key("supplementalGroups");
    for (index, group) in context.supplemental_groups.iter().flatten().enumerate() {
        rules.within(&groups_at.index(index), Some(*group), IDS);
    }
    root_twice(context.run_as_user, context.run_as_non_root, at, rules);
    seccomp(&at.key("seccompProfile"), rules);
    let sysctls_at = at.key("sysctls");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    for (index, sysctl) in context.sysctls.iter().flatten().enumerate() {
        let at = sysctls_at.index(index);
        rules.required(&at.key("name"));
        if sysctl.name.split(['.', '/']).any(str::is_empty) || !sysctl.name.chars().all(plain) {
            rules.wrong(
                &at.key("name"),
                "the name is not a kernel parameter's",
                "write it as net.core.somaxconn",
            );
        }
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
    seccomp(&at.key("seccompProfile"), rules);
    let (escalation, privileged) = (at.key("allowPrivilegeEscalation"), at.key("privileged"));
    if context.allow_privilege_escalation == Some(false) && context.privileged == Some(true) {
        let message = "a privileged container cannot be kept from gaining privileges";
        let fault = Fault::at_key(&escalation, message, "contradicts")
            .label(privileged.key_span(), "this")
            .help("remove one of the two");
        rules.push(fault);
    }
    let capabilities = at.key("capabilities");
    let add = capabilities.key("add");
    let admin = add.each_item().find(|name| matches!(name.text(), Some("CAP_SYS_ADMIN" | "SYS_ADMIN")));
    if let (Some(admin), Some(false)) = (admin, context.allow_privilege_escalation) {
        let message = "a container that may administrate the system cannot be kept from gaining privileges";
        let fault = Fault::at(&admin, message, "contradicts")
            .label(escalation.key_span(), "this")
            .help("remove one of the two");
        rules.push(fault);
    }
}

fn root_twice(user: Option<i64>, must_not_be_root: Option<bool>, at: &At<'_>, rules: &mut Rules) {
    if user == Some(0) && must_not_be_root == Some(true) {
        let fault = Fault::at(&at.key("runAsUser"), "the user is root and must not be root", "root")
            .label(at.key("runAsNonRoot").key_span(), "not to be root");
        rules.push(fault);
    }
}

fn seccomp(at: &At<'_>, rules: &mut Rules) {
    if at.is_set() {
        rules.required(&at.key("type"));
        rules.one_of(&at.key("type"), &["RuntimeDefault", "Localhost", "Unconfined"]);
    }
}
