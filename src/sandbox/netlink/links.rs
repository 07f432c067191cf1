//! Interfaces: bridges, and veth pairs whose far end is born in a pod's namespace.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::Route;
use super::message::{Attributes, Message, number_at, text_of};
use crate::sandbox::failure::cannot;

/// `lo` has this index in every network namespace.
pub(in crate::sandbox) const LOOPBACK: u32 = 1;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWNEIGH: u16 = 28;
pub(super) const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_EXCL: u16 = 0x200;
pub(super) const NLM_F_CREATE: u16 = 0x400;

const IFF_UP: u32 = 1;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_PROTINFO: u16 = 12;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const AF_BRIDGE: u8 = 7;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_LEARNING: u16 = 8;
/// Of an entry in a table of neighbours: it does not age; whose table it is in, the bridge's; and its address.
const NUD_NOARP: u16 = 0x40;
const NTF_MASTER: u8 = 0x04;
const NDA_LLADDR: u16 = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Link {
    pub(in crate::sandbox) index: u32,
    pub(in crate::sandbox) name: String,
    /// The bridge it is a port of.
    pub(in crate::sandbox) master: Option<u32>,
    pub(in crate::sandbox) is_bridge: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Down,
    Unchanged,
}

/// `struct ifinfomsg`: family, type, index, flags and which of them to change.
fn interface(index: u32, state: State) -> [u8; 16] {
    let (flags, change) = match state {
        State::Up => (IFF_UP, IFF_UP),
        State::Down => (0, IFF_UP),
        State::Unchanged => (0, 0),
    };
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..].copy_from_slice(&change.to_ne_bytes());
    bytes
}

/// The two ends of a pair to be made.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) struct Pair<'a> {
    /// In the namespace of the socket, up, a port of `bridge`.
    pub(in crate::sandbox) near: &'a str,
    pub(in crate::sandbox) bridge: u32,
    /// In `namespace`, down.
    pub(in crate::sandbox) far: &'a str,
    pub(in crate::sandbox) far_mac: [u8; 6],
    pub(in crate::sandbox) namespace: BorrowedFd<'a>,
}

impl Route {
    pub(in crate::sandbox) fn links(&self) -> io::Result<Vec<Link>> {
        let mut links = Vec::new();
        let body = interface(0, State::Unchanged);
        self.0
            .ask(Message::request(RTM_GETLINK, NLM_F_DUMP, &body), |body| links.extend(link(body)))
            .map_err(|error| cannot("list interfaces", error))?;
        Ok(links)
    }

    pub(in crate::sandbox) fn link(&self, name: &str) -> io::Result<Option<Link>> {
        let mut found = None;
        let message =
            Message::request(RTM_GETLINK, 0, &interface(0, State::Unchanged)).text(IFLA_IFNAME, name);
        match self.0.ask(message, |body| found = link(body)) {
            Ok(()) => Ok(found),
            Err(error) if is_no_device(&error) => Ok(None),
            Err(error) => Err(cannot(format!("look up interface {name}"), error)),
        }
    }

    /// A bridge that is up, with a hardware address that does not change with its ports.
    pub(in crate::sandbox) fn make_bridge(&self, name: &str, mac: [u8; 6]) -> io::Result<()> {
        let body = interface(0, State::Up);
        let message = Message::request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &body)
            .text(IFLA_IFNAME, name)
            .bytes(IFLA_ADDRESS, &mac)
            .nest(IFLA_LINKINFO, |info| info.text(IFLA_INFO_KIND, "bridge"));
        self.0.order(message).map_err(|error| cannot(format!("make bridge {name}"), error))
    }

    pub(in crate::sandbox) fn make_pair(&self, pair: &Pair<'_>) -> io::Result<()> {
        let namespace = pair.namespace.as_raw_fd().unsigned_abs();
        // The kernel refuses to bring the far end up before the pair is complete.
        let far = interface(0, State::Unchanged);
        let message = Message::request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &interface(0, State::Up))
            .text(IFLA_IFNAME, pair.near)
            .number(IFLA_MASTER, pair.bridge)
            .nest(IFLA_LINKINFO, |info| {
                info.text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
                    data.nest(VETH_INFO_PEER, |peer| {
                        peer.structure(&far)
                            .text(IFLA_IFNAME, pair.far)
                            .bytes(IFLA_ADDRESS, &pair.far_mac)
                            .number(IFLA_NET_NS_FD, namespace)
                    })
                })
            });
        self.0.order(message).map_err(|error| cannot(format!("make veth pair {}", pair.near), error))
    }

    pub(in crate::sandbox) fn up(&self, index: u32) -> io::Result<()> {
        self.set(index, State::Up)
    }

    pub(in crate::sandbox) fn down(&self, index: u32) -> io::Result<()> {
        self.set(index, State::Down)
    }

    fn set(&self, index: u32, state: State) -> io::Result<()> {
        self.0
            .order(Message::request(RTM_NEWLINK, 0, &interface(index, state)))
            .map_err(|error| cannot(format!("bring interface {index} up or down"), error))
    }

    /// Lets a port of a bridge have back what came in by it: where bridged frames pass the IPv4 hooks
    /// (`bridge-nf-call-iptables`), a pod comes to itself by a host port only so.
    pub(in crate::sandbox) fn hairpin(&self, link: &Link) -> io::Result<()> {
        self.set_port(link, IFLA_BRPORT_MODE, 1)
            .map_err(|error| cannot(format!("set hairpin mode of {}", link.name), error))
    }

    /// Makes `mac` the one address that a bridge finds at its port, whatever comes in by that port: a frame to an
    /// address that bridges keep for themselves (01:80:c2:00:00:00 to 0f) is learned from before any filter sees it.
    /// Another port that had the address loses it. The entry goes with the port.
    pub(in crate::sandbox) fn settle(&self, link: &Link, mac: [u8; 6]) -> io::Result<()> {
        // `struct ndmsg`: family, interface, state, flags.
        let mut body = [0; 12];
        body[0] = AF_BRIDGE;
        body[4..8].copy_from_slice(&link.index.to_ne_bytes());
        body[8..10].copy_from_slice(&NUD_NOARP.to_ne_bytes());
        body[10] = NTF_MASTER;
        let entry = Message::request(RTM_NEWNEIGH, NLM_F_CREATE, &body).bytes(NDA_LLADDR, &mac);
        self.set_port(link, IFLA_BRPORT_LEARNING, 0)
            .and_then(|()| self.0.order(entry))
            .map_err(|error| cannot(format!("settle what address is found at {}", link.name), error))
    }

    /// Ports and addresses that were settled on any bridge.
    #[cfg(test)]
    pub(in crate::sandbox) fn settled(&self) -> io::Result<Vec<(u32, Vec<u8>)>> {
        const RTM_GETNEIGH: u16 = 30;
        let mut body = interface(0, State::Unchanged);
        body[0] = AF_BRIDGE;
        let mut found = Vec::new();
        self.0.ask(Message::request(RTM_GETNEIGH, NLM_F_DUMP, &body), |entry| {
            let settled = entry[8..10] == NUD_NOARP.to_ne_bytes();
            let mac = Attributes::new(&entry[12..]).find(|(kind, _)| *kind == NDA_LLADDR);
            if let (true, Some((_, mac)), Some(port)) = (settled, mac, number_at(entry, 4)) {
                found.push((port, mac.to_vec()));
            }
        })?;
        Ok(found)
    }

    fn set_port(&self, link: &Link, option: u16, value: u8) -> io::Result<()> {
        let mut body = interface(link.index, State::Unchanged);
        body[0] = AF_BRIDGE;
        let message =
            Message::request(RTM_SETLINK, 0, &body).nest(IFLA_PROTINFO, |port| port.bytes(option, &[value]));
        self.0.order(message)
    }

    /// Takes a while for what has traffic; the ends of pods go with their namespaces instead.
    pub(in crate::sandbox) fn delete(&self, link: &Link) -> io::Result<()> {
        match self.0.order(Message::request(RTM_DELLINK, 0, &interface(link.index, State::Unchanged))) {
            Err(error) if !is_no_device(&error) => {
                Err(cannot(format!("remove interface {}", link.name), error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn is_no_device(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENODEV)
}

fn link(body: &[u8]) -> Option<Link> {
    let mut link = Link { index: number_at(body, 4)?, name: String::new(), master: None, is_bridge: false };
    for (kind, value) in Attributes::new(body.get(16..)?) {
        match kind {
            IFLA_IFNAME => link.name = text_of(value),
            IFLA_MASTER => link.master = number_at(value, 0),
            IFLA_LINKINFO => {
                link.is_bridge = Attributes::new(value)
                    .any(|(kind, value)| kind == IFLA_INFO_KIND && text_of(value) == "bridge");
            }
            _ => {}
        }
    }
    Some(link)
}
