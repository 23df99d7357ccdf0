//! Listening sockets that another process opened: the process before this one, or systemd.
//!
//! What is passed on is the socket itself, not its address. Connections in its queue and handshakes that are under way
//! belong to the socket, so none of them is lost while one process begins to accept and the other stops.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::{Socket, Type};

use super::bind::{BoundSocket, backlog, listen, split, tcp_socket};
use super::error::BindError;
use super::share::Share;
use super::unix::SocketFile;
use super::{ListenOptions, unix};
use crate::address::Address;

/// A socket that somebody else opened and bound.
#[derive(Debug)]
pub struct Inherited {
    socket: Socket,
    address: Address,
    is_stream: bool,
    owns_file: bool,
    label: String,
}

impl Inherited {
    /// Looks at a descriptor. `label` is what its giver calls it; `owns_file` says that this process is to remove the
    /// file of a Unix socket at its end.
    ///
    /// # Errors
    /// It is no socket, has no address that can be listened on, or is connected.
    pub fn new(descriptor: OwnedFd, label: &str, owns_file: bool) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        let is_stream = match socket.r#type()? {
            Type::STREAM => true,
            Type::DGRAM => false,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a stream nor datagrams")),
        };
        if socket.peer_addr().is_ok() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a connection (`Accept=yes`?)"));
        }
        let local = socket.local_addr()?;
        let address = match (local.as_socket(), local.as_pathname()) {
            (Some(address), _) => Address::Ip(address),
            (None, Some(path)) if is_stream => Address::Unix(path.to_owned()),
            _ => return Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        Ok(Self { socket, address, is_stream, owns_file, label: label.to_owned() })
    }

    /// Where it is bound.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// TCP or Unix rather than UDP.
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// What its giver calls it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether it has IPv6 only.
    pub fn is_only_v6(&self) -> bool {
        self.socket.only_v6().unwrap_or(false)
    }

    /// Whether this process is to remove its file.
    pub fn owns_file(&self) -> bool {
        self.owns_file
    }

    /// The descriptor.
    pub fn into_descriptor(self) -> OwnedFd {
        self.socket.into()
    }
}

/// Listens on sockets that somebody else opened, all of one address: gives at least one to each of `n` workers, in
/// turns. Where there are fewer than workers, more are opened if they allow that (SO_REUSEPORT, the same user), else several
/// workers share the first one. Where there are more, workers have several, so that no queue is left alone. The file of a
/// Unix socket is not removed at the end until [`Kept::own_file`] says that the other process is done with it.
///
/// # Errors
/// With a [`BindError`] inside that names the address. What was not adopted is closed.
pub fn adopt(
    inherited: Vec<Inherited>,
    options: &ListenOptions,
    n: usize,
) -> io::Result<Vec<Vec<BoundSocket>>> {
    let Some(address) = inherited.first().map(|first| first.address.clone()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    adopt_all(inherited, &address, options, n.max(1)).map_err(|error| BindError::wrap(&address, error))
}

fn adopt_all(
    inherited: Vec<Inherited>,
    address: &Address,
    options: &ListenOptions,
    n: usize,
) -> io::Result<Vec<Vec<BoundSocket>>> {
    let missing = n.saturating_sub(inherited.len());
    let more = match address {
        Address::Ip(address) => more(*address, &inherited, options, missing),
        Address::Unix(_) => None,
    };
    let mut sockets = Vec::new();
    // The first one's queue is shared by whoever would have none.
    let mut shares = if more.is_some() { 1 } else { missing + 1 };
    for one in inherited {
        sockets.extend(match &one.address {
            Address::Unix(path) => shared_unix(&one, path, options, shares)?,
            Address::Ip(_) => shared(&one.socket, address, options, shares)?,
        });
        shares = 1;
    }
    for one in more.into_iter().flatten() {
        sockets.extend(shared(&one, address, options, 1)?);
    }
    let mut dealt: Vec<Vec<BoundSocket>> = (0..n).map(|_| Vec::new()).collect();
    for (index, socket) in sockets.into_iter().enumerate() {
        if let Some(worker) = dealt.get_mut(index % n) {
            worker.push(socket);
        }
    }
    Ok(dealt)
}

/// So many more of the same address, with queues of their own; none where the others do not allow it, because they lack
/// SO_REUSEPORT or another user has opened them.
fn more(address: SocketAddr, like: &[Inherited], options: &ListenOptions, n: usize) -> Option<Vec<Socket>> {
    let only_v6 = address.is_ipv6() && like.first().is_some_and(Inherited::is_only_v6);
    let options = ListenOptions { only_v6, ..options.clone() };
    let allowed = options.reuse_port && like.iter().all(|one| one.socket.reuse_port().unwrap_or(false));
    let open = |_| tcp_socket(address, &options, true);
    if allowed || n == 0 { (0..n).map(open).collect::<io::Result<_>>().ok() } else { None }
}

fn shared(
    socket: &Socket,
    address: &Address,
    options: &ListenOptions,
    n: usize,
) -> io::Result<Vec<BoundSocket>> {
    listen(socket, options)?;
    split(socket, address, Share::split(n, None))
}

fn shared_unix(
    one: &Inherited,
    path: &std::path::Path,
    options: &ListenOptions,
    n: usize,
) -> io::Result<Vec<BoundSocket>> {
    // Whoever removed the file, or put another in its place, has made the socket unreachable; that is not ours to mend.
    let file = if one.owns_file { SocketFile::of_bound(path).ok() } else { None };
    if let (Some(_), Some(mode)) = (&file, options.unix_mode) {
        unix::set_mode(path, mode)?;
    }
    one.socket.listen(backlog(options))?;
    one.socket.set_nonblocking(true)?;
    let shares = Share::split(n, file);
    // It is the other process's until that one has stopped.
    shares.iter().for_each(|share| share.leave_file(true));
    split(&one.socket, &one.address, shares)
}

/// A listening socket, kept to be handed over to another process: one for each queue. A drop closes nothing, as long as a
/// worker accepts from it, but until then the socket takes connections: it is to be dropped when workers are to close.
#[derive(Debug)]
pub struct Kept {
    socket: Socket,
    share: Share,
}

/// One for each queue of `sockets`.
///
/// # Errors
/// Out of descriptors.
pub fn keep<'a>(sockets: impl IntoIterator<Item = &'a BoundSocket>) -> io::Result<Vec<Kept>> {
    let mut kept: Vec<Kept> = Vec::new();
    for bound in sockets {
        if !kept.iter().any(|kept| kept.share.is_same(&bound.share)) {
            kept.push(Kept { socket: bound.socket.try_clone()?, share: bound.share.onlooker() });
        }
    }
    Ok(kept)
}

impl Kept {
    /// Another process accepts from it: whoever does so in this one stops at once, leaves to the other what waits in
    /// the queue, and does not remove the file of a Unix socket.
    pub fn hand_over(&self) {
        self.share.hand_over();
    }

    /// The process that it came from has stopped: the file of an adopted Unix socket is this one's to remove.
    pub fn own_file(&self) {
        self.share.leave_file(false);
    }
}

impl AsFd for Kept {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
