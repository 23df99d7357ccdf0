//! Each request goes to an endpoint at random, with chances by weight.
//!
//! Drawn from a [`Lottery`], so that a choice takes constant time.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::{Balance, Balancer, BalancerFactory, Candidate, PickInput};
use usher_config::Schema;

use super::{Lottery, Random, search, without_options};

const SUMMARY: &str = "Each request goes to an endpoint at random, with chances by weight.";

/// Registration.
pub static FACTORY: BalancerFactory = BalancerFactory {
    name: "random",
    summary: SUMMARY,
    schema: || Schema::table(usher_config::schema::Table::new("Random", SUMMARY)),
    build: |section, context| {
        without_options(section, context).then(|| Arc::new(AtRandom) as Arc<dyn Balance>)
    },
};

struct AtRandom;

struct Draws {
    lottery: Lottery,
    random: Random,
}

impl Balance for AtRandom {
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer> {
        Box::new(Draws { lottery: Lottery::new(candidates), random: Random::new(seed) })
    }
}

impl Balancer for Draws {
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize> {
        let drawn = self.lottery.draw_open(input.candidates, &mut self.random);
        drawn.or_else(|| search(input.candidates, &mut self.random))
    }

    fn reweighted(&mut self, candidates: &[Candidate]) {
        self.lottery = Lottery::new(candidates);
    }
}
