//! Balancers: which endpoint of a cluster takes a request.
//!
//! A balancer belongs to one worker and one set of endpoints, so it keeps its state without locks. Beside the
//! extensions, this folder holds what several of them are made of: [`Rotation`], an endless sequence of endpoints by
//! weight, and [`Random`], numbers from a seed.

mod options;
mod random_numbers;
mod rotation;

pub mod least_requests;
pub mod random;
pub mod round_robin;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use usher_api::{BalancerFactory, Candidate};

use options::without_options;
use random_numbers::Random;
use rotation::Rotation;

/// All balancers; the first is the default.
pub const BALANCERS: &[&BalancerFactory] =
    &[&round_robin::FACTORY, &least_requests::FACTORY, &random::FACTORY];

/// Whether an endpoint may be chosen: usable, and its weight is not 0, which means "no new requests".
#[inline]
fn may_be_chosen(candidate: &Candidate) -> bool {
    candidate.usable && candidate.weight > 0
}

/// One of the endpoints that may be chosen, at random by weight. Takes time by the number of endpoints: for the case
/// that guessing has failed often, because few of many endpoints are usable.
fn search(candidates: &[Candidate], random: &mut Random) -> Option<usize> {
    let open = |(_, candidate): &(usize, &Candidate)| may_be_chosen(candidate);
    let total: u64 = candidates.iter().enumerate().filter(open).map(|(_, one)| u64::from(one.weight)).sum();
    let mut left = random.below(total);
    let mut last = None;
    for (i, candidate) in candidates.iter().enumerate().filter(open) {
        last = Some(i);
        match left.checked_sub(u64::from(candidate.weight)) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    last
}
