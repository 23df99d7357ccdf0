//! Connections in memory that behave like TCP: bounded, cut into pieces anywhere, ended one direction at a time, and
//! reset when a side closes with bytes unread.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use usher_net::Transport;

use crate::rng::Rng;

/// One direction.
#[derive(Default)]
struct Half {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// The writer ended it.
    ended: bool,
    /// It was broken off: what is here may be read, then comes an error.
    reset: bool,
    /// Nobody will read it.
    abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Half {
    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

struct Wire {
    halves: [Half; 2],
    /// Cuts reads and writes into pieces.
    chaos: Option<Rng>,
}

impl Wire {
    /// How much of `len` is done at once; none for "try again", as a spurious wake-up.
    fn cut(&mut self, len: usize) -> Option<usize> {
        let Some(rng) = &mut self.chaos else { return Some(len) };
        match rng.within(0..20) {
            0 => None,
            1..=3 => Some(len.min(1)),
            4..=9 => Some(rng.within(1..len.max(1) + 1)),
            _ => Some(len),
        }
    }
}

type Shared = Rc<RefCell<Wire>>;

/// The receiving end of one direction.
pub(crate) struct ReadEnd {
    wire: Shared,
    side: usize,
    /// Somebody had to wait for bytes: until then, a runtime would not know of the connection.
    watched: bool,
}

/// The sending end of one direction.
pub(crate) struct WriteEnd {
    wire: Shared,
    side: usize,
    abort: bool,
}

/// One end of a connection.
pub(crate) struct SimStream {
    pub(crate) reader: ReadEnd,
    pub(crate) writer: WriteEnd,
}

/// Two connected ends; each direction holds at most `capacity` bytes. With `chaos`, bytes come in random pieces.
pub(crate) fn pair(capacity: usize, chaos: Option<Rng>) -> (SimStream, SimStream) {
    let half = || Half { capacity, ..Half::default() };
    let wire = Rc::new(RefCell::new(Wire { halves: [half(), half()], chaos }));
    let end = |side: usize| SimStream {
        reader: ReadEnd { wire: wire.clone(), side: 1 - side, watched: false },
        writer: WriteEnd { wire: wire.clone(), side, abort: false },
    };
    (end(0), end(1))
}

impl ReadEnd {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let half = &mut self.wire.borrow_mut().halves[self.side];
        if !half.bytes.is_empty() || half.ended || half.reset {
            return Poll::Ready(());
        }
        half.reader = Some(cx.waker().clone());
        self.watched = true;
        Poll::Pending
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if self.poll_ready(cx).is_pending() {
            return Poll::Pending;
        }
        let wire = &mut *self.wire.borrow_mut();
        let held = wire.halves[self.side].bytes.len();
        if held == 0 {
            let reset = wire.halves[self.side].reset;
            return Poll::Ready(if reset { Err(ErrorKind::ConnectionReset.into()) } else { Ok(0) });
        }
        let Some(len) = wire.cut(held.min(buf.len())) else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        let half = &mut wire.halves[self.side];
        half.bytes.drain(..len).zip(buf).for_each(|(byte, to)| *to = byte);
        half.writer.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(len))
    }

    /// Reads some bytes; 0 at the end.
    pub(crate) async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buf)).await
    }
}

impl WriteEnd {
    fn poll_write(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let wire = &mut *self.wire.borrow_mut();
        let broken = wire.halves[1 - self.side].reset || wire.halves[self.side].abandoned;
        let total: usize = bufs.iter().map(|buf| buf.len()).sum();
        if broken || wire.halves[self.side].ended {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if total == 0 {
            return Poll::Ready(Ok(0));
        }
        let room = wire.halves[self.side].capacity - wire.halves[self.side].bytes.len();
        if room == 0 {
            wire.halves[self.side].writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let Some(len) = wire.cut(room.min(total)) else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        let half = &mut wire.halves[self.side];
        half.bytes.extend(bufs.iter().flat_map(|buf| buf.iter()).take(len));
        half.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(len))
    }

    /// Writes all of it.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = poll_fn(|cx| self.poll_write(cx, &[IoSlice::new(bytes)])).await?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Ends the direction (FIN).
    pub(crate) fn end(&mut self) {
        let half = &mut self.wire.borrow_mut().halves[self.side];
        half.ended = true;
        half.wake();
    }

    /// The drop resets the connection (RST).
    pub(crate) fn abort(&mut self) {
        self.abort = true;
    }
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        let wire = &mut *self.wire.borrow_mut();
        wire.halves[self.side].abandoned = true;
        // Closing with bytes unread is a reset.
        if !wire.halves[self.side].bytes.is_empty() {
            wire.halves[1 - self.side].reset = true;
        }
        wire.halves.iter_mut().for_each(Half::wake);
    }
}

impl Drop for WriteEnd {
    fn drop(&mut self) {
        let wire = &mut *self.wire.borrow_mut();
        let half = &mut wire.halves[self.side];
        half.reset |= self.abort;
        half.ended = true;
        wire.halves.iter_mut().for_each(Half::wake);
    }
}

impl Transport for SimStream {
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.reader.poll_ready(cx).map(Ok)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.reader.poll_read(cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writer.poll_write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.writer.poll_write(cx, bufs)
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.end();
        Poll::Ready(Ok(()))
    }

    fn is_watched(&self) -> bool {
        self.reader.watched
    }

    fn abort(&mut self) {
        self.writer.abort();
    }
}
