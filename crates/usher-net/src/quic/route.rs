//! How large a packet to a peer may be worth trying.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::sys::path_mtu;

/// What is tried for everybody (bytes of UDP payload): a packet of Ethernet, behind the headers of IPv6.
const USUAL: u16 = 1452;
/// The largest that is tried (bytes of UDP payload). A larger one saves little more, and four of these fill what one
/// system call can send.
pub(super) const LARGEST: u16 = 16_376;
/// The headers of IPv6 and UDP (bytes); those of IPv4 are smaller.
const HEADERS: u16 = 48;

/// How large a packet to `peer` is worth trying (bytes of UDP payload), where the kernel's route carries more than
/// Ethernet does: jumbo frames within a data center, the loopback between containers. The path is then probed up to
/// there (RFC 9000 section 14.3), as nginx does for everybody. Elsewhere, probes beyond Ethernet would all be lost.
pub(super) fn wide(peer: SocketAddr) -> Option<u16> {
    let ip = peer.ip().to_canonical();
    let any: IpAddr = if ip.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    // Nothing is sent: connecting only asks for the route.
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((ip, peer.port())).ok()?;
    let mtu = path_mtu(&socket, ip.is_ipv6()).ok()?;
    let payload = u16::try_from(mtu).unwrap_or(u16::MAX).saturating_sub(HEADERS);
    (payload > USUAL).then(|| payload.min(LARGEST))
}
