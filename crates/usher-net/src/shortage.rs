//! How short the process is of memory and of descriptors, and what follows from it.
//!
//! One account for the process: every byte that is asked of the heap is charged where it is asked for, by [`CountedHeap`],
//! whoever asks: buffers, heads, tables of streams, sessions of TLS and QUIC, bodies that filters gather. So there is
//! nothing that could be forgotten. Workers charge in grants ([`GRANT`]): a number of the thread is moved, and only when
//! it has moved far, the shared one. What the heap does not tell (code, stacks, libraries in C, holes) is added as a
//! sample of the resident memory last said ([`look`]).
//!
//! What follows is a level, which anybody may ask at the price of two loads. It rises at once, and falls when a sample
//! says so.

mod account;
mod deeds;
mod system;

use std::time::Duration;

use account::{Account, Descriptors};
pub use account::{Level, Reading};
pub use deeds::{Deed, deeds, did};
pub use system::{Ceiling, ceiling_of_system};

pub(crate) use account::charge;

/// How much a worker may take or give back before it tells the others (bytes).
pub const GRANT: usize = 64 << 10;
/// How often a sample is to be taken.
pub const EVERY: Duration = Duration::from_millis(200);
/// The lowest ceiling: the process alone takes about as much (bytes).
pub const LOWEST: u64 = 16 << 20;

/// Of this process.
static PROCESS: Account = Account::new();

/// How short the process is, of whichever it is shorter.
#[inline]
pub fn level() -> Level {
    PROCESS.level()
}

/// How short it is of memory.
#[inline]
pub fn memory() -> Level {
    PROCESS.memory()
}

/// Whether it is short enough of memory that buffers are small, and nothing is kept that could be done without.
#[inline]
pub fn is_tight() -> bool {
    PROCESS.memory() >= Level::Tight
}

/// Whether nothing more shall be taken in.
#[inline]
pub fn is_full() -> bool {
    PROCESS.memory() >= Level::Full
}

/// Sets the ceiling (bytes); none is no ceiling. Holds at once.
pub fn set_ceiling(ceiling: Option<u64>) {
    PROCESS.set_ceiling(ceiling);
}

/// Sets how many descriptors the process may have; none is no limit.
pub fn set_descriptors(limit: Option<u64>) {
    PROCESS.set_descriptors(limit);
}

/// Lets this thread charge in grants from now on, until it ends: for those that serve. Others tell of each byte.
pub fn charge_in_grants() -> InGrants {
    account::set_grant(GRANT);
    InGrants(())
}

/// As long as it lives, its thread charges in grants.
pub struct InGrants(());

impl Drop for InGrants {
    fn drop(&mut self) {
        account::set_grant(0);
    }
}

/// Notes that a connection was accepted whose descriptor has this number. The system gives the lowest that is free, so as
/// many are open. False if it is one that is kept for others than clients.
pub fn may_keep(descriptor: i32) -> bool {
    PROCESS.may_keep(descriptor)
}

/// Takes a sample, and gives back to the system what is free where that helps. To be called every [`EVERY`] by one
/// thread.
pub fn look() -> Reading {
    let before = PROCESS.reading();
    let resident = system::resident();
    // Between what the heap gave out and what the process has lie the holes: worth a look when it matters.
    if resident.is_some_and(|resident| before.needs_trimming(resident)) {
        crate::trim_heap();
        PROCESS.sample(system::resident(), descriptors());
    } else {
        PROCESS.sample(resident, descriptors());
    }
    PROCESS.reading()
}

/// What is known now.
pub fn reading() -> Reading {
    PROCESS.reading()
}

/// How much of what clients hold is to be freed, in thousandths; 0 if it is enough.
pub fn excess() -> u32 {
    PROCESS.excess()
}

fn descriptors() -> Option<u64> {
    Descriptors::are_limited(&PROCESS).then(system::open_descriptors).flatten()
}

/// Counts what kernel pipes hold at most (bytes): memory of the system that is not the process's.
pub(crate) fn pipe(capacity: usize, is_open: bool) {
    PROCESS.pipe(capacity, is_open);
}

#[cfg(test)]
mod tests;
