//! The instance's two nf_tables tables, of one name: in the family `ip` for addresses, in the family `bridge` for
//! what pods may send.
//!
//! ```text
//! ip      raw          127/8 from pods is dropped: the bridge alone lets it in at all (route_localnet)
//!         prerouting   ┐ to this machine: `ports_at` (protocol, address, port) and `ports` (protocol, port) say
//!         output       ┘ which pod it is for
//!         forward      the guard, see `guard`
//!         postrouting  pods' addresses hide behind the machine's; so do pods and loopback behind the bridge's
//!                      where a host port has turned their packets round
//! bridge  prerouting   the pins, see `pin`
//! ```
//!
//! Chains and rules are written anew each time; what is in sets and maps is each pod's own and stays.

use std::io;
use std::net::Ipv4Addr;

use super::table_name;
use crate::model::id::InstanceId;
use crate::sandbox::failure::cannot;
use crate::sandbox::netlink::Range;
use crate::sandbox::netlink::nft::{
    Base, ChainType, Change, Ct, Expressions, Family, Header, Hook, Meta, Ruleset, Set, Table, Type,
    is_unsupported,
};

/// Of host ports on every address, to address and port of a pod.
pub(super) const PORTS: &str = "ports";
/// Of host ports on one address.
pub(super) const PORTS_AT: &str = "ports_at";
/// Interfaces that forward for pods alone.
pub(super) const GUARDED: &str = "guarded";
/// Those among them that are bridges, each twice: from it to itself is not forwarding.
pub(super) const BRIDGED: &str = "bridged";
/// Host ends of pods.
pub(super) const PODS: &str = "pods";
/// What may come in by them: interface, hardware address, address.
pub(super) const SENDERS: &str = "senders";

const HOST_PORTS: &str = "host_ports";

const LOOPBACK: Range = Range { address: Ipv4Addr::new(127, 0, 0, 0), prefix: 8 };

/// Bits of connection tracking's state and status.
const ESTABLISHED_OR_RELATED: u32 = 1 << 1 | 1 << 2;
const DNAT: u32 = 1 << 5;

pub(super) fn ip(name: &str) -> Table<'_> {
    Table { family: Family::Ip, name }
}

pub(super) fn bridge(name: &str) -> Table<'_> {
    Table { family: Family::Bridge, name }
}

/// Writes both tables, or mends them.
///
/// # Errors
/// Not for a kernel whose bridges cannot be filtered: pods are told when they come to it.
pub(super) fn write(rules: &Ruleset, id: &InstanceId, bridge_name: &str, range: Range) -> io::Result<()> {
    let name = table_name(id);
    let failed = |error| cannot(format!("write nf_tables table {name}"), error);
    rules.apply(of_addresses(ip(&name), bridge_name, range)).map_err(failed)?;
    match rules.apply(of_frames(bridge(&name))) {
        Err(error) if !is_unsupported(&error) && error.kind() != io::ErrorKind::NotFound => {
            Err(failed(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether this kernel can hold each of the two tables. Changes nothing.
pub(crate) fn probe() -> (io::Result<()>, io::Result<()>) {
    let range = Range { address: Ipv4Addr::new(10, 77, 0, 0), prefix: 22 };
    let ask = |changes| Ruleset::open().and_then(|rules| rules.would_take(changes));
    (ask(of_addresses(ip("droppod_probe"), "dp", range)), ask(of_frames(bridge("droppod_probe"))))
}

fn of_addresses(table: Table<'_>, bridge: &str, range: Range) -> Vec<Change> {
    const PRIORITY_RAW: i32 = -300;
    const PRIORITY_DESTINATION_NAT: i32 = -100;
    const PRIORITY_FILTER: i32 = 0;
    const PRIORITY_SOURCE_NAT: i32 = 100;
    let base = |kind, hook, priority| Some(Base { kind, hook, priority });
    let to_pods = || vec![Expressions::default().for_this_machine().jump(HOST_PORTS)];
    let chains = [
        table.chain(
            "raw",
            base(ChainType::Filter, Hook::Prerouting, PRIORITY_RAW),
            vec![
                from(bridge).within(Expressions::DESTINATION, LOOPBACK).drop(),
                from(bridge).within(Expressions::SOURCE, LOOPBACK).drop(),
            ],
        ),
        table.chain(HOST_PORTS, None, host_ports()),
        table.chain(
            "prerouting",
            base(ChainType::Nat, Hook::Prerouting, PRIORITY_DESTINATION_NAT),
            to_pods(),
        ),
        table.chain("output", base(ChainType::Nat, Hook::Output, PRIORITY_DESTINATION_NAT), to_pods()),
        table.chain("forward", base(ChainType::Filter, Hook::Forward, PRIORITY_FILTER), guard()),
        table.chain(
            "postrouting",
            base(ChainType::Nat, Hook::Postrouting, PRIORITY_SOURCE_NAT),
            masquerade(bridge, range),
        ),
    ];
    let sets = [
        Set { name: PORTS, key: &[Type::PROTOCOL, Type::PORT], data: &[Type::IPV4, Type::PORT] },
        Set {
            name: PORTS_AT,
            key: &[Type::PROTOCOL, Type::IPV4, Type::PORT],
            data: &[Type::IPV4, Type::PORT],
        },
        Set { name: GUARDED, key: &[Type::INTERFACE], data: &[] },
        Set { name: BRIDGED, key: &[Type::INTERFACE, Type::INTERFACE], data: &[] },
    ];
    let sets = (1..).zip(&sets).map(|(id, set)| table.set(set, id));
    std::iter::once(table.make()).chain(sets).chain(chains.into_iter().flatten()).collect()
}

fn from(bridge: &str) -> Expressions {
    Expressions::default().by(Meta::InputName, bridge)
}

/// The more particular address first, as the kernel chooses among listening sockets.
fn host_ports() -> Vec<Expressions> {
    const PORT: u32 = 2;
    let protocol = || Expressions::default().meta(Meta::TransportProtocol, 0);
    vec![
        protocol()
            .payload(Header::Network, Expressions::DESTINATION, 4, 1)
            .payload(Header::Transport, PORT, 2, 2)
            .look_up(PORTS_AT, 0, 4)
            .dnat(4),
        protocol().payload(Header::Transport, PORT, 2, 1).look_up(PORTS, 0, 4).dnat(4),
    ]
}

fn guard() -> Vec<Expressions> {
    let guarded = || Expressions::default().meta(Meta::InputName, 0).keyed_in(GUARDED, 0);
    vec![
        guarded().ct_has(Ct::State, ESTABLISHED_OR_RELATED).accept(),
        guarded().ct_has(Ct::Status, DNAT).accept(),
        Expressions::default()
            .meta(Meta::InputName, 0)
            .meta(Meta::OutputName, 4)
            .keyed_in(BRIDGED, 0)
            .accept(),
        guarded().drop(),
    ]
}

fn masquerade(bridge: &str, range: Range) -> Vec<Expressions> {
    let from_pods = || Expressions::default().within(Expressions::SOURCE, range);
    vec![
        from_pods().outside(Expressions::DESTINATION, range).masquerade(),
        // A pod that came to another, or to itself, by a host port: the answer must come back this way.
        from_pods().within(Expressions::DESTINATION, range).ct_has(Ct::Status, DNAT).masquerade(),
        Expressions::default()
            .within(Expressions::SOURCE, LOOPBACK)
            .by(Meta::OutputName, bridge)
            .masquerade(),
    ]
}

/// By a pod's interface nothing comes in but IPv4 and ARP, from the pod's own addresses.
fn of_frames(table: Table<'_>) -> Vec<Change> {
    /// Before anything else that looks at bridged frames.
    const PRIORITY_FIRST: i32 = -300;
    const LINK_SOURCE: u32 = 6;
    const LINK_TYPE: u32 = 12;
    const TYPE_IPV4: [u8; 2] = [0x08, 0x00];
    const TYPE_ARP: [u8; 2] = [0x08, 0x06];
    /// Ethernet, IPv4, the lengths of their addresses: the head of an ARP packet.
    const ARP_OF_ETHERNET: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];
    const ARP_SENDER_LINK: u32 = 8;
    const ARP_SENDER_ADDRESS: u32 = 14;
    let of_pod = || Expressions::default().meta(Meta::InputName, 0).keyed_in(PODS, 0);
    let of_type = |kind: [u8; 2]| of_pod().payload(Header::Link, LINK_TYPE, 2, 8).equals(8, kind.to_vec());
    let sender = |rule: Expressions, link: (Header, u32), address: u32| {
        rule.payload(link.0, link.1, 6, 4).payload(Header::Network, address, 4, 6).keyed_in(SENDERS, 0)
    };
    let arp = of_type(TYPE_ARP).payload(Header::Network, 0, 6, 8).equals(8, ARP_OF_ETHERNET.to_vec());
    let arp = sender(arp, (Header::Link, LINK_SOURCE), ARP_SENDER_ADDRESS);
    let rules = vec![
        sender(of_type(TYPE_IPV4), (Header::Link, LINK_SOURCE), Expressions::SOURCE).accept(),
        sender(arp, (Header::Network, ARP_SENDER_LINK), ARP_SENDER_ADDRESS).accept(),
        of_pod().drop(),
    ];
    let base = Base { kind: ChainType::Filter, hook: Hook::Prerouting, priority: PRIORITY_FIRST };
    let sets = [
        Set { name: PODS, key: &[Type::INTERFACE], data: &[] },
        Set { name: SENDERS, key: &[Type::INTERFACE, Type::ETHER, Type::IPV4], data: &[] },
    ];
    let sets = (1..).zip(&sets).map(|(id, set)| table.set(set, id));
    std::iter::once(table.make()).chain(sets).chain(table.chain("prerouting", Some(base), rules)).collect()
}
