//! The fields of a head: the bytes as they came, an index of names and values, and edits on top.
//!
//! Nothing is allocated per field and nothing is hashed: a proxy passes on nearly every line unchanged, so runs of
//! unchanged lines are copied out in one piece. An edit appends a line to the same buffer; a removal clears a flag.

mod name;
#[cfg(test)]
mod tests;
mod token;
mod trailer;

use name::is_disguised;
pub use name::{FieldId, is_claim};
pub(crate) use token::is_lower_token;
pub use token::{is_token, is_token_byte, is_value};
pub use trailer::may_be_trailer;

/// One field line inside [`Fields`]' buffer. Offsets are bytes from the start of the buffer.
#[derive(Clone, Copy, Debug)]
struct Line {
    start: u32,
    value: u32,
    value_end: u32,
    /// One past the CRLF.
    end: u32,
    name_len: u16,
    id: FieldId,
    live: bool,
}

/// One field as it is seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as it was written; compare without case.
    pub name: &'a [u8],
    /// The value without the white space around it.
    pub value: &'a [u8],
    /// Which of the names that the proxy knows this is.
    pub id: FieldId,
}

/// Why an edit was refused: a name that is not a token, or a value with control bytes (RFC 9110 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidField;

/// An ordered list of field lines over one buffer; reused from message to message.
#[derive(Debug, Default)]
pub struct Fields {
    buf: Vec<u8>,
    lines: Vec<Line>,
    /// A superset of the identifiers of live lines: absent means certainly absent. And [`DISGUISE`] and
    /// [`CLAIM`].
    present: u64,
}

/// In [`Fields`]' set of identifiers: a parsed name is a disguise of one that is known.
const DISGUISE: u64 = 1 << 63;
/// In the same set: a parsed name that is not known [claims](is_claim) where the request came from.
const CLAIM: u64 = 1 << 62;

/// Edits may not let a head grow past this: the limit of a head that comes in, and as much again (bytes).
const MAX_BUFFER: usize = 2 << 20;

impl Fields {
    /// Empties the list and keeps its memory.
    pub fn clear(&mut self) {
        self.buf.clear();
        self.lines.clear();
        self.present = 0;
    }

    /// Gives memory back after an unusually large head (a connection's heads are mostly small).
    pub fn shrink(&mut self, limit: usize) {
        if self.buf.capacity() > limit {
            self.buf = Vec::new();
        }
        if self.lines.capacity() > 256 {
            self.lines = Vec::new();
        }
    }

    /// The number of live fields.
    pub fn len(&self) -> usize {
        self.lines.iter().filter(|line| line.live).count()
    }

    /// Whether there is no live field.
    pub fn is_empty(&self) -> bool {
        !self.lines.iter().any(|line| line.live)
    }

    /// Whether a live field with this identifier may exist; false is certain.
    #[inline]
    pub fn may_have(&self, id: FieldId) -> bool {
        self.present & id.bit() != 0
    }

    /// All live fields in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.lines.iter().filter(|line| line.live).map(|line| self.view(line))
    }

    /// The values of a known name, in order.
    pub fn all(&self, id: FieldId) -> impl Iterator<Item = &[u8]> {
        let lines = if self.may_have(id) { self.lines.as_slice() } else { &[] };
        lines.iter().filter(move |line| line.live && line.id == id).map(|line| self.value_of(line))
    }

    /// The first value of a known name.
    #[inline]
    pub fn get(&self, id: FieldId) -> Option<&[u8]> {
        self.all(id).next()
    }

    /// The values of any name, in order.
    pub fn all_named<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let id = FieldId::of(name);
        let absent = id != FieldId::Other && !self.may_have(id);
        let lines = if absent { &[] } else { self.lines.as_slice() };
        lines
            .iter()
            .filter(move |line| line.live && self.is_named(line, id, name))
            .map(|line| self.value_of(line))
    }

    /// The first value of any name.
    pub fn get_named<'a>(&'a self, name: &'a [u8]) -> Option<&'a [u8]> {
        self.all_named(name).next()
    }

    /// Removes every field of a known name; true if there was one.
    pub fn remove(&mut self, id: FieldId) -> bool {
        let had = self.may_have(id);
        if had {
            self.lines.iter_mut().filter(|line| line.id == id).for_each(|line| line.live = false);
            self.present &= !id.bit();
        }
        had
    }

    /// Removes every field of these known names, in one go over the lines.
    #[inline]
    pub fn remove_all(&mut self, ids: &[FieldId]) {
        let mask = ids.iter().fold(0, |mask, id| mask | id.bit());
        if self.present & mask != 0 {
            self.lines.iter_mut().filter(|line| line.id.bit() & mask != 0).for_each(|line| line.live = false);
            self.present &= !mask;
        }
    }

    /// Removes every field of this name; true if there was one.
    pub fn remove_named(&mut self, name: &[u8]) -> bool {
        let id = FieldId::of(name);
        if id != FieldId::Other {
            return self.remove(id);
        }
        let mut had = false;
        for i in 0..self.lines.len() {
            if self.lines[i].live && self.is_named(&self.lines[i], id, name) {
                self.lines[i].live = false;
                had = true;
            }
        }
        had
    }

    /// As [`Fields::remove_named`], and with it every field whose name differs by `_` for `-` only: CGI and its heirs see
    /// no difference (RFC 3875 section 4.1.18), so `X_User` would count as the `X-User` that was removed or replaced.
    pub fn remove_alike(&mut self, name: &[u8]) {
        self.remove_named(name);
        if !name.iter().any(|byte| matches!(byte, b'-' | b'_')) {
            return;
        }
        let plain = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
        self.retain(|field| {
            field.name.len() != name.len() || !field.name.iter().map(plain).eq(name.iter().map(plain))
        });
    }

    /// Adds a field of a known name behind the others. The value must be valid; it is checked in debug builds. Nothing
    /// is added to a head that has 2 MiB already.
    pub fn push(&mut self, id: FieldId, value: &[u8]) {
        if self.buf.len() + value.len() <= MAX_BUFFER {
            let start = id.line_start();
            self.write_line(id, (start, start.len() - 2), value.len(), |buf| buf.extend_from_slice(value));
        }
    }

    /// As [`Fields::push`], with the value given in parts.
    pub fn push_parts(&mut self, id: FieldId, parts: &[&[u8]]) {
        let size = parts.iter().map(|part| part.len()).sum::<usize>();
        if self.buf.len() + size <= MAX_BUFFER {
            let start = id.line_start();
            self.write_line(id, (start, start.len() - 2), size, |buf| {
                parts.iter().for_each(|part| buf.extend_from_slice(part));
            });
        }
    }

    /// Adds a field of any name behind the others.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidField> {
        self.check(name, value)?;
        self.write_named(name, value);
        Ok(())
    }

    /// Replaces every field of this name by one.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidField> {
        self.check(name, value)?;
        self.remove_named(name);
        self.write_named(name, value);
        Ok(())
    }

    fn check(&self, name: &[u8], value: &[u8]) -> Result<(), InvalidField> {
        let fits = name.len() <= MAX_ADDED_NAME && self.buf.len() + value.len() <= MAX_BUFFER;
        if fits && is_token(name) && is_value(value) { Ok(()) } else { Err(InvalidField) }
    }

    /// Keeps the fields for which `keep` answers true.
    #[inline]
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) {
        for i in 0..self.lines.len() {
            let line = self.lines[i];
            if line.live && !keep(self.view(&line)) {
                self.lines[i].live = false;
            }
        }
    }

    /// Writes all live lines, each with its CRLF, without the empty line that ends a head.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_but(0, out);
    }

    /// As [`Fields::encode`], without fields of these names.
    pub(crate) fn encode_without(&self, left_out: &[FieldId], out: &mut Vec<u8>) {
        self.encode_but(left_out.iter().fold(0, |mask, id| mask | id.bit()), out);
    }

    /// Writes runs of lines in one piece each, without those whose identifiers are in the set.
    fn encode_but(&self, left_out: u64, out: &mut Vec<u8>) {
        // At most so much, for all the pieces at once.
        out.reserve(self.buf.len());
        let (mut from, mut to) = (0usize, 0usize);
        for line in &self.lines {
            if !line.live || line.id.bit() & left_out != 0 {
                continue;
            }
            if line.start as usize != to {
                out.extend_from_slice(self.span(from, to));
                from = line.start as usize;
            }
            to = line.end as usize;
        }
        out.extend_from_slice(self.span(from, to));
    }

    /// Whether a field that was parsed has a name that, with `-` for its `_`, would decide something in the proxy.
    ///
    /// CGI and its heirs see no difference between the two (RFC 3875 section 4.1.18), so `X_Forwarded_For` would pass
    /// the proxy as any field and count as the proxy's own word behind it.
    pub(crate) fn has_disguised(&self) -> bool {
        self.present & DISGUISE != 0
    }

    /// Notes what a parsed name that is not known may be.
    #[inline]
    pub(crate) fn note_other(&mut self, name: &[u8]) {
        if is_disguised(name) {
            self.present |= DISGUISE;
        }
        if is_claim(name) {
            self.present |= CLAIM;
        }
    }

    /// Removes every parsed field that is not known and [claims](is_claim) where the request came from.
    #[inline]
    pub(crate) fn remove_claims(&mut self) {
        if self.present & CLAIM != 0 {
            self.retain(|field| field.id != FieldId::Other || !is_claim(field.name));
            self.present &= !CLAIM;
        }
    }

    /// The bytes that spans of a head's first line point into.
    pub(crate) fn buffer(&self) -> &[u8] {
        &self.buf
    }

    /// Takes over a parsed head: its bytes, once, behind an index made by [`Fields::index`].
    #[inline]
    pub(crate) fn fill(&mut self, head: &[u8]) {
        self.buf.clear();
        self.buf.extend_from_slice(head);
    }

    /// Notes a parsed line; offsets are those that the line will have after [`Fields::fill`].
    #[inline]
    pub(crate) fn index(
        &mut self,
        start: usize,
        name_len: usize,
        value: (usize, usize),
        end: usize,
        id: FieldId,
    ) {
        self.present |= id.bit();
        self.lines.push(Line {
            start: start as u32,
            value: value.0 as u32,
            value_end: value.1 as u32,
            end: end as u32,
            name_len: name_len as u16,
            id,
            live: true,
        });
    }

    /// Adds a line of a name and value that were checked.
    #[inline]
    pub(crate) fn append(&mut self, id: FieldId, name: &[u8], value: &[u8]) {
        self.write_line(id, (name, name.len()), value.len() + 2, |buf| {
            buf.extend_from_slice(b": ");
            buf.extend_from_slice(value);
        });
    }

    /// Adds the lines of a list that was only ever added to, in one piece.
    pub(crate) fn append_all(&mut self, other: &Self) {
        if self.buf.len() + other.buf.len() > MAX_BUFFER {
            return;
        }
        let by = self.buf.len() as u32;
        self.buf.extend_from_slice(&other.buf);
        self.present |= other.present;
        self.lines.extend(other.lines.iter().map(|line| Line {
            start: line.start + by,
            value: line.value + by,
            value_end: line.value_end + by,
            end: line.end + by,
            ..*line
        }));
    }

    /// Adds bytes that are no line, and says where they are in the buffer.
    pub(crate) fn append_raw(&mut self, bytes: &[u8]) -> (u32, u32) {
        let from = self.buf.len();
        self.buf.extend_from_slice(bytes);
        (from as u32, self.buf.len() as u32)
    }

    /// Replaces all fields of a known name by one, their values in order with `separator` between them. Empty ones are left out:
    /// a separator at the end would leave white space there.
    pub(crate) fn join(&mut self, id: FieldId, separator: &[u8]) {
        let spans: Vec<(u32, u32)> = (self.lines.iter().filter(|line| line.live && line.id == id))
            .map(|line| (line.value, line.value_end))
            .filter(|(from, to)| from < to)
            .collect();
        let size = spans.iter().map(|(from, to)| (to - from) as usize + separator.len()).sum::<usize>();
        self.remove(id);
        let start = id.line_start();
        self.write_line(id, (start, start.len() - 2), size, |buf| {
            for (number, (from, to)) in spans.iter().enumerate() {
                if number > 0 {
                    buf.extend_from_slice(separator);
                }
                buf.extend_from_within(*from as usize..*to as usize);
            }
        });
    }

    fn write_named(&mut self, name: &[u8], value: &[u8]) {
        self.append(FieldId::of(name), name, value);
    }

    /// Writes a line that begins with `start`, of which `name_len` bytes are the name, and goes on with what `rest`
    /// writes, `size` bytes.
    #[inline]
    fn write_line(
        &mut self,
        id: FieldId,
        (start, name_len): (&[u8], usize),
        size: usize,
        rest: impl FnOnce(&mut Vec<u8>),
    ) {
        let from = self.buf.len();
        self.buf.reserve(start.len() + size + 2);
        self.buf.extend_from_slice(start);
        rest(&mut self.buf);
        let value = (from + name_len + 2, self.buf.len());
        debug_assert!(is_value(self.span(value.0, value.1)));
        self.buf.extend_from_slice(b"\r\n");
        self.index(from, name_len, value, value.1 + 2, id);
    }

    #[inline]
    fn view(&self, line: &Line) -> Field<'_> {
        Field { name: self.name_of(line), value: self.value_of(line), id: line.id }
    }

    #[inline]
    fn name_of(&self, line: &Line) -> &[u8] {
        self.span(line.start as usize, line.start as usize + line.name_len as usize)
    }

    #[inline]
    fn value_of(&self, line: &Line) -> &[u8] {
        self.span(line.value as usize, line.value_end as usize)
    }

    /// Bytes of the buffer; none where a head is not complete yet, so that its index is ahead of its bytes.
    #[inline]
    fn span(&self, from: usize, to: usize) -> &[u8] {
        self.buf.get(from..to).unwrap_or_default()
    }

    #[inline]
    fn is_named(&self, line: &Line, id: FieldId, name: &[u8]) -> bool {
        line.id == id && (id != FieldId::Other || self.name_of(line).eq_ignore_ascii_case(name))
    }
}

/// The longest name that can be added (bytes); parsed ones may be longer.
const MAX_ADDED_NAME: usize = 256;
