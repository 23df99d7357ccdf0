//! Durations in fixed buckets.

use super::number::Counter;

const BOUNDS: usize = 18;

/// The upper bounds of the buckets in microseconds, each included in its bucket: 0.1 ms to 60 s.
///
/// The usual bounds of Prometheus, with finer ones at the low end, where a proxy in a local network lives.
pub const BOUNDS_MICROS: [u64; BOUNDS] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// The bounds, and behind them some that nothing exceeds.
const PADDED: [u64; BOUNDS + 2] = {
    let mut padded = [u64::MAX; BOUNDS + 2];
    let mut i = 0;
    while i < BOUNDS {
        padded[i] = BOUNDS_MICROS[i];
        i += 1;
    }
    padded
};

/// How many bounds every duration of so many binary digits exceeds. Two more at the most lie among them, as each bound is at
/// least twice the one before.
const FIRST: [u8; 65] = {
    let mut first = [BOUNDS as u8; 65];
    let mut digits = 0;
    while digits < 65 {
        let least = if digits == 0 { 0 } else { 1 << (digits - 1) };
        let mut i = 0;
        while i < BOUNDS && BOUNDS_MICROS[i] < least {
            i += 1;
        }
        first[digits] = i as u8;
        digits += 1;
    }
    first
};

/// Durations by bucket, and their sum.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BOUNDS + 1],
    sum_micros: Counter,
}

impl Histogram {
    /// Counts a duration.
    #[inline]
    pub fn observe(&self, micros: u64) {
        if let Some(bucket) = self.buckets.get(bucket_of(micros)) {
            bucket.increment();
        }
        self.sum_micros.add(micros);
    }

    /// How many durations each bucket holds (not cumulative); the last is for those above all bounds.
    pub fn buckets(&self) -> [u64; BOUNDS + 1] {
        std::array::from_fn(|i| self.buckets[i].get())
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(Counter::get).sum()
    }

    /// The sum of all durations in microseconds.
    pub fn sum_micros(&self) -> u64 {
        self.sum_micros.get()
    }

    pub(super) fn absorb(&self, other: &Self) {
        for (mine, theirs) in self.buckets.iter().zip(&other.buckets) {
            mine.absorb(theirs);
        }
        self.sum_micros.absorb(&other.sum_micros);
    }
}

/// The number of bounds that the duration exceeds: by its binary digits, and two comparisons.
#[inline]
pub(super) fn bucket_of(micros: u64) -> usize {
    let first = usize::from(FIRST[(u64::BITS - micros.leading_zeros()) as usize]);
    first + usize::from(micros > PADDED[first]) + usize::from(micros > PADDED[first + 1])
}
