//! How long a cluster's responses take to begin, as one worker has seen it: a histogram that forgets.
//!
//! Logarithmic with eight steps per doubling, as in HdrHistogram: an answer is at most an eighth too high. When it holds
//! enough, all counts are halved, so that what was long ago weighs less and less.

use std::cell::RefCell;
use std::time::Duration;

/// Steps per doubling, as a power of two.
const STEPS: u32 = 3;
/// Times up to 2^36 µs, some 19 hours, are told apart.
const BUCKETS: usize = (36 - STEPS as usize + 1) << STEPS;
/// So many are held before the counts are halved.
const MOST: u32 = 4096;
/// So many are needed for an answer.
const ENOUGH: u32 = 50;

/// The histogram; holds no memory before the first response.
#[derive(Debug, Default)]
pub(super) struct Latency(RefCell<Counts>);

#[derive(Debug, Default)]
struct Counts {
    buckets: Vec<u32>,
    total: u32,
}

impl Latency {
    /// Counts a response that took so long to begin.
    pub(super) fn note(&self, took: Duration) {
        let counts = &mut *self.0.borrow_mut();
        counts.buckets.resize(BUCKETS, 0);
        if let Some(count) = counts.buckets.get_mut(bucket(took)) {
            *count += 1;
            counts.total += 1;
        }
        if counts.total >= MOST {
            counts.buckets.iter_mut().for_each(|count| *count /= 2);
            counts.total = counts.buckets.iter().sum();
        }
    }

    /// The time in which so many of a hundred have begun; none before there were enough.
    pub(super) fn percentile(&self, percent: u8) -> Option<Duration> {
        let counts = self.0.borrow();
        if counts.total < ENOUGH {
            return None;
        }
        let wanted = u64::from(counts.total) * u64::from(percent);
        let mut seen = 0;
        let found = counts.buckets.iter().position(|count| {
            seen += u64::from(*count) * 100;
            seen >= wanted
        });
        found.map(end)
    }
}

/// The bucket of a time.
fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let magnitude = micros.checked_ilog2().unwrap_or(0);
    if magnitude < STEPS {
        return micros as usize;
    }
    let shift = magnitude - STEPS;
    let step = (micros >> shift) as usize & ((1 << STEPS) - 1);
    ((((shift + 1) as usize) << STEPS) + step).min(BUCKETS - 1)
}

/// The end of a bucket.
fn end(bucket: usize) -> Duration {
    let next = bucket as u64 + 1;
    let (group, step) = (next >> STEPS, next & ((1 << STEPS) - 1));
    Duration::from_micros(if group == 0 { step } else { ((1 << STEPS) + step) << (group - 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_a_bucket_that_ends_an_eighth_later_at_most() {
        for micros in
            (0..3000).chain((12..36).flat_map(|power| [(1 << power) - 1, 1 << power, (3 << power) / 2]))
        {
            let end = end(bucket(Duration::from_micros(micros))).as_micros() as u64;
            assert!(micros < end && end <= micros + micros / 8 + 1, "{micros} ends at {end}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_of_what_was_seen_lately() {
        let latency = Latency::default();
        let note =
            |from: u64, to: u64| (from..to).for_each(|millis| latency.note(Duration::from_millis(millis)));
        note(1, 50);
        assert_eq!(latency.percentile(95), None);
        note(50, 101);
        let within = |percent, millis: u64| {
            let found = latency.percentile(percent).unwrap().as_millis() as u64;
            assert!((millis..=millis * 9 / 8 + 1).contains(&found), "p{percent} is {found}");
        };
        within(50, 50);
        within(95, 95);
        within(99, 99);
        for _ in 0..200 {
            note(500, 600);
        }
        within(50, 550);
    }
}
