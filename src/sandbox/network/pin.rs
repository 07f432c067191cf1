//! Pins: what comes in by a pod's interface must carry the pod's own hardware address and IPv4 address, in the frame
//! and in ARP. All else is dropped, IPv6 with its router advertisements among it: pods have IPv4 alone.

use std::io;
use std::net::Ipv4Addr;

use super::tables::{self, PODS, SENDERS};
use crate::model::id::Uid;
use crate::sandbox::failure::cannot;
use crate::sandbox::netlink::nft::{Change, Element, Ruleset, Table, interface_name, is_unsupported};

/// Whether the pod's frames are held to its own addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pinned {
    Yes,
    /// The kernel cannot filter what its bridges carry.
    No,
}

/// Pins an interface. Pins of the same pod from before go.
pub(super) fn pin(
    rules: &Ruleset,
    table: &str,
    pod: &Uid,
    interface: &str,
    mac: [u8; 6],
    address: Ipv4Addr,
) -> io::Result<Pinned> {
    let table = tables::bridge(table);
    let comment = pod.to_string();
    let port =
        Element { key: interface_name(interface).to_vec(), data: Vec::new(), comment: comment.clone() };
    // Two bytes fill up the hardware address to whole words.
    let key = [&interface_name(interface)[..], &mac, &[0; 2], &address.octets()].concat();
    let sender = Element { key, data: Vec::new(), comment };
    let mut changes = removal(rules, table, pod)?;
    changes.extend([table.add(PODS, &port), table.add(SENDERS, &sender)]);
    match rules.apply(changes) {
        Ok(()) => Ok(Pinned::Yes),
        // Without this family there is no table to add to.
        Err(error) if is_unsupported(&error) || error.kind() == io::ErrorKind::NotFound => Ok(Pinned::No),
        Err(error) => Err(cannot(format!("pin the addresses of interface {interface}"), error)),
    }
}

pub(super) fn unpin(rules: &Ruleset, table: &str, pod: &Uid) -> io::Result<()> {
    let changes = removal(rules, tables::bridge(table), pod)?;
    rules.apply(changes).map_err(|error| cannot(format!("remove the pins of pod {pod}"), error))
}

/// Interfaces that are pinned, with their pods.
pub(in crate::sandbox) fn all(rules: &Ruleset, table: &str) -> io::Result<Vec<(String, Option<Uid>)>> {
    let pins = rules.elements(tables::bridge(table), PODS)?;
    Ok(pins
        .into_iter()
        .map(|pin| {
            let name = String::from_utf8_lossy(&pin.key).trim_end_matches('\0').to_owned();
            (name, Uid::try_from(pin.comment).ok())
        })
        .collect())
}

fn removal(rules: &Ruleset, table: Table<'_>, pod: &Uid) -> io::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for set in [SENDERS, PODS] {
        let own = rules.elements(table, set)?.into_iter().filter(|pin| pin.comment == pod.as_str());
        changes.extend(own.map(|pin| table.take_out(set, &pin)));
    }
    Ok(changes)
}
