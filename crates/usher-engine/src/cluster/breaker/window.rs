//! What became of a cluster's requests in the last while, over all workers.
//!
//! Ten slices of time, each with its counts; whoever comes first in a new slice empties the one that is too old. Nobody
//! waits for anybody: a request that ends in the very moment in which a slice is emptied may not be counted, which changes
//! no share that matters.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How many slices a window has.
const SLICES: u64 = 10;

/// A sliding window.
#[derive(Debug, Default)]
pub(super) struct Window([Slice; SLICES as usize]);

#[derive(Debug, Default)]
struct Slice {
    /// The number of the slice that is counted here, since the clock began; one more than it is, so that 0 is none.
    number: AtomicU64,
    requests: AtomicU32,
    failed: AtomicU32,
    slow: AtomicU32,
}

/// Requests of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub requests: u64,
    pub failed: u64,
    pub slow: u64,
}

impl Window {
    /// Counts; `now` is in milliseconds.
    pub(super) fn add(&self, counts: Counts, (now, length): (u64, Duration)) {
        let number = number(now, length);
        let Some(slice) = self.0.get((number % SLICES) as usize) else { return };
        let before = slice.number.load(Relaxed);
        if before != number && slice.number.compare_exchange(before, number, Relaxed, Relaxed).is_ok() {
            [&slice.requests, &slice.failed, &slice.slow].iter().for_each(|count| count.store(0, Relaxed));
        }
        let pairs =
            [(&slice.requests, counts.requests), (&slice.failed, counts.failed), (&slice.slow, counts.slow)];
        for (count, more) in pairs.into_iter().filter(|(_, more)| *more > 0) {
            count.fetch_add(more as u32, Relaxed);
        }
    }

    /// The sums over the window.
    pub(super) fn sum(&self, now: u64, length: Duration) -> Counts {
        let number = number(now, length);
        let mut sum = Counts::default();
        let is_recent = |slice: &&Slice| {
            let own = slice.number.load(Relaxed);
            own <= number && own + SLICES > number && own > 0
        };
        for slice in self.0.iter().filter(is_recent) {
            sum.requests += u64::from(slice.requests.load(Relaxed));
            sum.failed += u64::from(slice.failed.load(Relaxed));
            sum.slow += u64::from(slice.slow.load(Relaxed));
        }
        // What broke off later may be counted in a slice whose requests are not.
        sum.failed = sum.failed.min(sum.requests);
        sum
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.0.iter().for_each(|slice| slice.number.store(0, Relaxed));
    }
}

/// The number of the slice of a moment.
fn number(now: u64, length: Duration) -> u64 {
    let slice = (length.as_millis() as u64 / SLICES).max(1);
    now / slice + 1
}
