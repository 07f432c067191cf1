//! The machine as pods and their status know it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// Kept for documentation (RFC 5737): no route is chosen for its sake alone.
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// The address by which this machine reaches others. Connecting a datagram socket sends nothing.
pub(crate) fn host_ip() -> Ipv4Addr {
    let own = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect(ELSEWHERE).and_then(|()| socket.local_addr()));
    match own {
        Ok(SocketAddr::V4(address)) => *address.ip(),
        Ok(SocketAddr::V6(_)) | Err(_) => Ipv4Addr::LOCALHOST,
    }
}
