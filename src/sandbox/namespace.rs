//! Namespaces of a pod. The pod process lives in the pod's own network, IPC and UTS namespaces and in a mount
//! namespace of its own; containers inherit the first three.

use std::fs::File;
use std::io;

use crate::model::pod_plan::PodPlan;

/// Descriptors of the namespaces that a pod process came from.
#[derive(Debug)]
pub(crate) struct HostNamespaces {
    pub(crate) network: File,
    pub(crate) mount: File,
}

impl HostNamespaces {
    pub(crate) fn keep() -> io::Result<HostNamespaces> {
        unimplemented!()
    }

    /// Goes back to the host's mount and network namespaces, to undo what was done there. One thread only.
    pub(crate) fn enter(&self) -> io::Result<()> {
        unimplemented!()
    }
}

/// Unshares mount (made a slave of the host's), and network, IPC, UTS as the plan wants; sets the hostname and
/// safe sysctls, brings `lo` up. One thread only.
pub(crate) fn unshare_pod(plan: &PodPlan) -> io::Result<()> {
    let _ = plan;
    unimplemented!()
}
