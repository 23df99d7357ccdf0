//! A worker's end of a listening socket.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with};
use socket2::SockRef;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixListener;

use super::BoundSocket;
use super::drain::{self, Drain};
use super::share::Share;
use crate::accepted::{Accepted, begin_with_little};
use crate::address::{Address, Peer, canonical};
use crate::options::SocketOptions;
use crate::stream::Stream;

/// Accepts connections in the runtime of one worker.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    share: Share,
}

#[derive(Debug)]
enum Socket {
    Tcp(AsyncFd<std::net::TcpListener>),
    Unix(UnixListener),
}

impl Listener {
    /// Registers a socket with the runtime of this thread. Accepted TCP connections inherit `options`, which saves
    /// setting them on each.
    ///
    /// # Errors
    /// When the runtime has no I/O driver or the kernel refuses an option.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(bound: BoundSocket, options: &SocketOptions) -> io::Result<Self> {
        let BoundSocket { socket, address, share } = bound;
        let socket = match &address {
            Address::Ip(_) => {
                options.apply(&SockRef::from(&socket))?;
                begin_with_little(&socket);
                Socket::Tcp(crate::sys::watch(socket.into())?)
            }
            Address::Unix(_) => Socket::Unix(UnixListener::from_std(socket.into())?),
        };
        Ok(Self { socket, address, share })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection. Cancel-safe: a dropped call takes nothing out of the queue.
    ///
    /// # Errors
    /// See [`AcceptFault`] for what to do about which.
    pub async fn accept(&self) -> io::Result<(Accepted, Peer)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`accept`](Self::accept), polled; one waker is kept.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Accepted, Peer)>> {
        if self.share.is_handed_over() {
            // Those that wait are another process's.
            return Poll::Pending;
        }
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, address) = ready!(poll_accept_tcp(socket, cx))?;
                Poll::Ready(Ok((Accepted::fresh(stream), Peer::Ip(canonical(address)))))
            }
            Socket::Unix(socket) => match ready!(socket.poll_accept(cx)) {
                Ok((stream, _)) => Poll::Ready(Ok((Stream::Unix(stream).into(), Peer::Unix))),
                // The queue is empty and takes no more: nothing will ever come.
                Err(error) if self.share.has_left() && drain::is_end(&error) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }

    /// Lets no new connection into the queue, while [`accept`](Self::accept) goes on with those inside and with
    /// handshakes that are under way. Over TCP, a client that starts now gets no answer and tries again (after a
    /// second, as its kernel does), by which time another listener has the address, or none.
    ///
    /// Where several descriptors share the queue, only the last one's call has an effect: the others take what is
    /// left to them.
    ///
    /// # Errors
    /// PermissionDenied where the kernel lets only CAP_NET_ADMIN filter TCP sockets (Linux 6.18 does). Nothing is lost
    /// but the guarantee: new clients keep coming until the close, and one whose handshake is then under way is reset.
    pub fn refuse_new(&mut self) -> io::Result<()> {
        if !self.share.leave() || self.share.is_handed_over() {
            return Ok(());
        }
        match &self.socket {
            Socket::Tcp(socket) => drain::drop_handshakes(&SockRef::from(socket.get_ref())),
            Socket::Unix(socket) => SockRef::from(socket).shutdown(std::net::Shutdown::Read),
        }
    }

    /// Ends the listener: refuses new connections, gives out those that wait in the queue, then closes.
    ///
    /// Closing resets whatever is still in the queue or in its handshake. To lose nobody, call
    /// [`refuse_new`](Self::refuse_new), accept for as long as a handshake may take, and drain then.
    ///
    /// # Errors
    /// When the socket cannot be taken back from the runtime.
    pub fn drain(mut self) -> io::Result<Drain> {
        // Without the filter the queue is emptied all the same, only newcomers can slip in before the close.
        let _ = self.refuse_new();
        let socket = match self.socket {
            Socket::Tcp(socket) => drain::Queue::Tcp(socket.into_inner()),
            Socket::Unix(socket) => drain::Queue::Unix(socket.into_std()?),
        };
        Ok(Drain::new(socket, self.share))
    }
}

/// Accepts without registering what was accepted: see [`Accepted`].
fn poll_accept_tcp(
    socket: &AsyncFd<std::net::TcpListener>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<(std::net::TcpStream, SocketAddr)>> {
    loop {
        let mut ready = ready!(socket.poll_read_ready(cx))?;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let accepted =
            ready.try_io(|socket| acceptfrom_with(socket.get_ref(), flags).map_err(io::Error::from));
        let Ok(accepted) = accepted else { continue };
        let (stream, address) = accepted?;
        let address = address.and_then(|address: SocketAddrAny| SocketAddr::try_from(address).ok());
        let address = address.ok_or_else(|| io::Error::from_raw_os_error(libc::ECONNABORTED))?;
        return Poll::Ready(Ok((stream.into(), address)));
    }
}

/// What an error of [`Listener::accept`] means for the loop around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptFault {
    /// One connection was lost before it could be accepted; go on.
    Connection,
    /// Out of file descriptors or memory; go on after a pause, as connections that end free some.
    Resource,
    /// The listener is of no more use.
    Fatal,
}

impl AcceptFault {
    /// Classifies an error, after accept(2).
    pub fn of(error: &io::Error) -> Self {
        use libc::{
            EAGAIN, ECONNABORTED, ECONNRESET, EHOSTDOWN, EHOSTUNREACH, EINTR, EMFILE, ENETDOWN, ENETUNREACH,
            ENFILE, ENOBUFS, ENOMEM, ENONET, ENOPROTOOPT, ENOSPC, EOPNOTSUPP, EPERM, EPROTO, ETIMEDOUT,
        };
        match error.raw_os_error() {
            // ENOSPC: the limit on epoll watches of the user.
            Some(EMFILE | ENFILE | ENOBUFS | ENOMEM | ENOSPC) => Self::Resource,
            // EPERM: a firewall rule forbids this one.
            Some(ECONNABORTED | ECONNRESET | EPERM | EINTR | EAGAIN | ETIMEDOUT | EPROTO) => Self::Connection,
            // Errors that were pending on the new socket.
            Some(ENETDOWN | ENOPROTOOPT | EHOSTDOWN | ENONET | EHOSTUNREACH | EOPNOTSUPP | ENETUNREACH) => {
                Self::Connection
            }
            _ => Self::Fatal,
        }
    }
}
