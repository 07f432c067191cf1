//! Forwarding, and the guard that keeps it from making the machine a router.
//!
//! The kernel forwards a packet if the interface it came in by may forward. For what pods send that is the bridge;
//! for what comes back it is the interface it went out of, whose answers would otherwise be dropped after their
//! address has been translated back; for who comes by a host port it is any interface with an address. An interface
//! that may not forward before is guarded first: of what comes in by it, only what belongs to a flow that began
//! here and what a rule has sent somewhere (DNAT) is forwarded. One that forwards already is the machine owner's.
//!
//! Several instances may need an interface. Each guards it in a table of its own, and the last to go switches
//! forwarding off again.

use std::io;

use super::tables::{self, BRIDGED, GUARDED};
use crate::sandbox::failure::cannot;
use crate::sandbox::netlink::Link;
use crate::sandbox::netlink::nft::{Element, Family, Ruleset, interface_name};

/// Whether an interface that forwards and that nobody guards may have been ours, the guard being lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// Whatever forwards did so before us.
    Kept,
    /// The table was removed by somebody else while it was in use.
    Lost,
}

/// Lets the kernel forward what comes in by this interface, guarded unless it did so before.
pub(super) fn open(rules: &Ruleset, table: &str, link: &Link, memory: Memory) -> io::Result<()> {
    let others = || is_guarded_beside(rules, table, &link.name);
    let lost = || memory == Memory::Lost && !forwards("all").unwrap_or(true);
    if !forwards(&link.name)? || others()? || lost() {
        // Before it forwards.
        guard(rules, table, link)?;
    }
    forward(&link.name)
}

/// Lets the kernel forward what comes in by the instance's own bridge.
///
/// Left alone if it does already: /proc/sys may be read-only, and a write of the same value still drops the
/// kernel's route cache.
pub(super) fn forward(interface: &str) -> io::Result<()> {
    if forwards(interface)? {
        return Ok(());
    }
    switch(interface, "forwarding", "1")
}

/// Lets packets to and from 127/8 leave by this interface and come in by it.
pub(super) fn route_loopback(interface: &str) -> io::Result<()> {
    if read(interface, "route_localnet")? == "1" {
        return Ok(());
    }
    switch(interface, "route_localnet", "1")
}

/// Removes the tables, and switches forwarding off where it was on for this instance alone.
pub(super) fn close(rules: &Ruleset, table: &str) -> io::Result<()> {
    let guarded = guarded(rules, table);
    rules.remove(&[tables::ip(table), tables::bridge(table)])?;
    for interface in guarded? {
        // An interface that is gone forwards nothing.
        if is_guarded_beside(rules, table, &interface)? || !forwards(&interface).unwrap_or(false) {
            continue;
        }
        switch(&interface, "forwarding", "0")?;
        // Another instance may have come to need it meanwhile, and seen it on.
        if is_guarded_beside(rules, table, &interface)? {
            forward(&interface)?;
        }
    }
    Ok(())
}

fn guard(rules: &Ruleset, table: &str, link: &Link) -> io::Result<()> {
    let table = tables::ip(table);
    let name = interface_name(&link.name);
    let element = |key: Vec<u8>| Element { key, ..Element::default() };
    let mut changes = vec![table.add(GUARDED, &element(name.to_vec()))];
    if link.is_bridge {
        // What a bridge carries from port to port passes the same hook where `bridge-nf-call-iptables` is on.
        changes.push(table.add(BRIDGED, &element([name, name].concat())));
    }
    rules.apply(changes).map_err(|error| cannot(format!("guard interface {}", link.name), error))
}

fn guarded(rules: &Ruleset, table: &str) -> io::Result<Vec<String>> {
    let elements = rules.elements(tables::ip(table), GUARDED)?;
    let name = |element: Element| String::from_utf8_lossy(&element.key).trim_end_matches('\0').to_owned();
    Ok(elements.into_iter().map(name).collect())
}

fn is_guarded_beside(rules: &Ruleset, table: &str, interface: &str) -> io::Result<bool> {
    for other in rules.tables(Family::Ip)? {
        if other != table
            && super::is_table(&other)
            && guarded(rules, &other)?.iter().any(|name| name == interface)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn forwards(interface: &str) -> io::Result<bool> {
    Ok(read(interface, "forwarding")? == "1")
}

fn read(interface: &str, setting: &str) -> io::Result<String> {
    let path = path(interface, setting);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(cannot(format!("read {path}"), error)),
    }
}

fn switch(interface: &str, setting: &str, value: &str) -> io::Result<()> {
    let path = path(interface, setting);
    std::fs::write(&path, value).map_err(|error| cannot(format!("write {value} to {path}"), error))
}

fn path(interface: &str, setting: &str) -> String {
    format!("/proc/sys/net/ipv4/conf/{interface}/{setting}")
}
