//! Outlier detection: endpoints that do worse than they may are left out for a while.
//!
//! Failures in a row are counted where they happen, over all workers, and take an endpoint out at once. Rates and times
//! are looked at now and then by a thread of the control plane ([`OutlierWatch`]), which also lets endpoints in again.
//! As in Envoy, each ejection of the same endpoint lasts longer, and only so many may be out at once: when everybody
//! fails, it is not the endpoint.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use usher_api::standing::{Out, Standing};
use usher_config::config::Outliers;

use crate::snapshot::ClusterSpec;

/// Who has too few requests to be judged in an interval has this many: a balancer that looks at times sends a slow endpoint
/// next to none, and that shall not be what keeps it in.
const MOST_INTERVALS: u32 = 10;

/// Notes what became of a request: the time to its first byte (microseconds), none if it failed.
pub(super) fn note(
    spec: &ClusterSpec,
    address: impl Fn() -> String,
    standing: &Standing,
    micros: Option<u64>,
) {
    let Some(limits) = &spec.outliers else { return };
    let tally = &standing.tally;
    tally.requests.fetch_add(1, Relaxed);
    if let Some(micros) = micros {
        tally.micros.fetch_add(micros, Relaxed);
        if tally.in_a_row.load(Relaxed) > 0 {
            tally.in_a_row.store(0, Relaxed);
        }
        return;
    }
    tally.failed.fetch_add(1, Relaxed);
    let in_a_row = tally.in_a_row.fetch_add(1, Relaxed).saturating_add(1);
    // At each multiple only: where nobody more may be left out, an outage shall not be looked at with every request.
    if limits.failures > 0 && in_a_row.is_multiple_of(limits.failures) && !standing.is(Out::Ejected) {
        let now = spec.standings.millis(tokio::time::Instant::now().into_std());
        let why = format!("{in_a_row} failures in a row");
        eject(spec, (&address(), standing), &why, now);
    }
}

/// Notes that another endpoint answered before this one, which had so long (microseconds): how slow it is, but not that it
/// did its work.
pub(super) fn note_slow(spec: &ClusterSpec, standing: &Standing, micros: u64) {
    if spec.outliers.is_some() {
        standing.tally.requests.fetch_add(1, Relaxed);
        standing.tally.outrun.fetch_add(1, Relaxed);
        standing.tally.micros.fetch_add(micros, Relaxed);
    }
}

/// Leaves an endpoint out, unless too many are out already.
fn eject(spec: &ClusterSpec, (address, standing): (&str, &Standing), why: &str, now: u64) {
    let Some(limits) = spec.outliers.as_ref().filter(|_| !standing.is(Out::Ejected)) else { return };
    let all = spec.standings.present();
    let out = all.iter().filter(|(_, one)| one.is(Out::Ejected)).count() as u64;
    if out >= most(all.len() as u64, limits) {
        return;
    }
    let (until, times) = &standing.ejected;
    let length =
        limits.ejection.saturating_mul(times.load(Relaxed).saturating_add(1)).min(limits.max_ejection);
    until.store(now.saturating_add(length.as_millis() as u64), Relaxed);
    if spec.standings.set(standing, Out::Ejected, true, now) {
        times.fetch_add(1, Relaxed);
        standing.tally.in_a_row.store(0, Relaxed);
        spec.standings
            .tell(format!("endpoint {address} of cluster {} is left out for {length:?}: {why}", spec.name));
    }
}

/// How many may be left out at once.
fn most(all: u64, limits: &Outliers) -> u64 {
    let share = all * u64::from(limits.max_ejected.millionths()) / 1_000_000;
    if all > 1 && limits.max_ejected.millionths() > 0 { share.max(1) } else { share }
}

/// Looks at the endpoints of all clusters now and then.
#[derive(Default)]
pub struct OutlierWatch {
    /// When rates and times of a cluster are looked at next ([`usher_api::standing::Standings::millis`]).
    next: HashMap<Arc<str>, u64>,
}

impl OutlierWatch {
    /// How often [`look`](Self::look) wants to be called.
    pub const EVERY: Duration = Duration::from_millis(250);

    /// Lets endpoints in whose time is over, takes those out that do worse than they may, and gives the lines that are to
    /// be logged.
    pub fn look(&mut self, clusters: &[Arc<ClusterSpec>], now: Instant) -> Vec<String> {
        // Parts of a cluster share what is known of their endpoints with the whole, which comes first.
        let mut seen = HashSet::new();
        let wholes: Vec<_> =
            clusters.iter().filter(|spec| seen.insert(Arc::as_ptr(&spec.standings))).collect();
        let watched = || wholes.iter().filter_map(|spec| Some((*spec, spec.outliers.as_ref()?)));
        self.next.retain(|name, _| watched().any(|(spec, _)| spec.name == *name));
        // Also where outliers are no longer looked for: nobody else would let those in that are out.
        wholes.iter().for_each(|spec| let_in(spec, spec.standings.millis(now)));
        for (spec, limits) in watched() {
            let now = spec.standings.millis(now);
            let all = spec.standings.present();
            let interval = limits.interval.as_millis() as u64;
            let next = self.next.entry(spec.name.clone()).or_insert(now + interval);
            if now >= *next {
                *next = now + interval;
                judge(spec, limits, &all, now);
            }
        }
        wholes.iter().flat_map(|spec| spec.standings.news()).collect()
    }
}

/// Lets those in whose time is over, or whose cluster leaves nobody out any more.
fn let_in(spec: &ClusterSpec, now: u64) {
    for (address, standing) in spec.standings.present().iter().filter(|(_, one)| one.is(Out::Ejected)) {
        let is_over = spec.outliers.is_none() || standing.ejected.0.load(Relaxed) <= now;
        // What was before, and what is still coming in of it, does not count against it.
        Interval::skip(standing);
        if is_over && spec.standings.set(standing, Out::Ejected, false, now) {
            spec.standings.tell(format!("endpoint {address} of cluster {} is asked again", spec.name));
        }
    }
}

/// What the requests of an interval, or of some, say about an endpoint.
struct Interval {
    requests: u64,
    failed: u64,
    outrun: u64,
    micros: u64,
}

impl Interval {
    /// None where there is too little to say anything: it goes on.
    fn take(standing: &Standing, limits: &Outliers) -> Option<Self> {
        let tally = &standing.tally;
        let looks = tally.looks.fetch_add(1, Relaxed).saturating_add(1);
        if tally.requests.load(Relaxed) < limits.min_requests && looks < MOST_INTERVALS {
            return None;
        }
        tally.looks.store(0, Relaxed);
        let own = Self {
            requests: tally.requests.swap(0, Relaxed).into(),
            failed: tally.failed.swap(0, Relaxed).into(),
            outrun: tally.outrun.swap(0, Relaxed).into(),
            micros: tally.micros.swap(0, Relaxed),
        };
        let mean = own.mean().filter(|_| own.is_enough(limits));
        tally.mean.store(mean.map_or(0, |mean| mean.max(1)), Relaxed);
        Some(own)
    }

    /// Forgets what there is.
    fn skip(standing: &Standing) {
        let tally = &standing.tally;
        for count in [&tally.looks, &tally.requests, &tally.failed, &tally.outrun, &tally.in_a_row] {
            count.store(0, Relaxed);
        }
        tally.micros.store(0, Relaxed);
        tally.mean.store(0, Relaxed);
    }

    fn is_enough(&self, limits: &Outliers) -> bool {
        self.requests >= u64::from(limits.min_requests)
    }

    /// How long a response takes to begin, on average (microseconds): the time that all were waited for, by those that came.
    /// Of one that was given up it is known only that it took longer; that way it counts as much as it should (the
    /// maximum likelihood for censored times; without it, second tries would hide what they make up for).
    fn mean(&self) -> Option<u64> {
        let answered = self.requests.saturating_sub(self.failed + self.outrun);
        self.micros.checked_div(if self.outrun > 0 { answered.max(1) } else { answered })
    }
}

/// Takes those out that failed too often or took too long.
fn judge(spec: &ClusterSpec, limits: &Outliers, all: &[(String, Arc<Standing>)], now: u64) {
    let intervals: Vec<_> = all.iter().map(|(_, standing)| Interval::take(standing, limits)).collect();
    // Not everybody's interval ends now: of the others, the last one counts.
    let means: Vec<u64> = all
        .iter()
        .map(|(_, one)| if one.is(Out::Ejected) { 0 } else { one.tally.mean.load(Relaxed) })
        .collect();
    for (index, ((address, standing), own)) in all.iter().zip(&intervals).enumerate() {
        let Some(own) = own else { continue };
        match verdict(own, usual(&means, index), limits) {
            Some(why) => eject(spec, (address, standing), &why, now),
            None if !standing.is(Out::Ejected) && own.requests > 0 && own.failed == 0 => {
                // A good interval makes up for one ejection.
                let times = &standing.ejected.1;
                times.store(times.load(Relaxed).saturating_sub(1), Relaxed);
            }
            None => {}
        }
    }
}

/// What the others but this one take on average (microseconds), as far as it is known (not 0).
fn usual(means: &[u64], index: usize) -> Option<u64> {
    let others = means.iter().enumerate().filter(|(other, mean)| *other != index && **mean > 0);
    let (sum, count) = others.fold((0, 0), |(sum, count), (_, mean)| (sum + mean, count + 1));
    u64::checked_div(sum, count)
}

/// Why an endpoint is to be left out; `usual` is the mean time of the others (microseconds).
fn verdict(own: &Interval, usual: Option<u64>, limits: &Outliers) -> Option<String> {
    if !own.is_enough(limits) {
        return None;
    }
    let Interval { requests, failed, .. } = own;
    let rate = u64::from(limits.failure_rate.millionths());
    if *failed > 0 && failed * 1_000_000 >= requests * rate && rate < 1_000_000 {
        return Some(format!("{failed} of {requests} requests failed"));
    }
    let (mean, usual) = (own.mean()?, usual?);
    let slow = limits.slower_than > 0 && mean > usual.saturating_mul(limits.slower_than.into());
    slow.then(|| {
        let (mean, usual) = (mean as f64 / 1e3, usual as f64 / 1e3);
        format!("responses begin after {mean:.1} ms, those of the others after {usual:.1} ms")
    })
}

#[cfg(test)]
mod tests;
