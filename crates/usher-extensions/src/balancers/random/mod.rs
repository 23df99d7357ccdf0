//! Each request goes to an endpoint at random, with chances by weight.
//!
//! An alias table (Walker 1977, Vose 1991) makes a choice in constant time: draw a column, then one of the two
//! endpoints that share it. An endpoint that cannot be chosen is drawn again, which keeps the others' proportions.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::{Balance, Balancer, BalancerFactory, Candidate, PickInput};
use usher_config::Schema;

use super::{Random, may_be_chosen, search, without_options};

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

/// Draws in one choice before the usable endpoints are searched for one by one.
const MAX_DRAWS: u32 = 64;

struct AtRandom;

struct Lottery {
    columns: Box<[Column]>,
    /// The height of every column: the sum of the weights.
    height: u64,
    random: Random,
}

/// A column of the alias table, as high as all others: at the bottom its own endpoint, above that another.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// How much of the column's height is its own endpoint's.
    own: u64,
    /// Whose the rest is.
    alias: u32,
}

impl Balance for AtRandom {
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer> {
        let height = candidates.iter().map(|one| u64::from(one.weight)).sum();
        Box::new(Lottery { columns: columns(candidates, height), height, random: Random::new(seed) })
    }
}

impl Lottery {
    #[inline]
    fn draw(&mut self) -> Option<usize> {
        let i = self.random.index(self.columns.len());
        let column = self.columns.get(i)?;
        Some(if self.random.below(self.height) < column.own { i } else { column.alias as usize })
    }
}

impl Balancer for Lottery {
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize> {
        for _ in 0..MAX_DRAWS {
            let drawn = self.draw()?;
            if input.candidates.get(drawn).is_some_and(may_be_chosen) {
                return Some(drawn);
            }
        }
        search(input.candidates, &mut self.random)
    }
}

/// Vose's construction, in whole numbers: weights are scaled so that a column is as high as their mean; then columns
/// with too little are filled up from those with too much.
fn columns(candidates: &[Candidate], height: u64) -> Box<[Column]> {
    let scale = candidates.len() as u64;
    let own = |(i, one): (usize, &Candidate)| Column { own: u64::from(one.weight) * scale, alias: i as u32 };
    let mut columns: Box<[Column]> = candidates.iter().enumerate().map(own).collect();
    let (mut low, mut high): (Vec<usize>, Vec<usize>) =
        (0..columns.len()).filter(|i| columns[*i].own != height).partition(|i| columns[*i].own < height);
    while let (Some(poor), Some(rich)) = (low.pop(), high.last().copied()) {
        columns[rich].own -= height - columns[poor].own;
        columns[poor].alias = rich as u32;
        if columns[rich].own <= height {
            high.pop();
        }
        if columns[rich].own < height {
            low.push(rich);
        }
    }
    columns
}
