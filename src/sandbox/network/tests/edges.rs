//! Host ports, seen from where packets come from.

use std::net::UdpSocket;

use super::*;
use crate::model::port::Protocol;

mod forwarding;
mod pins;

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

#[test]
fn a_host_port_is_reached_from_everywhere() {
    alone(|| {
        let beyond = beyond();
        let network = ensure(&id("0000face"), None, None).unwrap();
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
        let network = ensure(&id("0000face"), None, None).unwrap();
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
        let network = ensure(&id("0000face"), None, None).unwrap();
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
        let network = ensure(&id("0000face"), None, None).unwrap();
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
