//! Sysctls of a pod: the safe ones, of namespaces that are its own.

use crate::api::PodSpec;
use crate::api::sysctls::{self, Of};
use crate::model::desired::{Cause, Waiting};

/// Why the pod's sysctls cannot be set, in kubelet's words.
pub(super) fn forbidden(spec: &PodSpec) -> Option<Waiting> {
    let security = spec.security_context.as_ref()?;
    let message = security.sysctls.iter().flatten().find_map(|sysctl| {
        let why = match sysctls::safe(&sysctl.name) {
            None => "not allowlisted",
            Some(Of::Network) if spec.host_network == Some(true) => "not allowed with host net enabled",
            Some(Of::Ipc) if spec.host_ipc == Some(true) => "not allowed with host ipc enabled",
            Some(Of::Network | Of::Ipc) => return None,
        };
        Some(format!("forbidden sysctl: \"{}\" {why}", sysctl.name))
    })?;
    Some(Waiting { reason: "SysctlForbidden".to_owned(), message, cause: Cause::Manifest })
}
