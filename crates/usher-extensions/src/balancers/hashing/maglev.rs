//! Maglev hashing (Eisenbud et al.: "Maglev: A Fast and Reliable Software Network Load Balancer", 2016, section 3.4).
//!
//! A table of slots; a key's slot names its endpoint. Each endpoint has an order of preference of all slots, and in turn
//! each takes the first of its own that is free. Turns come from a [`Rotation`], so that each has slots by its weight,
//! nearly exactly. When an endpoint leaves, its slots are taken by the others, and few of theirs change hands.

use usher_api::Candidate;

use super::identities;
use super::mix;
use crate::balancers::Rotation;

/// Slots of a table, and up to how many endpoints it is for. Primes, so that each step leads through all slots; many
/// slots per endpoint, so that shares are within about 1 %. One size for nearly all clusters: another size moves all
/// keys.
const SIZES: [(usize, usize); 2] = [(1000, 65_537), (usize::MAX, 655_373)];

/// Slots that are looked at for one key.
const MAX_PROBES: u64 = 64;

/// The table; see the module.
#[derive(Debug)]
pub(crate) struct Maglev {
    slots: Box<[u32]>,
}

/// Where an endpoint is in its order of preference.
struct Preference {
    next: usize,
    skip: usize,
}

impl Maglev {
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        let size = SIZES.iter().find(|(up_to, _)| candidates.len() <= *up_to).map_or(0, |(_, size)| *size);
        let preference = |identity: u64| Preference {
            next: (mix(identity ^ 1) % size as u64) as usize,
            skip: 1 + (mix(identity ^ 2) % (size as u64 - 1)) as usize,
        };
        let mut preferences: Vec<Preference> = identities(candidates).into_iter().map(preference).collect();
        let mut turns = Rotation::new(candidates, 0);
        let mut slots = vec![u32::MAX; size].into_boxed_slice();
        for _ in 0..size {
            let Some(who) = turns.next() else { return Self { slots: Box::default() } };
            let Some(preference) = preferences.get_mut(who) else { continue };
            // Ends: a slot is free in each round, and a prime size leads through all.
            while slots[preference.next] != u32::MAX {
                preference.next = (preference.next + preference.skip) % size;
            }
            slots[preference.next] = who as u32;
        }
        Self { slots }
    }

    /// The endpoint of the key's slot, or if that does not fit, of the next slot that the key names.
    #[inline]
    pub(super) fn find(&self, key: u64, mut fits: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut hash = key;
        for _ in 0..MAX_PROBES {
            let slot = ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize;
            let endpoint = *self.slots.get(slot)? as usize;
            if fits(endpoint) {
                return Some(endpoint);
            }
            hash = mix(hash);
        }
        None
    }

    /// How many slots each of so many endpoints has.
    #[cfg(test)]
    pub(super) fn shares(&self, endpoints: usize) -> Vec<usize> {
        let mut shares = vec![0; endpoints];
        self.slots.iter().for_each(|slot| shares[*slot as usize] += 1);
        shares
    }
}
