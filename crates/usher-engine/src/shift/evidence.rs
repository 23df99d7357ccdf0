//! Whether one side does significantly worse than the other, and how sure that is.
//!
//! Both tests are exact and know no distribution. **Failures**: Fisher's exact test of two proportions, one-sided (Fisher,
//! "The Design of Experiments", 1935). **Times**: an upper confidence bound of the old side's 99th percentile from its order
//! statistics (Hahn and Meeker, "Statistical Intervals", 1991, section 5.2); what is tolerated is added; then a binomial
//! test of how many requests of the new side took longer than that, of which there would be one in a hundred.
//!
//! They are repeated as requests come. Who looks often enough sees everything once, so each look may err less than the one
//! before: look number k with probability a / (k (k + 1)), which adds up to a over any number of looks (a union bound).
//! When there is a look depends on how many requests there were, never on what came of them.

use super::tally::Counts;

/// The quantile that is compared.
const BEYOND: f64 = 0.01;
/// Terms of a sum below this share of it are left out.
const NEGLIGIBLE: f64 = 1e-12;

/// How much worse is tolerated, however certain it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// So much more of all requests may fail (0 to 1).
    pub failures: f64,
    /// The 99th percentile may be so much longer (microseconds).
    pub micros: u64,
    /// As above, as a share of the other side's (0 to 1).
    pub share: f64,
}

/// In which way a side does worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worse {
    /// More of its requests fail.
    Failures,
    /// Its slowest responses take longer.
    Times,
}

/// What one look found.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Requests, and those of them that failed: of the new side, and of the old one.
    pub requests: ((u64, u64), (u64, u64)),
    /// The 99th percentiles (microseconds), rounded up to a sixteenth.
    pub p99: (Option<u64>, Option<u64>),
    /// How probable it is that the new side fails so much more often by chance.
    pub failures_by_chance: f64,
    /// What would be tolerated of the new side's 99th percentile (microseconds), how many of its requests took longer, and
    /// how probable that is by chance; none where the old side had too few requests.
    pub times: Option<(u64, u64, f64)>,
    /// Less than this counts at this look, in either way.
    pub level: f64,
    /// What counts.
    pub worse: Option<Worse>,
}

/// Which probability counts at a look, by its number from 1 on, so that all looks together err with less than `false_alarms`.
pub(super) fn level(false_alarms: f64, look: u32) -> f64 {
    let look = f64::from(look.max(1));
    false_alarms / (look * (look + 1.0)) / 2.0
}

/// Compares two sides over the same period. `level` is for each of the two ways to do worse.
pub(super) fn compare(new: &Counts, old: &Counts, tolerance: &Tolerance, level: f64) -> Evidence {
    let failures_by_chance = fisher((new.failed, new.requests), (old.failed, old.requests));
    let rate = |side: &Counts| side.failed as f64 / side.requests.max(1) as f64;
    let fails = failures_by_chance <= level && rate(new) - rate(old) > tolerance.failures;
    // Half for where the old side's percentile is, half for what the new one does beyond.
    let times = bound(old, level / 2.0).map(|bound| {
        let limit = bound.saturating_add(tolerance.micros.max((bound as f64 * tolerance.share) as u64));
        let beyond = new.at_least(limit.saturating_add(1));
        (limit, beyond, binomial_tail(new.timed(), BEYOND, beyond))
    });
    let slow = times.is_some_and(|(_, _, chance)| chance <= level / 2.0);
    let worse = fails.then_some(Worse::Failures).or(slow.then_some(Worse::Times));
    let requests = ((new.requests, new.failed), (old.requests, old.failed));
    let p99 = (new.p99(), old.p99());
    Evidence { requests, p99, failures_by_chance, times, level, worse }
}

/// A time that is shorter than the side's 99th percentile with this probability at most; none if there are too few requests
/// to say so.
fn bound(side: &Counts, error: f64) -> Option<u64> {
    let count = side.timed();
    // With so many requests beyond it or fewer, a time is at least the percentile but for this probability: P(B <= m).
    let certain = |beyond: u64| binomial_tail(count, 1.0 - BEYOND, count - beyond) <= error;
    if count == 0 || !certain(0) {
        return None;
    }
    let (mut low, mut high) = (0, (count as f64 * BEYOND) as u64 + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if certain(middle) { low = middle } else { high = middle }
    }
    side.all_but(low)
}

/// How probable it is that so many of the failures of both sides, or more, are among the new side's requests by chance, if both
/// fail equally often: the upper tail of the hypergeometric distribution.
fn fisher((failed, requests): (u64, u64), (others_failed, others): (u64, u64)) -> f64 {
    let (all, all_failed) = (requests + others, failed + others_failed);
    if all == 0 || failed == 0 {
        return 1.0;
    }
    let mean = all_failed as f64 * requests as f64 / all as f64;
    if failed as f64 <= mean {
        return 1.0;
    }
    let first = ln_choose(requests, failed) + ln_choose(others, others_failed) - ln_choose(all, all_failed);
    let ratio = |at: u64| {
        let up = (requests - at) as f64 * (all_failed - at) as f64;
        let stays = others as f64 - (all_failed - at) as f64;
        up / ((at + 1) as f64 * (stays + 1.0))
    };
    tail(first, (failed, requests.min(all_failed)), ratio)
}

/// How probable it is that a thing of this probability happens so often or more, of so many times.
fn binomial_tail(times: u64, probability: f64, least: u64) -> f64 {
    if least == 0 || least as f64 <= times as f64 * probability {
        return 1.0;
    }
    if least > times {
        return 0.0;
    }
    let odds = probability / (1.0 - probability);
    let rest = (times - least) as f64 * (-probability).ln_1p();
    let first = ln_choose(times, least) + least as f64 * probability.ln() + rest;
    tail(first, (least, times), |at| (times - at) as f64 / (at + 1) as f64 * odds)
}

/// Adds up terms from one beyond the mean to the last: there each is smaller than the one before, by `ratio`.
fn tail(ln_first: f64, (from, to): (u64, u64), ratio: impl Fn(u64) -> f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for at in from..to {
        term *= ratio(at);
        sum += term;
        if term < sum * NEGLIGIBLE {
            break;
        }
    }
    (ln_first + f64::ln(sum)).exp().min(1.0)
}

fn ln_choose(of: u64, chosen: u64) -> f64 {
    ln_factorial(of) - ln_factorial(chosen) - ln_factorial(of - chosen.min(of))
}

/// The logarithm of n!, by the series of Stirling (Abramowitz and Stegun 6.1.41).
fn ln_factorial(n: u64) -> f64 {
    if n < 20 {
        return (2..=n).map(|factor| (factor as f64).ln()).sum();
    }
    let x = n as f64 + 1.0;
    let half_ln_tau = 0.5 * std::f64::consts::TAU.ln();
    (x - 0.5) * x.ln() - x + half_ln_tau + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3))
}

#[cfg(test)]
mod tests;
