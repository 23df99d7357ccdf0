//! Draws by weight in constant time.
//!
//! An alias table (Walker 1977, Vose 1991): draw a column, then one of the two endpoints that share it. An endpoint that
//! cannot be chosen is drawn again, which keeps the others' proportions.

#[cfg(test)]
mod tests;

use usher_api::Candidate;

use super::{Random, may_be_chosen};

/// Draws in one choice before the endpoints that can be used are searched for one by one.
pub(super) const MAX_DRAWS: u32 = 64;

/// The table; see the module.
#[derive(Debug)]
pub(super) struct Lottery {
    columns: Box<[Column]>,
    /// The height of every column: the sum of the weights.
    height: u64,
}

/// A column of the alias table, as high as all others: at the bottom its own endpoint, above that another.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// How much of the column's height is its own endpoint's.
    own: u64,
    /// Whose the rest is.
    alias: u32,
}

impl Lottery {
    /// A table for these weights.
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        let height = candidates.iter().map(|one| u64::from(one.weight)).sum();
        Self { columns: columns(candidates, height), height }
    }

    /// The mean of all weights; above 0 if anybody has one.
    pub(super) fn mean_weight(&self) -> f64 {
        self.height as f64 / self.columns.len().max(1) as f64
    }

    /// One by weight, whether it can be used or not.
    #[inline]
    pub(super) fn draw(&self, random: &mut Random) -> Option<usize> {
        let i = random.index(self.columns.len());
        let column = self.columns.get(i)?;
        Some(if random.below(self.height) < column.own { i } else { column.alias as usize })
    }

    /// One by weight that may be chosen; `None` if those are too rare to be found by chance.
    #[inline]
    pub(super) fn draw_open(&self, candidates: &[Candidate], random: &mut Random) -> Option<usize> {
        for _ in 0..MAX_DRAWS {
            let drawn = self.draw(random)?;
            if candidates.get(drawn).is_some_and(may_be_chosen) {
                return Some(drawn);
            }
        }
        None
    }

    /// Two different ones by weight that may be chosen; the second is `None` if no other is found by chance.
    #[inline]
    pub(super) fn draw_two(
        &self,
        candidates: &[Candidate],
        random: &mut Random,
    ) -> Option<(usize, Option<usize>)> {
        let first = self.draw_open(candidates, random)?;
        for _ in 0..MAX_SECOND_DRAWS {
            let second = self.draw(random)?;
            if second != first && candidates.get(second).is_some_and(may_be_chosen) {
                return Some((first, Some(second)));
            }
        }
        Some((first, None))
    }
}

/// Draws for the second of two: without one, the first is as good as a plain draw.
const MAX_SECOND_DRAWS: u32 = 16;

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
