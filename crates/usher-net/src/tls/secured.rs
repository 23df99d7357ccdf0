//! A stream that may be encrypted.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::session::Session;
use super::stream::TlsStream;
use crate::pipe::Pipe;
use crate::transport::Transport;

/// A stream that may be encrypted: what the engine carries everywhere. It can be spliced only when it is plain.
#[derive(Debug)]
pub enum Secured<T> {
    /// Bytes as they are.
    Plain(T),
    /// In the records of TLS.
    Tls(Box<TlsStream<T>>),
}

impl<T> Secured<T> {
    /// What was agreed, if the stream is encrypted.
    pub fn session(&self) -> Option<&Arc<Session>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.session()),
        }
    }

    /// The stream underneath.
    pub fn get_ref(&self) -> &T {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref(),
        }
    }
}

impl<T: Transport> Secured<T> {
    /// Tells the peer that the stream ends here, and was not cut off, as far as that takes no waiting: for one at rest that
    /// is dropped next. A plain stream says that by being closed.
    pub fn announce_end(&mut self) {
        if let Self::Tls(stream) = self {
            stream.announce_end();
        }
    }
}

impl<T> From<TlsStream<T>> for Secured<T> {
    fn from(stream: TlsStream<T>) -> Self {
        Self::Tls(Box::new(stream))
    }
}

/// Calls a method of whichever stream is inside.
macro_rules! either {
    ($secured:expr, $stream:ident => $then:expr) => {
        match $secured {
            Secured::Plain($stream) => $then,
            Secured::Tls($stream) => $then,
        }
    };
}

impl<T: Transport> Transport for Secured<T> {
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read_ready(cx))
    }

    fn is_readable(&mut self) -> bool {
        either!(self, stream => stream.is_readable())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_read(cx, buf))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }

    fn can_splice(&self) -> bool {
        either!(self, stream => stream.can_splice())
    }

    fn notice_room(&mut self) {
        either!(self, stream => stream.notice_room());
    }

    fn reach(&self) -> usize {
        either!(self, stream => stream.reach())
    }

    fn poll_splice_in(
        &mut self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_splice_in(cx, pipe, max))
    }

    fn poll_splice_out(
        &mut self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
        max: usize,
        more: bool,
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_splice_out(cx, pipe, max, more))
    }

    fn is_watched(&self) -> bool {
        either!(self, stream => stream.is_watched())
    }

    fn leave_runtime(&mut self) -> Option<BorrowedFd<'_>> {
        either!(self, stream => stream.leave_runtime())
    }

    fn rejoin_runtime(&mut self) {
        either!(self, stream => stream.rejoin_runtime());
    }

    fn abort(&mut self) {
        either!(self, stream => stream.abort());
    }
}
