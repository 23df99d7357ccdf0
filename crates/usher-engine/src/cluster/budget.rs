//! How many requests may be sent again, of all that go to a cluster.
//!
//! Without a bound, each request to a cluster that is overloaded becomes several, which is what keeps it so. As in
//! Finagle and Linkerd, retries may be a share of the requests of the last seconds, and a few more for clusters that get
//! hardly any. An allowance per request (its `tries`) does not bound that; both hold.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use usher_config::config::{HedgeAfter, RetryBudget};
use usher_config::value::Percent;

use super::Cluster;
use super::latency::Latency;

/// How long requests are remembered (seconds).
const WINDOW: u64 = 10;

/// What one worker remembers of a cluster to decide what is sent again.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    retries: Budget,
    hedges: Budget,
    latency: Latency,
}

/// What one worker's requests to one cluster did in the last seconds.
#[derive(Debug, Default)]
struct Budget {
    /// The second that is counted now, on the worker's clock.
    now: Cell<u64>,
    /// Requests, and retries, by second.
    seconds: RefCell<[(u32, u32); WINDOW as usize]>,
}

impl Budget {
    /// Counts a request; `millis` is the worker's clock.
    #[inline]
    fn asked(&self, millis: u64) {
        let slot = self.turn(millis);
        let asked = &mut self.seconds.borrow_mut()[slot].0;
        *asked = asked.saturating_add(1);
    }

    /// Counts a retry, if there may be one more.
    fn take(&self, settings: &RetryBudget, millis: u64) -> bool {
        let slot = self.turn(millis);
        let mut seconds = self.seconds.borrow_mut();
        let asked: u64 = seconds.iter().map(|(asked, _)| u64::from(*asked)).sum();
        let again: u64 = seconds.iter().map(|(_, again)| u64::from(*again)).sum();
        let share = asked * u64::from(settings.share.millionths()) / 1_000_000;
        if again >= share + u64::from(settings.per_second) * WINDOW {
            return false;
        }
        seconds[slot].1 += 1;
        true
    }

    /// Takes back what was counted last: there was nobody to be asked.
    fn give_back(&self) {
        let again = &mut self.seconds.borrow_mut()[(self.now.get() % WINDOW) as usize].1;
        *again = again.saturating_sub(1);
    }

    /// The place of this second; forgets those that are too old.
    fn turn(&self, millis: u64) -> usize {
        let now = millis / 1000;
        let before = self.now.replace(now);
        if now != before {
            let mut seconds = self.seconds.borrow_mut();
            for second in (before + 1..=now).rev().take(WINDOW as usize) {
                seconds[(second % WINDOW) as usize] = (0, 0);
            }
        }
        (now % WINDOW) as usize
    }
}

impl<S> Cluster<S> {
    /// Whether there are more endpoints than so many.
    pub(crate) fn has_more_than(&self, tried: usize) -> bool {
        self.state.borrow().endpoints.len() > tried
    }

    /// A request goes to the cluster; `millis` is the worker's clock.
    #[inline]
    pub(crate) fn asked(&self, millis: u64) {
        self.repeats.retries.asked(millis);
    }

    /// Whether the budget has room for one more retry, which is counted then.
    pub(crate) fn may_ask_again(&self, millis: u64) -> bool {
        self.repeats.retries.take(&self.spec.retry_budget, millis)
    }

    /// The retry that was counted last is not made.
    pub(crate) fn did_not_ask_again(&self) {
        self.repeats.retries.give_back();
    }

    /// A request goes to the cluster for which there may be a second try.
    pub(crate) fn hedgeable(&self, millis: u64) {
        self.repeats.hedges.asked(millis);
    }

    /// Whether there may be one more second try, which is counted then.
    pub(crate) fn may_hedge(&self, max: Percent, millis: u64) -> bool {
        self.repeats.hedges.take(&RetryBudget { share: max, per_second: 0 }, millis)
    }

    /// How long a first try may take before there is a second one; none if that is not known yet.
    pub(crate) fn hedge_after(&self, after: HedgeAfter) -> Option<Duration> {
        match after {
            HedgeAfter::Time(time) => Some(time),
            HedgeAfter::Percentile(percent) => self.repeats.latency.percentile(percent),
        }
    }

    /// A response took so long to begin.
    pub(crate) fn note_latency(&self, took: Duration) {
        self.repeats.latency.note(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(share: u8, per_second: u32) -> RetryBudget {
        RetryBudget { share: Percent::of(share), per_second }
    }

    /// How many may be sent again at once.
    fn left(budget: &Budget, settings: &RetryBudget, millis: u64) -> usize {
        (0..100_000).take_while(|_| budget.take(settings, millis)).count()
    }

    #[test]
    fn is_a_share_of_the_requests_and_a_few_more() {
        for (share, per_second, asked, expected) in
            [(20, 3, 1000, 230), (20, 0, 1000, 200), (0, 3, 1000, 30), (20, 3, 0, 30), (0, 0, 1000, 0)]
        {
            let budget = Budget::default();
            (0..asked).for_each(|number| budget.asked(number * 5));
            assert_eq!(left(&budget, &settings(share, per_second), 5_000), expected, "{share}% {per_second}");
        }
    }

    #[test]
    fn forgets_after_ten_seconds() {
        let (budget, settings) = (Budget::default(), settings(10, 0));
        (0..100).for_each(|_| budget.asked(500));
        assert_eq!(left(&budget, &settings, 600), 10);
        // What was asked and what was sent again is forgotten together.
        (0..50).for_each(|_| budget.asked(5_000));
        assert_eq!(left(&budget, &settings, 9_999), 5);
        assert_eq!(left(&budget, &settings, 10_000), 0);
        assert_eq!(left(&budget, &settings, 3_600_000), 0);
        (0..20).for_each(|_| budget.asked(3_600_000));
        assert_eq!(left(&budget, &settings, 3_601_000), 2);
    }
}
