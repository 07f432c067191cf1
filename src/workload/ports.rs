//! Which ports of the machine a pod asks for, and who has them.

use std::net::{IpAddr, Ipv4Addr};

use crate::api::PodSpec;
use crate::model::desired::Waiting;
use crate::model::id::PodId;
use crate::model::observed::{Observed, Taker};
use crate::model::port::{HostPort, Protocol};

/// A pod on the machine's own network has there every port it names; another those that it asks for.
pub(super) fn wanted(spec: &PodSpec) -> Vec<HostPort> {
    let on_host = spec.host_network == Some(true);
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let mut wanted: Vec<HostPort> = ports
        .filter_map(|port| {
            let number = |port: i32| u16::try_from(port).ok().filter(|port| *port != 0);
            let container_port = number(port.container_port)?;
            let host_port = port.host_port.and_then(number).or(on_host.then_some(container_port))?;
            let protocol = Protocol::named(port.protocol.as_deref())?;
            Some(HostPort { protocol, host_ip: host_ip(port.host_ip.as_deref()), host_port, container_port })
        })
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

fn host_ip(given: Option<&str>) -> Ipv4Addr {
    match given.and_then(|given| given.parse().ok()) {
        Some(IpAddr::V4(address)) => address,
        Some(IpAddr::V6(_)) | None => Ipv4Addr::UNSPECIFIED,
    }
}

/// Who has a port: a pod that was told of it, before one that would be; of those, the older.
pub(super) struct Ports<'a> {
    observed: &'a Observed,
    given: Vec<(HostPort, PodId)>,
}

impl<'a> Ports<'a> {
    pub(super) fn new(observed: &'a Observed) -> Self {
        Ports { observed, given: Vec::new() }
    }

    /// Why a pod cannot have what it wants.
    pub(super) fn clash(&self, pod: &PodId, wanted: &[HostPort]) -> Option<Waiting> {
        let taken = wanted.iter().find_map(|port| self.holder(pod, port).map(|holder| (port, holder)));
        taken.map(|(port, holder)| {
            Waiting::passing("HostPortConflict", format!("host port {port} is taken by {holder}"))
        })
    }

    pub(super) fn take(&mut self, pod: &PodId, ports: &[HostPort]) {
        self.given.extend(ports.iter().map(|port| (*port, pod.clone())));
    }

    fn holder(&self, pod: &PodId, wanted: &HostPort) -> Option<String> {
        let clashes = |ports: &[HostPort]| ports.iter().any(|port| port.clashes_with(wanted));
        let held = self.observed.ports.iter().filter(|(_, ports)| clashes(ports));
        for (uid, _) in held {
            if *uid == pod.uid {
                return None;
            }
            match self.observed.pods.get(uid) {
                // Its predecessor, which it waits for anyway.
                Some(other) if other.namespace == pod.namespace && other.name == pod.name => {}
                Some(other) => return Some(format!("pod {}/{}", other.namespace, other.name)),
                None => return Some(format!("pod {uid}")),
            }
        }
        if let Some((_, other)) = self.given.iter().find(|(port, _)| port.clashes_with(wanted)) {
            return Some(format!("pod {other}"));
        }
        let taken = self.observed.taken.iter().find(|taken| taken.port.clashes_with(wanted))?;
        Some(match taken.by {
            Taker::Process => "a process of this machine".to_owned(),
            Taker::Instance => "a pod of another droppod on this machine".to_owned(),
        })
    }
}
