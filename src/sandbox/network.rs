//! The instance's bridge and nft table, and each pod's place on them, by netlink in process.
//!
//! `guard` tells what is forwarded, `pin` what a pod may send, `port` how the machine's ports lead to pods; their
//! rules are in `tables`.

mod guard;
pub(crate) mod pin;
pub(crate) mod port;
mod range;
pub(crate) mod tables;
pub(crate) mod taken;

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use super::beside::beside;
use super::failure::cannot;
use super::namespace::HostNamespaces;
use super::netlink::nft::{Family, Ruleset};
use super::netlink::{LOOPBACK, Link, Pair, Range, Route};
use crate::failpoint;
use crate::model::id::{InstanceId, Uid};
use crate::model::network::{InstanceNetwork, PodCidr};
use crate::model::pod_plan::NetworkPlan;
use crate::model::port::HostPort;

use guard::Memory;
pub(crate) use pin::Pinned;

/// The interface's name inside of a pod.
const INSIDE: &str = "eth0";
/// What the name of every instance's tables starts with.
const TABLE: &str = "droppod_";
/// Ranges tried before giving up against other instances that choose at the same moment.
const TRIES: usize = 8;

/// Makes the bridge, its address, the nft table (masquerade) and forwarding on it, or mends what is missing. With
/// no network `known`, chooses the first free /22 of `pool`, usually 10.77.0.0/16, that no route covers. Doing it twice is
/// fine.
///
/// # Errors
/// `AddrNotAvailable` if all of the pool is taken.
pub(crate) fn ensure(
    id: &InstanceId,
    known: Option<&InstanceNetwork>,
    pool: Option<PodCidr>,
) -> io::Result<InstanceNetwork> {
    let route = Route::open()?;
    let name = bridge_name(id);
    let bridge = ensure_bridge(&route, id, &name)?;
    let network = match known {
        Some(network) => {
            let range = Range { address: network.gateway, prefix: network.prefix };
            route.add_address(bridge.index, range)?;
            network.clone()
        }
        None => choose(&route, id, &bridge, pool.unwrap_or(PodCidr::USUAL)).inspect_err(|_| {
            // One without an address serves nobody.
            drop(route.delete(&bridge));
        })?,
    };
    route.up(bridge.index)?;
    let range = Range { address: network.network, prefix: network.prefix };
    let (rules, table) = (Ruleset::open()?, table_name(id));
    let memory = match known {
        Some(_) if !rules.tables(Family::Ip)?.contains(&table) => Memory::Lost,
        Some(_) | None => Memory::Kept,
    };
    // Before anything is forwarded.
    tables::write(&rules, id, &name, range)?;
    guard::route_loopback(&name)?;
    guard::forward(&name)?;
    for egress in egress(&route)? {
        guard::open(&rules, &table, &egress, memory)?;
    }
    Ok(network)
}

/// Removes bridge and tables. Those that are not there are as good as removed.
pub(crate) fn remove(id: &InstanceId) -> io::Result<()> {
    // Each waits tens of milliseconds for the kernel's readers, and the two need not wait for each other.
    let (tables, bridge) = beside(|| remove_tables(id), || remove_bridge(id));
    tables.and(bridge)
}

fn remove_tables(id: &InstanceId) -> io::Result<()> {
    match Ruleset::open().and_then(|rules| guard::close(&rules, &table_name(id))) {
        // A kernel without nf_tables has no table.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        answer => answer,
    }
}

fn remove_bridge(id: &InstanceId) -> io::Result<()> {
    let route = Route::open()?;
    route.link(&bridge_name(id))?.map_or(Ok(()), |bridge| route.delete(&bridge))
}

/// Called in the pod's network namespace: makes the veth pair from within (host end `v<short uid>` in the host's
/// namespace on the bridge, `eth0` born here), address, default route; and leads host ports to it. The pair goes
/// with this namespace, its pins and ports by [`release`].
pub(crate) fn attach(
    host: &HostNamespaces,
    id: &InstanceId,
    pod: &Uid,
    plan: &NetworkPlan,
    ports: &[HostPort],
) -> io::Result<Pinned> {
    let (bridge, address, prefix, gateway) = match plan {
        NetworkPlan::Host | NetworkPlan::Loopback => return Ok(Pinned::Yes),
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
    failpoint::reach("pair made")?;
    let no_rules = || cannot("reach the host's nf_tables", io::ErrorKind::Unsupported.into());
    let rules = host.rules.as_ref().ok_or_else(no_rules)?;
    // Both before the pod can send anything.
    host.route.settle(&near, pair.far_mac)?;
    let pinned = pin::pin(rules, &table_name(id), pod, &near.name, pair.far_mac, address)?;
    failpoint::reach("sender pinned")?;
    let route = Route::open()?;
    let inside = route.link(INSIDE)?.ok_or(io::ErrorKind::NotFound)?;
    route.add_address(inside.index, Range { address, prefix })?;
    route.up(inside.index)?;
    route.add_default(gateway)?;
    failpoint::reach("address set")?;
    // The kernel hears that the pair is connected in work of its own, for a bridge without other ports up to a
    // second later, and drops what is sent before. To be asked for an interface makes it see to that one at once
    // (Linux 6.8), in the order in which each makes the next.
    route.link(INSIDE)?;
    host.route.link(&near.name)?;
    host.route.link(bridge)?;
    if !ports.is_empty() {
        host.route.hairpin(&near)?;
        port::open(rules, &table_name(id), pod, address, ports)?;
        failpoint::reach("ports opened")?;
    }
    Ok(pinned)
}

/// Makes the host's side ready for a pod to be attached: tables that somebody has flushed away are written again,
/// and packets for host ports are let in. To be called in the host's network namespace: it is its settings that
/// are written.
pub(crate) fn make_ready(id: &InstanceId, plan: &NetworkPlan, ports: &[HostPort]) -> io::Result<()> {
    let network = match plan {
        NetworkPlan::Host | NetworkPlan::Loopback => return Ok(()),
        NetworkPlan::Bridge { bridge, address: _, prefix, gateway } => {
            let mask = Range { address: *gateway, prefix: *prefix }.mask();
            let network = Ipv4Addr::from_bits(gateway.to_bits() & mask);
            InstanceNetwork { bridge: bridge.clone(), network, prefix: *prefix, gateway: *gateway }
        }
    };
    if !Ruleset::open()?.tables(Family::Ip)?.contains(&table_name(id)) {
        ensure(id, Some(&network), None)?;
    }
    if ports.is_empty() { Ok(()) } else { admit(id) }
}

/// Lets packets for host ports in by every interface that has an address.
fn admit(id: &InstanceId) -> io::Result<()> {
    let (route, rules, table) = (Route::open()?, Ruleset::open()?, table_name(id));
    let addresses = route.addresses()?;
    let has_address = |link: &Link| addresses.iter().any(|address| address.link == link.index);
    let links = route.links()?.into_iter();
    for link in links.filter(|link| link.index != LOOPBACK && !is_ours(link) && has_address(link)) {
        guard::open(&rules, &table, &link, Memory::Kept)?;
    }
    Ok(())
}

/// Takes back the host ports and the pins of a pod. In the host's network namespace; doing it twice is fine.
pub(crate) fn release(id: &InstanceId, pod: &Uid) -> io::Result<()> {
    let rules = match Ruleset::open() {
        // Nothing was opened or pinned without.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(()),
        opened => opened?,
    };
    port::close(&rules, &table_name(id), pod)?;
    pin::unpin(&rules, &table_name(id), pod)
}

/// Whether this is the bridge of some instance.
fn is_ours(link: &Link) -> bool {
    let id = link.name.strip_prefix("dp").unwrap_or_default();
    link.is_bridge && id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The host end of a pod that had this UID before may be there still: its namespace goes when the kernel has time
/// for it. It is silenced, and a name beside it taken. Gives the host end.
fn make_pair(route: &Route, pair: Pair<'_>) -> io::Result<Link> {
    let beside = ('a'..='z').map(|letter| format!("{}{letter}", pair.near));
    let mut last = io::ErrorKind::AlreadyExists.into();
    for near in std::iter::once(pair.near.to_owned()).chain(beside) {
        match route.make_pair(&Pair { near: &near, ..pair }) {
            Ok(()) => return route.link(&near)?.ok_or_else(|| io::ErrorKind::NotFound.into()),
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
    format!("{TABLE}{id}")
}

/// Whether a table is some instance's.
fn is_table(name: &str) -> bool {
    name.starts_with(TABLE)
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
fn choose(route: &Route, id: &InstanceId, bridge: &Link, pool: PodCidr) -> io::Result<InstanceNetwork> {
    let addresses = route.addresses()?;
    if let Some(kept) = range::kept(pool, &addresses, bridge.index) {
        return Ok(network(bridge, kept));
    }
    let mut start = 0;
    for _ in 0..TRIES {
        let free = range::first_free(pool, &route.addresses()?, &route.routes()?, start);
        let range = free.map_err(|Range { address, prefix }| {
            let why = format!("this machine has an address in {address}/{prefix} or a route to it");
            let why = io::Error::new(io::ErrorKind::AddrNotAvailable, why);
            cannot(format!("find a free range in {pool}"), why)
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

/// The interfaces that default routes lead out of.
fn egress(route: &Route) -> io::Result<Vec<Link>> {
    let routes = route.routes()?;
    let out: Vec<u32> =
        routes.into_iter().filter(|route| route.range.prefix == 0).flat_map(|route| route.links).collect();
    let links = route.links()?.into_iter();
    Ok(links.filter(|link| link.index != LOOPBACK && out.contains(&link.index)).collect())
}

#[cfg(test)]
mod tests;
