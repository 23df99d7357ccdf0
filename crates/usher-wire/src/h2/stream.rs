//! One stream's state, and the table of streams.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Waker};

use usher_http::{Fields, Response};

use crate::error::WireError;

/// How far one direction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Direction {
    /// Nothing was sent or received but, at most, informational heads.
    #[default]
    Idle,
    /// The head was; the body is.
    Open,
    /// The head of a switch of protocols was; the tunnel has not begun.
    Switching,
    /// END_STREAM was.
    Ended,
}

/// Why a stream is over before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The peer reset it.
    Reset(u32),
    /// The peer will not process it.
    Refused,
    /// The peer broke the protocol.
    Protocol(&'static str),
    /// We reset it.
    Aborted,
    /// The connection ended.
    Closed,
    /// The connection failed.
    Io(io::ErrorKind),
}

impl Fault {
    /// As an error of whoever has the stream; `within` a message or between two.
    pub(super) fn error(self, within: bool) -> WireError {
        match self {
            Self::Reset(code) => WireError::Reset(code),
            Self::Refused => WireError::Refused,
            Self::Protocol(phrase) => WireError::Protocol(phrase),
            Self::Aborted | Self::Closed if within => WireError::Truncated,
            Self::Aborted | Self::Closed => WireError::Closed,
            Self::Io(kind) => WireError::Io(kind.into()),
        }
    }
}

/// What a stream's task waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Interest(u8);

impl Interest {
    pub(super) const READ: Self = Self(1);
    pub(super) const WRITE: Self = Self(2);
    pub(super) const GONE: Self = Self(4);
    pub(super) const ALL: Self = Self(7);

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A stream, from its first head until nobody has it any more.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// 0 before its first head.
    pub(super) id: u32,
    pub(super) sending: Direction,
    pub(super) receiving: Direction,
    pub(super) fault: Option<Fault>,
    /// What may be sent (bytes); negative after the peer made its windows smaller.
    pub(super) send_window: i64,
    /// What the peer may send (bytes).
    pub(super) receive_window: i64,
    /// How wide its window is when all was taken (bytes).
    pub(super) window: u32,
    /// What was taken of the body since the last WINDOW_UPDATE (bytes).
    pub(super) taken: u32,
    /// Payload that nobody has fetched yet.
    pub(super) received: Vec<u8>,
    /// What is still to come of a body whose length is known (bytes).
    pub(super) expected: Option<u64>,
    /// What came of the body (bytes).
    pub(super) arrived: u64,
    /// What is still to be sent of a body whose length was announced (bytes).
    pub(super) left: Option<u64>,
    pub(super) trailers: Option<Box<Fields>>,
    /// Of a client: heads that nobody has fetched yet.
    pub(super) heads: VecDeque<Response>,
    /// Bytes of a tunnel go both ways.
    pub(super) is_tunnel: bool,
    /// Of a client: the protocol that an extended CONNECT asked for.
    pub(super) protocol: Option<Box<[u8]>>,
    /// RFC 9218: 0 is the most urgent, 7 the least.
    pub(super) urgency: u8,
    /// It is in the queue of those that wait for their turn to send.
    pub(super) is_queued: bool,
    /// It is there for room in the output, and not for a window.
    pub(super) wants_room: bool,
    /// What it may send while others wait (bytes).
    pub(super) grant: usize,
    /// Where its last DATA begins and its last frame ends in the output.
    pub(super) last_data: Option<u64>,
    pub(super) last_end: u64,
    /// Bytes received and sent on the wire.
    pub(super) counts: (u64, u64),
    pub(super) waker: Option<Waker>,
    pub(super) interest: Interest,
}

impl Stream {
    /// Notes who waits, and for what.
    pub(super) fn register(&mut self, cx: &Context<'_>, interest: Interest) {
        self.interest.0 |= interest.0;
        match &self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => self.waker = Some(cx.waker().clone()),
        }
    }

    /// Whom to wake, if somebody waits for this.
    pub(super) fn take_waker(&mut self, event: Interest) -> Option<Waker> {
        if !self.interest.meets(event) {
            return None;
        }
        self.interest = Interest::default();
        self.waker.take()
    }
}

/// The streams that somebody has, and which of them are open.
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: Vec<Option<Box<Stream>>>,
    free: Vec<u32>,
    /// Those that frames can come for: numbers, which only grow, and slots.
    open: Vec<(u32, u32)>,
}

impl Streams {
    /// Streams that somebody has.
    pub(super) fn held(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Streams that are neither ended nor reset.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// A copy of the slots of those that are open.
    pub(super) fn open_slots(&self) -> Vec<u32> {
        self.open.iter().map(|(_, slot)| *slot).collect()
    }

    /// Takes a stream in; it is open once it has a number.
    pub(super) fn insert(&mut self, stream: Stream) -> u32 {
        let stream = Some(Box::new(stream));
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = stream;
                slot
            }
            None => {
                self.slots.push(stream);
                (self.slots.len() - 1) as u32
            }
        }
    }

    /// Notes that frames can come for a stream; numbers are given in ascending order.
    pub(super) fn set_open(&mut self, id: u32, slot: u32) {
        self.open.push((id, slot));
    }

    /// Notes that no more frames are expected for a stream; false if that was known.
    pub(super) fn set_closed(&mut self, id: u32) -> bool {
        let found = self.open.binary_search_by_key(&id, |(id, _)| *id);
        found.map(|at| self.open.remove(at)).is_ok()
    }

    /// Forgets a stream that nobody has any more.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Box<Stream>> {
        let stream = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        if self.free.len() == self.slots.len() && self.slots.len() > SPARE {
            self.slots = Vec::new();
            self.free = Vec::new();
        }
        Some(stream)
    }

    /// The slot of an open stream.
    #[inline]
    pub(super) fn find(&self, id: u32) -> Option<u32> {
        let found = self.open.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.open.get(found).map(|(_, slot)| *slot)
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<&Stream> {
        self.slots.get(slot as usize)?.as_deref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Stream> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    /// All that somebody has.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.slots.iter_mut().flatten().map(|stream| &mut **stream)
    }

    /// Gives memory back.
    pub(super) fn release(&mut self) {
        if self.held() == 0 {
            *self = Self::default();
        }
    }
}

/// Slots that are kept when no stream is left.
const SPARE: usize = 16;

/// Streams that were reset lately: frames for them may have been on their way (RFC 9113 section 5.1).
#[derive(Debug, Default)]
pub(super) struct Lately {
    /// Numbers, with the highest bit set where the peer did it.
    ids: VecDeque<u32>,
}

/// How many are remembered.
const REMEMBERED: usize = 256;
const BY_PEER: u32 = 1 << 31;

impl Lately {
    pub(super) fn note(&mut self, id: u32, by_peer: bool) {
        if self.ids.len() == REMEMBERED {
            self.ids.pop_front();
        }
        self.ids.push_back(if by_peer { id | BY_PEER } else { id });
    }

    /// Whether a stream was reset lately, and if so whether the peer did it.
    pub(super) fn find(&self, id: u32) -> Option<bool> {
        let found = self.ids.iter().rev().find(|known| **known & !BY_PEER == id)?;
        Some(found & BY_PEER != 0)
    }
}
