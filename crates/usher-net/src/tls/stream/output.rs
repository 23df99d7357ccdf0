//! What is sealed and not sent yet.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::buffers::{self, BUFFER};
use super::keys::{APPLICATION_DATA, Keys, MAX_OVERHEAD, MAX_PLAIN, Plain};
use crate::transport::Transport;

/// What is always left for messages of ours: an answer to a new key, an alert, and the end.
pub(super) const RESERVED: usize = 4 * (MAX_OVERHEAD + 8);

/// What is sealed and not sent yet.
pub(super) struct Output {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// The socket did not take all of it: a write waits, and nothing is added.
    is_blocked: bool,
    /// Bytes of a write that are sealed, while the writer was told to wait. It is told of them when they are sent, and
    /// gives them again until then.
    untold: usize,
    /// Those bytes: whoever comes back with others would be told that they are sent.
    #[cfg(debug_assertions)]
    untold_bytes: Vec<u8>,
}

impl Output {
    /// Records that are sealed already.
    pub(super) fn new(records: &[u8]) -> Self {
        let mut output = Self {
            bytes: Box::default(),
            start: 0,
            end: 0,
            is_blocked: false,
            untold: 0,
            #[cfg(debug_assertions)]
            untold_bytes: Vec::new(),
        };
        output.push(records);
        output
    }

    fn push(&mut self, records: &[u8]) {
        if !records.is_empty() {
            // Handshakes say more than a buffer holds only with very long chains; then it is one of its own.
            let mut bytes = if records.len() < BUFFER / 2 {
                buffers::take()
            } else {
                vec![0; records.len() + BUFFER].into()
            };
            if let Some(to) = bytes.get_mut(..records.len()) {
                to.copy_from_slice(records);
            }
            (self.bytes, self.start, self.end) = (bytes, 0, records.len());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether a writer waits for the socket, and so gets the next word of it.
    pub(super) fn has_writer(&self) -> bool {
        self.untold > 0
    }

    /// Whether there is something that could be sent without standing in a writer's way.
    pub(super) fn is_ours(&self) -> bool {
        !self.is_empty() && self.untold == 0
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Of `len` bytes that a writer gives in `parts`, those that were sealed before; none if there are no such.
    pub(super) fn told(&mut self, parts: &[IoSlice<'_>], len: usize) -> Option<usize> {
        (self.untold > 0).then(|| {
            let told = self.untold.min(len);
            self.untold -= told;
            #[cfg(debug_assertions)]
            {
                let given = parts.iter().flat_map(|part| part.iter()).take(told);
                debug_assert!(
                    given.eq(self.untold_bytes.drain(..told).as_slice()),
                    "a write came back with other bytes"
                );
            }
            let _ = parts;
            told
        })
    }

    /// The writer of `parts` was told to wait, and `len` bytes of them are sealed.
    pub(super) fn owe(&mut self, parts: &[IoSlice<'_>], len: usize) {
        self.untold = len;
        #[cfg(debug_assertions)]
        {
            self.untold_bytes = parts.iter().flat_map(|part| part.iter().copied()).take(len).collect();
        }
        let _ = parts;
    }

    fn room(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = buffers::take_for_output();
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.end - self.start
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.bytes.len()
    }

    /// How many bytes the next record can carry.
    pub(super) fn most(&mut self) -> usize {
        self.room().len().saturating_sub(RESERVED + MAX_OVERHEAD).min(MAX_PLAIN)
    }

    /// Seals a message of ours. False if there is no room, or the key is used up.
    pub(super) fn message(&mut self, keys: &mut Keys, typ: u8, content: &[u8]) -> bool {
        let sealed = keys.seal(typ, Plain::Elsewhere(content), self.room());
        self.end += sealed.unwrap_or(0);
        sealed.is_some()
    }

    /// Seals one record with the next bytes of `parts` behind the first `skip`; says how many. 0 if there is no room.
    pub(super) fn record(&mut self, keys: &mut Keys, parts: &[IoSlice<'_>], mut skip: usize) -> usize {
        let most = self.most();
        let room = self.room();
        let mut parts = parts.iter().map(|part| {
            let behind = part.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(part.len());
            behind
        });
        let Some(first) = parts.find(|part| !part.is_empty()) else { return 0 };
        let plain_at = keys.plain_at();
        let mut rest = parts.filter(|part| !part.is_empty()).peekable();
        let plain = if first.len() >= most || rest.peek().is_none() {
            Plain::Elsewhere(first.get(..most).unwrap_or(first))
        } else {
            let Some(to) = room.get_mut(plain_at..plain_at + most) else { return 0 };
            Plain::InPlace(gather(std::iter::once(first).chain(rest), to))
        };
        let len = match plain {
            Plain::Elsewhere(plain) => plain.len(),
            Plain::InPlace(len) => len,
        };
        if len == 0 {
            return 0;
        }
        match keys.seal(APPLICATION_DATA, plain, room) {
            Some(sealed) => {
                self.end += sealed;
                len
            }
            None => 0,
        }
    }

    /// Sends all of it, and gives the buffer back.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut impl Transport,
    ) -> Poll<io::Result<()>> {
        while let Some(rest) = self.bytes.get(self.start..self.end).filter(|rest| !rest.is_empty()) {
            self.is_blocked = true;
            match ready!(stream.poll_write(cx, rest)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(len) => self.start = self.start.saturating_add(len).min(self.end),
                Err(error) => {
                    self.clear();
                    return Poll::Ready(Err(error));
                }
            }
        }
        self.clear();
        Poll::Ready(Ok(()))
    }

    fn clear(&mut self) {
        buffers::give(std::mem::take(&mut self.bytes));
        (self.start, self.end, self.is_blocked) = (0, 0, false);
    }
}

/// Copies as much as fits; says how much.
fn gather<'a>(parts: impl Iterator<Item = &'a [u8]>, out: &mut [u8]) -> usize {
    let mut filled = 0;
    for part in parts {
        let rest = out.get_mut(filled..).unwrap_or_default();
        let len = part.len().min(rest.len());
        if let (Some(to), Some(from)) = (rest.get_mut(..len), part.get(..len)) {
            to.copy_from_slice(from);
        }
        filled += len;
        if len < part.len() {
            break;
        }
    }
    filled
}

impl Drop for Output {
    fn drop(&mut self) {
        self.clear();
    }
}
