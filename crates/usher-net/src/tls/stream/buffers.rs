//! Buffers for records, shared by the connections of a thread: one has them only while something is in them.

use std::cell::RefCell;

use super::keys::{MAX_OVERHEAD, MAX_PLAIN};
use super::output::RESERVED;
use crate::shortage;

/// How much is read or written at once: four records of the largest size, and never less than one.
pub(super) const BUFFER: usize = 4 * (MAX_PLAIN + MAX_OVERHEAD) + 1024;
/// How much is written at once while the process is short of memory: its clients may be slow to take it. As much as is
/// read at once then, so that it is one record.
const TIGHT: usize = (4 << 10) + RESERVED + MAX_OVERHEAD;
/// How many are kept per thread.
const IDLE: usize = 16;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`BUFFER`] bytes, with anything in it.
pub(super) fn take() -> Box<[u8]> {
    let kept = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
    kept.unwrap_or_else(|| vec![0; BUFFER].into_boxed_slice())
}

/// A buffer to write from: a smaller one while the process is short of memory.
pub(super) fn take_for_output() -> Box<[u8]> {
    if shortage::is_tight() { vec![0; TIGHT].into_boxed_slice() } else { take() }
}

/// Gives a buffer back. One of another size is freed.
pub(super) fn give(buffer: Box<[u8]>) {
    if buffer.len() == BUFFER && !shortage::is_tight() {
        // Without the pool, while the thread ends, it is freed.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < IDLE {
                pool.push(buffer);
            }
        });
    }
}
