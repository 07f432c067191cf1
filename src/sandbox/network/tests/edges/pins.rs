//! What a pod sends under a name that is not its own.

use super::*;

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
fn packets_for_loopback_from_a_pod_are_dropped() {
    alone(|| {
        let network = ensure(&id("0000face"), None, None).unwrap();
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
        let network = ensure(&id("0000face"), None, None).unwrap();
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
        let network = ensure(&id("0000face"), None, None).unwrap();
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
        let readme = include_str!("../../../../../README.md");
        assert!(
            readme.contains("| senders on the bridge | pinned to their addresses |"),
            "what it says of this"
        );
    });
}

#[test]
fn what_is_found_at_a_port_moves_with_the_address_and_goes_with_the_port() {
    alone(|| {
        let network = ensure(&id("0000face"), None, None).unwrap();
        let route = Route::open().unwrap();
        let port = |name: &str| route.link(name).unwrap().unwrap();
        let mac = mac_of([10, 77, 0, 2]);
        let _before = pod(&network, &uid('1'), "10.77.0.2");
        assert_eq!(route.settled().unwrap(), [(port("v11111111111").index, mac.clone())]);
        let ports = [tcp("0.0.0.0", 8080, 80)];
        let after = pod_with_ports(&network, &uid('2'), "10.77.0.2", &ports);
        assert_eq!(route.settled().unwrap(), [(port("v22222222222").index, mac)]);
        assert_eq!(answer(&after, &after, 80, "10.77.0.1:8080").unwrap(), network.gateway, "hairpin");
        assert_eq!(ensure(&id("0000face"), Some(&network), None).unwrap(), network);
        assert_eq!(route.settled().unwrap().len(), 1, "a watcher that takes over leaves it");
        route.delete(&port("v22222222222")).unwrap();
        assert_eq!(route.settled().unwrap(), []);
    });
}
