//! How a connection ends: GOAWAY in both directions (RFC 9113 section 6.8), and pings.

use super::core::{Core, Role};
use super::data::MEASURE;
use super::flood::Kind;
use super::frame::{self, Code, FrameHead, MAX_31, Wrong, kind};
use super::stream::Fault;

/// How far the connection is on its way to its end.
#[derive(Debug, Default)]
pub(super) struct Going {
    pub(super) leaving: Leaving,
    /// The peer said that it goes away.
    pub(super) is_left: bool,
    /// Of a server that has left: the last stream that it takes.
    last: u32,
}

/// How far we are with going away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Leaving {
    #[default]
    No,
    /// It was announced; what is on its way is still taken.
    Announced,
    /// It was said which stream is the last.
    Final,
}

/// What is sent in a PING that asks whether the peer is there.
const ALIVE: &[u8; 8] = b"alive?\0\0";
/// What is sent in a PING behind the announcement of an end: when the answer comes, so has everything that the peer had
/// sent before it knew.
const LEAVING: &[u8; 8] = b"leaving\0";

impl Core {
    pub(super) fn push_goaway(&mut self, last: u32, code: Code, debug: &[u8]) {
        let mut payload = Vec::with_capacity(8 + debug.len());
        payload.extend_from_slice(&last.to_be_bytes());
        payload.extend_from_slice(&(code as u32).to_be_bytes());
        payload.extend_from_slice(debug);
        frame::push(self.output.begin(), kind::GOAWAY, 0, 0, &payload);
    }

    /// The last of the peer's streams that was or may yet be worked on: what GOAWAY says. It never grows again.
    pub(super) fn last_taken(&self) -> u32 {
        match self.role {
            Role::Client => 0,
            Role::Server if self.going.leaving == Leaving::Final => self.going.last,
            Role::Server => self.highest,
        }
    }

    /// Takes no more streams: first what is on its way is still taken; then, or at a second call, nothing more.
    pub(super) fn leave(&mut self) {
        if self.fault.is_some() {
            return;
        }
        match self.going.leaving {
            Leaving::No if self.role == Role::Server => {
                self.push_goaway(MAX_31, Code::NoError, &[]);
                frame::push(self.output.begin(), kind::PING, 0, 0, LEAVING);
                self.going.leaving = Leaving::Announced;
            }
            Leaving::No | Leaving::Announced => {
                self.going.last = self.last_taken();
                self.push_goaway(self.going.last, Code::NoError, &[]);
                self.going.leaving = Leaving::Final;
            }
            Leaving::Final => {}
        }
    }

    /// Whether the connection has nothing more to do.
    pub(super) fn is_finished(&self) -> bool {
        let leaves = self.going.leaving == Leaving::Final || self.going.is_left;
        leaves && self.streams.held() == 0
    }

    pub(super) fn ping(&mut self) {
        self.ponged = false;
        frame::push(self.output.begin(), kind::PING, 0, 0, ALIVE);
    }

    pub(super) fn on_pong(&mut self, payload: &[u8]) {
        if payload == MEASURE {
            self.on_measured();
        } else if payload == ALIVE {
            self.ponged = true;
        } else if payload == LEAVING && self.going.leaving == Leaving::Announced {
            self.leave();
        }
    }

    pub(super) fn on_goaway(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Wrong> {
        if head.stream != 0 {
            return Err(Wrong::protocol("GOAWAY on a stream"));
        }
        let (Some(last), true) = (frame::number(payload), payload.len() >= 8) else {
            return Err(Wrong::size("GOAWAY of less than 8 bytes"));
        };
        self.flood.count(Kind::Unknown)?;
        self.going.is_left = true;
        if self.role == Role::Client {
            self.refuse_above(last & MAX_31);
        }
        Ok(())
    }

    /// Streams above the last that the server names were not processed and never will be.
    fn refuse_above(&mut self, last: u32) {
        for slot in self.streams.open_slots() {
            if self.streams.get(slot).is_some_and(|stream| stream.id > last) {
                let fault = self.refusal(slot);
                self.break_stream(slot, fault, false);
            }
        }
    }

    /// What it means that a server did not process a stream: the request can be sent again, unless a part of its body is
    /// gone, which nobody has kept.
    pub(super) fn refusal(&self, slot: u32) -> Fault {
        let whole = self.streams.get(slot).is_some_and(|stream| stream.last_data.is_none());
        if whole { Fault::Refused } else { Fault::Reset(Code::RefusedStream as u32) }
    }
}
