//! Bodies that are taken into memory, or thrown away, in turns.

use std::task::{Context, Poll, ready};

use super::{SMALL, Turn, Way, cost, spend};
use crate::body::Source;
use crate::error::WireError;

/// To take less than this at a time is no less work (bytes).
pub(super) const PIECE: u64 = 8 << 10;

/// Takes a body from its source: as soon as much of it came, only when it is its turn, so that a client or endpoint whose
/// bytes are all there already has no more of the thread's time than others.
#[derive(Debug, Default)]
pub struct Filling {
    taken: u64,
    /// What may still be taken in this turn (bytes).
    left: u64,
    turn: Turn,
}

impl Filling {
    /// As [`Source::poll_fill`]; all that is filled is to be consumed before the next call.
    pub fn poll(&mut self, cx: &mut Context<'_>, source: &mut impl Source) -> Poll<Result<usize, WireError>> {
        let is_large = self.taken >= SMALL;
        if is_large && self.left == 0 {
            self.left = ready!(self.turn.poll(cx));
        }
        let Poll::Ready(len) = source.poll_fill(cx) else {
            // What comes later is another turn's.
            self.left = 0;
            return Poll::Pending;
        };
        let len = len?;
        self.taken += len as u64;
        if is_large {
            let work = cost((len as u64).max(PIECE), Way::Copied);
            spend(work);
            self.left = self.left.saturating_sub(work);
        }
        Poll::Ready(Ok(len))
    }

    /// Whether it waits for nobody but other bodies.
    pub fn waits_for_turn(&self) -> bool {
        self.turn.is_waiting()
    }
}
