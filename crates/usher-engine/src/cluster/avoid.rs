//! Endpoints that could not be connected to are avoided for a while.
//!
//! Without that, every request whose turn is a dead endpoint's pays for the discovery: a refusal at best, the whole
//! connect timeout if the host is gone. nginx does the same (`max_fails=1 fail_timeout=10s` is its default). When the
//! time is up one request tries, and the others go on avoiding it until that one knows.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::Candidate;

/// After the first failure an endpoint is avoided for so long, twice as long after each that follows …
const FIRST: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST: Duration = Duration::from_secs(10);

/// What is remembered of an endpoint's failures.
#[derive(Default)]
pub(super) struct Avoided {
    /// Failures in a row; 0 while all is well.
    failures: Cell<u32>,
    /// Somebody was let through to find out; whoever else fails meanwhile began before.
    tried: Cell<bool>,
    until: Cell<Option<Instant>>,
}

impl Avoided {
    /// Whether the last try failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failures.get() > 0
    }

    /// Whether others are to be preferred now.
    pub(super) fn is_avoided(&self, now: Instant) -> bool {
        self.until.get().is_some_and(|until| now < until)
    }

    /// It was chosen: if it was avoided before, nobody else shall try until it is known what became of this.
    /// True if so: what becomes of this request says whether it goes on.
    pub(super) fn is_tried(&self) -> bool {
        if self.is_failing() {
            self.until.set(Some(Instant::now() + LONGEST));
            self.tried.set(true);
        }
        self.is_failing()
    }

    /// A connection was made. True if that is news.
    pub(super) fn succeeded(&self) -> bool {
        self.tried.set(false);
        self.until.set(None);
        self.failures.replace(0) > 0
    }

    /// None was. True if that is news.
    pub(super) fn failed(&self) -> bool {
        let before = self.failures.get();
        // Those that were under way together fail together: that is one failure.
        if before > 0 && !self.tried.take() && self.is_avoided(Instant::now()) {
            return false;
        }
        self.failures.set(before.saturating_add(1));
        let pause = FIRST.saturating_mul(1 << before.min(8)).min(LONGEST);
        self.until.set(Some(Instant::now() + pause));
        before == 0
    }
}

/// Passes over those who are avoided, unless nobody else is left; gives how many stay usable.
pub(super) fn pass_over(
    candidates: &mut [Candidate],
    usable: usize,
    is_avoided: impl Fn(usize) -> bool,
) -> usize {
    let avoided = |(index, candidate): &(usize, &Candidate)| candidate.usable && is_avoided(*index);
    let left = usable - candidates.iter().enumerate().filter(avoided).count();
    if left == 0 {
        return usable;
    }
    for (_, candidate) in candidates.iter_mut().enumerate().filter(|(index, _)| is_avoided(*index)) {
        candidate.usable = false;
    }
    left
}

#[cfg(test)]
mod tests;
