//! A tree of path patterns, one level per segment.
//!
//! Going down may fork at each segment, into the child of that literal and the child for any segment. Two things keep
//! that from growing out of hand: a branch is entered only if a pattern below it can have as many segments as are left,
//! and only if it can hold a better rank. What remains is at most one visit per segment and distinct shape of patterns.

use super::table::Table;
use super::{Building, Map, Search};
use crate::path::{MAX_SEGMENTS, Segment};

/// Counts of segments from this on share the highest bit of [`Node::lengths`].
const HIGHEST_BIT: usize = 63;
const _: () = assert!(MAX_SEGMENTS < HIGHEST_BIT, "patterns of fixed length need a bit of their own");

/// What patterns say after a common beginning.
pub(crate) struct Node {
    /// The best rank here and below.
    best: u32,
    /// Bit n: some pattern fits when n segments are left.
    lengths: u64,
    literals: Map<Box<str>, Node>,
    name: Option<Box<Node>>,
    /// Patterns that end here.
    end: Option<Box<Table>>,
    /// Patterns that take any rest from here.
    rest: Option<Box<Table>>,
}

impl Node {
    pub(super) fn new(best: u32) -> Self {
        Self { best, lengths: 0, literals: Map::default(), name: None, end: None, rest: None }
    }

    /// The table of the pattern that goes on with `segments`, and the nodes up to it, made if there are none. As ranks
    /// only rise, the first is the best.
    pub(super) fn table_for(&mut self, segments: &[Segment], rest: bool, rank: u32) -> &mut Table {
        let mut node = self;
        let mut left = segments.len();
        for segment in segments {
            node.note_length(left, rest);
            left -= 1;
            node = match segment {
                Segment::Literal(text) => {
                    node.literals.entry(text.clone()).or_insert_with(|| Self::new(rank))
                }
                Segment::Name(_) => node.name.get_or_insert_with(|| Box::new(Self::new(rank))),
            };
        }
        node.note_length(left, rest);
        let table = if rest { &mut node.rest } else { &mut node.end };
        table.get_or_insert_default()
    }

    fn note_length(&mut self, left: usize, rest: bool) {
        self.lengths |= if rest { u64::MAX << left } else { 1 << left };
    }

    pub(super) fn finish(&mut self, building: &mut Building<'_>) {
        for table in [&mut self.end, &mut self.rest].into_iter().flatten() {
            table.finish(building);
        }
        for child in self.literals.values_mut().chain(self.name.as_deref_mut()) {
            child.finish(building);
        }
    }

    /// Goes on with `tail`, the text after the last slash (`None` behind the last segment), which has `left` segments.
    pub(super) fn search(&self, tail: Option<&str>, left: usize, search: &mut Search<'_>) {
        if !search.wants(self.best) || self.lengths >> left.min(HIGHEST_BIT) & 1 == 0 {
            return;
        }
        if let Some(tail) = tail {
            let (segment, after) = split(tail);
            let left = left.saturating_sub(1);
            if let Some(child) = self.literals.get(segment) {
                child.search(after, left, search);
            }
            if let Some(child) = &self.name
                && !segment.is_empty()
            {
                child.search(after, left, search);
            }
        } else if let Some(table) = &self.end {
            table.search(search);
        }
        if let Some(table) = &self.rest {
            table.search(search);
        }
    }
}

/// The first segment of `tail`, and what comes after its slash.
fn split(tail: &str) -> (&str, Option<&str>) {
    match memchr::memchr(b'/', tail.as_bytes()) {
        Some(slash) => (tail.get(..slash).unwrap_or_default(), tail.get(slash + 1..)),
        None => (tail, None),
    }
}
