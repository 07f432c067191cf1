//! Host ports: elements of two maps, each with its pod's UID as a comment. They outlive whoever wrote them, and go
//! with the pod: by the pod process as it leaves, by a sweep if it could not.

use std::io;
use std::net::Ipv4Addr;

use super::tables::{self, PORTS, PORTS_AT};
use crate::model::id::Uid;
use crate::model::port::{HostPort, Protocol};
use crate::sandbox::failure::cannot;
use crate::sandbox::netlink::nft::{Change, Element, Ruleset, Table};

/// Leads `ports` of the machine to a pod. Those that the pod had before go.
///
/// # Errors
/// `ResourceBusy` if another pod has one of them.
pub(super) fn open(
    rules: &Ruleset,
    table: &str,
    pod: &Uid,
    address: Ipv4Addr,
    ports: &[HostPort],
) -> io::Result<()> {
    let table = tables::ip(table);
    let mut changes = removal(rules, table, pod)?;
    changes.extend(ports.iter().map(|port| {
        let element = Element { key: key(port), data: data(address, port), comment: pod.to_string() };
        table.add(map_of(port), &element)
    }));
    rules.apply(changes).map_err(|error| {
        let named: Vec<String> = ports.iter().map(ToString::to_string).collect();
        cannot(format!("open host port {}", named.join(", ")), error)
    })
}

pub(super) fn close(rules: &Ruleset, table: &str, pod: &Uid) -> io::Result<()> {
    let changes = removal(rules, tables::ip(table), pod)?;
    rules.apply(changes).map_err(|error| cannot(format!("close the host ports of pod {pod}"), error))
}

/// Open ports of a table, with their pods.
pub(in crate::sandbox) fn all(rules: &Ruleset, table: &str) -> io::Result<Vec<(HostPort, Option<Uid>)>> {
    let mut all = Vec::new();
    for map in [PORTS, PORTS_AT] {
        for element in rules.elements(tables::ip(table), map)? {
            all.extend(read(&element).map(|port| (port, Uid::try_from(element.comment).ok())));
        }
    }
    Ok(all)
}

fn removal(rules: &Ruleset, table: Table<'_>, pod: &Uid) -> io::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for map in [PORTS, PORTS_AT] {
        let own = rules.elements(table, map)?.into_iter().filter(|port| port.comment == pod.as_str());
        changes.extend(own.map(|port| table.take_out(map, &port)));
    }
    Ok(changes)
}

fn map_of(port: &HostPort) -> &'static str {
    if port.host_ip.is_unspecified() { PORTS } else { PORTS_AT }
}

/// Parts of a key and of what it stands for fill words of four bytes.
fn key(port: &HostPort) -> Vec<u8> {
    let protocol = [port.protocol.number(), 0, 0, 0];
    let number = filled(port.host_port);
    if port.host_ip.is_unspecified() {
        [protocol, number].concat()
    } else {
        [protocol, port.host_ip.octets(), number].concat()
    }
}

fn data(address: Ipv4Addr, port: &HostPort) -> Vec<u8> {
    [address.octets(), filled(port.container_port)].concat()
}

fn filled(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

fn read(element: &Element) -> Option<HostPort> {
    let words = |bytes: &[u8]| bytes.as_chunks::<4>().0.to_vec();
    let number = |word: [u8; 4]| u16::from_be_bytes([word[0], word[1]]);
    let (protocol, host_ip, host_port) = match words(&element.key).as_slice() {
        [protocol, port] => (protocol[0], Ipv4Addr::UNSPECIFIED, number(*port)),
        [protocol, address, port] => (protocol[0], Ipv4Addr::from(*address), number(*port)),
        _ => return None,
    };
    let [_, container_port] = words(&element.data).try_into().ok()?;
    Some(HostPort {
        protocol: Protocol::numbered(protocol)?,
        host_ip,
        host_port,
        container_port: number(container_port),
    })
}
