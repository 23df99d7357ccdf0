//! The endpoint with the fewest requests under way, measured by its weight.
//!
//! Up to [`EXACT_UP_TO`] endpoints are all compared. Of more, two are drawn and the better one is taken ("the power of
//! two choices", Mitzenmacher 2001), so that a choice costs the same for any number. Ties go by a [`Rotation`]: an
//! idle cluster is used evenly, by weight.

use usher_api::Candidate;

use super::{Random, Rotation, less_loaded, may_be_chosen};

/// So many endpoints are all compared; of more, two are drawn.
const EXACT_UP_TO: usize = 64;

/// Turns of the rotation that are tried to find somebody who fits.
const MAX_TURNS: u64 = 64;

/// Draws for the first of two choices, where nobody fits in those turns: a whole rack may be out.
const MAX_FIRST_DRAWS: usize = 64;

/// Draws for the second of two choices.
const MAX_DRAWS: usize = 8;

/// The choice; see the module.
#[derive(Debug)]
pub(super) struct Fewest {
    rotation: Rotation,
    random: Random,
}

impl Fewest {
    pub(super) fn new(candidates: &[Candidate], seed: u64) -> Self {
        Self { rotation: Rotation::new(candidates, seed), random: Random::new(seed) }
    }

    /// Weights are others now.
    pub(super) fn reweighted(&mut self, candidates: &[Candidate]) {
        self.rotation = Rotation::new(candidates, self.random.next());
    }

    /// The least loaded; `None` if nobody may be chosen.
    pub(super) fn pick(&mut self, candidates: &[Candidate]) -> Option<usize> {
        if candidates.len() > EXACT_UP_TO
            && let Some(picked) = self.better_of_two(candidates)
        {
            return Some(picked);
        }
        self.best_of_all(candidates)
    }

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
        let in_turn = self.rotation.find(MAX_TURNS, |i| open(&i));
        let first = in_turn.or_else(|| self.draw(MAX_FIRST_DRAWS, candidates))?;
        let second = self.draw(MAX_DRAWS, candidates);
        let better = second.filter(|second| less_loaded(&candidates[*second], &candidates[first]));
        better.or(Some(first))
    }

    fn draw(&mut self, draws: usize, candidates: &[Candidate]) -> Option<usize> {
        let open = |i: &usize| candidates.get(*i).is_some_and(may_be_chosen);
        (0..draws).map(|_| self.random.index(candidates.len())).find(open)
    }
}
