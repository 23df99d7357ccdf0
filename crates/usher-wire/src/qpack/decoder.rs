//! From heads to fields, and the table that heads refer to.

use super::fixed::ENTRIES;
use super::integer::{self, Read};
use super::table::Table;
use super::{INSERTED_PER_HEAD, QpackError, TABLE_CAPACITY};
use crate::huffman;

/// A string on the encoder stream that is longer than this (bytes, encoded) has no place in any table: the shortest code
/// of the Huffman code has five bits, the longest thirty.
const LONGEST_STRING: u32 = TABLE_CAPACITY * 4;

/// Decodes the heads of one direction of a connection.
#[derive(Debug, Default)]
pub struct Decoder {
    table: Table,
    /// The table's size that the peer may ask for at most (bytes).
    max_capacity: u32,
    /// Insertions that the peer knows to have arrived.
    acknowledged: u64,
    /// What was inserted since the last head.
    inserted_size: u64,
    /// What the peer is to be told on the decoder stream.
    output: Vec<u8>,
    scratch: Vec<u8>,
}

/// What became of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section<E> {
    /// All of its fields were given.
    Done,
    /// It cannot be read until so many entries were inserted.
    Blocked(u64),
    /// What the fields were given to had enough.
    Refused(E),
}

/// Why decoding stopped.
enum Stop<E> {
    Qpack(QpackError),
    Refused(E),
}

impl<E> From<QpackError> for Stop<E> {
    fn from(error: QpackError) -> Self {
        Self::Qpack(error)
    }
}

fn broken(phrase: &'static str) -> QpackError {
    QpackError::Decompression(phrase)
}

/// How a head counts entries.
#[derive(Clone, Copy)]
struct Prefix {
    required: u64,
    base: u64,
}

/// A string as it stands, or decoded in the scratch memory.
#[derive(Clone, Copy)]
enum Text<'a> {
    Plain(&'a [u8]),
    Decoded(usize, usize),
}

impl<'a> Text<'a> {
    #[inline]
    fn of(self, scratch: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Plain(text) => text,
            Self::Decoded(from, to) => scratch.get(from..to).unwrap_or_default(),
        }
    }
}

impl Decoder {
    /// A decoder that offers a table of `capacity` bytes; 0 is none.
    pub fn new(capacity: u32) -> Self {
        Self { max_capacity: capacity.min(TABLE_CAPACITY), ..Self::default() }
    }

    /// Entries that were inserted so far.
    pub fn inserted(&self) -> u64 {
        self.table.inserted()
    }

    /// Whether the peer has a use for the table, so that it must be told of streams that are not read.
    pub fn is_used(&self) -> bool {
        self.table.capacity() > 0
    }

    /// What the peer is to be told on the decoder stream.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Notes that a stream is not read to its end (RFC 9204 section 4.4.2).
    pub fn cancel(&mut self, stream: u64) {
        if self.is_used() {
            integer::write(0x40, 6, stream, &mut self.output);
        }
    }

    /// Reads a whole head of `stream` and gives its fields to `emit`, until that has enough.
    ///
    /// # Errors
    /// [`QpackError::Decompression`].
    pub fn section<E>(
        &mut self,
        stream: u64,
        bytes: &[u8],
        mut emit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<Section<E>, QpackError> {
        let (prefix, mut rest) = self.prefix(bytes)?;
        if prefix.required > self.table.inserted() {
            return Ok(Section::Blocked(prefix.required));
        }
        self.inserted_size = 0;
        while !rest.is_empty() {
            match self.line(rest, prefix, &mut emit) {
                Ok(after) => rest = after,
                Err(Stop::Qpack(error)) => return Err(error),
                Err(Stop::Refused(error)) => return Ok(Section::Refused(error)),
            }
        }
        if prefix.required > 0 {
            integer::write(0x80, 7, stream, &mut self.output);
            self.acknowledged = self.acknowledged.max(prefix.required);
        }
        Ok(Section::Done)
    }

    /// RFC 9204 section 4.5.1.
    fn prefix<'a>(&self, bytes: &'a [u8]) -> Result<(Prefix, &'a [u8]), QpackError> {
        let (encoded, rest) = number(bytes, 8)?;
        let required = self.required(encoded.into()).ok_or(broken("impossible insert count"))?;
        let is_below = rest.first().is_some_and(|first| first & 0x80 != 0);
        let (delta, rest) = number(rest, 7)?;
        let delta = u64::from(delta);
        let base = if is_below { required.checked_sub(delta + 1) } else { Some(required + delta) };
        Ok((Prefix { required, base: base.ok_or(broken("negative base"))? }, rest))
    }

    /// The insert count that its remainder stands for (RFC 9204 section 4.5.1.1).
    fn required(&self, encoded: u64) -> Option<u64> {
        if encoded == 0 {
            return Some(0);
        }
        let max_entries = u64::from(self.max_capacity) / 32;
        let range = 2 * max_entries;
        if encoded > range {
            return None;
        }
        let max = self.table.inserted() + max_entries;
        let required = max / range * range + encoded - 1;
        let required = if required > max { required.checked_sub(range)? } else { required };
        (required > 0).then_some(required)
    }

    /// One field line (RFC 9204 section 4.5); gives what follows it.
    #[inline]
    fn line<'a, E>(
        &mut self,
        bytes: &'a [u8],
        prefix: Prefix,
        emit: &mut impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<&'a [u8], Stop<E>> {
        let first = bytes.first().copied().unwrap_or_default();
        let Self { table, scratch, .. } = self;
        let ((name, value), rest) = match first {
            0xc0.. => {
                let (index, rest) = number(bytes, 6)?;
                (fixed(index)?, rest)
            }
            0x80.. => {
                let (index, rest) = number(bytes, 6)?;
                (before_base(table, prefix, index)?, rest)
            }
            0x10..0x20 => {
                let (index, rest) = number(bytes, 4)?;
                (behind_base(table, prefix, index)?, rest)
            }
            _ => return Self::literal((table, scratch), bytes, prefix, emit),
        };
        emit(name, value).map_err(Stop::Refused)?;
        Ok(rest)
    }

    /// A line with a value of its own, and maybe a name.
    fn literal<'a, E>(
        (table, scratch): (&Table, &mut Vec<u8>),
        bytes: &'a [u8],
        prefix: Prefix,
        emit: &mut impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<&'a [u8], Stop<E>> {
        scratch.clear();
        let first = bytes.first().copied().unwrap_or_default();
        let (name, rest) = match first {
            0x50..=0x5f | 0x70..=0x7f => {
                let (index, rest) = number(bytes, 4)?;
                (Text::Plain(fixed(index)?.0), rest)
            }
            0x40.. => {
                let (index, rest) = number(bytes, 4)?;
                (Text::Plain(before_base(table, prefix, index)?.0), rest)
            }
            0x20.. => string(bytes, 3, scratch)?,
            _ => {
                let (index, rest) = number(bytes, 3)?;
                (Text::Plain(behind_base(table, prefix, index)?.0), rest)
            }
        };
        let (value, rest) = string(rest, 7, scratch)?;
        emit(name.of(scratch), value.of(scratch)).map_err(Stop::Refused)?;
        Ok(rest)
    }

    /// Reads instructions of the encoder stream (RFC 9204 section 4.3); gives how many bytes were used. The rest is an
    /// instruction whose end has not arrived.
    ///
    /// # Errors
    /// [`QpackError::EncoderStream`] and [`QpackError::Flood`].
    pub fn instructions(&mut self, bytes: &[u8]) -> Result<usize, QpackError> {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            let Some(len) = self.instruction(rest)? else { break };
            used += len;
            if self.inserted_size > INSERTED_PER_HEAD {
                return Err(QpackError::Flood);
            }
        }
        let news = self.table.inserted() - self.acknowledged;
        if news > 0 {
            integer::write(0, 6, news, &mut self.output);
            self.acknowledged = self.table.inserted();
        }
        Ok(used)
    }

    fn instruction(&mut self, bytes: &[u8]) -> Result<Option<usize>, QpackError> {
        self.scratch.clear();
        let first = bytes.first().copied().unwrap_or_default();
        match first {
            0x80.. => {
                let Some((index, len)) = partial(bytes, 6)? else { return Ok(None) };
                let is_fixed = first & 0x40 != 0;
                self.insert_named((index, is_fixed), bytes, len)
            }
            0x40.. => self.insert(bytes),
            0x20.. => {
                let Some((capacity, len)) = partial(bytes, 5)? else { return Ok(None) };
                if capacity > self.max_capacity {
                    return Err(QpackError::EncoderStream("table larger than offered"));
                }
                self.table.set_capacity(capacity as usize);
                // Resizing to nothing and back empties the table at a cost: it counts as if it was filled.
                self.inserted_size += 32;
                Ok(Some(len))
            }
            _ => {
                let Some((index, len)) = partial(bytes, 5)? else { return Ok(None) };
                let (name, value) = self.newest(index)?;
                let (name, value) = (name.to_vec(), value.to_vec());
                self.keep(&name, &value)?;
                Ok(Some(len))
            }
        }
    }

    /// Insert with a name reference (RFC 9204 section 4.3.2).
    fn insert_named(
        &mut self,
        (index, is_fixed): (u32, bool),
        bytes: &[u8],
        at: usize,
    ) -> Result<Option<usize>, QpackError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let value = partial_string(bytes, at, 7, &mut scratch)?;
        let Some((value, len)) = value else {
            self.scratch = scratch;
            return Ok(None);
        };
        let name = if is_fixed {
            ENTRIES.get(index as usize).ok_or(QpackError::EncoderStream("no such static entry"))?.0.to_vec()
        } else {
            self.newest(index)?.0.to_vec()
        };
        self.keep(&name, value.of(&scratch))?;
        self.scratch = scratch;
        Ok(Some(len))
    }

    /// Insert with a literal name (RFC 9204 section 4.3.3).
    fn insert(&mut self, bytes: &[u8]) -> Result<Option<usize>, QpackError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let name = partial_string(bytes, 0, 5, &mut scratch)?;
        let value = match name {
            Some((_, at)) => partial_string(bytes, at, 7, &mut scratch)?,
            None => None,
        };
        let (Some((name, _)), Some((value, len))) = (name, value) else {
            self.scratch = scratch;
            return Ok(None);
        };
        self.keep(name.of(&scratch), value.of(&scratch))?;
        self.scratch = scratch;
        Ok(Some(len))
    }

    fn keep(&mut self, name: &[u8], value: &[u8]) -> Result<(), QpackError> {
        let size = self.table.insert(name, value);
        let size = size.ok_or(QpackError::EncoderStream("entry larger than the table"))?;
        self.inserted_size += size as u64;
        debug_assert!(self.table.size() <= self.table.capacity());
        Ok(())
    }

    /// An entry counted from the newest, as the encoder stream does.
    fn newest(&self, index: u32) -> Result<(&[u8], &[u8]), QpackError> {
        let number = self.table.inserted().checked_sub(u64::from(index) + 1);
        number
            .and_then(|number| self.table.get(number))
            .ok_or(QpackError::EncoderStream("no such dynamic entry"))
    }
}

#[inline]
fn fixed(index: u32) -> Result<(&'static [u8], &'static [u8]), QpackError> {
    ENTRIES.get(index as usize).copied().ok_or(broken("no such static entry"))
}

/// An entry counted backwards from the base.
fn before_base(table: &Table, prefix: Prefix, index: u32) -> Result<(&[u8], &[u8]), QpackError> {
    at(table, prefix, prefix.base.checked_sub(u64::from(index) + 1))
}

/// An entry counted on from the base.
fn behind_base(table: &Table, prefix: Prefix, index: u32) -> Result<(&[u8], &[u8]), QpackError> {
    at(table, prefix, prefix.base.checked_add(index.into()))
}

/// RFC 9204 section 2.2.3: neither an evicted entry, nor one that the head did not say it needs.
fn at(table: &Table, prefix: Prefix, number: Option<u64>) -> Result<(&[u8], &[u8]), QpackError> {
    number
        .filter(|number| *number < prefix.required)
        .and_then(|number| table.get(number))
        .ok_or(broken("no such dynamic entry"))
}

#[inline]
fn number(bytes: &[u8], prefix: u32) -> Result<(u32, &[u8]), QpackError> {
    match integer::read(bytes, prefix) {
        Read::Value(value, len) => Ok((value, bytes.get(len..).unwrap_or_default())),
        Read::Cut => Err(broken("head is cut")),
        Read::TooLarge => Err(broken("number too large")),
    }
}

#[inline]
fn string<'a>(
    bytes: &'a [u8],
    prefix: u32,
    scratch: &mut Vec<u8>,
) -> Result<(Text<'a>, &'a [u8]), QpackError> {
    let is_code = bytes.first().is_some_and(|first| first & 1 << prefix != 0);
    let (len, rest) = number(bytes, prefix)?;
    let (text, rest) = rest.split_at_checked(len as usize).ok_or(broken("head is cut"))?;
    if !is_code {
        return Ok((Text::Plain(text), rest));
    }
    let from = scratch.len();
    huffman::decode(text, scratch).map_err(|_| broken("malformed huffman code"))?;
    Ok((Text::Decoded(from, scratch.len()), rest))
}

fn partial(bytes: &[u8], prefix: u32) -> Result<Option<(u32, usize)>, QpackError> {
    match integer::read(bytes, prefix) {
        Read::Value(value, len) => Ok(Some((value, len))),
        Read::Cut => Ok(None),
        Read::TooLarge => Err(QpackError::EncoderStream("number too large")),
    }
}

/// A string at `at` of the encoder stream, and where it ends.
fn partial_string<'a>(
    bytes: &'a [u8],
    at: usize,
    prefix: u32,
    scratch: &mut Vec<u8>,
) -> Result<Option<(Text<'a>, usize)>, QpackError> {
    let rest = bytes.get(at..).unwrap_or_default();
    let is_code = rest.first().is_some_and(|first| first & 1 << prefix != 0);
    let Some((len, used)) = partial(rest, prefix)? else { return Ok(None) };
    if len > LONGEST_STRING {
        return Err(QpackError::EncoderStream("entry larger than the table"));
    }
    let end = used + len as usize;
    let Some(text) = rest.get(used..end) else { return Ok(None) };
    if !is_code {
        return Ok(Some((Text::Plain(text), at + end)));
    }
    let from = scratch.len();
    huffman::decode(text, scratch).map_err(|_| QpackError::EncoderStream("malformed huffman code"))?;
    Ok(Some((Text::Decoded(from, scratch.len()), at + end)))
}

#[cfg(test)]
impl Decoder {
    pub(super) fn table_size(&self) -> usize {
        self.table.size()
    }
}
