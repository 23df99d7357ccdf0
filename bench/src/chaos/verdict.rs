//! What became of the requests: failures by fault, and how long it took until they were answered as usual again.

use std::time::Duration;

use super::faults::Fault;
use super::load::{Kind, Outcome, Sample};
use crate::peers::Proxy;

/// Response times are looked at in pieces of this length.
pub(super) const WINDOW: Duration = Duration::from_millis(500);
/// Usual is what is below this many times the p99 of the calm …
const USUAL_TIMES: u32 = 3;
/// … or below this.
const USUAL_AT_LEAST: Duration = Duration::from_millis(50);

/// How a proxy carried a fault.
pub(super) struct Section {
    /// GET requests that were meant to be sent meanwhile.
    pub(super) gets: u64,
    /// Those of them that got no response or one that says that it failed.
    pub(super) failed: u64,
    /// Those whose response broke off.
    pub(super) cut: u64,
    pub(super) posts: u64,
    pub(super) posts_failed: u64,
    /// Of all GET.
    pub(super) p99: Duration,
    pub(super) longest: Duration,
    /// The longest time from anything that happened until the p99 was usual again.
    pub(super) recovered: Duration,
}

/// What became of everything.
pub(super) struct Told {
    pub(super) proxy: Proxy,
    pub(super) sections: Vec<Section>,
    /// By window from the end of the warm-up: p99 of GET, failed GET, GET that were cut.
    pub(super) windows: Vec<(Duration, u64, u64)>,
    /// What failed, in order.
    pub(super) failed: Vec<Sample>,
}

impl Told {
    /// GET requests, those that failed, and those that were cut.
    pub(super) fn gets(&self) -> (u64, u64, u64) {
        let sum = |what: fn(&Section) -> u64| self.sections.iter().map(what).sum();
        (sum(|one| one.gets), sum(|one| one.failed), sum(|one| one.cut))
    }

    /// The share of GET requests that were answered in full.
    pub(super) fn share(&self) -> f64 {
        let (gets, failed, cut) = self.gets();
        1.0 - (failed + cut) as f64 / gets.max(1) as f64
    }

    /// The longest time until responses were usual again, over all faults.
    pub(super) fn recovered(&self) -> Duration {
        self.sections.iter().map(|one| one.recovered).max().unwrap_or_default()
    }
}

/// Judges what was seen; the first fault is the calm.
pub(super) fn of(proxy: Proxy, faults: &[Fault], (warm_up, mut samples): (Duration, Vec<Sample>)) -> Told {
    samples.sort_unstable_by_key(|sample| sample.at);
    let mut begin = warm_up;
    let (mut sections, mut usual) = (Vec::new(), USUAL_AT_LEAST);
    for fault in faults {
        let end = begin + fault.length();
        let mut section = section(between(&samples, begin, end));
        if sections.is_empty() {
            usual = usual.max(section.p99 * USUAL_TIMES);
        }
        section.recovered = recovered(&samples, (begin, end), fault, usual);
        sections.push(section);
        begin = end;
    }
    let windows = windows(&samples, warm_up, begin).map(|part| {
        let one = self::section(part);
        (one.p99, one.failed, one.cut)
    });
    let windows = windows.collect();
    let mut failed = between(&samples, warm_up, begin).to_vec();
    failed.retain(|sample| sample.outcome != Outcome::Fine);
    Told { proxy, sections, windows, failed }
}

/// The samples of a time.
fn between(samples: &[Sample], begin: Duration, end: Duration) -> &[Sample] {
    let at = |time| samples.partition_point(|sample| sample.at < time);
    &samples[at(begin)..at(end).max(at(begin))]
}

/// The samples of a time, window by window.
fn windows(samples: &[Sample], begin: Duration, end: Duration) -> impl Iterator<Item = &[Sample]> {
    let starts = (0..).map(move |index| begin + WINDOW * index).take_while(move |start| *start < end);
    starts.map(move |start| between(samples, start, end.min(start + WINDOW)))
}

fn section(samples: &[Sample]) -> Section {
    let count = |kind, test: fn(Outcome) -> bool| {
        samples.iter().filter(|one| one.kind == kind && test(one.outcome)).count() as u64
    };
    let mut times: Vec<Duration> =
        samples.iter().filter(|one| one.kind == Kind::Get).map(|one| one.took).collect();
    times.sort_unstable();
    let rank = times.len().saturating_sub(1) * 99 / 100;
    Section {
        gets: count(Kind::Get, |_| true),
        failed: count(Kind::Get, |outcome| !matches!(outcome, Outcome::Fine | Outcome::Cut)),
        cut: count(Kind::Get, |outcome| outcome == Outcome::Cut),
        posts: count(Kind::Post, |_| true),
        posts_failed: count(Kind::Post, |outcome| outcome != Outcome::Fine),
        p99: times.get(rank).copied().unwrap_or_default(),
        longest: times.last().copied().unwrap_or_default(),
        recovered: Duration::ZERO,
    }
}

/// The longest time from anything that happened within a fault to the end of the last window whose p99 is not usual,
/// before the next thing happens.
fn recovered(
    samples: &[Sample],
    (begin, end): (Duration, Duration),
    fault: &Fault,
    usual: Duration,
) -> Duration {
    let marks: Vec<Duration> = fault.acts.iter().map(|(after, _)| begin + *after).chain([end]).collect();
    let after = |mark: &[Duration]| {
        let parts = windows(samples, mark[0], mark[1]);
        let last = parts.enumerate().filter(|(_, part)| section(part).p99 > usual).last();
        last.map_or(Duration::ZERO, |(index, _)| {
            let windows = u32::try_from(index + 1).unwrap_or(u32::MAX);
            WINDOW.saturating_mul(windows).min(mark[1] - mark[0])
        })
    };
    marks.windows(2).map(after).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::faults;
    use super::*;

    /// A request each 10 ms; those between the two times are slow.
    fn samples(seconds: u64, slow: (u64, u64)) -> Vec<Sample> {
        let sample = |number: u64| {
            let at = Duration::from_millis(number * 10);
            let is_slow = (slow.0..slow.1).contains(&(number * 10));
            let took = Duration::from_millis(if is_slow { 900 } else { 3 });
            Sample { number, at, took, kind: Kind::Get, outcome: Outcome::Fine }
        };
        (0..seconds * 100).map(sample).collect()
    }

    #[test]
    fn recovers_when_the_last_slow_window_ends() {
        let faults = faults::named(&["killed".to_owned()]).unwrap();
        let warm_up = Duration::from_secs(3);
        // The kill is at 9 s, the start at 17 s.
        for (slow, expected) in
            [((0, 0), 0), ((9_000, 9_100), 500), ((9_000, 10_200), 1_500), ((17_000, 17_900), 1_000)]
        {
            let told = of(Proxy::Usher, &faults, (warm_up, samples(30, slow)));
            assert_eq!(told.recovered(), Duration::from_millis(expected), "{slow:?}");
            assert_eq!(told.sections[0].recovered, Duration::ZERO);
        }
    }

    #[test]
    fn counts_what_failed_and_what_was_cut() {
        let mut all = samples(30, (0, 0));
        // In the warm-up, in the calm, and in the fault.
        for (number, outcome) in [
            (10, Outcome::Closed),
            (400, Outcome::Status(502)),
            (1000, Outcome::Cut),
            (1001, Outcome::TimedOut),
        ] {
            all[number].outcome = outcome;
        }
        all[1002].kind = Kind::Post;
        let faults = faults::named(&["killed".to_owned()]).unwrap();
        let told = of(Proxy::Usher, &faults, (Duration::from_secs(3), all));
        assert_eq!(told.gets(), (1899, 2, 1));
        assert_eq!((told.sections[0].failed, told.sections[1].failed, told.sections[1].cut), (1, 1, 1));
        assert_eq!((told.sections[1].posts, told.sections[1].posts_failed), (1, 0));
        assert_eq!(told.failed.len(), 3);
        assert_eq!(told.windows.iter().map(|(_, failed, cut)| failed + cut).sum::<u64>(), 3);
    }
}
