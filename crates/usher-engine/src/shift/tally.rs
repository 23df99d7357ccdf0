//! What became of the requests of one side of a shift, over all workers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Parts of each power of two: a bucket is at most 1/16 wide.
const PARTS_BITS: u32 = 4;
/// Times are told apart up to 2^32 microseconds (71 minutes).
const MAX_BITS: u32 = 32;
/// How many buckets there are.
pub(super) const BUCKETS: usize = ((MAX_BITS - PARTS_BITS + 1) << PARTS_BITS) as usize;

/// Counted by all workers: only where a route has a shift.
#[derive(Debug)]
pub(super) struct Tally {
    requests: AtomicU64,
    failed: AtomicU64,
    /// The times to the first byte of those that did not fail.
    times: Box<[AtomicU64]>,
}

/// What it said at one moment, or within a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Requests.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those that did not, by the time to the first byte of their response.
    pub(super) times: Vec<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            times: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self { requests: 0, failed: 0, times: vec![0; BUCKETS] }
    }
}

impl Tally {
    /// A request ended: after so many microseconds to the first byte of its response, or it failed.
    pub(super) fn note(&self, micros: Option<u64>) {
        self.requests.fetch_add(1, Relaxed);
        match micros {
            None => {
                self.failed.fetch_add(1, Relaxed);
            }
            Some(micros) => {
                if let Some(bucket) = self.times.get(bucket(micros)) {
                    bucket.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// What it says now.
    pub(super) fn read(&self) -> Counts {
        // Failures first: there are never more of them than requests.
        let failed = self.failed.load(Relaxed);
        let times: Vec<u64> = self.times.iter().map(|bucket| bucket.load(Relaxed)).collect();
        Counts { requests: self.requests.load(Relaxed), failed, times }
    }

    /// How many requests there are.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }
}

impl Counts {
    /// What came after `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let times =
            self.times.iter().zip(&before.times).map(|(now, then)| now.saturating_sub(*then)).collect();
        let requests = self.requests.saturating_sub(before.requests);
        // A failure that is counted just as a period begins may be in it without its request.
        let failed = self.failed.saturating_sub(before.failed).min(requests);
        Self { requests, failed, times }
    }

    /// Requests that have a time.
    pub(super) fn timed(&self) -> u64 {
        self.times.iter().sum()
    }

    /// A time that all but `beyond` of the requests do not exceed (microseconds); none without requests.
    pub(super) fn all_but(&self, beyond: u64) -> Option<u64> {
        let mut above = 0;
        for (index, count) in self.times.iter().enumerate().rev() {
            above += count;
            if above > beyond {
                return Some(lower_edge(index + 1));
            }
        }
        None
    }

    /// The 99th percentile (microseconds), rounded up to a sixteenth.
    pub fn p99(&self) -> Option<u64> {
        self.all_but(self.timed() / 100)
    }

    /// How many requests certainly took as long as this or longer (microseconds).
    pub(super) fn at_least(&self, micros: u64) -> u64 {
        let from = bucket(micros);
        let whole = if lower_edge(from) >= micros { from } else { from + 1 };
        self.times.iter().skip(whole).sum()
    }
}

/// The bucket of a time: exact below 16 microseconds, then 16 per power of two (as HdrHistogram has it).
fn bucket(micros: u64) -> usize {
    let micros = micros.min((1 << MAX_BITS) - 1);
    let bits = 64 - micros.leading_zeros();
    if bits <= PARTS_BITS {
        return micros as usize;
    }
    let shift = bits - PARTS_BITS - 1;
    let part = (micros >> shift) & ((1 << PARTS_BITS) - 1);
    (((shift + 1) << PARTS_BITS) as usize) + part as usize
}

/// The shortest time of a bucket (microseconds); of the one after the last, the longest time there is.
fn lower_edge(bucket: usize) -> u64 {
    let parts = 1 << PARTS_BITS;
    if bucket < parts {
        return bucket as u64;
    }
    let (power, part) = (bucket / parts, bucket % parts);
    ((parts + part) as u64) << (power - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_bucket_whose_edges_hold_it() {
        let mut last = 0;
        for micros in (0..5_000).chain((0..32).map(|bit| 1 << bit)).chain((4..33).map(|bit| (1 << bit) - 1)) {
            let index = bucket(micros);
            assert!(index < BUCKETS, "{micros}");
            assert!(lower_edge(index) <= micros && micros < lower_edge(index + 1), "{micros} in {index}");
            let width = lower_edge(index + 1) - lower_edge(index);
            assert!(width == 1 || width * 16 <= lower_edge(index), "{micros}");
            last = last.max(index);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(last, BUCKETS - 1);
    }

    #[test]
    fn a_period_is_what_came_after_its_beginning() {
        let tally = Tally::default();
        (0..100).for_each(|_| tally.note(Some(1_000)));
        tally.note(None);
        let before = tally.read();
        (0..98).for_each(|_| tally.note(Some(10_000)));
        (0..2).for_each(|_| tally.note(Some(1_000_000)));
        let period = tally.read().since(&before);
        assert_eq!((period.requests, period.failed, period.timed()), (100, 0, 100));
        let p99 = period.p99().unwrap();
        assert!((1_000_000..=1_070_000).contains(&p99), "{p99}");
        assert_eq!(period.at_least(500_000), 2);
        assert_eq!(period.at_least(10_240), 2, "a bucket that begins earlier is not certain");
        assert!(period.all_but(2).unwrap() < 11_000);
        assert_eq!(period.all_but(100), None);
    }
}
