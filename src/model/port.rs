//! Ports of the machine that lead to pods.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// `ports[].hostPort` of a container, defaults applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct HostPort {
    pub(crate) protocol: Protocol,
    /// 0.0.0.0 stands for every address of the machine.
    pub(crate) host_ip: Ipv4Addr,
    pub(crate) host_port: u16,
    pub(crate) container_port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl HostPort {
    /// Whether a packet could be for both: the scheduler's rule.
    pub(crate) fn clashes_with(&self, other: &HostPort) -> bool {
        let one_address =
            self.host_ip == other.host_ip || self.host_ip.is_unspecified() || other.host_ip.is_unspecified();
        self.protocol == other.protocol && self.host_port == other.host_port && one_address
    }
}

impl Protocol {
    /// As the API names it; TCP where nothing is said.
    pub(crate) fn named(name: Option<&str>) -> Option<Protocol> {
        match name {
            None | Some("" | "TCP") => Some(Protocol::Tcp),
            Some("UDP") => Some(Protocol::Udp),
            Some("SCTP") => Some(Protocol::Sctp),
            Some(_) => None,
        }
    }

    /// Of the IPv4 header.
    pub(crate) fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }

    pub(crate) fn numbered(number: u8) -> Option<Protocol> {
        [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().find(|known| known.number() == number)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        })
    }
}

/// `8080/TCP`, or `127.0.0.1:8080/TCP` where it is of one address.
impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.host_ip.is_unspecified() {
            write!(f, "{}:", self.host_ip)?;
        }
        write!(f, "{}/{}", self.host_port, self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(protocol: Protocol, host_ip: &str, host_port: u16) -> HostPort {
        HostPort { protocol, host_ip: host_ip.parse().unwrap(), host_port, container_port: 80 }
    }

    #[test]
    fn ports_clash_where_a_packet_could_be_for_both() {
        let every = port(Protocol::Tcp, "0.0.0.0", 8080);
        let local = port(Protocol::Tcp, "127.0.0.1", 8080);
        assert!(every.clashes_with(&every) && every.clashes_with(&local) && local.clashes_with(&every));
        assert!(!local.clashes_with(&port(Protocol::Tcp, "192.0.2.1", 8080)));
        assert!(!every.clashes_with(&port(Protocol::Udp, "0.0.0.0", 8080)));
        assert!(!every.clashes_with(&port(Protocol::Tcp, "0.0.0.0", 8081)));
    }

    #[test]
    fn a_port_is_told_with_its_address_where_it_has_one() {
        assert_eq!(port(Protocol::Udp, "0.0.0.0", 53).to_string(), "53/UDP");
        assert_eq!(port(Protocol::Tcp, "127.0.0.1", 80).to_string(), "127.0.0.1:80/TCP");
    }
}
