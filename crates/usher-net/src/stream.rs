//! A connected socket of the system, as a [`Transport`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

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
        // Through AsyncRead rather than `try_read`: after a short read it clears the readiness by itself, which
        // saves the read that would only say EAGAIN.
        let mut buf = ReadBuf::new(buf);
        ready!(either!(self, socket => Pin::new(socket).poll_read(cx, &mut buf)))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // There mostly is room, and then nobody need be told when there is: a third of what the whole costs.
        match either!(&*self, socket => socket.try_write(buf)) {
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

/// Whether a write that was tried is to be done with the runtime.
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
