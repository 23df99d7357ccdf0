//! A split that moves by itself: visitors go from an old target to a new one in steps, and back when that does worse.
//!
//! - this file: what workers see of a shift: the share of the new target, and where they count;
//! - `tally.rs`: what became of each side's requests;
//! - `evidence.rs`: whether one side does significantly worse;
//! - `progress.rs`: the states, and what leads from one to another; `told.rs`: that in words.
//!
//! One [`Shift`] serves all workers and outlives reloads, as long as the split goes between the same targets. A thread of the
//! process looks at it ([`Shift::look`]); nothing here reads a clock.

mod evidence;
mod progress;
mod tally;
mod told;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use evidence::{Evidence, Tolerance, Worse};
use progress::Progress;
pub use progress::{Move, Saved, Standing, State};
pub use tally::Counts;
use tally::Tally;
use usher_api::Exchange;

use crate::steps::grpc;

/// The whole, in parts.
pub const WHOLE: u32 = 1_000_000;

/// What the config says of a shift. It may change while the shift goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The route's name.
    pub route: String,
    /// What is moved from and to, for logs.
    pub names: Names,
    /// What the new target takes, step after step (parts of [`WHOLE`]); it grows, and there is one at least.
    pub steps: Vec<u32>,
    /// How long a step lasts at least.
    pub every: Duration,
    /// Fewer requests than this on either side say nothing.
    pub min_requests: u64,
    /// A step that ends with fewer is followed by the next all the same.
    pub advances_unsure: bool,
    /// How much worse the new target may do.
    pub tolerance: Tolerance,
    /// How likely it may be that one that does no worse is taken back.
    pub false_alarms: f64,
    /// The first step begins when somebody says so.
    pub manual: bool,
}

/// What is moved from and to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The old target.
    pub old: String,
    /// The new one.
    pub new: String,
    /// What is released, if that has a name.
    pub release: Option<String>,
}

/// A shift: what all workers look at and count in, and where it stands.
#[derive(Debug, Default)]
pub struct Shift {
    /// What the new target takes (parts of [`WHOLE`]).
    share: AtomicU32,
    new: Tally,
    old: Tally,
    progress: Mutex<Progress>,
}

/// One of the two targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The old one.
    Old,
    /// The new one.
    New,
}

impl Shift {
    /// What the new target takes now (parts of [`WHOLE`]).
    #[inline]
    pub fn share(&self) -> u32 {
        self.share.load(Relaxed)
    }

    /// The side of a visitor with this number (below [`WHOLE`]). As the share grows, whoever is on the new side stays there.
    #[inline]
    pub fn side_of(&self, number: u32) -> Side {
        if number < self.share() { Side::New } else { Side::Old }
    }

    /// A number for a visitor who is on this side, drawn from those that are; none if there are none any more.
    pub fn number_on(&self, side: Side, random: u64) -> Option<u32> {
        let share = self.share().min(WHOLE);
        let (from, count) = match side {
            Side::New => (0, share),
            Side::Old => (share, WHOLE - share),
        };
        (count > 0).then(|| from + below(random, count))
    }

    /// Notes what became of a request of this side, as its visitor saw it.
    pub fn note(&self, side: Side, exchange: &Exchange) {
        let tally = match side {
            Side::New => &self.new,
            Side::Old => &self.old,
        };
        let record = &exchange.record;
        let failed = (record.status >= 500 && record.status != 501)
            || record.reason.starts_with("endpoint_")
            || is_failed_call(exchange);
        // Who left before there was a response has waited so long at the least.
        let micros = if record.first_byte > 0 { record.first_byte } else { record.total };
        tally.note((!failed).then_some(micros));
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number below `count` (the high half of a product; Lemire 2019).
pub fn below(random: u64, count: u32) -> u32 {
    ((u128::from(random) * u128::from(count)) >> 64) as u32
}

/// Whether the head of a response, or its trailers, say that a call of gRPC failed as an error of a server does (the codes
/// that Envoy counts as such: unknown, deadline exceeded, internal, unavailable, data loss).
fn is_failed_call(exchange: &Exchange) -> bool {
    let code = exchange.record.call.or_else(|| grpc::code(&exchange.response.fields));
    matches!(code, Some(2 | 4 | 13 | 14 | 15))
}

#[cfg(test)]
mod tests;
