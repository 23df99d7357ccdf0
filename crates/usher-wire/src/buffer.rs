//! Read buffers, borrowed from a pool of the thread while there is something in them.

use std::cell::RefCell;

use usher_net::shortage;

/// The size of a fresh buffer (bytes): one read takes a usual head and a small body.
pub const SMALL: usize = 16 << 10;
/// The size that streaming bodies read into (bytes).
pub const LARGE: usize = 64 << 10;
/// The size of a fresh buffer while the process is short of memory, and of what streaming bodies read into (bytes). It
/// grows by the same steps.
pub const TIGHT: usize = 4 << 10;
/// Buffers that a thread keeps, of [`SMALL`] and of [`LARGE`]: 8 MiB and 4 MiB at most. A request in flight holds one
/// or two; whoever finds none has to fill one with zeros.
const POOLED: [usize; 2] = [512, 64];
/// Buffers of each size that stay when nobody needs them.
const SPARE: usize = 16;

thread_local! {
    static POOL: RefCell<[Vec<Box<[u8]>>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

fn take(size: usize) -> Box<[u8]> {
    let class = usize::from(size > SMALL);
    let pooled =
        (size == SMALL || size == LARGE).then(|| POOL.with(|pool| pool.borrow_mut()[class].pop())).flatten();
    pooled.unwrap_or_else(|| vec![0; size].into_boxed_slice())
}

fn give(data: Box<[u8]>) {
    if data.len() != SMALL && data.len() != LARGE || shortage::is_tight() {
        return;
    }
    let class = usize::from(data.len() > SMALL);
    POOL.with(|pool| {
        let pool = &mut pool.borrow_mut()[class];
        if pool.len() < POOLED[class] {
            pool.push(data);
        }
    });
}

/// Frees the buffers that this thread keeps, but a few: after a wave of requests, or while the process is short of memory.
pub fn free_spare_buffers() {
    let kept = if shortage::is_tight() { 0 } else { SPARE };
    POOL.with(|pool| pool.borrow_mut().iter_mut().for_each(|pool| pool.truncate(kept)));
}

/// Bytes that were read and not taken yet. Holds memory only while it is in use.
#[derive(Debug, Default)]
pub struct Buffer {
    data: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    /// Their number.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops the first `len` bytes.
    #[inline]
    pub fn consume(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Room to read into: at least one byte, unless `limit` bytes are held already. Grows from [`SMALL`] up to `limit`.
    pub fn room(&mut self, limit: usize) -> &mut [u8] {
        if self.end == self.data.len() {
            self.make_room(limit);
        }
        &mut self.data[self.end..]
    }

    /// Room of the size for streaming, if nothing is held. A small one while the process is short of memory, as whoever
    /// takes the body may be slow.
    pub fn room_for_stream(&mut self) -> &mut [u8] {
        if self.is_empty() && shortage::is_tight() {
            if self.data.len() != TIGHT {
                give(std::mem::replace(&mut self.data, vec![0; TIGHT].into_boxed_slice()));
            }
        } else if self.is_empty() && self.data.len() < LARGE {
            give(std::mem::replace(&mut self.data, take(LARGE)));
        }
        self.room(LARGE)
    }

    /// Notes that `len` bytes were read into the room.
    #[inline]
    pub fn filled(&mut self, len: usize) {
        self.end = (self.end + len).min(self.data.len());
    }

    /// Gives the memory back if nothing is held.
    #[inline]
    pub fn release(&mut self) {
        if self.is_empty() && !self.data.is_empty() {
            give(std::mem::take(&mut self.data));
            (self.start, self.end) = (0, 0);
        }
    }

    fn make_room(&mut self, limit: usize) {
        if self.data.is_empty() {
            self.data = take(if shortage::is_tight() { TIGHT } else { SMALL });
        } else if self.start > 0 {
            self.data.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        } else if self.data.len() < limit {
            let size = (self.data.len() * 2).min(limit.max(LARGE));
            let mut grown = take(size);
            grown[..self.end].copy_from_slice(&self.data[..self.end]);
            give(std::mem::replace(&mut self.data, grown));
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.data.is_empty() {
            give(std::mem::take(&mut self.data));
        }
    }
}
