//! A connected socket of the system, as a [`Transport`].

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags, recv};
use socket2::SockRef;
use tokio::io::{AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::coop::poll_proceed;

use crate::address::{Address, Peer, canonical};
use crate::pipe::{Filled, Pipe};
use crate::transport::Transport;

/// A connected TCP or Unix stream socket, registered with the runtime of the thread that made it.
#[derive(Debug)]
pub enum Stream {
    /// TCP over IPv4 or IPv6.
    Tcp(TcpStream),
    /// A Unix stream socket.
    Unix(UnixStream),
}

/// Runs an expression for whichever socket is inside.
macro_rules! either {
    ($stream:expr, $socket:ident => $then:expr) => {
        match $stream {
            Stream::Tcp($socket) => $then,
            Stream::Unix($socket) => $then,
        }
    };
}

/// Reads from a socket that the runtime thinks to be readable. `WouldBlock` if it does not.
///
/// As the runtime's own way does it, but for telling it that somebody waits, which is half of what that costs: what was
/// read short of the buffer was all that there was, so it is to be readable no more, and the read that would only say
/// EAGAIN is saved.
macro_rules! try_receive {
    ($socket:expr, $buf:expr) => {{
        let (mut short, len) = (None, $buf.len());
        let tried = $socket.try_io(Interest::READABLE, || match receive($socket, $buf)? {
            got if got == 0 || got == len => Ok(got),
            got => {
                short = Some(got);
                Err(io::ErrorKind::WouldBlock.into())
            }
        });
        short.map_or(tried, Ok)
    }};
}

impl Stream {
    /// Who is at the other end. One system call for TCP.
    ///
    /// # Errors
    /// ENOTCONN when the peer has reset the connection.
    pub fn peer(&self) -> io::Result<Peer> {
        match self {
            Self::Tcp(socket) => socket.peer_addr().map(|address| Peer::Ip(canonical(address))),
            Self::Unix(_) => Ok(Peer::Unix),
        }
    }

    /// The address of this end. One system call.
    ///
    /// # Errors
    /// What `getsockname` says; not expected of a connected socket.
    pub fn local(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(socket) => socket.local_addr().map(|address| Address::Ip(canonical(address))),
            Self::Unix(socket) => {
                let address = socket.local_addr()?;
                Ok(Address::Unix(address.as_pathname().map_or_else(Default::default, Into::into)))
            }
        }
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, socket => socket.poll_read_ready(cx))
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, socket => socket.poll_write_ready(cx))
    }
}

impl Transport for Stream {
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_readable(cx)
    }

    fn is_readable(&mut self) -> bool {
        either!(&*self, socket => socket.try_io(Interest::READABLE, || Ok(())).is_ok())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            // Whoever always finds something is not to keep others from their turn.
            let budget = ready!(poll_proceed(cx));
            match either!(&*self, socket => try_receive!(socket, buf)) {
                Err(error) if may_wait(&error) => drop(budget),
                done => {
                    budget.made_progress();
                    return Poll::Ready(done);
                }
            }
            ready!(self.poll_readable(cx))?;
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // There mostly is room, and then nobody need be told when there is: a third of what the whole costs.
        match either!(&*self, socket => socket.try_io(Interest::WRITABLE, || send(socket, buf))) {
            Err(error) if may_wait(&error) => either!(self, socket => Pin::new(socket).poll_write(cx, buf)),
            done => Poll::Ready(done),
        }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match either!(&*self, socket => socket.try_write_vectored(bufs)) {
            Err(error) if may_wait(&error) => {
                either!(self, socket => Pin::new(socket).poll_write_vectored(cx, bufs))
            }
            done => Poll::Ready(done),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, socket => Pin::new(socket).poll_shutdown(cx))
    }

    fn can_splice(&self) -> bool {
        true
    }

    fn poll_splice_in(
        &mut self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        if max == 0 {
            // 0 bytes moved would be read as the end of the stream.
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        loop {
            ready!(self.poll_readable(cx))?;
            let filled = either!(&*self, socket =>
                socket.try_io(Interest::READABLE, || retry(|| pipe.splice_from(socket, max))));
            match filled {
                Ok(Filled::Bytes(moved)) => return Poll::Ready(Ok(moved)),
                Ok(Filled::NoRoom) => return Poll::Pending,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_splice_out(
        &mut self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
        max: usize,
        more: bool,
    ) -> Poll<io::Result<usize>> {
        if max == 0 || pipe.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            ready!(self.poll_writable(cx))?;
            let moved = either!(&*self, socket =>
                socket.try_io(Interest::WRITABLE, || retry(|| pipe.splice_to(socket, max, more))));
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                moved => return Poll::Ready(moved),
            }
        }
    }

    fn abort(&mut self) {
        // A Unix socket knows no RST. A failure means that the connection is gone already.
        if let Self::Tcp(socket) = self {
            let _ = SockRef::from(&*socket).set_linger(Some(Duration::ZERO));
        }
    }
}

/// `recv`, asked of the kernel itself: the C library makes each call one at which threads may be cancelled, and ours never are.
#[inline]
pub(crate) fn receive(socket: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    let (len, _) = recv(socket, buf, RecvFlags::empty())?;
    Ok(len)
}

/// `send`, likewise.
#[inline]
pub(crate) fn send(socket: impl AsFd, buf: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, buf, SendFlags::NOSIGNAL)?)
}

/// Whether what was tried is to be done with the runtime.
fn may_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Repeats a system call that a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests;
