//! From an address to listening sockets.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::error::BindError;
use super::share::Share;
use super::{ListenOptions, unix};
use crate::address::Address;
use crate::sys::set_tcp_option;

/// A listening socket that belongs to no runtime yet: made in one thread, sent to a worker.
///
/// Dropping the last one of a Unix address removes the socket's file.
#[derive(Debug)]
pub struct BoundSocket {
    pub(super) socket: Socket,
    pub(super) address: Address,
    pub(super) share: Share,
}

impl BoundSocket {
    /// Where it listens; port 0 is replaced by the one that the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

/// Opens `n` listening sockets (at least one) on `address`: each with a queue of its own for TCP with `reuse_port`,
/// otherwise `n` descriptors of one queue.
///
/// # Errors
/// With a [`BindError`] inside that names the address and what to do. Nothing stays open then.
pub fn bind(address: &Address, options: &ListenOptions, n: usize) -> io::Result<Vec<BoundSocket>> {
    let n = n.max(1);
    let bound = match address {
        Address::Ip(address) if options.reuse_port => bind_group(*address, options, n),
        Address::Ip(address) => bind_one(*address, options, n),
        Address::Unix(path) => bind_unix(path, options, n),
    };
    bound.map_err(|error| BindError::wrap(address, error))
}

/// `n` sockets with one queue each, between which the kernel spreads new connections.
fn bind_group(address: SocketAddr, options: &ListenOptions, n: usize) -> io::Result<Vec<BoundSocket>> {
    if !options.shared && address.port() != 0 {
        // SO_REUSEPORT would let two processes of one user share the port, each getting half of the connections.
        // A socket without it is refused where anybody listens.
        tcp_socket(address, options, false)?;
    }
    let first = tcp_socket(address, options, true)?;
    let address = local_address(&first)?;
    let mut sockets = vec![first];
    while sockets.len() < n {
        sockets.push(tcp_socket(address, options, true)?);
    }
    sockets.iter().try_for_each(|socket| listen(socket, options))?;
    let bound = |socket| BoundSocket { socket, address: Address::Ip(address), share: Share::only() };
    Ok(sockets.into_iter().map(bound).collect())
}

/// One TCP socket with `n` descriptors.
fn bind_one(address: SocketAddr, options: &ListenOptions, n: usize) -> io::Result<Vec<BoundSocket>> {
    let socket = tcp_socket(address, options, false)?;
    let address = Address::Ip(local_address(&socket)?);
    listen(&socket, options)?;
    split(&socket, &address, Share::split(n, None))
}

/// One Unix socket with `n` descriptors.
fn bind_unix(path: &Path, options: &ListenOptions, n: usize) -> io::Result<Vec<BoundSocket>> {
    let (socket, file) = unix::bind(path, options.unix_mode)?;
    let shares = Share::split(n, Some(file));
    socket.listen(backlog(options))?;
    socket.set_nonblocking(true)?;
    split(&socket, &Address::Unix(path.to_owned()), shares)
}

pub(super) fn split(socket: &Socket, address: &Address, shares: Vec<Share>) -> io::Result<Vec<BoundSocket>> {
    shares
        .into_iter()
        .map(|share| Ok(BoundSocket { socket: socket.try_clone()?, address: address.clone(), share }))
        .collect()
}

/// A bound TCP socket that does not listen yet.
pub(super) fn tcp_socket(
    address: SocketAddr,
    options: &ListenOptions,
    reuse_port: bool,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a former process in TIME_WAIT must not keep the port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(options.only_v6)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

pub(super) fn listen(socket: &Socket, options: &ListenOptions) -> io::Result<()> {
    if let Some(pending) = options.fast_open {
        set_tcp_option(socket, libc::TCP_FASTOPEN, int(pending))?;
    }
    if let Some(wait) = options.defer_accept {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        set_tcp_option(socket, libc::TCP_DEFER_ACCEPT, int(seconds))?;
    }
    socket.listen(backlog(options))?;
    socket.set_nonblocking(true)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

pub(super) fn backlog(options: &ListenOptions) -> libc::c_int {
    int(options.backlog)
}

fn int(value: impl TryInto<libc::c_int>) -> libc::c_int {
    value.try_into().unwrap_or(libc::c_int::MAX)
}
