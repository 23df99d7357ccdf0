//! From fields to blocks.
//!
//! A field is put into the table when it comes for the second time: what is different in every message (lengths, tags,
//! identifiers) never pushes out what is the same in all of them. Finding a field again is one look by hash; where two
//! fields share a place, the older one is forgotten and costs a few bytes more.

use super::TABLE_SIZE;
use super::fixed::{Found, find};
use super::integer;
use super::table::Table;
use crate::huffman;

/// Names and values longer than this together are not put into the table (bytes): one would push out all others.
const LONGEST_KEPT: usize = 512;
/// The number of places for fields that are in the table.
const KNOWN: usize = 128;
/// The number of places for fields that came once.
const ONCE: usize = 128;

/// The static table's entries.
const FIXED: u32 = super::fixed::ENTRIES.len() as u32;

/// Fields found by their hash.
#[derive(Debug)]
struct Memory {
    known: [(u32, u32); KNOWN],
    once: [u32; ONCE],
}

/// Encodes the blocks of one direction of a connection.
#[derive(Debug)]
pub struct Encoder {
    table: Table,
    memory: Option<Box<Memory>>,
    /// Sizes of the table that the other side does not know yet: the least, and the last.
    resized: Option<(u32, u32)>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { table: Table::new(TABLE_SIZE), memory: None, resized: None }
    }
}

impl Encoder {
    /// Notes the size of the table that the other side allows (bytes).
    pub fn set_limit(&mut self, size: u32) {
        let size = size.min(TABLE_SIZE);
        if size == self.table.max() && self.resized.is_none() {
            return;
        }
        let least = self.resized.map_or(self.table.max(), |(least, _)| least).min(size);
        self.resized = Some((least, size));
        self.table.resize(least);
        self.table.resize(size);
    }

    /// Begins a block.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some((least, last)) = self.resized.take() {
            if least < last {
                integer::write(0x20, 5, least, out);
            }
            integer::write(0x20, 5, last, out);
        }
    }

    /// Appends a field; the name is in lower case.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let fixed = match find(name, value) {
            Some(Found::Field(index)) => return integer::write(0x80, 7, index, out),
            Some(Found::Name(index)) => index,
            None => 0,
        };
        if is_secret(fixed) {
            return literal(0x10, 4, (fixed, name), value, out);
        }
        if name.len() + value.len() > LONGEST_KEPT {
            return literal(0, 4, (fixed, name), value, out);
        }
        let hash = hash(name, value);
        let memory = self.memory.get_or_insert_with(Memory::empty);
        let known = &mut memory.known[hash as usize % KNOWN];
        if known.0 == hash
            && let Some(place) = self.table.place(known.1)
            && self.table.get(place) == Some((name, value))
        {
            return integer::write(0x80, 7, FIXED + 1 + place as u32, out);
        }
        let once = &mut memory.once[(hash >> 8) as usize % ONCE];
        if *once != hash {
            *once = hash;
            return literal(0, 4, (fixed, name), value, out);
        }
        *known = (hash, self.table.next());
        kept_literal((fixed, name), value, out);
        self.table.insert(name, value);
    }
}

impl Memory {
    fn empty() -> Box<Self> {
        Box::new(Self { known: [(0, u32::MAX); KNOWN], once: [0; ONCE] })
    }
}

/// Whether a name, by its index, is one whose values are nobody's to guess: never put into a table, here or behind
/// (RFC 7541 section 7.1.3). Authorization, Cookie, Proxy-Authorization, Set-Cookie.
fn is_secret(fixed: u32) -> bool {
    matches!(fixed, 23 | 32 | 49 | 55)
}

/// A literal that is read once: quickly written rather than short.
#[inline]
fn literal(first: u8, prefix: u32, (fixed, name): (u32, &[u8]), value: &[u8], out: &mut Vec<u8>) {
    integer::write(first, prefix, fixed, out);
    if fixed == 0 {
        plain(name, out);
    }
    plain(value, out);
}

/// A literal that both sides put into their table: written once, so it may take its time.
fn kept_literal((fixed, name): (u32, &[u8]), value: &[u8], out: &mut Vec<u8>) {
    integer::write(0x40, 6, fixed, out);
    if fixed == 0 {
        shortest(name, out);
    }
    shortest(value, out);
}

#[inline]
fn plain(text: &[u8], out: &mut Vec<u8>) {
    integer::write(0, 7, text.len() as u32, out);
    out.extend_from_slice(text);
}

fn shortest(text: &[u8], out: &mut Vec<u8>) {
    let len = huffman::encoded_len(text);
    if len < text.len() {
        integer::write(0x80, 7, len as u32, out);
        huffman::encode(text, out);
    } else {
        plain(text, out);
    }
}

/// Eight bytes at a time; an endpoint that makes its fields collide makes its heads a little longer, no more.
#[inline]
fn hash(name: &[u8], value: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut sum = (name.len() as u64) << 32 | value.len() as u64;
    for text in [name, value] {
        let (words, rest) = text.as_chunks::<8>();
        for word in words {
            sum = (sum ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR).rotate_left(29);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        sum = (sum ^ u64::from_le_bytes(last)).wrapping_mul(FACTOR).rotate_left(29);
    }
    (sum.wrapping_mul(FACTOR) >> 32) as u32
}
