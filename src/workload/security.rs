//! `securityContext` → who a container runs as and what it may do; the container's word counts over the pod's.

use std::collections::BTreeSet;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{
    Capabilities, PodSecurityContext, SeccompProfile as Asked, SecurityContext,
};

use crate::api::Container;
use crate::model::capability::{self, ALL_CAPABILITIES};
use crate::model::id::PodId;
use crate::model::pod_plan::{ImageGroups, Privilege, RootAccess, SeccompProfile, SecurityPlan, UserPlan};

const DEFAULT_CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// `runAsNonRoot` forbids what the pod or its image asks for, in kubelet's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RootForbidden {
    #[error("container's runAsUser breaks non-root policy (pod: \"{pod}\", container: {container})")]
    ByRunAsUser { pod: String, container: String },
    #[error("container has runAsNonRoot and image will run as root (pod: \"{pod}\", container: {container})")]
    ByImage { pod: String, container: String },
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root \
         (pod: \"{pod}\", container: {container})"
    )]
    NotVerifiable { user: String, pod: String, container: String },
}

pub(super) fn user(
    id: &PodId,
    pod: Option<&PodSecurityContext>,
    container: &Container,
    image_user: &str,
) -> Result<UserPlan, RootForbidden> {
    let own = container.security_context.as_ref();
    let run_as_user = own.and_then(|own| own.run_as_user).or(pod.and_then(|pod| pod.run_as_user));
    let run_as_group = own.and_then(|own| own.run_as_group).or(pod.and_then(|pod| pod.run_as_group));
    let non_root = own.and_then(|own| own.run_as_non_root).or(pod.and_then(|pod| pod.run_as_non_root));
    let must_not_be_root = non_root.unwrap_or(false);
    let uid = run_as_user.and_then(to_id);
    if must_not_be_root {
        refuse_root(id, &container.name, uid, image_user)?;
    }
    let fs_group = pod.and_then(|pod| pod.fs_group);
    let groups = pod.into_iter().flat_map(|pod| pod.supplemental_groups.iter().flatten().copied());
    let mut supplemental_groups: Vec<u32> = Vec::new();
    for group in groups.chain(fs_group).filter_map(to_id) {
        if !supplemental_groups.contains(&group) {
            supplemental_groups.push(group);
        }
    }
    Ok(UserPlan {
        uid,
        gid: run_as_group.and_then(to_id),
        image_user: image_user.to_owned(),
        must_not_be_root,
        supplemental_groups,
        image_groups: match pod.and_then(|pod| pod.supplemental_groups_policy.as_deref()) {
            Some("Strict") => ImageGroups::Strict,
            Some(_) | None => ImageGroups::Merge,
        },
    })
}

fn refuse_root(id: &PodId, container: &str, uid: Option<u32>, image_user: &str) -> Result<(), RootForbidden> {
    let pod = format!("{}_{}({})", id.name, id.namespace, id.uid);
    let container = container.to_owned();
    let image_user = image_user.split(':').next().unwrap_or_default();
    match (uid, image_user, image_user.parse::<u32>()) {
        (Some(0), ..) => Err(RootForbidden::ByRunAsUser { pod, container }),
        (Some(_), ..) => Ok(()),
        (None, "", _) | (None, _, Ok(0)) => Err(RootForbidden::ByImage { pod, container }),
        (None, _, Ok(_)) => Ok(()),
        (None, user, Err(_)) => Err(RootForbidden::NotVerifiable { user: user.to_owned(), pod, container }),
    }
}

/// Validation has refused what is no user or group id.
pub(super) fn to_id(id: i64) -> Option<u32> {
    u32::try_from(id).ok()
}

pub(super) fn security(pod: Option<&PodSecurityContext>, container: &Container) -> SecurityPlan {
    let context = container.security_context.as_ref();
    let privilege = privilege(context);
    let asked = context.and_then(|context| context.capabilities.as_ref());
    let read_only = context.and_then(|context| context.read_only_root_filesystem).unwrap_or(false);
    SecurityPlan {
        privilege,
        capabilities: match privilege {
            Privilege::Privileged => ALL_CAPABILITIES.iter().map(|&name| name.to_owned()).collect(),
            Privilege::Ordinary | Privilege::NoEscalation => capabilities(asked),
        },
        root: if read_only { RootAccess::ReadOnly } else { RootAccess::Writable },
        seccomp: seccomp(
            privilege,
            context
                .and_then(|own| own.seccomp_profile.as_ref())
                .or(pod.and_then(|pod| pod.seccomp_profile.as_ref())),
        ),
    }
}

/// A privileged container has no filter, whatever its pod has, as in Kubernetes. Validation has refused other types.
fn seccomp(privilege: Privilege, asked: Option<&Asked>) -> SeccompProfile {
    match (privilege, asked.map(|asked| (asked.type_.as_str(), asked.localhost_profile.as_deref()))) {
        (Privilege::Privileged, _) | (_, Some(("Unconfined", _))) => SeccompProfile::Unconfined,
        (_, Some(("Localhost", path))) => SeccompProfile::Localhost(PathBuf::from(path.unwrap_or_default())),
        (_, Some(_) | None) => SeccompProfile::RuntimeDefault,
    }
}

fn privilege(context: Option<&SecurityContext>) -> Privilege {
    let Some(context) = context else { return Privilege::Ordinary };
    if context.privileged == Some(true) {
        Privilege::Privileged
    } else if context.allow_privilege_escalation == Some(false) {
        Privilege::NoEscalation
    } else {
        Privilege::Ordinary
    }
}

/// `ALL` is taken first, so that `drop: [ALL], add: [X]` leaves X and `add: [ALL], drop: [X]` all but X.
fn capabilities(asked: Option<&Capabilities>) -> Vec<String> {
    let names = |list: Option<&Vec<String>>| -> BTreeSet<String> {
        list.into_iter().flatten().map(|name| capability::plain(name)).collect()
    };
    let mut add = names(asked.and_then(|asked| asked.add.as_ref()));
    let mut drop = names(asked.and_then(|asked| asked.drop.as_ref()));
    let (add_all, drop_all) = (add.remove("ALL"), drop.remove("ALL"));
    let from: &[&str] = match (add_all, drop_all) {
        (_, true) => &[],
        (true, false) => ALL_CAPABILITIES,
        (false, false) => DEFAULT_CAPABILITIES,
    };
    let mut capabilities: BTreeSet<String> = from.iter().map(|&name| name.to_owned()).collect();
    capabilities.append(&mut add);
    capabilities.difference(&drop).cloned().collect()
}
