//! IPv4 addresses and routes.

use std::io;
use std::net::Ipv4Addr;

use super::Route;
use super::links::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use super::message::{Attributes, Message, number_at};
use crate::sandbox::failure::cannot;

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;

const AF_INET: u8 = 2;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_MULTIPATH: u16 = 9;

const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNICAST: u8 = 1;
/// Local, broadcast, anycast and multicast routes follow from addresses.
const RTN_OF_ADDRESSES: std::ops::RangeInclusive<u8> = 2..=5;

/// Addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Range {
    pub(in crate::sandbox) address: Ipv4Addr,
    pub(in crate::sandbox) prefix: u8,
}

impl Range {
    pub(in crate::sandbox) fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }

    pub(in crate::sandbox) fn overlaps(self, other: Range) -> bool {
        let common = self.mask() & other.mask();
        self.address.to_bits() & common == other.address.to_bits() & common
    }
}

/// An address of an interface, with the range that it makes reachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Address {
    pub(in crate::sandbox) link: u32,
    pub(in crate::sandbox) range: Range,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct RouteTo {
    /// A prefix of 0 is the default route.
    pub(in crate::sandbox) range: Range,
    /// Interfaces it leads out of; none for one that refuses.
    pub(in crate::sandbox) links: Vec<u32>,
}

impl Route {
    pub(in crate::sandbox) fn addresses(&self) -> io::Result<Vec<Address>> {
        let mut addresses = Vec::new();
        let message = Message::request(RTM_GETADDR, NLM_F_DUMP, &[AF_INET, 0, 0, 0, 0, 0, 0, 0]);
        self.0
            .ask(message, |body| addresses.extend(address(body)))
            .map_err(|error| cannot("list addresses", error))?;
        Ok(addresses)
    }

    /// Routes of all tables, without those that follow from addresses.
    pub(in crate::sandbox) fn routes(&self) -> io::Result<Vec<RouteTo>> {
        let mut routes = Vec::new();
        let mut body = [0; 12];
        body[0] = AF_INET;
        self.0
            .ask(Message::request(RTM_GETROUTE, NLM_F_DUMP, &body), |body| routes.extend(route(body)))
            .map_err(|error| cannot("list routes", error))?;
        Ok(routes)
    }

    /// An address that is there already is as good as added.
    pub(in crate::sandbox) fn add_address(&self, link: u32, range: Range) -> io::Result<()> {
        match self.0.order(address_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, link, range)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(cannot(format!("add address {}/{}", range.address, range.prefix), error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub(in crate::sandbox) fn remove_address(&self, link: u32, range: Range) -> io::Result<()> {
        self.0
            .order(address_message(RTM_DELADDR, 0, link, range))
            .map_err(|error| cannot(format!("remove address {}/{}", range.address, range.prefix), error))
    }

    pub(in crate::sandbox) fn add_default(&self, gateway: Ipv4Addr) -> io::Result<()> {
        // `struct rtmsg`: family, three lengths and such, table, protocol, scope, type, flags.
        let body = [AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST, 0, 0, 0, 0];
        let message = Message::request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &body)
            .bytes(RTA_GATEWAY, &gateway.octets());
        self.0.order(message).map_err(|error| cannot(format!("add default route by {gateway}"), error))
    }
}

fn address_message(kind: u16, flags: u16, link: u32, range: Range) -> Message {
    // `struct ifaddrmsg`: family, prefix length, flags, scope, interface.
    let mut body = [AF_INET, range.prefix, 0, 0, 0, 0, 0, 0];
    body[4..].copy_from_slice(&link.to_ne_bytes());
    let octets = range.address.octets();
    Message::request(kind, flags, &body).bytes(IFA_LOCAL, &octets).bytes(IFA_ADDRESS, &octets)
}

/// The far end's address, where there is one, says what is reachable.
fn address(body: &[u8]) -> Option<Address> {
    let (prefix, link) = (*body.get(1)?, number_at(body, 4)?);
    let (_, octets) = Attributes::new(body.get(8..)?).find(|(kind, _)| *kind == IFA_ADDRESS)?;
    Some(Address { link, range: Range { address: four(octets)?, prefix } })
}

fn route(body: &[u8]) -> Option<RouteTo> {
    let (prefix, kind) = (*body.get(1)?, *body.get(7)?);
    if RTN_OF_ADDRESSES.contains(&kind) {
        return None;
    }
    let mut route = RouteTo { range: Range { address: Ipv4Addr::UNSPECIFIED, prefix }, links: Vec::new() };
    for (kind, value) in Attributes::new(body.get(12..)?) {
        match kind {
            RTA_DST => route.range.address = four(value)?,
            RTA_OIF => route.links.extend(number_at(value, 0)),
            RTA_MULTIPATH => route.links.extend(next_hops(value)),
            _ => {}
        }
    }
    Some(route)
}

/// `struct rtnexthop` after another: length, flags, weight, interface, attributes.
fn next_hops(mut value: &[u8]) -> Vec<u32> {
    let mut links = Vec::new();
    while let (Some([low, high]), Some(link)) = (value.first_chunk(), number_at(value, 4)) {
        links.push(link);
        let length = usize::from(u16::from_ne_bytes([*low, *high])).max(8);
        value = value.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    links
}

fn four(value: &[u8]) -> Option<Ipv4Addr> {
    value.first_chunk().map(|octets| Ipv4Addr::from(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_overlap_if_one_holds_the_other() {
        let range = |text: &str, prefix| Range { address: text.parse().unwrap(), prefix };
        let ours = range("10.77.4.0", 22);
        assert!(ours.overlaps(range("10.0.0.0", 8)));
        assert!(ours.overlaps(range("10.77.7.255", 32)));
        assert!(ours.overlaps(range("0.0.0.0", 0)));
        assert!(!ours.overlaps(range("10.77.8.0", 22)));
        assert!(!ours.overlaps(range("10.77.3.0", 24)));
    }
}
