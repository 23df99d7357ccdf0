//! What the streams of a connection share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use usher_net::quic::{Connection, ConnectionError, SendStream, StreamError};

use super::code::{
    CLOSED_CRITICAL_STREAM, EXCESSIVE_LOAD, NO_ERROR, QPACK_DECOMPRESSION_FAILED, QPACK_ENCODER_STREAM_ERROR,
    REQUEST_REJECTED, Wrong,
};
use super::flood::Floods;
use super::frame;
use super::limits::Limits;
use super::priority::EARLY_UPDATES;
use super::settings::{self, Settings};
use crate::error::WireError;
use crate::qpack::{BLOCKED_STREAMS, Decoder, QpackError, Section};

/// What may wait on one of our own control streams (bytes). It waits only for a peer that does not take it.
const MAX_QUEUED: usize = 16 << 10;

/// Types of unidirectional streams (RFC 9114 section 6.2, RFC 9204 section 4.2).
pub(super) const CONTROL_STREAM: u64 = 0x0;
pub(super) const PUSH_STREAM: u64 = 0x1;
pub(super) const ENCODER_STREAM: u64 = 0x2;
pub(super) const DECODER_STREAM: u64 = 0x3;

/// The state of a connection.
pub(super) struct Shared {
    pub(super) connection: Connection,
    pub(super) limits: Limits,
    pub(super) is_server: bool,
    pub(super) floods: Floods,
    pub(super) settings: Cell<Option<Settings>>,
    /// The least that GOAWAY of the peer has said.
    pub(super) goaway: Cell<Option<u64>>,
    /// Streams that are worked on.
    pub(super) open: Cell<usize>,
    /// Who waits for `open` to become 0.
    idle: RefCell<Option<Waker>>,
    decoder: RefCell<Decoder>,
    /// Streams whose heads wait for the table: which, for how many entries, who waits.
    blocked: RefCell<Vec<(u64, u64, Waker)>>,
    outlets: RefCell<Outlets>,
    /// Requests whose priority the peer has changed lately.
    updates: RefCell<Vec<u64>>,
    /// What the peer did wrong.
    wrong: Cell<Option<&'static str>>,
}

/// Our own unidirectional streams.
#[derive(Default)]
struct Outlets {
    control: Outlet,
    decoder: Outlet,
}

#[derive(Default)]
struct Outlet {
    stream: Option<SendStream>,
    queue: Vec<u8>,
}

impl Outlet {
    /// Opens the stream if there is something for it, sends that, and has `cx` woken when there is room for the rest.
    fn poll(&mut self, cx: &mut Context<'_>, connection: &Connection) -> Result<(), Wrong> {
        if self.stream.is_none()
            && !self.queue.is_empty()
            && let Poll::Ready(Ok(mut stream)) = connection.poll_open_uni(cx)
        {
            stream.keep();
            self.stream = Some(stream);
        }
        self.flush()?;
        // Registers for more room too.
        match self.stream.as_ref().map(|stream| stream.poll_stopped(cx)) {
            Some(Poll::Ready(StreamError::Stopped(_))) => {
                Err(Wrong::Connection(CLOSED_CRITICAL_STREAM, "critical stream that the peer does not want"))
            }
            _ => Ok(()),
        }
    }

    /// Sends what is queued, as far as there is room. Whoever drives the connection sends the rest.
    fn flush(&mut self) -> Result<(), Wrong> {
        if let Some(stream) = &mut self.stream
            && !self.queue.is_empty()
        {
            let mut chunk = Bytes::from(std::mem::take(&mut self.queue));
            if !stream.write_now(&mut chunk) {
                self.queue = chunk.into();
            }
        }
        if self.queue.len() > MAX_QUEUED {
            return Err(Wrong::Connection(EXCESSIVE_LOAD, "control streams that nobody reads"));
        }
        Ok(())
    }
}

impl Shared {
    /// Begins the connection: the settings go first.
    pub(super) fn new(connection: Connection, limits: Limits) -> Rc<Self> {
        connection.close_on_drop(NO_ERROR);
        let is_server = connection.is_server();
        let mut outlets = Outlets::default();
        frame::write_integer(CONTROL_STREAM, &mut outlets.control.queue);
        settings::write(&limits, is_server, &mut outlets.control.queue);
        if limits.table > 0 {
            frame::write_integer(DECODER_STREAM, &mut outlets.decoder.queue);
        }
        Rc::new(Self {
            connection,
            limits,
            is_server,
            floods: Floods::new(),
            settings: Cell::new(None),
            goaway: Cell::new(None),
            open: Cell::new(0),
            idle: RefCell::new(None),
            decoder: RefCell::new(Decoder::new(limits.table)),
            blocked: RefCell::default(),
            outlets: RefCell::new(outlets),
            updates: RefCell::default(),
            wrong: Cell::new(None),
        })
    }

    /// Sends what waits on our control streams.
    pub(super) fn flush(&self) -> Result<(), Wrong> {
        let mut outlets = self.outlets.borrow_mut();
        let Outlets { control, decoder } = &mut *outlets;
        decoder.queue.append(self.decoder.borrow_mut().output());
        control.flush()?;
        decoder.flush()
    }

    /// As [`flush`](Self::flush), by whoever drives the connection, who is woken when more can be sent.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Result<(), Wrong> {
        let mut outlets = self.outlets.borrow_mut();
        let Outlets { control, decoder } = &mut *outlets;
        decoder.queue.append(self.decoder.borrow_mut().output());
        control.poll(cx, &self.connection)?;
        decoder.poll(cx, &self.connection)
    }

    /// The peer has changed the priority of a request, which may be yet to come.
    pub(super) fn reprioritize(&self, stream: u64, priority: i32) {
        self.connection.set_priority(stream, priority);
        let mut updates = self.updates.borrow_mut();
        if updates.len() >= EARLY_UPDATES {
            updates.remove(0);
        }
        updates.push(stream);
    }

    /// Whether the priority of a stream was changed before the stream came.
    pub(super) fn was_reprioritized(&self, stream: u64) -> bool {
        self.updates.borrow().contains(&stream)
    }

    /// Tells the peer from which stream (or push) on nothing is taken (RFC 9114 section 5.2).
    pub(super) fn send_goaway(&self, from: u64) {
        {
            let mut outlets = self.outlets.borrow_mut();
            let mut payload = Vec::new();
            frame::write_integer(from, &mut payload);
            frame::write_head(frame::GOAWAY, payload.len(), &mut outlets.control.queue);
            outlets.control.queue.extend_from_slice(&payload);
        }
        // A peer that does not take it learns of the end when it comes.
        let _ = self.flush();
    }

    /// The connection ends for what the peer did.
    pub(super) fn fail(&self, code: u64, phrase: &'static str) -> WireError {
        if self.wrong.get().is_none() && !self.connection.is_closed() {
            self.wrong.set(Some(phrase));
            self.connection.close(code, phrase.as_bytes());
        }
        WireError::Protocol(phrase)
    }

    /// What a connection's end means for whoever is on it.
    pub(super) fn lost(&self, error: ConnectionError) -> WireError {
        match self.wrong.get() {
            Some(phrase) => WireError::Protocol(phrase),
            None => WireError::Io(error.into()),
        }
    }

    /// What a stream's end means for whoever is on it.
    pub(super) fn broken(&self, error: StreamError) -> WireError {
        match error {
            StreamError::Reset(REQUEST_REJECTED) | StreamError::Stopped(REQUEST_REJECTED)
                if !self.is_server =>
            {
                WireError::Refused
            }
            StreamError::Reset(code) | StreamError::Stopped(code) => {
                WireError::Reset(u32::try_from(code).unwrap_or(u32::MAX))
            }
            StreamError::Ended => WireError::Truncated,
            StreamError::Connection(error) => self.lost(error),
        }
    }

    /// Decodes a head of `stream`; pending while it waits for the table. What the fields were given to may have enough.
    pub(super) fn poll_decode<E>(
        &self,
        cx: &Context<'_>,
        stream: u64,
        section: &[u8],
        emit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Poll<Result<Result<(), E>, Wrong>> {
        let decoded = self.decoder.borrow_mut().section(stream, section, emit);
        let answer = match decoded {
            Ok(Section::Blocked(required)) => return self.block(cx, stream, required),
            Ok(Section::Done) => Ok(Ok(())),
            Ok(Section::Refused(error)) => Ok(Err(error)),
            Err(error) => Err(wrong(error)),
        };
        if !self.decoder.borrow_mut().output().is_empty() {
            self.flush()?;
        }
        Poll::Ready(answer)
    }

    fn block<T>(&self, cx: &Context<'_>, stream: u64, required: u64) -> Poll<Result<T, Wrong>> {
        let old = {
            let mut blocked = self.blocked.borrow_mut();
            let old = blocked.iter().position(|(other, ..)| *other == stream);
            let old = old.map(|at| blocked.swap_remove(at));
            if blocked.len() >= BLOCKED_STREAMS {
                return Poll::Ready(Err(Wrong::Connection(
                    QPACK_DECOMPRESSION_FAILED,
                    "more streams wait for the table than may",
                )));
            }
            blocked.push((stream, required, cx.waker().clone()));
            old
        };
        drop(old);
        Poll::Pending
    }

    /// A stream is not read to its end: nobody waits for its head, and the peer need not keep what it refers to.
    pub(super) fn forget(&self, stream: u64) {
        let mut forgotten: Vec<_> = {
            let mut blocked = self.blocked.borrow_mut();
            let of_stream = |entry: &(u64, u64, Waker)| entry.0 == stream;
            blocked.iter().position(of_stream).map(|at| blocked.swap_remove(at)).into_iter().collect()
        };
        forgotten.clear();
        let is_used = {
            let mut decoder = self.decoder.borrow_mut();
            decoder.cancel(stream);
            decoder.is_used()
        };
        if is_used {
            // A peer that does not read it is noticed by whoever drives the connection.
            let _ = self.flush();
        }
    }

    /// Takes what came on the peer's encoder stream; gives how much of it was used.
    pub(super) fn instructions(&self, bytes: &[u8]) -> Result<usize, Wrong> {
        let (used, inserted) = {
            let mut decoder = self.decoder.borrow_mut();
            (decoder.instructions(bytes).map_err(wrong)?, decoder.inserted())
        };
        let ready: Vec<Waker> = {
            let mut blocked = self.blocked.borrow_mut();
            let (ready, rest) = blocked.drain(..).partition(|(_, required, _)| *required <= inserted);
            *blocked = rest;
            let ready: Vec<(u64, u64, Waker)> = ready;
            ready.into_iter().map(|(.., waker)| waker).collect()
        };
        ready.into_iter().for_each(Waker::wake);
        Ok(used)
    }

    /// One more stream is worked on.
    pub(super) fn opened(&self) {
        self.open.set(self.open.get() + 1);
    }

    /// The work on a stream has ended.
    pub(super) fn closed(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        if self.open.get() == 0 {
            self.wake_idle();
        }
    }

    pub(super) fn wake_idle(&self) {
        let waker = self.idle.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wants `cx` to be woken when no stream is worked on.
    pub(super) fn watch_idle(&self, cx: &Context<'_>) {
        let old = self.idle.replace(Some(cx.waker().clone()));
        drop(old);
    }
}

fn wrong(error: QpackError) -> Wrong {
    match error {
        QpackError::Decompression(phrase) => Wrong::Connection(QPACK_DECOMPRESSION_FAILED, phrase),
        QpackError::EncoderStream(phrase) => Wrong::Connection(QPACK_ENCODER_STREAM_ERROR, phrase),
        QpackError::Flood => Wrong::Connection(EXCESSIVE_LOAD, "flood of changes of the table"),
    }
}
