//! One connection, as the driver and all its handles see it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{ConnectionHandle, Dir, Side, StreamId, VarInt, WriteError};

use super::error::ConnectionError;
use super::failed::FailedHandshake;
use super::hub::Hub;
use super::options::{MIN_SEND_WINDOW, TIGHT_WINDOWS, WRITE_ROOM};
use super::timers::Entry;
use crate::address::canonical;
use crate::shortage;

/// A connection.
pub(super) struct State {
    pub(super) hub: Rc<Hub>,
    pub(super) handle: ConnectionHandle,
    pub(super) proto: RefCell<quinn_proto::Connection>,
    pub(super) wakers: RefCell<Wakers>,
    pub(super) timer: Entry,
    /// In the hub's list of what is to be done.
    pub(super) marked: Cell<bool>,
    /// Why it is no more.
    pub(super) error: RefCell<Option<ConnectionError>>,
    /// Until when the handshake must be complete; None once it is.
    pub(super) handshake: Cell<Option<Instant>>,
    /// A handle was given out.
    pub(super) arrived: Cell<bool>,
    /// No handle is left; until when it delivers what was written.
    pub(super) orphaned: Cell<Option<Instant>>,
    /// The code of the close when the last handle goes.
    pub(super) drop_code: Cell<u64>,
    /// Streams of this side that are never ended.
    pub(super) kept: Cell<usize>,
    /// How much may be written and not confirmed (bytes).
    window: Cell<u64>,
    /// How much the peer may send ahead of what is read (bytes), once as much is read as stands beside it: it was allowed
    /// more before.
    ahead: Cell<(u32, u64)>,
    /// The server refused what was sent early: streams that were opened for it are void.
    pub(super) early_refused: Cell<bool>,
    /// When whoever waits for the alarm is woken.
    pub(super) alarm: Cell<Option<Instant>>,
    /// The endpoint has forgotten it.
    pub(super) gone: Cell<bool>,
}

/// By stream.
type ByStream = HashMap<StreamId, Waker, foldhash::fast::RandomState>;

/// Who waits for what.
#[derive(Default)]
pub(super) struct Wakers {
    pub(super) readers: ByStream,
    pub(super) writers: ByStream,
    /// By direction.
    pub(super) accept: [Option<Waker>; 2],
    pub(super) open: [Option<Waker>; 2],
    pub(super) handshake: Option<Waker>,
    pub(super) closed: Option<Waker>,
    pub(super) alarm: Option<Waker>,
}

impl State {
    pub(super) fn new(
        hub: &Rc<Hub>,
        (handle, proto): (ConnectionHandle, quinn_proto::Connection),
        ahead: u32,
        now: Instant,
    ) -> Rc<Self> {
        hub.gate.handshakes.set(hub.gate.handshakes.get() + 1);
        let is_client = proto.side() == Side::Client;
        Rc::new(Self {
            hub: Rc::clone(hub),
            handle,
            proto: RefCell::new(proto),
            wakers: RefCell::default(),
            timer: Entry::default(),
            marked: Cell::new(false),
            error: RefCell::new(None),
            handshake: Cell::new(Some(now + hub.gate.handshake_timeout)),
            arrived: Cell::new(is_client),
            orphaned: Cell::new(None),
            drop_code: Cell::new(0),
            kept: Cell::new(0),
            window: Cell::new(MIN_SEND_WINDOW),
            ahead: Cell::new((ahead, 0)),
            early_refused: Cell::new(false),
            alarm: Cell::new(None),
            gone: Cell::new(false),
        })
    }

    /// Wants the driver to look at it: something was written, read, opened or ended.
    pub(super) fn mark(self: &Rc<Self>) {
        if !self.gone.get() {
            self.hub.mark(self);
        }
    }

    /// The handshake is over, one way or the other.
    pub(super) fn end_handshake(&self) {
        if self.handshake.take().is_some() {
            let handshakes = &self.hub.gate.handshakes;
            handshakes.set(handshakes.get().saturating_sub(1));
        }
        let waker = self.wakers.borrow_mut().handshake.take();
        self.hub.wake_later(waker);
    }

    /// Notes why it is no more; everybody who waits is woken at the end of the turn.
    pub(super) fn fail(&self, error: ConnectionError) {
        let error = self.error.borrow_mut().get_or_insert(error).clone();
        self.orphaned.set(None);
        if self.handshake.get().is_some() && !self.arrived.replace(true) {
            self.tell_failed(error);
        }
        self.end_handshake();
        let mut wakers = self.wakers.borrow_mut();
        let wakers = &mut *wakers;
        for (_, waker) in wakers.readers.drain().chain(wakers.writers.drain()) {
            self.hub.wake_later(Some(waker));
        }
        for waker in wakers.accept.iter_mut().chain(&mut wakers.open) {
            self.hub.wake_later(waker.take());
        }
        self.hub.wake_later(wakers.closed.take());
        self.hub.wake_later(wakers.alarm.take());
    }

    /// The client's handshake has failed, and nobody has heard of the connection.
    fn tell_failed(&self, error: ConnectionError) {
        let proto = self.proto.borrow();
        let Ok(bound) = self.hub.local_address() else { return };
        let ip = proto.local_ip().unwrap_or_else(|| bound.ip());
        self.hub.refuse(FailedHandshake {
            peer: canonical(proto.remote_address()),
            local: canonical(SocketAddr::new(ip, bound.port())),
            error,
        });
    }

    /// Closes it from this side.
    pub(super) fn close(&self, now: Instant, code: u64, reason: &[u8]) {
        self.close_for(ConnectionError::Local, now, (code, reason));
    }

    /// Closes it from this side for this reason; the peer is told the code and the phrase.
    pub(super) fn close_for(&self, error: ConnectionError, now: Instant, (code, phrase): (u64, &[u8])) {
        if self.error.borrow().is_none() {
            let code = VarInt::from_u64(code).unwrap_or(VarInt::MAX);
            self.proto.borrow_mut().close(now, code, Bytes::copy_from_slice(phrase));
            self.fail(error);
        }
    }

    /// What was written and not confirmed is limited by what the path carries, rather than by one size for all; both ways
    /// by what memory there is.
    pub(super) fn tune_windows(&self) {
        let mut proto = self.proto.borrow_mut();
        self.tune_ahead(&mut proto);
        let most = if shortage::is_tight() { 0 } else { self.hub.gate.send_window };
        let most = most.max(MIN_SEND_WINDOW);
        let window = proto.congestion_state().window().saturating_mul(2).clamp(MIN_SEND_WINDOW, most);
        self.window.set(window);
        proto.set_send_window(window - WRITE_ROOM);
    }

    /// While the process is short of memory, a client may send less ahead of what is read. What it may send already it may
    /// send still, so less is allowed for what is read from then on. As far as that is made up for, it may send more again:
    /// together it never is more than usual. What endpoints send is left alone, as one
    /// reader that is slow would hold up all others.
    fn tune_ahead(&self, proto: &mut quinn_proto::Connection) {
        let before = self.ahead.get();
        let is_tight = shortage::is_tight() && proto.side() == Side::Server;
        let after = ahead(before, self.hub.gate.receive_window, is_tight);
        if after != before {
            proto.set_receive_window(after.0.into());
            self.ahead.set(after);
        }
    }

    /// So many bytes of the peer's were read.
    pub(super) fn note_read(&self, bytes: usize) {
        let (now, owed) = self.ahead.get();
        self.ahead.set((now, owed.saturating_sub(bytes as u64)));
    }

    /// Writes what there is room for. Whoever finds none is told when there is [`WRITE_ROOM`] of it: each confirmation
    /// makes a little, and what was written in small pieces would be slow to find again.
    pub(super) fn write(&self, id: StreamId, chunk: &mut Bytes) -> Result<(), WriteError> {
        let mut proto = self.proto.borrow_mut();
        let window = self.window.get();
        proto.set_send_window(window);
        let written = proto.send_stream(id).write_chunks(std::slice::from_mut(chunk));
        proto.set_send_window(window - WRITE_ROOM);
        written.map(|_| ())
    }

    /// Whether everything that was written to streams that have ended has arrived.
    pub(super) fn is_delivered(&self) -> bool {
        self.proto.borrow_mut().streams().send_streams() <= self.kept.get()
    }

    /// Keeps the waker of `cx` where `place` says. What it replaces is dropped when nothing is borrowed.
    pub(super) fn wait(&self, cx: &Context<'_>, place: impl FnOnce(&mut Wakers) -> &mut Option<Waker>) {
        let old = {
            let mut wakers = self.wakers.borrow_mut();
            keep(place(&mut wakers), cx)
        };
        drop(old);
    }

    /// Keeps the waker of `cx` for when a stream can be read.
    pub(super) fn wait_reader(&self, id: StreamId, cx: &Context<'_>) {
        let old = keep_of(&mut self.wakers.borrow_mut().readers, id, cx);
        drop(old);
    }

    /// Keeps the waker of `cx` for when a stream can be written.
    pub(super) fn wait_writer(&self, id: StreamId, cx: &Context<'_>) {
        let old = keep_of(&mut self.wakers.borrow_mut().writers, id, cx);
        drop(old);
    }

    /// Nobody reads the stream any more.
    pub(super) fn forget_reader(&self, id: StreamId) {
        let old = self.wakers.borrow_mut().readers.remove(&id);
        drop(old);
    }

    /// Nobody writes to the stream any more.
    pub(super) fn forget_writer(&self, id: StreamId) {
        let old = self.wakers.borrow_mut().writers.remove(&id);
        drop(old);
    }

    pub(super) fn wake_reader(&self, id: StreamId) {
        let waker = self.wakers.borrow_mut().readers.remove(&id);
        self.hub.wake_later(waker);
    }

    pub(super) fn wake_writer(&self, id: StreamId) {
        let waker = self.wakers.borrow_mut().writers.remove(&id);
        self.hub.wake_later(waker);
    }

    pub(super) fn wake_accept(&self, dir: Dir) {
        let waker = self.wakers.borrow_mut().accept[dir as usize].take();
        self.hub.wake_later(waker);
    }

    pub(super) fn wake_open(&self, dir: Dir) {
        let waker = self.wakers.borrow_mut().open[dir as usize].take();
        self.hub.wake_later(waker);
    }
}

/// Keeps the waker of `cx`, unless it is kept already; gives the one that it replaces.
#[must_use]
pub(super) fn keep(place: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    match place {
        Some(waker) if waker.will_wake(cx.waker()) => None,
        _ => place.replace(cx.waker().clone()),
    }
}

fn keep_of(wakers: &mut ByStream, id: StreamId, cx: &Context<'_>) -> Option<Waker> {
    match wakers.get(&id) {
        Some(waker) if waker.will_wake(cx.waker()) => None,
        _ => wakers.insert(id, cx.waker().clone()),
    }
}

/// What a peer may send ahead of what is read from now on, and what it may send beyond that as it was allowed before; from
/// both of before, and from what is usual (bytes).
pub(super) fn ahead((now, owed): (u32, u64), usual: u32, is_tight: bool) -> (u32, u64) {
    let made_up = usual.saturating_sub(owed.try_into().unwrap_or(usual));
    let wanted = if is_tight { usual.min(TIGHT_WINDOWS.1) } else { made_up.max(now) };
    (wanted, owed + u64::from(now.saturating_sub(wanted)))
}
