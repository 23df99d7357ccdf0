//! A queue of lines from one thread to one other, of fixed size, without locks and waiting.
//!
//! Lines lie in a ring of 64-bit words, each line after a word with its length. Words are atomics, so that no `unsafe`
//! is needed; copying eight bytes at a time costs next to nothing beside formatting the line.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const WORD: usize = size_of::<u64>();

/// The writer is woken each time that so many bytes have been written.
const STRIDE_BYTES: usize = 128 * 1024;

/// A position on a cache line of its own, so that the two threads do not take each other's.
#[repr(align(64))]
#[derive(Default)]
struct Position(AtomicUsize);

/// The queue. Only one thread may call [`Ring::push`], and only one other [`Ring::drain`].
pub(super) struct Ring {
    words: Box<[AtomicU64]>,
    /// Words pushed so far. Written by the pushing thread.
    tail: Position,
    /// Words taken so far. Written by the draining thread.
    head: Position,
    /// Lines that found no room. Written by the pushing thread.
    dropped: AtomicU64,
}

impl Ring {
    /// A ring of about this size, rounded up to a power of two.
    pub(super) fn new(bytes: usize) -> Self {
        let words = (bytes / WORD).max(2).next_power_of_two();
        let words = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self { words, tail: Position::default(), head: Position::default(), dropped: AtomicU64::new(0) }
    }

    fn word(&self, position: usize) -> &AtomicU64 {
        &self.words[position & (self.words.len() - 1)]
    }

    /// Adds a line, or counts it as dropped if there is no room. True if the writer should be woken.
    pub(super) fn push(&self, line: &[u8]) -> bool {
        let need = 1 + line.len().div_ceil(WORD);
        let tail = self.tail.0.load(Ordering::Relaxed);
        let used = tail.wrapping_sub(self.head.0.load(Ordering::Acquire));
        if need > self.words.len() - used {
            self.dropped.store(self.dropped() + 1, Ordering::Relaxed);
            return false;
        }
        self.word(tail).store(line.len() as u64, Ordering::Relaxed);
        let mut at = tail.wrapping_add(1);
        let (whole, rest) = line.as_chunks::<WORD>();
        for chunk in whole {
            self.word(at).store(u64::from_ne_bytes(*chunk), Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
        if !rest.is_empty() {
            let mut last = [0; WORD];
            last[..rest.len()].copy_from_slice(rest);
            self.word(at).store(u64::from_ne_bytes(last), Ordering::Relaxed);
        }
        let end = tail.wrapping_add(need);
        self.tail.0.store(end, Ordering::Release);
        let stride = (STRIDE_BYTES / WORD).min(self.words.len() / 2);
        tail / stride != end / stride
    }

    /// Takes the lines that are there now, in order; `line` is used for each.
    pub(super) fn drain(&self, line: &mut Vec<u8>, mut take: impl FnMut(&[u8])) {
        let tail = self.tail.0.load(Ordering::Acquire);
        let mut head = self.head.0.load(Ordering::Relaxed);
        while head != tail {
            let len = self.word(head).load(Ordering::Relaxed) as usize;
            let words = len.div_ceil(WORD);
            line.clear();
            for i in 1..=words {
                line.extend_from_slice(
                    &self.word(head.wrapping_add(i)).load(Ordering::Relaxed).to_ne_bytes(),
                );
            }
            line.truncate(len);
            head = head.wrapping_add(1 + words);
            self.head.0.store(head, Ordering::Release);
            take(line);
        }
    }

    /// Whether there is nothing to drain.
    pub(super) fn is_empty(&self) -> bool {
        self.head.0.load(Ordering::Relaxed) == self.tail.0.load(Ordering::Acquire)
    }

    /// Lines that found no room so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
