//! UDP sockets, one per worker.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::group::UdpGroup;
use super::options::SOCKET_BUFFER;

/// How to open the sockets of a QUIC listener.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UdpOptions {
    /// Let other sockets have the same address at the same time, for a hand-over. Each packet goes to a socket of
    /// either group then, so connections may fail while both are open.
    pub shared: bool,
    /// Leave IPv4 out of an IPv6 wildcard listener (IPV6_V6ONLY).
    pub only_v6: bool,
}

/// A UDP socket that belongs to no runtime yet: made in one thread, sent to a worker.
#[derive(Debug)]
pub struct BoundUdp {
    pub(super) socket: UdpSocket,
    pub(super) address: SocketAddr,
    pub(super) worker: u16,
    pub(super) workers: u16,
    pub(super) bank: u8,
    pub(super) steered: bool,
    /// Held by whoever uses it.
    pub(super) used: Arc<()>,
}

impl BoundUdp {
    /// Where it listens; port 0 is replaced by the one that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether packets find their worker whatever address they come from. Without (old or restricted kernels), a client
    /// that changes its address loses its connections.
    pub fn is_steered(&self) -> bool {
        self.steered
    }
}

/// Opens one socket per worker, at least one, in the order of the workers.
///
/// # Errors
/// An error whose text names the address and what to do. Nothing stays open then.
pub fn bind_udp(address: SocketAddr, options: UdpOptions, workers: usize) -> io::Result<Vec<BoundUdp>> {
    UdpGroup::bind(address, options, workers).map(|(_, bound)| bound)
}

pub(super) fn udp_socket(address: SocketAddr, options: UdpOptions, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(options.only_v6)?;
    }
    socket.set_nonblocking(true)?;
    enlarge(&SockRef::from(&socket));
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// A socket of any port, for connections that this side begins.
pub(super) fn client_socket(family_of: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = if family_of.is_ipv4() {
        (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    udp_socket(any, UdpOptions { shared: true, only_v6: true }, false).map(Into::into)
}

/// A worker that is busy for a moment must not lose packets. Smaller buffers work too.
fn enlarge(socket: &SockRef<'_>) {
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
}

pub(super) fn explain(address: SocketAddr, error: &io::Error) -> io::Error {
    crate::datagrams::explain(address, "HTTP/3 (UDP)", error)
}
