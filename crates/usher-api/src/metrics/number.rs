//! Counters and gauges with one writer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows. One thread writes, any thread reads.
///
/// A second writer is not unsound, but counts get lost: an addition is a load and a store, not one atomic step.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds so many.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(super) fn absorb(&self, other: &Self) {
        self.add(other.get());
    }
}

/// A number that goes up and down, never below zero. One thread writes, any thread reads.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// One more.
    #[inline]
    pub fn increment(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// One less.
    #[inline]
    pub fn decrement(&self) {
        self.0.store(self.0.load(Relaxed).saturating_sub(1), Relaxed);
    }

    /// Exactly so many.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(super) fn absorb(&self, other: &Self) {
        self.set(self.get().wrapping_add(other.get()));
    }
}
