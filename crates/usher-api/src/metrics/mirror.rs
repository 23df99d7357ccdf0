//! What becomes of copies of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// How a copy ended, or why there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorOutcome {
    /// It was answered, with a status below 500.
    Answered,
    /// It was answered with a status from 500 on.
    AnsweredError,
    /// There was no endpoint for it, or the connection failed.
    Failed,
    /// Its cluster took the body slower than it came, by more than the buffer holds.
    Slow,
    /// It took longer than it may in all.
    Timeout,
    /// The request itself was not completed, or its endpoint did not want all of it.
    Incomplete,
    /// There were as many copies under way as may be.
    TooMany,
    /// The body was in memory already, and larger than the buffer.
    TooLarge,
}

impl MirrorOutcome {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::AnsweredError,
        Self::Failed,
        Self::Slow,
        Self::Timeout,
        Self::Incomplete,
        Self::TooMany,
        Self::TooLarge,
    ];

    /// The name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::AnsweredError => "answered_5xx",
            Self::Failed => "failed",
            Self::Slow => "slow",
            Self::Timeout => "timeout",
            Self::Incomplete => "incomplete",
            Self::TooMany => "too_many",
            Self::TooLarge => "too_large",
        }
    }
}

/// What became of the copies of one mirror: counted by all workers, as there are few of them.
#[derive(Debug, Default)]
pub struct MirrorMetrics {
    in_flight: AtomicU32,
    outcomes: [AtomicU64; MirrorOutcome::ALL.len()],
}

/// A mirror whose numbers are shown.
#[derive(Clone, Debug)]
pub struct ShownMirror {
    /// The route.
    pub route: Arc<str>,
    /// The cluster that is sent copies.
    pub cluster: Arc<str>,
    /// The numbers.
    pub metrics: Arc<MirrorMetrics>,
}

/// A copy that is under way; until this is dropped.
#[derive(Debug)]
pub struct MirrorPlace(Arc<MirrorMetrics>);

impl MirrorMetrics {
    /// A place for one more copy, unless there are as many as may be.
    pub fn place(self: &Arc<Self>, most: u32) -> Option<MirrorPlace> {
        let one_more = |count: u32| (count < most).then_some(count + 1);
        self.in_flight.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(MirrorPlace(self.clone()))
    }

    /// A copy ended so, or did not begin.
    pub fn ended(&self, outcome: MirrorOutcome) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Copies under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// How many ended so.
    pub fn of(&self, outcome: MirrorOutcome) -> u64 {
        self.outcomes.get(outcome as usize).map_or(0, |counter| counter.load(Relaxed))
    }
}

impl Drop for MirrorPlace {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}
