//! The heap, counted.

use std::alloc::{GlobalAlloc, Layout};

use mimalloc::MiMalloc;

use crate::shortage::charge;

/// mimalloc's heap, which charges the process with what it gives out. To be the `#[global_allocator]` of a program whose
/// memory has a ceiling; without it nothing is charged, and only samples of the resident memory are known.
///
/// Not the system's, where giving back a small piece may mean to put together thousands: among clients that come and go
/// with all sizes of buffers, glibc's kept everybody waiting for 5 to 20 ms, again and again.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountedHeap;

/// About what the heap takes for an allocation: sizes come in steps of an eighth at most, so a sixteenth is lost on
/// average, and at least 8 bytes are taken.
#[inline]
fn cost(size: usize) -> i64 {
    (size.saturating_add(7) & !7).saturating_add(size / 16) as i64
}

// SAFETY: every call goes to `MiMalloc` with what came in, and its answer is given unchanged; counting neither allocates nor
// unwinds. Each is a function that is called: counting in the place of every drop makes the program much larger, and code
// that never runs parts code that does.
unsafe impl GlobalAlloc for CountedHeap {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        charge(cost(layout.size()));
        // SAFETY: the caller's promises are those that `MiMalloc` asks for.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        charge(cost(layout.size()));
        // SAFETY: as above.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        charge(-cost(layout.size()));
        // SAFETY: as above.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }

    #[inline(never)]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        charge(cost(size) - cost(layout.size()));
        // SAFETY: as above.
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }
}
