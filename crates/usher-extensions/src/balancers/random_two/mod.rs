//! Two endpoints are drawn by weight, and the one with fewer requests for its weight is taken.
//!
//! "The power of two choices" (Mitzenmacher 2001): the most loaded endpoint has then only about log log *n* more than
//! the mean, where plain chance gives log *n* / log log *n*. Unlike the least loaded of all, the choice of one proxy
//! does not make all others choose the same.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::{Balance, Balancer, BalancerFactory, Candidate, PickInput};
use usher_config::Schema;

use super::{Lottery, Random, less_loaded, search, without_options};

const SUMMARY: &str = "Of two endpoints at random, the one with fewer requests under way is next.";

/// Registration.
pub static FACTORY: BalancerFactory = BalancerFactory {
    name: "random_two",
    summary: SUMMARY,
    schema: || Schema::table(usher_config::schema::Table::new("RandomTwo", SUMMARY)),
    build: |section, context| {
        without_options(section, context).then(|| Arc::new(RandomTwo) as Arc<dyn Balance>)
    },
};

struct RandomTwo;

struct Pairs {
    lottery: Lottery,
    random: Random,
}

impl Balance for RandomTwo {
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer> {
        Box::new(Pairs { lottery: Lottery::new(candidates), random: Random::new(seed) })
    }
}

impl Balancer for Pairs {
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize> {
        let candidates = input.candidates;
        match self.lottery.draw_two(candidates, &mut self.random) {
            Some((first, Some(second))) if less_loaded(&candidates[second], &candidates[first]) => {
                Some(second)
            }
            Some((first, _)) => Some(first),
            None => search(candidates, &mut self.random),
        }
    }

    fn reweighted(&mut self, candidates: &[Candidate]) {
        self.lottery = Lottery::new(candidates);
    }
}
