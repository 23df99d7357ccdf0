//! Balancers: which endpoint of a cluster takes a request.
//!
//! A balancer belongs to one worker and one set of endpoints, so it keeps its state without locks. Beside the
//! extensions, this folder holds what several of them are made of: [`Rotation`], an endless sequence of endpoints by
//! weight; [`Lottery`], draws by weight; [`Fewest`], the least loaded; [`hashing`], the same endpoint for the same key;
//! [`Latencies`], how long endpoints take; and [`Random`], numbers from a seed.

mod fewest;
mod hashing;
mod latency;
mod lottery;
mod options;
mod random_numbers;
mod rotation;

pub mod consistent_hash;
pub mod ip_hash;
pub mod least_requests;
pub mod least_response_time;
pub mod peak_ewma;
pub mod random;
pub mod random_two;
pub mod round_robin;
pub mod sticky;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use usher_api::{BalancerFactory, Candidate};

use fewest::Fewest;
use latency::{Estimate, Latencies};
use lottery::Lottery;
use options::{options, required, without_options};
use random_numbers::Random;
use rotation::Rotation;

/// All balancers; the first is the default.
pub const BALANCERS: &[&BalancerFactory] = &[
    &round_robin::FACTORY,
    &least_requests::FACTORY,
    &random::FACTORY,
    &random_two::FACTORY,
    &peak_ewma::FACTORY,
    &least_response_time::FACTORY,
    &ip_hash::FACTORY,
    &consistent_hash::FACTORY,
    &sticky::FACTORY,
];

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

/// Whether `a` has fewer requests for its weight than `b`.
#[inline]
fn less_loaded(a: &Candidate, b: &Candidate) -> bool {
    u64::from(a.in_flight) * u64::from(b.weight) < u64::from(b.in_flight) * u64::from(a.weight)
}
