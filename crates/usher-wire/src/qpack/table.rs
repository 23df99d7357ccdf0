//! The dynamic table (RFC 9204 section 3.2): fields that came lately, numbered from the first one ever.

use std::collections::VecDeque;

/// What an entry costs beside its name and value (RFC 9204 section 3.2.1).
const OVERHEAD: usize = 32;

#[derive(Debug)]
struct Entry {
    /// Name and value.
    bytes: Box<[u8]>,
    name: usize,
}

impl Entry {
    fn size(&self) -> usize {
        self.bytes.len() + OVERHEAD
    }
}

/// Entries, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    /// Entries that there ever were.
    inserted: u64,
    size: usize,
    capacity: usize,
}

impl Table {
    pub(super) fn inserted(&self) -> u64 {
        self.inserted
    }

    /// The size of all entries (bytes, as the RFC counts them).
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Changes the capacity; entries that have no place any more are evicted.
    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.evict_to(capacity);
    }

    /// Name and value of an entry by its number from the first one ever; None if it was evicted or is yet to come.
    #[inline]
    pub(super) fn get(&self, number: u64) -> Option<(&[u8], &[u8])> {
        let first = self.inserted - self.entries.len() as u64;
        let place = usize::try_from(number.checked_sub(first)?).ok()?;
        let entry = self.entries.get(place)?;
        entry.bytes.split_at_checked(entry.name)
    }

    /// Puts a field into the table, and evicts what has no place beside it. Gives what it takes (bytes, as the RFC counts
    /// them), or None if it never has a place.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) -> Option<usize> {
        let entry = Entry { bytes: [name, value].concat().into(), name: name.len() };
        let size = entry.size();
        self.evict_to(self.capacity.checked_sub(size)?);
        self.size += size;
        self.entries.push_back(entry);
        self.inserted += 1;
        Some(size)
    }

    fn evict_to(&mut self, size: usize) {
        while self.size > size {
            let Some(entry) = self.entries.pop_front() else { return };
            self.size -= entry.size();
        }
    }
}
