//! The dynamic table (RFC 7541 section 2.3.2): fields that came lately, the newest first.

use std::collections::VecDeque;

/// What an entry costs beside its name and value (RFC 7541 section 4.1).
const OVERHEAD: usize = 32;
/// The memory that the first entry takes (bytes).
const FIRST: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where its bytes begin, counted from the first byte that was ever put into the table (wrapping).
    at: u32,
    name: u16,
    value: u16,
}

/// Fields in the order in which they came, within a size.
#[derive(Debug)]
pub(super) struct Table {
    /// Names and values, those of evicted entries at the beginning.
    bytes: Vec<u8>,
    entries: VecDeque<Entry>,
    /// What `at` is at the beginning of `bytes`.
    base: u32,
    /// As the RFC counts it.
    size: usize,
    max: usize,
    /// Entries that were evicted.
    evicted: u32,
}

impl Table {
    /// An empty table for `max` bytes, at most 64 KiB.
    pub(super) fn new(max: u32) -> Self {
        let max = (max as usize).min(usize::from(u16::MAX));
        Self { bytes: Vec::new(), entries: VecDeque::new(), base: 0, size: 0, max, evicted: 0 }
    }

    pub(super) fn max(&self) -> u32 {
        self.max as u32
    }

    /// What its bytes take.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// The number that the next entry gets, counted (wrapping) over all that there ever were.
    pub(super) fn next(&self) -> u32 {
        self.evicted.wrapping_add(self.entries.len() as u32)
    }

    /// Where an entry is from the newest, by its number; none if it was evicted.
    pub(super) fn place(&self, number: u32) -> Option<usize> {
        let from_newest = self.next().wrapping_sub(number).checked_sub(1)? as usize;
        (from_newest < self.entries.len()).then_some(from_newest)
    }

    /// Name and value of an entry, 0 being the newest.
    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<(&[u8], &[u8])> {
        let entry = self.entries.get(self.entries.len().checked_sub(place + 1)?)?;
        let from = entry.at.wrapping_sub(self.base) as usize;
        let field = self.bytes.get(from..from + usize::from(entry.name) + usize::from(entry.value))?;
        field.split_at_checked(entry.name.into())
    }

    /// Puts a field into the table and evicts what has no place beside it; nothing stays if it is too large itself
    /// (RFC 7541 section 4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let len = name.len() + value.len();
        let size = len.saturating_add(OVERHEAD);
        self.evict_to(self.max.saturating_sub(size));
        if size > self.max {
            return;
        }
        self.make_room(len);
        let at = self.base.wrapping_add(self.bytes.len() as u32);
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        // Both fit, as they are less than `max`.
        self.entries.push_back(Entry { at, name: name.len() as u16, value: value.len() as u16 });
        self.size += size;
    }

    /// Changes the size; never above 64 KiB.
    pub(super) fn resize(&mut self, max: u32) {
        self.max = (max as usize).min(usize::from(u16::MAX));
        self.evict_to(self.max);
    }

    fn evict_to(&mut self, size: usize) {
        while self.size > size {
            let Some(entry) = self.entries.pop_front() else { return };
            self.size -= usize::from(entry.name) + usize::from(entry.value) + OVERHEAD;
            self.evicted = self.evicted.wrapping_add(1);
        }
    }

    /// Room for `len` bytes at the end, without more memory than the table's size.
    fn make_room(&mut self, len: usize) {
        if self.bytes.len() + len > self.max {
            let next = self.base.wrapping_add(self.bytes.len() as u32);
            let first = self.entries.front().map_or(next, |entry| entry.at);
            self.bytes.drain(..first.wrapping_sub(self.base) as usize);
            self.base = first;
        }
        let need = self.bytes.len() + len;
        if need > self.bytes.capacity() {
            let capacity = need.max(self.bytes.capacity() * 2).max(FIRST).min(self.max);
            self.bytes.reserve_exact(capacity.max(need) - self.bytes.len());
        }
    }
}
