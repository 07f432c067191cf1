//! Host ports, pins and the guard, seen from where packets come from.

use std::net::UdpSocket;

use super::*;
use crate::model::port::Protocol;

fn tcp(host_ip: &str, host_port: u16, container_port: u16) -> HostPort {
    HostPort { protocol: Protocol::Tcp, host_ip: host_ip.parse().unwrap(), host_port, container_port }
}

/// What one who connects from `from` to `target` is told by whoever listens there, and how the listener sees him.
fn answer(from: &OwnedFd, pod: &OwnedFd, listens: u16, target: &str) -> io::Result<Ipv4Addr> {
    let here = this_namespace();
    enter(pod);
    let listener = TcpListener::bind(("0.0.0.0", listens))?;
    listener.set_nonblocking(true)?;
    enter(from);
    let connected = TcpStream::connect_timeout(&target.parse().unwrap(), Duration::from_millis(900));
    enter(&here);
    drop(connected?);
    match listener.accept()?.1 {
        SocketAddr::V4(peer) => Ok(*peer.ip()),
        SocketAddr::V6(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn forwarding(name: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/forwarding")).unwrap().trim().to_owned()
}

/// Sends what it is given through a raw socket on `eth0`.
fn send_raw(from: &OwnedFd, frame: &[u8]) {
    let here = this_namespace();
    enter(from);
    let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    // AF_PACKET, SOCK_RAW, ETH_P_ALL; sockaddr_ll of eth0.
    let script = "socket(my $s, 17, 3, 0x0300) or die $!; \
                  send($s, pack('H*', $ENV{FRAME}), 0, pack('SnlSCCx8', 17, 3, $ENV{INDEX}, 1, 0, 6)) or die $!";
    let index = Route::open().unwrap().link("eth0").unwrap().unwrap().index;
    let sent = std::process::Command::new("perl")
        .args(["-e", script])
        .env("FRAME", hex)
        .env("INDEX", index.to_string())
        .status();
    enter(&here);
    assert!(sent.unwrap().success());
}

fn mac_of(address: [u8; 4]) -> Vec<u8> {
    [&[0x0a, 0x58][..], &address].concat()
}

/// An Ethernet frame with a UDP datagram to port 9999.
fn datagram(to: (&[u8], [u8; 4]), from: (&[u8], [u8; 4]), text: &[u8]) -> Vec<u8> {
    let length = |extra: usize| u16::try_from(text.len() + extra).unwrap().to_be_bytes();
    let mut ip = vec![0x45, 0, length(28)[0], length(28)[1], 0, 0, 0, 0, 64, 17, 0, 0];
    ip.extend([from.1, to.1].concat());
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let sum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let udp = [9999_u16.to_be_bytes(), 9999_u16.to_be_bytes(), length(8), [0; 2]].concat();
    [to.0, from.0, &[0x08, 0x00], &ip, &udp, text].concat()
}

/// An ARP reply saying that `address` is at `mac`.
fn arp_reply(to: (&[u8], [u8; 4]), from: &[u8], mac: &[u8], address: [u8; 4]) -> Vec<u8> {
    let head = [0, 1, 0x08, 0, 6, 4, 0, 2];
    [to.0, from, &[0x08, 0x06], &head, mac, &address, to.0, &to.1].concat()
}

#[test]
fn a_host_port_is_reached_from_everywhere() {
    alone(|| {
        let beyond = beyond();
        let network = ensure(&id("0000face"), None).unwrap();
        let here = this_namespace();
        let ports = [tcp("0.0.0.0", 8080, 80), tcp("127.0.0.1", 8081, 80), tcp("192.0.2.1", 8080, 81)];
        let web = pod_with_ports(&network, &uid('1'), "10.77.0.2", &ports);
        let other = pod(&network, &uid('2'), "10.77.0.3");
        let gateway = network.gateway;

        let stranger = Ipv4Addr::new(192, 0, 2, 2);
        assert_eq!(answer(&beyond, &web, 81, "192.0.2.1:8080").unwrap(), stranger, "from outside");
        assert_eq!(answer(&here, &web, 80, "127.0.0.1:8080").unwrap(), gateway, "from loopback");
        assert_eq!(answer(&here, &web, 80, "127.0.0.1:8081").unwrap(), gateway, "from loopback alone");
        answer(&here, &web, 81, "192.0.2.1:8080").expect("from the machine by its address");
        assert_eq!(answer(&other, &web, 80, "10.77.0.1:8080").unwrap(), gateway, "from another pod");
        assert_eq!(answer(&web, &web, 80, "10.77.0.1:8080").unwrap(), gateway, "from the pod itself");
        answer(&other, &web, 81, "192.0.2.1:8080").expect("from a pod by the machine's address");
        assert!(answer(&beyond, &web, 80, "192.0.2.1:8081").is_err(), "127.0.0.1 alone");
        assert!(answer(&other, &web, 80, "10.77.0.2:8080").is_err(), "a port of the machine, not of the pod");

        let taken: Vec<String> =
            taken::taken(&id("00000001")).unwrap().iter().map(|taken| taken.port.to_string()).collect();
        assert!(taken.contains(&"8080/TCP".to_owned()), "another instance sees it: {taken:?}");

        release(&id("0000face"), &uid('1')).unwrap();
        release(&id("0000face"), &uid('1')).unwrap();
        assert!(answer(&here, &web, 80, "127.0.0.1:8080").is_err(), "released");
        let rules = Ruleset::open().unwrap();
        assert_eq!(port::all(&rules, "droppod_0000face").unwrap(), []);
        let pinned = pin::all(&rules, "droppod_0000face").unwrap();
        assert_eq!(pinned, [("v22222222222".to_owned(), Some(uid('2')))]);
    });
}

#[test]
fn datagrams_come_by_a_host_port_too() {
    alone(|| {
        let network = ensure(&id("0000face"), None).unwrap();
        let port = HostPort { protocol: Protocol::Udp, ..tcp("0.0.0.0", 5353, 53) };
        let names = pod_with_ports(&network, &uid('1'), "10.77.0.2", &[port]);
        let here = this_namespace();
        enter(&names);
        let server = UdpSocket::bind("0.0.0.0:53").unwrap();
        enter(&here);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect("127.0.0.1:5353").unwrap();
        client.send(b"who").unwrap();
        let patience = Some(Duration::from_secs(5));
        server.set_read_timeout(patience).unwrap();
        let mut heard = [0; 8];
        let (length, peer) = server.recv_from(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"who");
        server.send_to(b"me", peer).unwrap();
        client.set_read_timeout(patience).unwrap();
        assert_eq!(client.recv(&mut heard).unwrap(), 2);
    });
}

#[test]
fn associations_of_sctp_come_by_a_host_port_too() {
    use rustix::net::{AddressFamily, SocketAddrV4, SocketType, ipproto, sockopt};
    let socket = || rustix::net::socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::SCTP));
    if let Err(error @ rustix::io::Errno::PROTONOSUPPORT) = socket() {
        println!("skipped: {error}: this kernel has no SCTP");
        return;
    }
    alone(move || {
        let beyond = beyond();
        let network = ensure(&id("0000face"), None).unwrap();
        let port = HostPort { protocol: Protocol::Sctp, ..tcp("0.0.0.0", 8080, 80) };
        let web = pod_with_ports(&network, &uid('1'), "10.77.0.2", &[port]);
        let here = this_namespace();
        enter(&web);
        let server = socket().unwrap();
        rustix::net::bind(&server, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 80)).unwrap();
        rustix::net::listen(&server, 1).unwrap();
        enter(&beyond);
        let client = socket().unwrap();
        enter(&here);
        let patience = Some(Duration::from_secs(5));
        sockopt::set_socket_timeout(&client, sockopt::Timeout::Send, patience).unwrap();
        rustix::net::connect(&client, &SocketAddrV4::new([192, 0, 2, 1].into(), 8080)).unwrap();
        sockopt::set_socket_timeout(&server, sockopt::Timeout::Recv, patience).unwrap();
        rustix::net::accept(&server).unwrap();
    });
}

#[test]
fn a_port_that_another_pod_has_is_refused() {
    alone(|| {
        let network = ensure(&id("0000face"), None).unwrap();
        let rules = Ruleset::open().unwrap();
        let open = |pod: &Uid, address: &str, port: HostPort| {
            port::open(&rules, "droppod_0000face", pod, address.parse().unwrap(), &[port])
        };
        assert_eq!(network.bridge, "dp0000face");
        open(&uid('1'), "10.77.0.2", tcp("0.0.0.0", 80, 80)).unwrap();
        open(&uid('1'), "10.77.0.2", tcp("0.0.0.0", 80, 80)).unwrap();
        let refused = open(&uid('2'), "10.77.0.3", tcp("0.0.0.0", 80, 80)).unwrap_err();
        assert!(refused.to_string().starts_with("cannot open host port 80/TCP"), "{refused}");
        open(&uid('2'), "10.77.0.3", HostPort { protocol: Protocol::Udp, ..tcp("0.0.0.0", 80, 80) }).unwrap();
        assert_eq!(port::all(&rules, "droppod_0000face").unwrap().len(), 2);
    });
}

#[test]
fn packets_for_loopback_from_a_pod_are_dropped() {
    alone(|| {
        let network = ensure(&id("0000face"), None).unwrap();
        let hostile = pod(&network, &uid('1'), "10.77.0.2");
        let secret = UdpSocket::bind("127.0.0.1:9999").unwrap();
        secret.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let bridge = bridge_mac(&id("0000face"));
        let own = mac_of([10, 77, 0, 2]);
        let sent = |to, from| send_raw(&hostile, &datagram((&bridge, to), (&own, from), b"in"));
        sent([127, 0, 0, 1], [10, 77, 0, 2]);
        sent([127, 0, 0, 1], [127, 0, 0, 1]);
        assert!(secret.recv(&mut [0; 8]).is_err(), "a pod reaches the machine's loopback");
        let open = UdpSocket::bind("10.77.0.1:9999").unwrap();
        open.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        sent([10, 77, 0, 1], [10, 77, 0, 2]);
        assert_eq!(open.recv(&mut [0; 8]).unwrap(), 2, "the frames of this test are good ones");
    });
}

#[test]
fn a_pod_cannot_send_as_another() {
    alone(|| {
        let network = ensure(&id("0000face"), None).unwrap();
        let hostile = pod(&network, &uid('1'), "10.77.0.2");
        let victim = pod(&network, &uid('2'), "10.77.0.3");
        let here = this_namespace();
        enter(&victim);
        let ear = UdpSocket::bind("0.0.0.0:9999").unwrap();
        enter(&here);
        let (own, there) = (mac_of([10, 77, 0, 2]), mac_of([10, 77, 0, 3]));
        let gateway = bridge_mac(&id("0000face"));
        let victim_at = (&there[..], [10, 77, 0, 3]);
        let told = |from: (&[u8], [u8; 4])| send_raw(&hostile, &datagram(victim_at, from, b"lie"));
        told((&own, [10, 77, 0, 1]));
        told((&gateway, [10, 77, 0, 2]));
        told((&gateway, [10, 77, 0, 1]));
        told((&own, [10, 77, 0, 4]));
        let tagged = datagram(victim_at, (&own, [10, 77, 0, 2]), b"lie");
        send_raw(&hostile, &[&tagged[..12], &[0x81, 0, 0, 0], &tagged[12..]].concat());
        // IPv6 to all nodes: a router advertisement goes no other way.
        let six =
            [&[0x33, 0x33, 0, 0, 0, 1][..], &own, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 58, 255], &[0; 40]];
        send_raw(&hostile, &six.concat());
        let everybody = [0xff; 6];
        send_raw(&hostile, &arp_reply((&there, [10, 77, 0, 3]), &own, &own, [10, 77, 0, 1]));
        send_raw(&hostile, &arp_reply((&everybody, [10, 77, 0, 1]), &own, &own, [10, 77, 0, 3]));
        send_raw(&hostile, &arp_reply((&there, [10, 77, 0, 3]), &gateway, &gateway, [10, 77, 0, 2]));

        ear.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert!(ear.recv(&mut [0; 8]).is_err(), "a datagram under a false name arrived");
        told((&own, [10, 77, 0, 2]));
        ear.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(ear.recv(&mut [0; 8]).unwrap(), 3, "the frames of this test are good ones");
        // Both still find the gateway and each other where they are.
        assert_eq!(seen(&victim, &here, "10.77.0.1").unwrap(), Ipv4Addr::new(10, 77, 0, 3));
        assert_eq!(seen(&here, &victim, "10.77.0.3").unwrap(), network.gateway);
        assert_eq!(seen(&victim, &hostile, "10.77.0.2").unwrap(), Ipv4Addr::new(10, 77, 0, 3));
        enter(&victim);
        let neighbours = std::fs::read_to_string("/proc/thread-self/net/arp").unwrap();
        enter(&here);
        let gateway: Vec<String> = gateway.iter().map(|byte| format!("{byte:02x}")).collect();
        let known = neighbours.lines().find(|line| line.starts_with("10.77.0.1 ")).unwrap();
        assert!(known.contains(&gateway.join(":")), "{neighbours}");
    });
}

/// Bridges keep these addresses for themselves: what is sent to them passes by the filters, and was learned from.
#[test]
fn no_frame_of_a_pod_leads_to_it_what_is_for_another() {
    alone(|| {
        let network = ensure(&id("0000face"), None).unwrap();
        let hostile = pod(&network, &uid('1'), "10.77.0.2");
        let victim = pod(&network, &uid('2'), "10.77.0.3");
        let here = this_namespace();
        enter(&victim);
        let ear = UdpSocket::bind("0.0.0.0:9999").unwrap();
        ear.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        enter(&here);
        // The machine knows both, and asks neither while this goes on.
        assert_eq!(seen(&here, &victim, "10.77.0.3").unwrap(), network.gateway);
        assert_eq!(seen(&here, &hostile, "10.77.0.2").unwrap(), network.gateway);
        let sender = UdpSocket::bind("10.77.0.1:0").unwrap();
        let theirs = mac_of([10, 77, 0, 3]);
        for last in 0..=0x0f_u8 {
            for kind in [[0x88, 0xcc], [0x08, 0x00], [0x00, 0x04]] {
                let reserved = [0x01, 0x80, 0xc2, 0x00, 0x00, last];
                send_raw(&hostile, &[&reserved[..], &theirs, &kind, &[0; 46]].concat());
            }
            sender.send_to(b"still", "10.77.0.3:9999").unwrap();
            let heard = ear.recv(&mut [0; 8]);
            assert_eq!(
                heard.unwrap_or_else(|error| panic!("stolen by a frame to ..:{last:02x}: {error}")),
                5
            );
        }
        let readme = include_str!("../../../../README.md");
        assert!(
            readme.contains("| senders on the bridge | pinned to their addresses |"),
            "what it says of this"
        );
    });
}

#[test]
fn what_is_found_at_a_port_moves_with_the_address_and_goes_with_the_port() {
    alone(|| {
        let network = ensure(&id("0000face"), None).unwrap();
        let route = Route::open().unwrap();
        let port = |name: &str| route.link(name).unwrap().unwrap();
        let mac = mac_of([10, 77, 0, 2]);
        let _before = pod(&network, &uid('1'), "10.77.0.2");
        assert_eq!(route.settled().unwrap(), [(port("v11111111111").index, mac.clone())]);
        let ports = [tcp("0.0.0.0", 8080, 80)];
        let after = pod_with_ports(&network, &uid('2'), "10.77.0.2", &ports);
        assert_eq!(route.settled().unwrap(), [(port("v22222222222").index, mac)]);
        assert_eq!(answer(&after, &after, 80, "10.77.0.1:8080").unwrap(), network.gateway, "hairpin");
        assert_eq!(ensure(&id("0000face"), Some(&network)).unwrap(), network);
        assert_eq!(route.settled().unwrap().len(), 1, "a watcher that takes over leaves it");
        route.delete(&port("v22222222222")).unwrap();
        assert_eq!(route.settled().unwrap(), []);
    });
}

/// As at the end of `attach`: nothing that is sent at once is to be dropped.
fn see_to(route: &Route, links: &[&str]) {
    for link in links {
        route.link(link).unwrap();
    }
}

/// A second way out, `up1`, plain and with nothing behind the machine's knowledge.
fn second_uplink() -> OwnedFd {
    let route = Route::open().unwrap();
    let far = beside(|| {});
    route.make_bridge("bridge1", [0x0a, 0, 0, 0, 1, 1]).unwrap();
    let bridge = route.link("bridge1").unwrap().unwrap();
    let mac = [0x0a, 0, 0, 0, 1, 2];
    let pair = Pair { near: "up1", bridge: bridge.index, far: "eth0", far_mac: mac, namespace: far.as_fd() };
    route.make_pair(&pair).unwrap();
    route.add_address(bridge.index, range("198.51.100.1", 24)).unwrap();
    let here = this_namespace();
    enter(&far);
    let inside = Route::open().unwrap();
    let eth0 = inside.link("eth0").unwrap().unwrap();
    inside.add_address(eth0.index, range("198.51.100.2", 24)).unwrap();
    inside.up(eth0.index).unwrap();
    inside.add_default("198.51.100.1".parse().unwrap()).unwrap();
    enter(&here);
    see_to(&inside, &["eth0"]);
    see_to(&route, &["up1", "bridge1"]);
    far
}

/// The host beyond `up0` takes the machine for its router.
fn route_by_machine(beyond: &OwnedFd) {
    let here = this_namespace();
    enter(beyond);
    Route::open().unwrap().add_default("192.0.2.1".parse().unwrap()).unwrap();
    enter(&here);
}

#[test]
fn a_machine_that_was_no_router_does_not_become_one() {
    alone(|| {
        let (beyond, far) = (beyond(), second_uplink());
        route_by_machine(&beyond);
        let network = ensure(&id("0000face"), None).unwrap();
        let web = pod_with_ports(&network, &uid('1'), "10.77.0.2", &[tcp("0.0.0.0", 8080, 80)]);
        admit(&id("0000face")).unwrap();
        assert_eq!(["up0", "bridge1", "up1", "lo"].map(forwarding), ["1", "1", "0", "0"]);

        assert!(seen(&beyond, &far, "198.51.100.2").is_err(), "from one way out to the other");
        assert!(seen(&far, &beyond, "192.0.2.2").is_err(), "and back");
        assert!(seen(&beyond, &web, "10.77.0.2").is_err(), "straight to a pod");
        assert_eq!(seen(&web, &far, "198.51.100.2").unwrap(), Ipv4Addr::new(198, 51, 100, 1));
        answer(&beyond, &web, 80, "192.0.2.1:8080").expect("by a host port");
        answer(&far, &web, 80, "198.51.100.1:8080")
            .expect("by a host port of a network without default route");

        // A second instance finds forwarding on, and keeps the guard when the first goes.
        let second = ensure(&id("0000cafe"), None).unwrap();
        remove(&id("0000face")).unwrap();
        assert_eq!(["up0", "bridge1"].map(forwarding), ["1", "0"]);
        assert!(seen(&beyond, &far, "198.51.100.2").is_err(), "while another instance is there");
        let late = pod(&second, &uid('2'), "10.77.4.2");
        assert_eq!(seen(&late, &beyond, "192.0.2.2").unwrap(), Ipv4Addr::new(192, 0, 2, 1));
        remove(&id("0000cafe")).unwrap();
        assert_eq!(["up0", "bridge1", "all"].map(forwarding), ["0", "0", "0"]);
    });
}

#[test]
fn a_machine_that_was_a_router_stays_one() {
    alone(|| {
        let (beyond, far) = (beyond(), second_uplink());
        route_by_machine(&beyond);
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        see_to(&Route::open().unwrap(), &["port0", "up0"]);
        let before = Ipv4Addr::new(192, 0, 2, 2);
        assert_eq!(seen(&beyond, &far, "198.51.100.2").unwrap(), before);
        ensure(&id("0000face"), None).unwrap();
        admit(&id("0000face")).unwrap();
        assert_eq!(seen(&beyond, &far, "198.51.100.2").unwrap(), before);
        remove(&id("0000face")).unwrap();
        assert_eq!(seen(&beyond, &far, "198.51.100.2").unwrap(), before);
    });
}

#[test]
fn a_guard_that_was_flushed_away_comes_back() {
    alone(|| {
        let (beyond, far) = (beyond(), second_uplink());
        route_by_machine(&beyond);
        let network = ensure(&id("0000face"), None).unwrap();
        guard::forward("bridge1").unwrap();
        let rules = Ruleset::open().unwrap();
        rules.remove(tables::ip("droppod_0000face")).unwrap();
        assert!(seen(&beyond, &far, "198.51.100.2").is_ok(), "this test has a way to leak");
        let plan = NetworkPlan::Bridge {
            bridge: network.bridge,
            address: "10.77.0.2".parse().unwrap(),
            prefix: network.prefix,
            gateway: network.gateway,
        };
        make_ready(&id("0000face"), &plan, &[]).unwrap();
        assert!(seen(&beyond, &far, "198.51.100.2").is_err());
    });
}

#[test]
fn this_kernel_holds_both_tables_and_asking_makes_none() {
    alone(|| {
        let (addresses, frames) = tables::probe();
        addresses.unwrap();
        frames.unwrap();
        let rules = Ruleset::open().unwrap();
        assert_eq!(rules.tables(Family::Ip).unwrap(), Vec::<String>::new());
        assert_eq!(rules.tables(Family::Bridge).unwrap(), Vec::<String>::new());
    });
}
