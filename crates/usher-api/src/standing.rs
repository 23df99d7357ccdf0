//! How endpoints stand: what the whole process knows of each, beside what one worker sees.
//!
//! Written by whoever finds something out (probes, outlier detection, an administrator, a worker whose request failed);
//! read by every worker, which looks at one number per choice and at the rest only when that has changed. It outlives
//! reloads, so that an endpoint that was taken out stays out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Why an endpoint takes no new requests; several may hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Out {
    /// Probes fail.
    Unhealthy = 1,
    /// It failed more often, or took longer, than it may.
    Ejected = 2,
    /// An administrator wants it to finish what it has. Sticky visitors still go there.
    Draining = 4,
    /// An administrator wants it to get nothing.
    Disabled = 8,
}

impl Out {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Unhealthy, Self::Ejected, Self::Draining, Self::Disabled];

    /// One word for logs, metrics and the admin API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}

/// Lines that wait to be logged.
const MAX_NEWS: usize = 256;

/// How long an endpoint that has left is remembered (milliseconds): a name that has more addresses than one answer holds
/// names others each time.
const REMEMBERED: u64 = 600_000;
/// Endpoints of a cluster that have left and are remembered; those that left last.
const MAX_REMEMBERED: usize = 1024;

/// No weight was set at run time.
const NO_WEIGHT: u32 = u32::MAX;

/// What is known of one endpoint.
#[derive(Debug)]
pub struct Standing {
    out: AtomicU32,
    /// In place of the configured one.
    weight: AtomicU32,
    /// Since when it takes requests again ([`Standings::millis`]); 0 from the beginning.
    fresh_since: AtomicU64,
    /// What its requests say about it, where that is looked at.
    pub tally: Tally,
    /// Until when it is left out ([`Standings::millis`]), and how often it was of late.
    pub ejected: (AtomicU64, AtomicU32),
    /// Requests under way, over all workers; counted where a limit needs it.
    pub in_flight: AtomicU32,
}

/// What became of an endpoint's requests, over all workers.
#[derive(Debug, Default)]
pub struct Tally {
    /// Failed requests in a row.
    pub in_a_row: AtomicU32,
    /// How often it was looked at since it was last judged.
    pub looks: AtomicU32,
    /// Requests since it was last judged.
    pub requests: AtomicU32,
    /// Those of them that failed.
    pub failed: AtomicU32,
    /// Those of them that were given up, as another endpoint had answered before: neither failed nor answered.
    pub outrun: AtomicU32,
    /// The time to the first byte of those that did not fail, and of those given up until then, summed up (microseconds).
    pub micros: AtomicU64,
    /// What that was on average when it was last judged with enough requests (microseconds); 0 if it never was.
    pub mean: AtomicU64,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            out: AtomicU32::new(0),
            weight: AtomicU32::new(NO_WEIGHT),
            fresh_since: AtomicU64::new(0),
            tally: Tally::default(),
            ejected: Default::default(),
            in_flight: AtomicU32::new(0),
        }
    }
}

impl Standing {
    /// Whether this reason holds.
    pub fn is(&self, why: Out) -> bool {
        self.out.load(Ordering::Relaxed) & why as u32 != 0
    }

    /// Whether it takes new requests.
    pub fn is_in(&self) -> bool {
        self.out.load(Ordering::Relaxed) == 0
    }

    /// Why it takes none; empty if it does.
    pub fn reasons(&self) -> impl Iterator<Item = Out> + use<> {
        let out = self.out.load(Ordering::Relaxed);
        Out::ALL.into_iter().filter(move |why| out & *why as u32 != 0)
    }

    /// The weight that was set at run time.
    pub fn weight(&self) -> Option<u32> {
        Some(self.weight.load(Ordering::Relaxed)).filter(|weight| *weight != NO_WEIGHT)
    }

    /// Since when it takes requests again ([`Standings::millis`]); None: from the beginning.
    pub fn fresh_since(&self) -> Option<u64> {
        Some(self.fresh_since.load(Ordering::Relaxed)).filter(|since| *since != 0)
    }
}

/// What is known of the endpoints of one cluster.
#[derive(Debug)]
pub struct Standings {
    /// When its clock began.
    epoch: Instant,
    /// Grows with every change.
    version: AtomicU64,
    /// What happened and nobody has told yet.
    news: Mutex<Vec<String>>,
    endpoints: Mutex<HashMap<String, Known>>,
}

/// An endpoint that somebody asked for.
#[derive(Debug, Default)]
struct Known {
    standing: Arc<Standing>,
    /// When it left, if it is not there ([`Standings::millis`]).
    left: Option<u64>,
    /// It is not remembered when it leaves.
    is_over: bool,
}

impl Known {
    /// Whether more than a memory depends on it: what an administrator wants, or requests.
    fn is_held(&self) -> bool {
        let standing = &self.standing;
        let by_hand = standing.weight().is_some() || standing.is(Out::Draining) || standing.is(Out::Disabled);
        by_hand || standing.in_flight.load(Ordering::SeqCst) > 0
    }
}

impl Default for Standings {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            version: AtomicU64::new(1),
            news: Mutex::default(),
            endpoints: Mutex::default(),
        }
    }
}

impl Standings {
    /// A moment on its clock (milliseconds).
    pub fn millis(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_millis() as u64
    }

    /// A number that differs after every change.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What is known of an endpoint, by its address as text; begins with nothing.
    pub fn of(&self, address: &str) -> Arc<Standing> {
        let mut endpoints = self.lock();
        match endpoints.get(address) {
            Some(known) => known.standing.clone(),
            None => endpoints.entry(address.to_owned()).or_default().standing.clone(),
        }
    }

    /// Notes at `now` ([`Self::millis`]) that only endpoints are there for which `stays` is true. The others are remembered
    /// for ten minutes, and longer where an administrator wants something of them or they have requests: a name may
    /// leave out an address for a moment.
    pub fn retain(&self, now: u64, stays: impl Fn(&str) -> bool) {
        let mut endpoints = self.lock();
        let mut left = Vec::new();
        endpoints.retain(|address, known| {
            if stays(address) {
                (known.left, known.is_over) = (None, false);
                return true;
            }
            let since = *known.left.get_or_insert(now);
            let is_held = known.is_held();
            let is_remembered = !known.is_over && now.saturating_sub(since) < REMEMBERED;
            if !is_held && is_remembered {
                left.push((since, address.clone()));
            }
            is_held || is_remembered
        });
        if let Some(more) = left.len().checked_sub(MAX_REMEMBERED) {
            left.sort_unstable();
            for (_, address) in left.iter().take(more) {
                endpoints.remove(address);
            }
        }
    }

    /// When this endpoint leaves now, it is not remembered: if it comes back, it is a new one.
    pub fn forget(&self, address: &str) {
        if let Some(known) = self.lock().get_mut(address) {
            known.is_over = true;
        }
    }

    /// Every endpoint that is known, by address, also those that have left.
    pub fn all(&self) -> Vec<(String, Arc<Standing>)> {
        self.those(|_| true)
    }

    /// Every endpoint that is there, by address.
    pub fn present(&self) -> Vec<(String, Arc<Standing>)> {
        self.those(|known| known.left.is_none())
    }

    fn those(&self, is_meant: impl Fn(&Known) -> bool) -> Vec<(String, Arc<Standing>)> {
        let endpoints = self.lock();
        let meant = endpoints.iter().filter(|(_, known)| is_meant(known));
        let mut all: Vec<_> =
            meant.map(|(address, known)| (address.clone(), known.standing.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets whether a reason holds; true if that is news. An endpoint whose last reason goes is fresh from `now` on
    /// ([`Standings::millis`]).
    pub fn set(&self, standing: &Standing, why: Out, holds: bool, now: u64) -> bool {
        let is_news = self.set_silently(standing, why, holds, now);
        if is_news {
            self.changed();
        }
        is_news
    }

    /// The same, where workers are about to be told more than that: they look when something is told to have
    /// [`changed`](Self::changed).
    pub fn set_silently(&self, standing: &Standing, why: Out, holds: bool, now: u64) -> bool {
        let bit = why as u32;
        let before = if holds {
            standing.out.fetch_or(bit, Ordering::Relaxed)
        } else {
            standing.out.fetch_and(!bit, Ordering::Relaxed)
        };
        if (before & bit != 0) == holds {
            return false;
        }
        if !holds && before == bit {
            self.freshen(standing, now);
        }
        true
    }

    /// An endpoint takes requests from `now` on ([`Standings::millis`]): it has joined others, or comes back.
    pub fn freshen(&self, standing: &Standing, now: u64) {
        standing.fresh_since.store(now.max(1), Ordering::Relaxed);
    }

    /// Sets the weight in place of the configured one, or takes that back.
    pub fn set_weight(&self, standing: &Standing, weight: Option<u32>) {
        self.set_weight_silently(standing, weight);
        self.changed();
    }

    /// The same, as [`set_silently`](Self::set_silently).
    pub fn set_weight_silently(&self, standing: &Standing, weight: Option<u32>) {
        standing.weight.store(weight.unwrap_or(NO_WEIGHT), Ordering::Relaxed);
    }

    /// Keeps a line for the log; [`MAX_NEWS`] at most wait.
    pub fn tell(&self, line: String) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        if news.len() < MAX_NEWS {
            news.push(line);
        }
    }

    /// The lines that were kept since the last call.
    pub fn news(&self) -> Vec<String> {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the workers to look again.
    pub fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
