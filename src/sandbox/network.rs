//! The instance's bridge and nft table, and each pod's place on them, by netlink in process.
//!
//! The kernel forwards a packet if the interface it came in by may forward. For what pods send that is the bridge;
//! for what comes back it is the interface of the machine's default route, whose answers would otherwise be
//! dropped after their address has been translated back. So both are switched on, and no other: the machine as a
//! whole (`net.ipv4.ip_forward`) is not made a router.

mod range;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use super::failure::cannot;
use super::namespace::HostNamespaces;
use super::netlink::nft::Ruleset;
use super::netlink::{LOOPBACK, Link, Pair, Range, Route};
use crate::model::id::{InstanceId, Uid};
use crate::model::network::InstanceNetwork;
use crate::model::pod_plan::NetworkPlan;

/// The interface's name inside of a pod.
const INSIDE: &str = "eth0";
/// Ranges tried before giving up against other instances that choose at the same moment.
const TRIES: usize = 8;

/// Makes the bridge, its address, the nft table (masquerade) and forwarding on it, or mends what is missing. With
/// no `network` given, chooses the first free /22 of 10.77.0.0/16 that no route covers. Doing it twice is fine.
pub(crate) fn ensure(id: &InstanceId, network: Option<&InstanceNetwork>) -> io::Result<InstanceNetwork> {
    let route = Route::open()?;
    let name = bridge_name(id);
    let bridge = ensure_bridge(&route, id, &name)?;
    let network = match network {
        Some(network) => {
            let range = Range { address: network.gateway, prefix: network.prefix };
            route.add_address(bridge.index, range)?;
            network.clone()
        }
        None => choose(&route, id, &bridge)?,
    };
    route.up(bridge.index)?;
    forward(&name)?;
    for egress in egress(&route)? {
        forward(&egress)?;
    }
    let range = Range { address: network.network, prefix: network.prefix };
    Ruleset::open()?.masquerade(&table_name(id), range)?;
    Ok(network)
}

/// Removes bridge and table. Those that are not there are as good as removed.
pub(crate) fn remove(id: &InstanceId) -> io::Result<()> {
    let table = match Ruleset::open().and_then(|rules| rules.remove(&table_name(id))) {
        // A kernel without nf_tables has no table.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        answer => answer,
    };
    let route = Route::open()?;
    if let Some(bridge) = route.link(&bridge_name(id))? {
        route.delete(&bridge)?;
    }
    table
}

/// Called in the pod's network namespace: makes the veth pair from within (host end `v<short uid>` in the host's
/// namespace on the bridge, `eth0` born here), address, default route. The pair goes with this namespace.
pub(crate) fn attach(host: &HostNamespaces, pod: &Uid, plan: &NetworkPlan) -> io::Result<()> {
    let (bridge, address, prefix, gateway) = match plan {
        NetworkPlan::Host | NetworkPlan::Loopback => return Ok(()),
        NetworkPlan::Bridge { bridge, address, prefix, gateway } => (bridge, *address, *prefix, *gateway),
    };
    let missing = || cannot(format!("find bridge {bridge}"), io::ErrorKind::NotFound.into());
    let master = host.route.link(bridge)?.ok_or_else(missing)?;
    let here = File::open("/proc/thread-self/ns/net")
        .map_err(|error| cannot("open this network namespace", error))?;
    // Made from the address, so that neighbours who knew this address before need not learn anew.
    let [a, b, c, d] = address.octets();
    let pair = Pair {
        near: &veth_name(pod),
        bridge: master.index,
        far: INSIDE,
        far_mac: [0x0a, 0x58, a, b, c, d],
        namespace: here.as_fd(),
    };
    let near = make_pair(&host.route, pair)?;
    let route = Route::open()?;
    let inside = route.link(INSIDE)?.ok_or(io::ErrorKind::NotFound)?;
    route.add_address(inside.index, Range { address, prefix })?;
    route.up(inside.index)?;
    route.add_default(gateway)?;
    // The kernel hears that the pair is connected in work of its own, for a bridge without other ports up to a
    // second later, and drops what is sent before. To be asked for an interface makes it see to that one at once
    // (Linux 6.8), in the order in which each makes the next.
    route.link(INSIDE)?;
    host.route.link(&near)?;
    host.route.link(bridge)?;
    Ok(())
}

/// The host end of a pod that had this UID before may be there still: its namespace goes when the kernel has time
/// for it. It is silenced, and a name beside it taken. Gives the name.
fn make_pair(route: &Route, pair: Pair<'_>) -> io::Result<String> {
    let beside = ('a'..='z').map(|letter| format!("{}{letter}", pair.near));
    let mut last = io::ErrorKind::AlreadyExists.into();
    for near in std::iter::once(pair.near.to_owned()).chain(beside) {
        match route.make_pair(&Pair { near: &near, ..pair }) {
            Ok(()) => return Ok(near),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
        if let Some(old) = route.link(&near)? {
            route.down(old.index)?;
        }
    }
    Err(last)
}

pub(super) fn bridge_name(id: &InstanceId) -> String {
    format!("dp{id}")
}

pub(super) fn table_name(id: &InstanceId) -> String {
    format!("droppod_{id}")
}

pub(super) fn veth_name(pod: &Uid) -> String {
    format!("v{}", pod.short())
}

fn ensure_bridge(route: &Route, id: &InstanceId, name: &str) -> io::Result<Link> {
    if let Some(bridge) = route.link(name)? {
        return Ok(bridge);
    }
    match route.make_bridge(name, bridge_mac(id)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    route.link(name)?.ok_or_else(|| cannot(format!("find bridge {name}"), io::ErrorKind::NotFound.into()))
}

/// A bridge without an address of its own takes that of a port, and pods would lose their gateway with that port.
fn bridge_mac(id: &InstanceId) -> [u8; 6] {
    let [a, b, c, d] = u32::from_str_radix(&id.0, 16).unwrap_or_default().to_be_bytes();
    [0x0a, 0x77, a, b, c, d]
}

/// Gives the bridge the first range that nobody uses. Another instance may do the same at this moment: who then
/// sees that its range is also another's gives it up and goes on from a place of its own.
fn choose(route: &Route, id: &InstanceId, bridge: &Link) -> io::Result<InstanceNetwork> {
    let addresses = route.addresses()?;
    if let Some(kept) = range::kept(&addresses, bridge.index) {
        return Ok(network(bridge, kept));
    }
    let mut start = 0;
    for _ in 0..TRIES {
        let range = range::first_free(&route.addresses()?, &route.routes()?, start).ok_or_else(|| {
            cannot("find a free /22 of 10.77.0.0/16", io::ErrorKind::AddrNotAvailable.into())
        })?;
        let own = Range { address: range::gateway(range), prefix: range.prefix };
        route.add_address(bridge.index, own)?;
        let addresses = route.addresses()?;
        if !addresses.iter().any(|other| other.link != bridge.index && other.range.overlaps(range)) {
            return Ok(network(bridge, range));
        }
        route.remove_address(bridge.index, own)?;
        start = usize::from(bridge_mac(id)[5]);
    }
    Err(cannot("agree with other instances on a range", io::ErrorKind::AddrInUse.into()))
}

fn network(bridge: &Link, range: Range) -> InstanceNetwork {
    InstanceNetwork {
        bridge: bridge.name.clone(),
        network: range.address,
        prefix: range.prefix,
        gateway: range::gateway(range),
    }
}

/// Names of the interfaces that default routes lead out of.
fn egress(route: &Route) -> io::Result<Vec<String>> {
    let routes = route.routes()?;
    let out: Vec<u32> =
        routes.into_iter().filter(|route| route.range.prefix == 0).flat_map(|route| route.links).collect();
    let links = route.links()?.into_iter();
    Ok(links
        .filter(|link| link.index != LOOPBACK && out.contains(&link.index))
        .map(|link| link.name)
        .collect())
}

/// Lets the kernel forward what comes in by this interface. Left alone if it does already: /proc/sys may be
/// read-only, and a write of the same value still drops the kernel's route cache.
fn forward(interface: &str) -> io::Result<()> {
    let path = format!("/proc/sys/net/ipv4/conf/{interface}/forwarding");
    let switch_on = |present: String| match present.trim() {
        "1" => Ok(()),
        _ => std::fs::write(&path, "1"),
    };
    std::fs::read_to_string(&path)
        .and_then(switch_on)
        .map_err(|error| cannot(format!("switch on forwarding of {interface}"), error))
}

#[cfg(test)]
mod tests;
