//! What the wire drivers need of a byte stream, and nothing more.

use std::io;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll, Waker};

use crate::pipe::Pipe;

/// A byte stream, polled from one thread. Reads and writes never block.
///
/// As with `Future::poll`, `Poll::Pending` means that the waker of `cx` is called when the same direction is worth
/// another try. One waker is kept per direction: the last one given.
pub trait Transport: 'static {
    /// Ready when a read would not block (data, end of stream or error), consuming nothing and needing no buffer.
    ///
    /// May be spurious: the read that follows can still be pending. An idle connection waits here, so that it owns
    /// no buffer.
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether a read would not block, as far as is known without asking the system. May be spurious.
    fn is_readable(&mut self) -> bool {
        self.poll_read_ready(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Reads at most `buf.len()` bytes; `Ok(0)` is the end of the stream (or an empty `buf`).
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes a prefix of `buf` and returns its length.
    ///
    /// After `Poll::Pending`, the next write, vectored or not, begins with the same bytes; from there on it may be longer,
    /// shorter, and lie elsewhere. The stream may have taken some of them already ([`TlsStream`](crate::tls::TlsStream)
    /// has), and says so only then. Whoever has something else to write by now gives the stream up.
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes a prefix of `bufs`, taken as if they were one buffer, and returns its length. After `Poll::Pending`, as with
    /// [`poll_write`](Self::poll_write).
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Ends the write direction (FIN). Reading goes on. A write that is pending is over: what the stream took of it goes out
    /// first.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether [`poll_splice_in`](Self::poll_splice_in) and [`poll_splice_out`](Self::poll_splice_out) can work on
    /// this stream.
    fn can_splice(&self) -> bool {
        false
    }

    /// Somebody has something to write, and was woken as there is room, but writes only later: how soon the other end took
    /// what was written before is to be seen now.
    fn notice_room(&mut self) {}

    /// How much to have in a pipe for the stream at most, as far as is known of who is at its other end: what a slow client
    /// does not take stays there, in memory that is not counted.
    fn reach(&self) -> usize {
        usize::MAX
    }

    /// Moves up to `max` bytes from the stream into `pipe`; `Ok(0)` is the end of the stream.
    ///
    /// Pending has two reasons. Either the stream has nothing to read, and the waker is registered; or the pipe
    /// takes no more, which happens only while [`Pipe::is_full`] says so, and the caller goes on after a
    /// [`poll_splice_out`](Self::poll_splice_out) made room. A loop that always tries to empty a pipe that holds
    /// bytes, and comes back here after it did, needs to know no difference.
    fn poll_splice_in(
        &mut self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        let _ = (cx, pipe, max);
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    /// Moves up to `max` bytes, and no more than `pipe` holds, from `pipe` into the stream; `Ok(0)` when the pipe is
    /// empty or `max` is 0.
    ///
    /// `more` says that further bytes follow at once, so that a partly filled segment may wait for them (MSG_MORE).
    fn poll_splice_out(
        &mut self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
        max: usize,
        more: bool,
    ) -> Poll<io::Result<usize>> {
        let _ = (cx, pipe, max, more);
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    /// Whether the runtime would notice the end of the stream while nobody reads. A stream that was just accepted
    /// need not be known to the runtime yet; asking whether it is readable makes it so.
    fn is_watched(&self) -> bool {
        true
    }

    /// Leaves the wait for the next byte to somebody else ([`Watch`](crate::Watch)), who is given the descriptor: the
    /// runtime watches the stream no more, until a call has to wait again. None where that cannot be.
    fn leave_runtime(&mut self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Nobody waits elsewhere after [`leave_runtime`](Self::leave_runtime): the next wait is the runtime's again.
    fn rejoin_runtime(&mut self) {}

    /// Makes the drop of this stream close with RST rather than FIN (SO_LINGER of 0 seconds).
    ///
    /// For a message that was cut off half way: the peer must not take it for complete.
    fn abort(&mut self) {}
}
