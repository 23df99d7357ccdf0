//! From blocks to fields.

use super::fixed::ENTRIES;
use super::integer::{self, IntegerError};
use super::table::Table;
use crate::huffman::{self, HuffmanError};

/// A block that cannot be decoded: the tables of the two sides differ from here on, so the connection ends
/// (COMPRESSION_ERROR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpackError {
    /// An integer that is cut or too large.
    Integer,
    /// A string that is cut.
    String,
    /// A string that is not Huffman code.
    Huffman,
    /// An index that is in no table.
    Index,
    /// A change of the table's size that is not at the beginning of a block, or exceeds what was agreed upon.
    Resize,
}

impl HpackError {
    /// One phrase for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integer => "compressed head with a malformed integer",
            Self::String => "compressed head that is cut",
            Self::Huffman => "compressed head with malformed huffman code",
            Self::Index => "compressed head with an unknown index",
            Self::Resize => "compressed head that resizes its table against the rules",
        }
    }
}

impl From<IntegerError> for HpackError {
    fn from(_: IntegerError) -> Self {
        Self::Integer
    }
}

impl From<HuffmanError> for HpackError {
    fn from(_: HuffmanError) -> Self {
        Self::Huffman
    }
}

/// Scratch memory above this is given back after a block (bytes).
const SCRATCH_KEPT: usize = 1 << 10;

/// Decodes the blocks of one direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// The largest table that the other side may ask for.
    limit: u32,
    /// Where Huffman code is decoded to, and names are kept while the table changes.
    scratch: Vec<u8>,
}

impl Decoder {
    /// A decoder whose table was announced with this size (bytes).
    pub fn new(limit: u32) -> Self {
        Self { table: Table::new(limit), limit, scratch: Vec::new() }
    }

    /// Decodes a whole block and gives its fields in order.
    ///
    /// # Errors
    /// When the connection cannot go on; fields may have been given by then.
    pub fn decode(&mut self, block: &[u8], mut emit: impl FnMut(&[u8], &[u8])) -> Result<(), HpackError> {
        let outcome = self.fields(block, &mut emit);
        if self.scratch.capacity() > SCRATCH_KEPT {
            self.scratch = Vec::new();
        }
        outcome
    }

    /// Gives memory back that is not needed between blocks.
    pub fn release(&mut self) {
        self.scratch = Vec::new();
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.table.memory()
    }

    fn fields(&mut self, mut rest: &[u8], emit: &mut impl FnMut(&[u8], &[u8])) -> Result<(), HpackError> {
        let mut may_resize = true;
        while let Some(&first) = rest.first() {
            rest = match first {
                0x80.. => self.indexed(rest, emit)?,
                0x40.. => self.literal(rest, (6, true), emit)?,
                0x20.. if may_resize => {
                    rest = self.resized(rest)?;
                    continue;
                }
                0x20.. => return Err(HpackError::Resize),
                _ => self.literal(rest, (4, false), emit)?,
            };
            may_resize = false;
        }
        Ok(())
    }

    #[inline]
    fn indexed<'a>(
        &mut self,
        bytes: &'a [u8],
        emit: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<&'a [u8], HpackError> {
        let (index, rest) = integer::read(bytes, 7)?;
        let (name, value) = entry(&self.table, index)?;
        emit(name, value);
        Ok(rest)
    }

    fn resized<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], HpackError> {
        let (size, rest) = integer::read(bytes, 5)?;
        if size > self.limit {
            return Err(HpackError::Resize);
        }
        self.table.resize(size);
        Ok(rest)
    }

    /// A literal, of which `prefix` bits are the index of its name; put into the table if `keep`.
    fn literal<'a>(
        &mut self,
        bytes: &'a [u8],
        (prefix, keep): (u32, bool),
        emit: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<&'a [u8], HpackError> {
        let Self { table, scratch, .. } = self;
        scratch.clear();
        let (index, rest) = integer::read(bytes, prefix)?;
        let (name, rest) = if index == 0 {
            let (name, rest) = string(rest, scratch)?;
            (Some(name), rest)
        } else {
            (None, rest)
        };
        let (value, rest) = string(rest, scratch)?;
        let name = match name {
            Some(name) => name,
            None if keep => {
                // The entry that has the name may be evicted for the new one.
                let from = scratch.len();
                scratch.extend_from_slice(entry(table, index)?.0);
                Text::Decoded(from, scratch.len())
            }
            None => {
                emit(entry(table, index)?.0, value.of(scratch));
                return Ok(rest);
            }
        };
        let (name, value) = (name.of(scratch), value.of(scratch));
        emit(name, value);
        if keep {
            table.insert(name, value);
        }
        Ok(rest)
    }
}

/// A field by its index: in the static table, or behind it in the dynamic one.
#[inline]
fn entry(table: &Table, index: u32) -> Result<(&[u8], &[u8]), HpackError> {
    let index = (index as usize).checked_sub(1).ok_or(HpackError::Index)?;
    match ENTRIES.get(index) {
        Some(&field) => Ok(field),
        None => table.get(index - ENTRIES.len()).ok_or(HpackError::Index),
    }
}

/// A string as it stands in the block, or decoded in the scratch memory.
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

/// Reads a string (RFC 7541 section 5.2).
#[inline]
fn string<'a>(bytes: &'a [u8], scratch: &mut Vec<u8>) -> Result<(Text<'a>, &'a [u8]), HpackError> {
    let is_code = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let (len, rest) = integer::read(bytes, 7)?;
    let (text, rest) = rest.split_at_checked(len as usize).ok_or(HpackError::String)?;
    if !is_code {
        return Ok((Text::Plain(text), rest));
    }
    let from = scratch.len();
    huffman::decode(text, scratch)?;
    Ok((Text::Decoded(from, scratch.len()), rest))
}
