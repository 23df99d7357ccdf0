//! From an address to sockets, one per worker.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::listen::Inherited;

/// Receive and send buffers that are asked of the kernel (bytes); it caps them at `net.core.[rw]mem_max`. A worker that is
/// busy for a moment, or a process that takes over from another, must not lose datagrams.
const SOCKET_BUFFER: usize = 4 << 20;

/// A UDP socket that belongs to no runtime yet: made in one thread, sent to a worker.
#[derive(Debug)]
pub struct BoundDatagrams {
    pub(super) socket: UdpSocket,
    pub(super) address: SocketAddr,
}

impl BoundDatagrams {
    /// Where it listens; port 0 is replaced by the one that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A second owner of the same socket.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, address: self.address })
    }
}

impl AsFd for BoundDatagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Opens `n` sockets (at least one) on `address`, between which the kernel divides clients by their addresses and ports: as
/// long as these sockets are open and no others, the same client comes to the same socket. `shared` lets others be there
/// already; `only_v6` leaves IPv4 out of an IPv6 wildcard.
///
/// # Errors
/// An error whose text names the address and what to do. Nothing stays open then.
pub fn bind_datagrams(
    address: SocketAddr,
    (shared, only_v6): (bool, bool),
    n: usize,
) -> io::Result<Vec<BoundDatagrams>> {
    let bind = |at: SocketAddr, reuse_port: bool| socket(at, only_v6, reuse_port);
    let (address, sockets) =
        bind_group((address, shared), n, bind).map_err(|error| explain(address, "UDP", &error))?;
    Ok(sockets.into_iter().map(|socket| BoundDatagrams { socket, address }).collect())
}

/// Binds `n` sockets (at least one) to one address by `bind`, which is told whether another may be there already: in any
/// case only if it shares the address too (SO_REUSEPORT). Gives where they listen.
///
/// # Errors
/// Those of `bind`. Nothing stays open then.
pub(crate) fn bind_group(
    (address, shared): (SocketAddr, bool),
    n: usize,
    mut bind: impl FnMut(SocketAddr, bool) -> io::Result<Socket>,
) -> io::Result<(SocketAddr, Vec<UdpSocket>)> {
    // SO_REUSEPORT would let two processes of one user share the port; a socket without it is refused. Nor does one that was
    // only opened to see that take a datagram with it as it closes.
    let first = bind(address, shared || address.port() == 0)?;
    first.set_reuse_port(true)?;
    let first = UdpSocket::from(first);
    let address = first.local_addr()?;
    let mut all = vec![first];
    while all.len() < n {
        all.push(bind(address, true)?.into());
    }
    Ok((address, all))
}

/// The sockets that another process opened, in its order. `more` opens others beside them, up to so many, where the system
/// allows it: clients that are known already may come to another socket then.
///
/// # Errors
/// One is no UDP socket with an address.
pub fn inherited_datagrams(inherited: Vec<Inherited>, more: usize) -> io::Result<Vec<BoundDatagrams>> {
    let only_v6 = inherited.first().is_some_and(Inherited::is_only_v6);
    let mut all = Vec::new();
    for one in inherited {
        let socket = UdpSocket::from(one.into_descriptor());
        enlarge(&SockRef::from(&socket));
        all.push(BoundDatagrams { address: socket.local_addr()?, socket });
    }
    let shares = |one: &BoundDatagrams| SockRef::from(&one.socket).reuse_port().unwrap_or(false);
    let Some(address) = all.first().map(|one| one.address).filter(|_| all.iter().all(shares)) else {
        return Ok(all);
    };
    while all.len() < more {
        // Another user may have opened the first.
        let Ok(socket) = socket(address, only_v6, true) else { break };
        all.push(BoundDatagrams { socket: socket.into(), address });
    }
    Ok(all)
}

pub(super) fn socket(address: SocketAddr, only_v6: bool, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    socket.set_nonblocking(true)?;
    enlarge(&SockRef::from(&socket));
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// Smaller buffers work too.
fn enlarge(socket: &SockRef<'_>) {
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
}

/// The error with what to do about it.
pub(crate) fn explain(address: SocketAddr, purpose: &str, error: &io::Error) -> io::Error {
    let port = address.port();
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "the address is in use; `ss -lunp 'sport = :{port}'` shows by whom: stop that or choose another port"
            )
        }
        io::ErrorKind::PermissionDenied if port < 1024 => {
            "permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface has this address; `ip address` lists those that exist".to_owned()
        }
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), format!("cannot listen on `{address}` for {purpose}: {hint}"))
}
