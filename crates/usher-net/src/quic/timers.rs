//! When which connection wants to be looked at.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Instant;

/// One entry per connection. Deadlines mostly move later, and then the entry stays where it is: it fires early, and is
/// set anew.
#[derive(Debug, Default)]
pub(super) struct Timers {
    entries: BTreeSet<(Instant, usize)>,
}

/// Where a connection's entry stands.
#[derive(Debug, Default)]
pub(super) struct Entry(Cell<Option<Instant>>);

impl Timers {
    /// Wants connection `index` to be looked at `at` this time or before.
    pub(super) fn set(&mut self, entry: &Entry, index: usize, at: Instant) {
        match entry.0.get() {
            Some(set) if set <= at => {}
            old => {
                if let Some(old) = old {
                    self.entries.remove(&(old, index));
                }
                self.entries.insert((at, index));
                entry.0.set(Some(at));
            }
        }
    }

    /// Takes the entry out.
    pub(super) fn remove(&mut self, entry: &Entry, index: usize) {
        if let Some(at) = entry.0.take() {
            self.entries.remove(&(at, index));
        }
    }

    /// The next connection whose time has come; its entry has to be cleared.
    pub(super) fn pop(&mut self, now: Instant) -> Option<usize> {
        let first = *self.entries.first()?;
        if first.0 > now {
            return None;
        }
        self.entries.remove(&first);
        Some(first.1)
    }

    /// The time of the first entry.
    pub(super) fn next(&self) -> Option<Instant> {
        self.entries.first().map(|(at, _)| *at)
    }
}

impl Entry {
    /// Notes that the entry was popped.
    pub(super) fn clear(&self) {
        self.0.set(None);
    }
}
