//! The endpoint with the fewest requests under way, measured by its weight, is next.
//!
//! Up to [`EXACT_UP_TO`] endpoints are all compared. Of more, two are drawn and the better one is taken ("the power of
//! two choices", Mitzenmacher 2001), so that a choice costs the same for any number. Ties go by a [`Rotation`]: an
//! idle cluster is used evenly, by weight.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::{Balance, Balancer, BalancerFactory, Candidate, PickInput};
use usher_config::Schema;

use super::{Random, Rotation, may_be_chosen, without_options};

const SUMMARY: &str = "The endpoint with the fewest requests under way, measured by its weight, is next.";

/// Registration.
pub static FACTORY: BalancerFactory = BalancerFactory {
    name: "least_requests",
    summary: SUMMARY,
    schema: || Schema::table(usher_config::schema::Table::new("LeastRequests", SUMMARY)),
    build: |section, context| {
        without_options(section, context).then(|| Arc::new(LeastRequests) as Arc<dyn Balance>)
    },
};

/// So many endpoints are all compared; of more, two are drawn.
const EXACT_UP_TO: usize = 64;

/// Turns of the rotation that are tried to find somebody who fits.
const MAX_TURNS: u64 = 64;

/// Draws for the second of two choices.
const MAX_DRAWS: usize = 8;

struct LeastRequests;

struct Least {
    rotation: Rotation,
    random: Random,
}

impl Balance for LeastRequests {
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer> {
        Box::new(Least { rotation: Rotation::new(candidates, seed), random: Random::new(seed) })
    }
}

impl Balancer for Least {
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize> {
        let candidates = input.candidates;
        if candidates.len() > EXACT_UP_TO
            && let Some(picked) = self.better_of_two(candidates)
        {
            return Some(picked);
        }
        self.best_of_all(candidates)
    }
}

impl Least {
    /// The least loaded; who it is among equals, the rotation says.
    fn best_of_all(&mut self, candidates: &[Candidate]) -> Option<usize> {
        let mut best: Option<(usize, &Candidate)> = None;
        let mut equals = 0;
        for (i, one) in candidates.iter().enumerate().filter(|(_, one)| may_be_chosen(one)) {
            match best {
                Some((_, least)) if less_loaded(least, one) => {}
                Some((_, least)) if !less_loaded(one, least) => equals += 1,
                _ => (best, equals) = (Some((i, one)), 1),
            }
        }
        let (first, least) = best?;
        if equals == 1 {
            return Some(first);
        }
        let is_equal =
            |i: usize| candidates.get(i).is_some_and(|one| may_be_chosen(one) && !less_loaded(least, one));
        self.rotation.find(MAX_TURNS, is_equal).or(Some(first))
    }

    /// The less loaded of the next in the rotation and one at random; `None` if usable ones are too rare to be found.
    fn better_of_two(&mut self, candidates: &[Candidate]) -> Option<usize> {
        let open = |i: &usize| candidates.get(*i).is_some_and(may_be_chosen);
        let first = self.rotation.find(MAX_TURNS, |i| open(&i))?;
        let second = (0..MAX_DRAWS).map(|_| self.random.index(candidates.len())).find(open);
        let better = second.filter(|second| less_loaded(&candidates[*second], &candidates[first]));
        better.or(Some(first))
    }
}

/// Whether `a` has fewer requests for its weight than `b`.
#[inline]
fn less_loaded(a: &Candidate, b: &Candidate) -> bool {
    u64::from(a.in_flight) * u64::from(b.weight) < u64::from(b.in_flight) * u64::from(a.weight)
}
