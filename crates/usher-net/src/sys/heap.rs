//! The heap, counted.

use std::alloc::{GlobalAlloc, Layout, System};

use crate::shortage::charge;

/// The system's heap, which charges the process with what it gives out. To be the `#[global_allocator]` of a program
/// whose memory has a ceiling; without it nothing is charged, and only samples of the resident memory are known.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountedHeap;

/// What the system's heap takes for an allocation: 8 bytes before it, and all in steps of 16 (glibc, malloc internals).
#[inline]
fn cost(size: usize) -> i64 {
    (size.saturating_add(23) & !15) as i64
}

// SAFETY: every call goes to `System` with what came in, and its answer is given unchanged; counting neither allocates nor
// unwinds.
unsafe impl GlobalAlloc for CountedHeap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        charge(cost(layout.size()));
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        charge(cost(layout.size()));
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        charge(-cost(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        charge(cost(size) - cost(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
