//! Limits against floods: what is legal one by one, and costs more to take than to send.
//!
//! Each kind has an allowance that is used up by one and grows with time, and with what is worth its cost. A peer that
//! uses it up is told H3_EXCESSIVE_LOAD. The clock is read only when one is used up.

use std::cell::Cell;
use std::time::Instant;

use super::code::{EXCESSIVE_LOAD, Wrong};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Requests that the client cancels before they are answered ("rapid reset").
    Reset,
    /// Requests that are reset for what the client did on them.
    Mistake,
    /// DATA without data.
    Empty,
    /// Frames of unknown types, and each 16 KiB in them.
    Unknown,
    /// Frames on the control stream, and what is told on the decoder stream.
    Control,
    /// Unidirectional streams of unknown types.
    Stream,
}

/// What may come at once, what per second, and the phrase for the log.
struct Rate {
    burst: u32,
    per_second: u32,
    phrase: &'static str,
}

const KINDS: usize = 6;

static RATES: [Rate; KINDS] = [
    // A browser that leaves a page cancels what is on its way: a hundred at once. What ends in order gives one back.
    Rate { burst: 500, per_second: 50, phrase: "flood of cancelled requests" },
    Rate { burst: 100, per_second: 10, phrase: "flood of malformed requests" },
    Rate { burst: 200, per_second: 20, phrase: "flood of empty frames" },
    Rate { burst: 200, per_second: 20, phrase: "flood of unknown frames" },
    // Browsers change priorities as pages grow.
    Rate { burst: 1000, per_second: 200, phrase: "flood of control frames" },
    Rate { burst: 100, per_second: 1, phrase: "flood of unknown streams" },
];

/// What one unknown frame may hold before it counts as another (bytes).
pub(super) const UNKNOWN_PIECE: u64 = 16 << 10;

/// What is left of the allowances.
#[derive(Debug)]
pub(super) struct Floods {
    left: [Cell<u32>; KINDS],
    since: [Cell<Instant>; KINDS],
}

impl Floods {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            left: std::array::from_fn(|kind| Cell::new(RATES[kind].burst)),
            since: std::array::from_fn(|_| Cell::new(now)),
        }
    }

    /// Counts some.
    ///
    /// # Errors
    /// When the allowance is used up.
    #[inline]
    pub(super) fn count(&self, kind: Kind, number: u64) -> Result<(), Wrong> {
        let left = &self.left[kind as usize];
        match u64::from(left.get()).checked_sub(number) {
            Some(less) => {
                left.set(less as u32);
                Ok(())
            }
            None => self.refill(kind, number),
        }
    }

    /// Gives one back.
    #[inline]
    pub(super) fn give_back(&self, kind: Kind) {
        let left = &self.left[kind as usize];
        left.set(left.get().saturating_add(1).min(RATES[kind as usize].burst));
    }

    fn refill(&self, kind: Kind, number: u64) -> Result<(), Wrong> {
        let Rate { burst, per_second, phrase } = RATES[kind as usize];
        let now = Instant::now();
        let passed = now.duration_since(self.since[kind as usize].get()).as_secs();
        let grown = passed.saturating_mul(per_second.into()).min(burst.into());
        match (u64::from(self.left[kind as usize].get()) + grown).checked_sub(number) {
            Some(left) => {
                self.left[kind as usize].set(left.min(burst.into()) as u32);
                self.since[kind as usize].set(now);
                Ok(())
            }
            None => Err(Wrong::Connection(EXCESSIVE_LOAD, phrase)),
        }
    }
}
