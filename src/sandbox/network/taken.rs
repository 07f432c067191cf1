//! Ports of the machine that somebody has who is no pod of this instance.

use std::io;
use std::net::Ipv4Addr;

use super::{port, table_name};
use crate::model::id::InstanceId;
use crate::model::observed::{Taken, Taker};
use crate::model::port::{HostPort, Protocol};
use crate::sandbox::failure::cannot;
use crate::sandbox::netlink::nft::{Family, Ruleset};

/// States of `/proc/net/tcp` and `/proc/net/udp`: a listening socket, and one that takes from everybody.
const LISTENING: &str = "0A";
const UNCONNECTED: &str = "07";

/// Sockets that listen in this network namespace, and host ports of other instances.
pub(crate) fn taken(id: &InstanceId) -> io::Result<Vec<Taken>> {
    let mut taken = Vec::new();
    for (file, protocol, state) in [
        ("tcp", Protocol::Tcp, LISTENING),
        ("tcp6", Protocol::Tcp, LISTENING),
        ("udp", Protocol::Udp, UNCONNECTED),
        ("udp6", Protocol::Udp, UNCONNECTED),
    ] {
        let path = format!("/proc/thread-self/net/{file}");
        let text = match std::fs::read_to_string(&path) {
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.map_err(|error| cannot(format!("read {path}"), error))?,
        };
        let ports = text.lines().filter_map(|line| listening(line, protocol, state));
        taken.extend(ports.map(|port| Taken { port, by: Taker::Process }));
    }
    let own = table_name(id);
    let rules = match Ruleset::open() {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(taken),
        opened => opened?,
    };
    for table in rules.tables(Family::Ip)?.into_iter().filter(|table| *table != own && super::is_table(table))
    {
        let ports = port::all(&rules, &table)?.into_iter();
        taken.extend(ports.map(|(port, _)| Taken { port, by: Taker::Instance }));
    }
    Ok(taken)
}

/// `sl local_address rem_address st …`; an address in hexadecimal words of host byte order, a port in hexadecimal.
fn listening(line: &str, protocol: Protocol, state: &str) -> Option<HostPort> {
    let mut fields = line.split_whitespace().skip(1);
    let (address, port) = fields.next()?.split_once(':')?;
    let is_listening = fields.nth(1)? == state;
    let port = u16::from_str_radix(port, 16).ok()?;
    let host_ip = ipv4(address)?;
    is_listening.then_some(HostPort { protocol, host_ip, host_port: port, container_port: port })
}

/// IPv6's unspecified address stands for IPv4's too, unless the socket was told otherwise, which is not to be seen.
fn ipv4(hex: &str) -> Option<Ipv4Addr> {
    let word = |hex: &str| u32::from_str_radix(hex, 16).ok().map(|word| Ipv4Addr::from(word.to_ne_bytes()));
    /// ::ffff:0:0/96, as the kernel prints its first three words.
    const MAPPED: &str = "0000000000000000FFFF0000";
    match (hex.len(), hex.strip_prefix(MAPPED)) {
        (8, _) => word(hex),
        (32, Some(last)) => word(last),
        (32, None) if hex.bytes().all(|digit| digit == b'0') => Some(Ipv4Addr::UNSPECIFIED),
        _ => None,
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_told_from_others() {
        let read = |line: &str| listening(line, Protocol::Tcp, LISTENING).map(|port| port.to_string());
        let line =
            |address: &str, state: &str| format!("   0: {address} 00000000:0000 {state} 00000000:00000000");
        assert_eq!(read(&line("0100007F:1F90", "0A")).as_deref(), Some("127.0.0.1:8080/TCP"));
        assert_eq!(read(&line("00000000:0016", "0A")).as_deref(), Some("22/TCP"));
        assert_eq!(read(&line("0100007F:1F90", "01")), None);
        assert_eq!(read(&line("00000000000000000000000000000000:0050", "0A")).as_deref(), Some("80/TCP"));
        let mapped = line("0000000000000000FFFF00000100007F:0050", "0A");
        assert_eq!(read(&mapped).as_deref(), Some("127.0.0.1:80/TCP"));
        assert_eq!(read(&line("00000000000000000000000001000000:0050", "0A")), None);
        assert_eq!(read("  sl  local_address rem_address   st"), None);
    }
}
