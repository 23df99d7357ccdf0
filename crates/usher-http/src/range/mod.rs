//! Byte ranges (RFC 9110 section 14): what a `Range` field asks of a representation of known length, and
//! `Content-Range`.
//!
//! A range is an optimisation that a server may always decline, so what is malformed, in another unit or too many
//! pieces is answered with the whole representation. Overlapping ranges are merged: a request can never ask for more
//! bytes than there are. For `If-Range` see [`Validators::if_range`](crate::etag::Validators::if_range).

use crate::syntax::list;
use std::io::Write as _;

/// The most ranges in one request; more are answered with the whole representation (the attack of CVE-2011-3192).
pub const MAX_RANGES: usize = 16;

/// Bytes `first..=last` of a representation, as `Content-Range` counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte, not below `first`.
    pub last: u64,
}

impl ByteRange {
    /// How many bytes it has; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub fn len(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// Appends `bytes first-last/length`.
    pub fn write_content_range(&self, length: u64, out: &mut Vec<u8>) {
        // Writing to a `Vec` cannot fail.
        let _ = write!(out, "bytes {}-{}/{length}", self.first, self.last);
    }
}

/// Appends the `Content-Range` of a 416: `bytes */length`.
pub fn write_unsatisfied(length: u64, out: &mut Vec<u8>) {
    // Writing to a `Vec` cannot fail.
    let _ = write!(out, "bytes */{length}");
}

/// The satisfiable ranges of a request, without overlaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranges {
    ranges: [ByteRange; MAX_RANGES],
    count: usize,
}

impl Ranges {
    /// The ranges, in the order asked for; in ascending order if some of them overlapped. At least one.
    pub fn as_slice(&self) -> &[ByteRange] {
        self.ranges.get(..self.count).unwrap_or_default()
    }

    /// The range, if there is just one: it is answered without `multipart/byteranges`.
    pub fn single(&self) -> Option<ByteRange> {
        if let [range] = self.as_slice() { Some(*range) } else { None }
    }

    /// How many bytes of the representation they select.
    pub fn total(&self) -> u64 {
        self.as_slice().iter().fold(0, |sum, range| sum.saturating_add(range.len()))
    }

    /// Adds a range; `None` if there are too many.
    fn push(&mut self, range: ByteRange) -> Option<()> {
        *self.ranges.get_mut(self.count)? = range;
        self.count += 1;
        Some(())
    }

    /// Sorts and joins the ranges if any two overlap.
    fn merge(&mut self) {
        let mut sorted = *self;
        let Some(all) = sorted.ranges.get_mut(..self.count) else { return };
        all.sort_unstable_by_key(|range| range.first);
        if all.windows(2).all(|pair| matches!(pair, [a, b] if a.last < b.first)) {
            return;
        }
        let mut merged = 0;
        for at in 1..all.len() {
            let next = all[at];
            if next.first <= all[merged].last {
                all[merged].last = all[merged].last.max(next.last);
            } else {
                merged += 1;
                all[merged] = next;
            }
        }
        // What is behind `count` stays at its default, so that equal ranges are equal values.
        all[merged + 1..].fill(ByteRange::default());
        sorted.count = merged + 1;
        *self = sorted;
    }
}

/// What a `Range` field asks for.
#[expect(
    clippy::large_enum_variant,
    reason = "lives for one call, on the stack; a box would be an allocation"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// The field is to be ignored: send all (200).
    Whole,
    /// None of the ranges is inside the representation (416).
    Unsatisfiable,
    /// Send these (206).
    Parts(Ranges),
}

/// Reads a `Range` field against a representation of `length` bytes.
pub fn parse(field: &[u8], length: u64) -> Requested {
    read(field, length).unwrap_or(Requested::Whole)
}

/// `None` where the field is to be ignored.
fn read(field: &[u8], length: u64) -> Option<Requested> {
    let equals = memchr::memchr(b'=', field)?;
    let (unit, set) = (field.get(..equals)?, field.get(equals + 1..)?);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut found = Ranges { ranges: Default::default(), count: 0 };
    let mut asked = 0;
    for spec in list(set) {
        asked += 1;
        if asked > MAX_RANGES {
            return None;
        }
        match read_spec(spec, length)? {
            Spec::Inside(range) => found.push(range)?,
            Spec::Outside => {}
        }
    }
    if found.count > 0 {
        found.merge();
        return Some(Requested::Parts(found));
    }
    (asked > 0).then_some(Requested::Unsatisfiable)
}

enum Spec {
    Inside(ByteRange),
    Outside,
}

/// `first-`, `first-last` or `-suffix` (RFC 9110 section 14.1.2); `None` if malformed.
fn read_spec(spec: &[u8], length: u64) -> Option<Spec> {
    let dash = memchr::memchr(b'-', spec)?;
    let (first, last) = (spec.get(..dash)?, spec.get(dash + 1..)?);
    if first.is_empty() {
        return match number(last)? {
            0 => Some(Spec::Outside),
            // All of an empty representation cannot be said as a range.
            _ if length == 0 => None,
            suffix => {
                Some(Spec::Inside(ByteRange { first: length.saturating_sub(suffix), last: length - 1 }))
            }
        };
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    if first >= length {
        return Some(Spec::Outside);
    }
    Some(Spec::Inside(ByteRange { first, last: last.min(length - 1) }))
}

/// A decimal number; one that does not fit counts as the largest, which no representation reaches.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(value.saturating_mul(10).saturating_add(digit))
    })
}

#[cfg(test)]
mod tests;
