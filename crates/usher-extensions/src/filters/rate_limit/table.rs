//! The arrival times of many clients, in memory of fixed size, without locks, shared by all workers.
//!
//! The table is set-associative, as a processor's cache is: a client's hash chooses a set, and any of the [`WAYS`]
//! slots of the set may be its own. A slot is two atomic numbers, the hash and the arrival time. Hashes are keyed with
//! a random seed, so nobody can choose addresses that share a set.
//!
//! What this costs in exactness:
//! - When all slots of a set are taken, the client whose limit is restored first is forgotten. If that lies in the
//!   past, nothing is lost; otherwise that client gets a whole burst anew.
//! - Two workers that write to one slot at the very moment at which it changes hands may charge one request to the
//!   wrong client.
//! - Two clients whose hashes are equal (64 bits) count as one.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::limit::{Limit, Verdict};

/// Slots of one set.
const WAYS: usize = 8;
/// Sets that are made at once, when the first client falls into one of them: 8 KiB.
const SETS_PER_BLOCK: usize = 64;
/// How often a worker tries to get a slot that others want too.
const MAX_TRIES: usize = 4;

/// One client: its hash (0: nobody) and its arrival time.
#[derive(Default)]
struct Slot {
    hash: AtomicU64,
    arrival: AtomicU64,
}

type Set = [Slot; WAYS];

/// Arrival times by client.
pub struct Table {
    seed: RandomState,
    /// A power of two.
    sets: usize,
    blocks: Box<[OnceLock<Box<[Set]>>]>,
}

impl Table {
    /// A table for so many clients, rounded up. Memory is taken as clients come.
    pub fn new(clients: u32) -> Self {
        let clients = usize::try_from(clients).unwrap_or(usize::MAX / 2);
        let sets = clients.div_ceil(WAYS).next_power_of_two();
        let blocks = (0..sets.div_ceil(SETS_PER_BLOCK)).map(|_| OnceLock::new()).collect();
        Self { seed: RandomState::new(), sets, blocks }
    }

    /// The hash of a client; never 0.
    pub fn hash(&self, client: &[u8]) -> u64 {
        self.seed.hash_one(client).max(1)
    }

    /// A request of this client at `now`.
    pub fn take(&self, hash: u64, limit: &Limit, now: u64) -> Verdict {
        let set = self.set(hash);
        for _ in 0..MAX_TRIES {
            let slot = match find(set, hash) {
                Some(slot) => slot,
                None => match claim(set, hash, now) {
                    Some(slot) => slot,
                    None => continue,
                },
            };
            return charge(slot, limit, now);
        }
        // Others take this set's slots faster than this worker can: let the request through rather than wait.
        Verdict::Pass(now)
    }

    /// The arrival time of a client, without a change; 0 for one that is not known.
    pub fn peek(&self, hash: u64) -> u64 {
        find(self.set(hash), hash).map_or(0, |slot| slot.arrival.load(Ordering::Relaxed))
    }

    fn set(&self, hash: u64) -> &Set {
        // The bits above: the ones below may tell clients of one set apart sooner.
        let index = usize::try_from(hash >> 20).unwrap_or_default() & (self.sets - 1);
        let make = || (0..SETS_PER_BLOCK.min(self.sets)).map(|_| Set::default()).collect();
        &self.blocks[index / SETS_PER_BLOCK].get_or_init(make)[index % SETS_PER_BLOCK]
    }
}

fn find(set: &Set, hash: u64) -> Option<&Slot> {
    set.iter().find(|slot| slot.hash.load(Ordering::Acquire) == hash)
}

/// Makes the slot whose arrival time is the earliest the client's own; none if another worker was faster.
fn claim(set: &Set, hash: u64, now: u64) -> Option<&Slot> {
    let slot = set.iter().min_by_key(|slot| slot.arrival.load(Ordering::Relaxed))?;
    let before = slot.hash.load(Ordering::Acquire);
    if before == hash {
        return Some(slot);
    }
    let arrival = slot.arrival.load(Ordering::Relaxed);
    slot.hash.compare_exchange(before, hash, Ordering::AcqRel, Ordering::Relaxed).ok()?;
    // What the client before owed is not this one's debt. If this fails, this client was charged already.
    let _ = slot.arrival.compare_exchange(arrival, arrival.min(now), Ordering::AcqRel, Ordering::Relaxed);
    Some(slot)
}

/// Moves the arrival time, unless the request has to wait.
fn charge(slot: &Slot, limit: &Limit, now: u64) -> Verdict {
    let mut arrival = slot.arrival.load(Ordering::Relaxed);
    loop {
        let verdict = limit.decide(arrival, now);
        let Verdict::Pass(next) = verdict else { return verdict };
        match slot.arrival.compare_exchange_weak(arrival, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return verdict,
            Err(current) => arrival = current,
        }
    }
}
