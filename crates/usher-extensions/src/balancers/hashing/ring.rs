//! Consistent hashing on a ring (Karger et al. 1997), as "ketama" made it common.
//!
//! Each endpoint has many points on a ring of all hashes, by its weight; a key belongs to the next point. When an
//! endpoint leaves, the keys before its points go to the points behind them, and no other key moves.

use usher_api::Candidate;

use super::identities;
use crate::balancers::Random;

/// Points of an endpoint per [`unit`] of weight. Shares differ by about 1/√points of each other: 6 %.
const POINTS: u64 = 256;

/// Points of the whole ring, about: with very many endpoints, each has fewer.
const MAX_POINTS: u64 = 1 << 20;

/// Points that are looked at for one key.
const MAX_STEPS: usize = 256;

/// The ring; see the module.
#[derive(Debug)]
pub(crate) struct Ring {
    /// In order of place.
    points: Box<[Point]>,
    /// For each range of hashes that begin with the same bits, the first point that is not before it.
    starts: Box<[u32]>,
    /// How far a hash is shifted to have those bits.
    shift: u32,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    at: u64,
    endpoint: u32,
}

impl Ring {
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        let unit = unit(candidates);
        let total: u64 = candidates.iter().map(|one| u64::from(one.weight)).sum();
        let mut per_unit = POINTS;
        while per_unit > 1 && total.saturating_mul(per_unit) / unit > MAX_POINTS {
            per_unit /= 2;
        }
        let mut points = Vec::new();
        for (i, (one, identity)) in candidates.iter().zip(identities(candidates)).enumerate() {
            // The sequence of an endpoint is always the same: with another weight it only ends elsewhere.
            let mut places = Random::new(identity);
            let wanted = (u64::from(one.weight) * per_unit).div_ceil(unit);
            points.extend((0..wanted).map(|_| Point { at: places.next(), endpoint: i as u32 }));
        }
        Self::in_order(&points)
    }

    /// Sorts points by the range of hashes that each is in, then within each: ranges are about as many as points, so this
    /// takes a few steps per point, and a search begins where its range does.
    fn in_order(points: &[Point]) -> Self {
        let bits = points.len().next_power_of_two().trailing_zeros().max(1);
        let shift = u64::BITS - bits;
        let mut starts = vec![0_u32; (1 << bits) + 1];
        for point in points {
            starts[(point.at >> shift) as usize + 1] += 1;
        }
        for range in 1..starts.len() {
            starts[range] += starts[range - 1];
        }
        let mut next = starts.clone();
        let mut sorted = vec![Point { at: 0, endpoint: 0 }; points.len()].into_boxed_slice();
        for point in points {
            let place = &mut next[(point.at >> shift) as usize];
            sorted[*place as usize] = *point;
            *place += 1;
        }
        for range in starts.windows(2) {
            let range = &mut sorted[range[0] as usize..range[1] as usize];
            range.sort_unstable_by_key(|point| (point.at, point.endpoint));
        }
        Self { points: sorted, starts: starts.into_boxed_slice(), shift }
    }

    /// The endpoint of the next point, or if that does not fit, of the one behind it.
    #[inline]
    pub(super) fn find(&self, key: u64, mut fits: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut at = *self.starts.get((key >> self.shift) as usize)? as usize;
        while self.points.get(at).is_some_and(|point| point.at < key) {
            at += 1;
        }
        let mut last = u32::MAX;
        for point in self.points.iter().cycle().skip(at).take(MAX_STEPS.min(self.points.len())) {
            if point.endpoint != last && fits(point.endpoint as usize) {
                return Some(point.endpoint as usize);
            }
            last = point.endpoint;
        }
        None
    }
}

/// The weight of [`POINTS`] points: the power of 16 that is not above the largest weight. Nearly always the same when an
/// endpoint leaves, so that all others keep their points; the largest weight has 16 times as many at most.
fn unit(candidates: &[Candidate]) -> u64 {
    let largest = candidates.iter().map(|one| one.weight).max().unwrap_or_default();
    1 << (largest.max(1).ilog2() / 4 * 4)
}
