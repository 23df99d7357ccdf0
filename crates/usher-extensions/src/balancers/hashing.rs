//! The same endpoint for the same key, as far as endpoints stay: two tables, and what surrounds them.
//!
//! All workers and all processes that have the same endpoints find the same one: hashes have no seed of their own.
//! Where a key's endpoint cannot be chosen, the tables name others in an order that depends on the key alone, so that
//! only the keys of that endpoint move, and to all others evenly.

mod maglev;
mod ring;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use usher_api::Candidate;
use usher_api::balancer::Affinity;

use maglev::Maglev;
use ring::Ring;

use super::may_be_chosen;

/// How keys are spread over endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// See [`maglev`].
    Maglev,
    /// See [`ring`].
    Ring,
}

/// A table of one of the two kinds.
#[derive(Debug)]
pub(super) enum Table {
    Maglev(Maglev),
    Ring(Ring),
}

impl Table {
    pub(super) fn new(algorithm: Algorithm, candidates: &[Candidate]) -> Self {
        match algorithm {
            Algorithm::Maglev => Self::Maglev(Maglev::new(candidates)),
            Algorithm::Ring => Self::Ring(Ring::new(candidates)),
        }
    }

    /// The first endpoint for this key that fits; `None` if none of those that the key names first does.
    #[inline]
    pub(super) fn find(&self, key: u64, fits: impl FnMut(usize) -> bool) -> Option<usize> {
        match self {
            Self::Maglev(table) => table.find(key, fits),
            Self::Ring(table) => table.find(key, fits),
        }
    }
}

/// The identities and weights that a table was made for.
type Members = Vec<(u64, u32)>;

/// The table that was made last, for the other workers: it is large, takes a while, and is the same for all.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Option<(Members, Arc<Table>)>>);

impl Shared {
    /// The table for these endpoints. A worker waits while another one makes it.
    pub(super) fn table(&self, algorithm: Algorithm, candidates: &[Candidate]) -> Arc<Table> {
        let members: Members = candidates.iter().map(|one| (one.identity, one.weight)).collect();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((same, table)) if *same == members => table.clone(),
            _ => {
                let table = Arc::new(Table::new(algorithm, candidates));
                *last = Some((members, table.clone()));
                table
            }
        }
    }
}

/// Spreads a number over all bits (the finish of SplitMix64).
#[inline]
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The group of endpoints for a key. Mixed again, so that it has nothing to do with the endpoint within it.
pub(super) fn affinity(key: Option<u64>) -> Affinity {
    key.map_or(Affinity::None, |key| Affinity::Key(mix(!key)))
}

/// A hash of bytes: eight at a time, folded by multiplication. The same everywhere and for ever, so that several proxies
/// agree; not for secrets, and whoever chooses keys can choose their endpoint.
#[inline]
pub(super) fn hash(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0xd6e8_feb8_6659_fd93;
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(ODD);
        (product >> 64) as u64 ^ product as u64
    };
    let mut words = bytes.chunks_exact(8);
    let mut state = mix(bytes.len() as u64);
    for word in words.by_ref() {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        state = fold(state, u64::from_le_bytes(eight));
    }
    let mut rest = [0; 8];
    for (to, from) in rest.iter_mut().zip(words.remainder()) {
        *to = *from;
    }
    mix(fold(state, u64::from_le_bytes(rest)))
}

/// A hash of the network of an address: so many leading bits of IPv4 and of IPv6 count.
pub(super) fn hash_address(address: IpAddr, (ipv4_prefix, ipv6_prefix): (u8, u8)) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(ipv4_prefix))).unwrap_or(0);
            hash(&(u32::from(address) & mask).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(ipv6_prefix))).unwrap_or(0);
            hash(&(u128::from(address) & mask).to_be_bytes())
        }
    }
}

/// One of the endpoints that may be chosen, always the same for a key as long as they stay, by weight (rendezvous
/// hashing: Thaler and Ravishankar 1998; with weights: Schindelhauer and Schomaker 2005). Takes time by the number of
/// endpoints: for the case that few of many can be used.
pub(super) fn search(candidates: &[Candidate], key: u64) -> Option<usize> {
    let score = |one: &Candidate| {
        // Within (0, 1], so that the logarithm is finite but for the one in 2⁵³ where it is 0: the best score.
        let chance = ((mix(key ^ one.identity) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        f64::from(one.weight) / -chance.ln()
    };
    let open = candidates.iter().enumerate().filter(|(_, one)| may_be_chosen(one));
    open.map(|(i, one)| (i, score(one))).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
}

/// What endpoints are known by in a table: one that is listed twice has two places there.
fn identities(candidates: &[Candidate]) -> Vec<u64> {
    let mut seen: HashMap<u64, u64> = HashMap::with_capacity(candidates.len());
    let mut distinct = |one: &Candidate| {
        let times = seen.entry(one.identity).or_default();
        *times += 1;
        mix(one.identity ^ mix(*times))
    };
    candidates.iter().map(&mut distinct).collect()
}
