//! Which address a pod gets: its own lease, or the lowest that nobody holds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::model::desired::Waiting;
use crate::model::id::Uid;
use crate::model::network::InstanceNetwork;
use crate::model::pod_plan::NetworkPlan;

/// Pods with an address of their own that one instance runs.
const NETWORKED_PODS: usize = 1000;

pub(super) struct Addresses<'a> {
    network: Option<&'a InstanceNetwork>,
    leased: BTreeMap<&'a Uid, Ipv4Addr>,
    /// Leased, or given away in this pass.
    taken: BTreeSet<Ipv4Addr>,
}

impl<'a> Addresses<'a> {
    pub(super) fn new(network: Option<&'a InstanceNetwork>, leases: &'a BTreeMap<Ipv4Addr, Uid>) -> Self {
        let leased = leases.iter().map(|(address, holder)| (holder, *address)).collect();
        Addresses { network, leased, taken: leases.keys().copied().collect() }
    }

    /// The network a pod would have; nobody else loses anything until it is taken.
    pub(super) fn offer(&self, pod: &Uid) -> Result<NetworkPlan, Waiting> {
        let Some(network) = self.network else { return Ok(NetworkPlan::Loopback) };
        let own = self.leased.get(pod).copied();
        let Some(address) = own.or_else(|| self.lowest_free(network)) else { return Err(self.exhausted()) };
        Ok(NetworkPlan::Bridge {
            bridge: network.bridge.clone(),
            address,
            prefix: network.prefix,
            gateway: network.gateway,
        })
    }

    pub(super) fn take(&mut self, network: &NetworkPlan) {
        match network {
            NetworkPlan::Bridge { address, .. } => {
                self.taken.insert(*address);
            }
            NetworkPlan::Host | NetworkPlan::Loopback => {}
        }
    }

    fn lowest_free(&self, network: &InstanceNetwork) -> Option<Ipv4Addr> {
        if self.taken.len() >= NETWORKED_PODS {
            return None;
        }
        let host_bits = u32::MAX.checked_shr(network.prefix.into()).unwrap_or(0);
        let first = u32::from(network.network) & !host_bits;
        let broadcast = first | host_bits;
        (first.saturating_add(1)..broadcast)
            .map(Ipv4Addr::from)
            .find(|address| *address != network.gateway && !self.taken.contains(address))
    }

    fn exhausted(&self) -> Waiting {
        let used = self.taken.len();
        let message = format!("no address is free: {used} pods hold one, at most {NETWORKED_PODS} can");
        Waiting::passing("OutOfpods", message)
    }
}
