//! What is to be sent: the frames of all streams, in one buffer that leaves in one write.

use usher_net::shortage;

use super::frame::flag;

/// Bodies are taken until so much is waiting (bytes).
pub(super) const FULL: usize = 128 << 10;
/// When less than this is waiting, streams that wait for their turn get it (bytes).
const LOW: usize = 64 << 10;
/// Nothing is read while so much is waiting (bytes): then a peer makes us answer and takes no answers.
pub(super) const PAUSE: usize = 256 << 10;
/// In place of the two while the process is short of memory: a client that takes nothing holds no more (bytes). Between
/// them is a whole frame.
const TIGHT: (usize, usize) = (32 << 10, 16 << 10);
/// Memory that is kept while nothing is waiting, as long as there are streams (bytes).
const KEPT: usize = 192 << 10;

/// How much may wait before nothing of bodies is added, and how little before it is again (bytes).
#[inline]
pub(super) fn bounds() -> (usize, usize) {
    if shortage::is_tight() { TIGHT } else { (FULL, LOW) }
}

/// Frames that wait, and how far they were sent.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    sent: usize,
    /// What was sent before the first byte of `bytes`.
    before: u64,
    /// Up to where a write was given bytes that it did not take: it may have sealed them, and gets the same ones again.
    offered: u64,
    /// Something was added that the driver does not know of.
    pub(super) is_news: bool,
}

impl Output {
    /// Where to add frames.
    #[inline]
    pub(super) fn begin(&mut self) -> &mut Vec<u8> {
        self.is_news = true;
        &mut self.bytes
    }

    /// Bytes that wait.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// How many of the bytes up to `end`, counted since the beginning, wait.
    pub(super) fn waiting_to(&self, end: u64) -> usize {
        usize::try_from(end.saturating_sub(self.before + self.sent as u64)).unwrap_or(usize::MAX)
    }

    /// Where the next frame begins, counted since the beginning.
    #[inline]
    pub(super) fn end(&self) -> u64 {
        self.before + self.bytes.len() as u64
    }

    /// Turns a frame of DATA that begins at `at` into the last of its stream; false if it is on its way already.
    pub(super) fn end_stream(&mut self, at: u64) -> bool {
        if at < self.offered.max(self.before + self.sent as u64) {
            return false;
        }
        let flags = usize::try_from(at - self.before).ok().and_then(|at| self.bytes.get_mut(at + 4));
        flags.map(|flags| *flags |= flag::END_STREAM).is_some()
    }

    /// The bytes that wait.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// Notes that a write waits that was given all bytes ([`Transport::poll_write`](usher_net::Transport::poll_write)): none of
    /// them changes any more.
    pub(super) fn offered(&mut self) {
        self.offered = self.end();
    }

    /// Notes that `len` bytes were sent.
    pub(super) fn sent(&mut self, len: usize) {
        self.sent = (self.sent + len).min(self.bytes.len());
        if self.sent == self.bytes.len() {
            self.forget();
        } else if self.sent >= LOW {
            self.before += self.sent as u64;
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Throws away what waits: nobody will take it.
    pub(super) fn forget(&mut self) {
        self.before += self.bytes.len() as u64;
        self.bytes.clear();
        self.sent = 0;
        if self.bytes.capacity() > KEPT || self.bytes.capacity() > TIGHT.0 && shortage::is_tight() {
            self.bytes = Vec::new();
        }
    }

    /// Gives its memory back if nothing waits.
    pub(super) fn release(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }
}
