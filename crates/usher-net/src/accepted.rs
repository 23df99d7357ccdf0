//! A connection that was just accepted, not yet known to the runtime.

mod ahead;

use std::hint::cold_path;
use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::task::{Context, Poll, ready};

use socket2::Socket;
use tokio::net::{TcpStream, UnixStream};

use self::ahead::Ahead;
pub(crate) use self::ahead::begin_with_little;
use crate::address::{Address, canonical};
use crate::pipe::Pipe;
use crate::stream::{Stream, receive, send};
use crate::transport::Transport;

/// The client's end of a connection.
///
/// A client's first request has mostly arrived when its connection is accepted, and one that asks for `close` is gone
/// with the answer. Such a connection is read, written and closed without ever being registered with epoll, which
/// saves two system calls; the first call that would have to wait registers it.
#[derive(Debug)]
pub struct Accepted {
    state: State,
    /// Something was read: from now on, to be readable is to be asked of the runtime.
    used: bool,
    ahead: Ahead,
}

#[derive(Debug)]
enum State {
    /// The runtime does not know it.
    Fresh {
        socket: Socket,
        is_unix: bool,
    },
    Registered(Stream),
    /// Registering failed; the connection is lost.
    Lost,
}

impl State {
    /// The stream, known to the runtime from now on.
    fn registered(&mut self) -> io::Result<&mut Stream> {
        if let Self::Fresh { .. } = self
            && let Self::Fresh { socket, is_unix } = std::mem::replace(self, Self::Lost)
        {
            *self = Self::Registered(if is_unix {
                Stream::Unix(UnixStream::from_std(socket.into())?)
            } else {
                Stream::Tcp(TcpStream::from_std(socket.into())?)
            });
        }
        match self {
            Self::Registered(stream) => Ok(stream),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Accepted {
    /// A fresh, non-blocking TCP connection.
    pub(crate) fn fresh(socket: std::net::TcpStream) -> Self {
        Self {
            state: State::Fresh { socket: socket.into(), is_unix: false },
            used: false,
            ahead: Ahead::Little,
        }
    }

    /// The stream, known to the runtime from now on.
    ///
    /// # Errors
    /// What registering with epoll says.
    pub fn into_stream(mut self) -> io::Result<Stream> {
        self.state.registered()?;
        match self.state {
            State::Registered(stream) => Ok(stream),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The number of its descriptor; -1 if it is lost.
    pub fn descriptor(&self) -> i32 {
        match &self.state {
            State::Fresh { socket, .. } => socket.as_raw_fd(),
            State::Registered(Stream::Tcp(stream)) => stream.as_raw_fd(),
            State::Registered(Stream::Unix(stream)) => stream.as_raw_fd(),
            State::Lost => -1,
        }
    }

    /// The address of this end, where it has one. One system call.
    pub fn local(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Fresh { socket, .. } => socket.local_addr().ok()?.as_socket().map(canonical),
            State::Registered(stream) => match stream.local().ok()? {
                Address::Ip(address) => Some(address),
                Address::Unix(_) => None,
            },
            State::Lost => None,
        }
    }

    /// Writes through the runtime, with an eye on how much the system holds.
    #[inline]
    fn write_through(
        &mut self,
        write: impl FnOnce(&mut Stream) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let Self { state, ahead, .. } = self;
        let stream = state.registered()?;
        if let Stream::Tcp(socket) = stream {
            ahead.look(&*socket);
        }
        let wrote = write(stream);
        if let Stream::Tcp(socket) = stream
            && wrote.is_pending()
        {
            cold_path();
            ahead.waits(&*socket);
        }
        wrote
    }

    /// Tries without the runtime; none if the call must wait.
    fn attempt<R>(&mut self, mut call: impl FnMut(&mut Socket) -> io::Result<R>) -> Option<io::Result<R>> {
        let State::Fresh { socket, .. } = &mut self.state else { return None };
        loop {
            match call(socket) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                done => return Some(done),
            }
        }
    }
}

impl From<Stream> for Accepted {
    fn from(stream: Stream) -> Self {
        Self { state: State::Registered(stream), used: false, ahead: Ahead::Little }
    }
}

impl Transport for Accepted {
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.used && matches!(self.state, State::Fresh { .. }) {
            return Poll::Ready(Ok(()));
        }
        self.state.registered()?.poll_read_ready(cx)
    }

    fn is_readable(&mut self) -> bool {
        match &mut self.state {
            State::Registered(stream) => stream.is_readable(),
            State::Fresh { .. } | State::Lost => true,
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.used = true;
        match self.attempt(|socket| receive(&*socket, buf)) {
            Some(done) => Poll::Ready(done),
            None => self.state.registered()?.poll_read(cx, buf),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.attempt(|socket| send(&*socket, buf)) {
            Some(done) => Poll::Ready(done),
            None => self.write_through(|stream| stream.poll_write(cx, buf)),
        }
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.attempt(|socket| socket.write_vectored(bufs)) {
            Some(done) => Poll::Ready(done),
            None => self.write_through(|stream| stream.poll_write_vectored(cx, bufs)),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.attempt(|socket| socket.shutdown(Shutdown::Write)) {
            Some(done) => Poll::Ready(done),
            None => self.state.registered()?.poll_shutdown(cx),
        }
    }

    fn can_splice(&self) -> bool {
        true
    }

    fn notice_room(&mut self) {
        if let State::Registered(Stream::Tcp(socket)) = &self.state {
            self.ahead.look(socket);
        }
    }

    fn reach(&self) -> usize {
        self.ahead.reach()
    }

    fn poll_splice_in(
        &mut self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        self.used = true;
        let moved = ready!(self.state.registered()?.poll_splice_in(cx, pipe, max));
        Poll::Ready(moved)
    }

    fn poll_splice_out(
        &mut self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
        max: usize,
        more: bool,
    ) -> Poll<io::Result<usize>> {
        self.write_through(|stream| stream.poll_splice_out(cx, pipe, max, more))
    }

    fn is_watched(&self) -> bool {
        !matches!(self.state, State::Fresh { .. })
    }

    fn leave_runtime(&mut self) -> Option<BorrowedFd<'_>> {
        if let State::Registered(_) = self.state
            && let State::Registered(stream) = std::mem::replace(&mut self.state, State::Lost)
        {
            let (socket, is_unix) = match stream {
                Stream::Tcp(socket) => (socket.into_std().ok()?.into(), false),
                Stream::Unix(socket) => (socket.into_std().ok()?.into(), true),
            };
            self.state = State::Fresh { socket, is_unix };
        }
        // Whoever waits elsewhere comes back when there is something to read.
        self.used = false;
        match &self.state {
            State::Fresh { socket, .. } => Some(socket.as_fd()),
            _ => None,
        }
    }

    fn rejoin_runtime(&mut self) {
        self.used = true;
    }

    fn abort(&mut self) {
        if let State::Fresh { socket, is_unix: false } = &self.state {
            let _ = socket.set_linger(Some(std::time::Duration::ZERO));
        } else if let Ok(stream) = self.state.registered() {
            stream.abort();
        }
    }
}

#[cfg(test)]
mod tests;
