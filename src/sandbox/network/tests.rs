//! In network namespaces of their own: one stands for the machine, one for a host beyond it, one for each pod.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::*;

mod edges;
use crate::sandbox::sys::namespace::unshare;

/// Runs `inside` in a thread of its own in a network namespace of its own.
fn alone(inside: impl FnOnce() + Send + 'static) {
    let ran = std::thread::spawn(|| {
        if let Err(error) = unshare(UnshareFlags::NEWNET) {
            println!("skipped: cannot make a network namespace: {error}");
            return;
        }
        Route::open().unwrap().up(LOOPBACK).unwrap();
        inside();
    });
    ran.join().unwrap();
}

fn this_namespace() -> OwnedFd {
    File::open("/proc/thread-self/ns/net").unwrap().into()
}

fn enter(namespace: &OwnedFd) {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

/// A namespace beside this one. This thread stays where it is.
fn beside(make: impl FnOnce()) -> OwnedFd {
    let here = this_namespace();
    unshare(UnshareFlags::NEWNET).unwrap();
    Route::open().unwrap().up(LOOPBACK).unwrap();
    make();
    let there = this_namespace();
    enter(&here);
    there
}

fn range(text: &str, prefix: u8) -> Range {
    Range { address: text.parse().unwrap(), prefix }
}

fn id(text: &str) -> InstanceId {
    InstanceId(text.to_owned())
}

fn uid(digit: char) -> Uid {
    let text: String = "00000000-0000-4000-8000-000000000000".replace('0', &digit.to_string());
    Uid::try_from(text).unwrap()
}

/// Connects from `from` to a listener on `address` in `to`; gives the address that the listener saw.
fn seen(from: &OwnedFd, to: &OwnedFd, address: &str) -> io::Result<Ipv4Addr> {
    let here = this_namespace();
    enter(to);
    let listener = TcpListener::bind((address, 0))?;
    let port = listener.local_addr()?.port();
    enter(from);
    let target = SocketAddr::new(address.parse().unwrap(), port);
    // Less than the second after which TCP sends again: no packet may be lost.
    let connected = TcpStream::connect_timeout(&target, Duration::from_millis(900));
    enter(&here);
    let mut stream = connected?;
    let (accepted, peer) = listener.accept()?;
    drop(accepted);
    stream.read_to_end(&mut Vec::new())?;
    match peer {
        SocketAddr::V4(peer) => Ok(*peer.ip()),
        SocketAddr::V6(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A host beyond the machine's `up0`, which knows nothing of pods; `up0` is the machine's default route.
fn beyond() -> OwnedFd {
    let route = Route::open().unwrap();
    let beyond = beside(|| {});
    route.make_bridge("up0", [0x0a, 0, 0, 0, 0, 1]).unwrap();
    let up0 = route.link("up0").unwrap().unwrap();
    let pair = Pair {
        near: "port0",
        bridge: up0.index,
        far: "eth0",
        far_mac: [0x0a, 0, 0, 0, 0, 2],
        namespace: beyond.as_fd(),
    };
    route.make_pair(&pair).unwrap();
    route.add_address(up0.index, range("192.0.2.1", 24)).unwrap();
    route.add_default("192.0.2.2".parse().unwrap()).unwrap();
    let here = this_namespace();
    enter(&beyond);
    let inside = Route::open().unwrap();
    let eth0 = inside.link("eth0").unwrap().unwrap();
    inside.add_address(eth0.index, range("192.0.2.2", 24)).unwrap();
    inside.up(eth0.index).unwrap();
    enter(&here);
    beyond
}

fn id_of(network: &InstanceNetwork) -> InstanceId {
    id(network.bridge.strip_prefix("dp").unwrap())
}

fn pod(network: &InstanceNetwork, uid: &Uid, address: &str) -> OwnedFd {
    pod_with_ports(network, uid, address, &[])
}

fn pod_with_ports(network: &InstanceNetwork, uid: &Uid, address: &str, ports: &[HostPort]) -> OwnedFd {
    let host = HostNamespaces::keep().unwrap();
    let plan = NetworkPlan::Bridge {
        bridge: network.bridge.clone(),
        address: address.parse().unwrap(),
        prefix: network.prefix,
        gateway: network.gateway,
    };
    beside(|| assert_eq!(attach(&host, &id_of(network), uid, &plan, ports).unwrap(), Pinned::Yes))
}

#[test]
fn pods_reach_each_other_and_what_lies_beyond_the_machine() {
    alone(|| {
        let beyond = beyond();
        let network = match ensure(&id("0badcafe"), None, None) {
            Ok(network) => network,
            Err(error) if error.to_string().contains("nf_tables") => return println!("skipped: {error}"),
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(network.network, Ipv4Addr::new(10, 77, 0, 0));
        let first = pod(&network, &uid('1'), "10.77.0.2");
        let second = pod(&network, &uid('2'), "10.77.0.3");

        assert_eq!(seen(&first, &second, "10.77.0.3").unwrap(), Ipv4Addr::new(10, 77, 0, 2));
        assert_eq!(seen(&first, &first, "10.77.0.2").unwrap(), Ipv4Addr::new(10, 77, 0, 2));
        assert_eq!(seen(&this_namespace(), &first, "10.77.0.2").unwrap(), network.gateway);
        let machine = Ipv4Addr::new(192, 0, 2, 1);
        assert_eq!(seen(&first, &beyond, "192.0.2.2").unwrap(), machine);
        // Of this machine, bridge and way out alone forward.
        let forwarding = |name: &str| {
            std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/forwarding")).unwrap()
        };
        assert_eq!(["all", "lo", "up0", &network.bridge].map(forwarding), ["0\n", "0\n", "1\n", "1\n"]);

        std::fs::write("/proc/sys/net/ipv4/conf/up0/forwarding", "0").unwrap();
        assert!(seen(&first, &beyond, "192.0.2.2").is_err(), "the way out need not forward");
    });
}

#[test]
fn what_was_taken_away_is_mended_and_the_range_is_kept() {
    alone(|| {
        let id = id("00c0ffee");
        let network = ensure(&id, None, None).unwrap();
        let route = Route::open().unwrap();
        let bridge = route.link(&network.bridge).unwrap().unwrap();
        assert_eq!(ensure(&id, None, None).unwrap(), network);

        route.remove_address(bridge.index, range("10.77.0.1", 22)).unwrap();
        route.down(bridge.index).unwrap();
        Ruleset::open().unwrap().remove(&[tables::ip(&table_name(&id))]).unwrap();
        std::fs::write(format!("/proc/sys/net/ipv4/conf/{}/forwarding", network.bridge), "0").unwrap();
        assert_eq!(ensure(&id, Some(&network), None).unwrap(), network);
        let routes = route.routes().unwrap();
        assert!(routes.iter().any(|route| route.range == range("10.77.0.0", 22)), "{routes:?}");
        assert_eq!(Ruleset::open().unwrap().tables(Family::Ip).unwrap(), [table_name(&id)]);

        remove(&id).unwrap();
        remove(&id).unwrap();
        assert_eq!(Ruleset::open().unwrap().tables(Family::Ip).unwrap(), Vec::<String>::new());
        assert_eq!(route.link(&network.bridge).unwrap(), None);
    });
}

#[test]
fn a_second_instance_takes_the_next_range() {
    alone(|| {
        let first = ensure(&id("00000001"), None, None).unwrap();
        let second = ensure(&id("00000002"), None, None).unwrap();
        assert_eq!(first.network, Ipv4Addr::new(10, 77, 0, 0));
        assert_eq!(second.network, Ipv4Addr::new(10, 77, 4, 0));
    });
}

#[test]
fn a_pod_is_attached_while_its_predecessor_is_still_going() {
    alone(|| {
        let network = ensure(&id("0000beef"), None, None).unwrap();
        let before = pod(&network, &uid('1'), "10.77.0.2");
        let after = pod(&network, &uid('1'), "10.77.0.2");
        let mut names: Vec<String> =
            Route::open().unwrap().links().unwrap().into_iter().map(|link| link.name).collect();
        names.sort();
        assert_eq!(names, ["dp0000beef", "lo", "v11111111111", "v11111111111a"]);
        assert_eq!(seen(&this_namespace(), &after, "10.77.0.2").unwrap(), network.gateway);
        assert!(seen(&this_namespace(), &before, "10.77.0.2").is_err(), "the old one still answers");
    });
}

#[test]
fn many_links_are_all_listed() {
    alone(|| {
        let route = Route::open().unwrap();
        for number in 0..200_u8 {
            route.make_bridge(&format!("many{number}"), [0x0a, 0, 0, 0, 1, number]).unwrap();
        }
        assert_eq!(route.links().unwrap().len(), 201);
    });
}
