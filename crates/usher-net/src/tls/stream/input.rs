//! What came from the peer and was not read yet.

use super::buffers::{self, BUFFER};
use super::keys::RECORD_HEAD;

/// What came from the peer and was not read yet: perhaps the rest of an opened record, and behind it records as they
/// came.
#[derive(Default)]
pub(super) struct Input {
    bytes: Box<[u8]>,
    /// The text of the record that was opened in place, as far as it was not read.
    plain: (usize, usize),
    /// The records behind.
    start: usize,
    end: usize,
}

/// What is next among the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Not even a whole one.
    Incomplete,
    /// A whole one: its head, and the length of its payload.
    Record([u8; RECORD_HEAD], usize),
    /// One that is longer than any may be.
    TooLong,
    /// Not a record of TLS.
    Unknown,
}

impl Input {
    /// Text that was read ahead already, and records behind.
    pub(super) fn new(mut plain: Vec<u8>, records: &[u8]) -> Self {
        let middle = plain.len();
        plain.extend_from_slice(records);
        Self { plain: (0, middle), start: middle, end: plain.len(), bytes: plain.into_boxed_slice() }
    }

    /// Whether it holds no memory, and so nothing.
    #[inline]
    pub(super) fn is_bare(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Opened text that waits.
    pub(super) fn has_plain(&self) -> bool {
        self.plain.0 < self.plain.1
    }

    /// Moves opened text into `out`; says how much.
    pub(super) fn take_plain(&mut self, out: &mut [u8]) -> usize {
        let text = self.bytes.get(self.plain.0..self.plain.1).unwrap_or_default();
        let len = text.len().min(out.len());
        if let (Some(from), Some(to)) = (text.get(..len), out.get_mut(..len)) {
            to.copy_from_slice(from);
        }
        self.plain.0 += len;
        len
    }

    /// Whether there are no records, whole or in part.
    pub(super) fn is_drained(&self) -> bool {
        self.start == self.end
    }

    /// What is next, if records may have `max` bytes behind their head.
    pub(super) fn next(&self, max: usize) -> Next {
        let records = self.bytes.get(self.start..self.end).unwrap_or_default();
        let Some((head, rest)) = records.split_first_chunk::<RECORD_HEAD>() else { return Next::Incomplete };
        let [_, major, _, high, low] = *head;
        let len = usize::from(u16::from_be_bytes([high, low]));
        match len {
            _ if major != 3 => Next::Unknown,
            len if len > max => Next::TooLong,
            len if len > rest.len() => Next::Incomplete,
            len => Next::Record(*head, len),
        }
    }

    /// The payload of the next record, of which `len` is known.
    pub(super) fn payload(&mut self, len: usize) -> &mut [u8] {
        let start = self.start + RECORD_HEAD;
        self.bytes.get_mut(start..start + len).unwrap_or_default()
    }

    /// Goes on behind the next record; of it, `plain` is kept as text: where in the payload it begins, and how long
    /// it is.
    pub(super) fn consume(&mut self, len: usize, plain: (usize, usize)) {
        let start = self.start + RECORD_HEAD;
        self.plain = (start + plain.0, start + plain.0 + plain.1);
        self.start = start + len;
    }

    /// Room behind what there is, to read into. Nothing opened may be left.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.bytes.len() < BUFFER {
            let mut bytes = buffers::take();
            self.copy_to(&mut bytes);
            self.bytes = bytes;
        } else if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
        }
        (self.start, self.end) = (0, self.end - self.start);
        self.plain = (0, 0);
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// So much of the room was filled.
    pub(super) fn filled(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.bytes.len());
    }

    /// Gives the buffer back; of a record that is not complete, only what is there is kept.
    pub(super) fn release(&mut self) {
        if self.is_bare() || self.has_plain() {
            return;
        }
        if self.is_drained() {
            buffers::give(std::mem::take(&mut self.bytes));
            (self.start, self.end, self.plain) = (0, 0, (0, 0));
        } else {
            self.keep_part();
        }
    }

    #[cold]
    fn keep_part(&mut self) {
        let kept = self.end - self.start;
        if self.bytes.len() < BUFFER && self.start == 0 {
            return;
        }
        let mut bytes = vec![0; kept].into_boxed_slice();
        self.copy_to(&mut bytes);
        buffers::give(std::mem::replace(&mut self.bytes, bytes));
        (self.start, self.end, self.plain) = (0, kept, (0, 0));
    }

    /// Forgets the records: nobody reads what is behind the end.
    pub(super) fn discard(&mut self) {
        self.start = self.end;
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.bytes.len()
    }

    fn copy_to(&self, bytes: &mut [u8]) {
        let kept = self.bytes.get(self.start..self.end).unwrap_or_default();
        if let Some(to) = bytes.get_mut(..kept.len()).filter(|to| !to.is_empty()) {
            to.copy_from_slice(kept);
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        buffers::give(std::mem::take(&mut self.bytes));
    }
}
