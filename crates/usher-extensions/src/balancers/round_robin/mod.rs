//! Endpoints take turns, each as often as its weight says, spread out as evenly as possible.
//!
//! The default. The order comes from a [`Rotation`]; who cannot be chosen is passed over.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::{Balance, Balancer, BalancerFactory, Candidate, PickInput};
use usher_config::Schema;

use super::{Random, Rotation, may_be_chosen, search, without_options};

const SUMMARY: &str = "Endpoints take turns, each as often as its weight says.";

/// Registration.
pub static FACTORY: BalancerFactory = BalancerFactory {
    name: "round_robin",
    summary: SUMMARY,
    schema: || Schema::table(usher_config::schema::Table::new("RoundRobin", SUMMARY)),
    build: |section, context| {
        without_options(section, context).then(|| Arc::new(RoundRobin) as Arc<dyn Balance>)
    },
};

/// Turns that are passed over in one choice before the usable endpoints are searched for one by one. Many, so that a
/// long row of endpoints that are out is passed once per round, not searched around in every choice.
const MAX_PASSES: u64 = 16_384;

struct RoundRobin;

struct Turns {
    /// The turns of each group that was chosen from so far: one for all would favour those who come behind the other group.
    rotations: Vec<(u8, Rotation)>,
    random: Random,
}

impl Turns {
    fn rotation(&mut self, input: &PickInput<'_>) -> &mut Rotation {
        let found = self.rotations.iter().position(|(group, _)| *group == input.group);
        let at = found.unwrap_or_else(|| {
            self.rotations.push((input.group, Rotation::new(input.candidates, self.random.next())));
            self.rotations.len() - 1
        });
        &mut self.rotations[at].1
    }
}

impl Balance for RoundRobin {
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer> {
        Box::new(Turns { rotations: vec![(0, Rotation::new(candidates, seed))], random: Random::new(seed) })
    }
}

impl Balancer for Turns {
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize> {
        let open = |i: usize| input.candidates.get(i).is_some_and(may_be_chosen);
        if input.usable == 0 {
            return None;
        }
        let rotation = self.rotation(input);
        let passes = rotation.cycle().min(MAX_PASSES);
        rotation.find(passes, open).or_else(|| search(input.candidates, &mut self.random))
    }

    /// Begins the new round at another place: many changes in a row, as of a slow start, must not favour the first.
    fn reweighted(&mut self, candidates: &[Candidate]) {
        for (_, rotation) in &mut self.rotations {
            *rotation = Rotation::new(candidates, self.random.next());
        }
    }
}
