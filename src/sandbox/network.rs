//! The instance's bridge and nft table, and each pod's place on them, by netlink in process.

use std::io;

use crate::model::id::{InstanceId, Uid};
use crate::model::network::InstanceNetwork;
use crate::model::pod_plan::NetworkPlan;

use super::namespace::HostNamespaces;

/// Makes the bridge, its address, the nft table (masquerade) and forwarding on it, or mends what is missing. With
/// no `network` given, chooses the first free /22 of 10.77.0.0/16 that no route covers. Doing it twice is fine.
pub(crate) fn ensure(id: &InstanceId, network: Option<&InstanceNetwork>) -> io::Result<InstanceNetwork> {
    let _ = (id, network);
    unimplemented!()
}

/// Removes bridge and table. Those that are not there are as good as removed.
pub(crate) fn remove(id: &InstanceId) -> io::Result<()> {
    let _ = id;
    unimplemented!()
}

/// Called in the pod's network namespace: makes the veth pair from within (host end `dp<short uid>` in the host's
/// namespace on the bridge, `eth0` born here), address, default route. The pair goes with this namespace.
pub(crate) fn attach(host: &HostNamespaces, pod: &Uid, plan: &NetworkPlan) -> io::Result<()> {
    let _ = (host, pod, plan);
    unimplemented!()
}
