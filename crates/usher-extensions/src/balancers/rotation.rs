//! An endless sequence of endpoints in which each comes as often as its weight says.
//!
//! Its cost does not grow with the number of endpoints. Three plans, by the weights (divided by what they have in
//! common):
//! - all equal: one after the other;
//! - a short cycle: computed once, by smooth weighted round robin as in nginx (everybody gains its weight, the richest
//!   is next and pays the sum), so that `{a = 5, b = 1, c = 1}` is not `aaaaabc` but `aabacaa`;
//! - a longer cycle: by the binary digits of the weights. The endpoints whose weight has digit *d* form a class that
//!   goes round among themselves; the few classes take turns by smooth weighted round robin with weight
//!   *members × 2ᵈ*. Over a cycle each endpoint gets exactly its weight. Unless it is very long, the cycle is written
//!   down too.
//!
//! Who cannot be chosen is passed over and nobody takes its turn, so that the rest keep their proportions exactly.

#[cfg(test)]
mod tests;

use usher_api::Candidate;

/// The longest cycle that is computed beforehand endpoint by endpoint (turns).
const MAX_SEQUENCE: u64 = 1024;

/// The longest cycle that is written down (turns): half a MiB.
const MAX_WRITTEN: u64 = 131_072;

/// Turns per endpoint up to which a cycle is written down.
const WRITTEN_PER_ENDPOINT: u64 = 64;

/// The sequence; see the module.
#[derive(Debug)]
pub(super) struct Rotation {
    plan: Plan,
    at: usize,
    cycle: u64,
}

#[derive(Debug)]
enum Plan {
    Empty,
    Equal(Box<[u32]>),
    Sequence(Box<[u32]>),
    Classes(Box<[Class]>),
}

/// Endpoints whose weights share a binary digit.
#[derive(Debug)]
struct Class {
    members: Box<[u32]>,
    at: usize,
    turn: Turn,
}

/// What smooth weighted round robin keeps for each participant.
#[derive(Clone, Copy, Debug)]
struct Turn {
    weight: i64,
    credit: i64,
}

impl Rotation {
    /// A sequence for these weights; those of weight 0 never come. `seed` chooses where it begins.
    pub(super) fn new(candidates: &[Candidate], seed: u64) -> Self {
        let common = candidates.iter().fold(0, |gcd, one| greatest_common_divisor(gcd, one.weight));
        let weights: Vec<u32> =
            candidates.iter().map(|one| one.weight.checked_div(common).unwrap_or(0)).collect();
        let cycle = weights.iter().copied().map(u64::from).sum();
        let plan = match cycle {
            0 => Plan::Empty,
            _ if weights.iter().all(|weight| *weight <= 1) => Plan::Equal(with_digit(&weights, 0)),
            1..=MAX_SEQUENCE => Plan::Sequence(sequence(&weights, cycle)),
            _ => Plan::Classes(classes(&weights, seed)),
        };
        let most = (weights.len() as u64 * WRITTEN_PER_ENDPOINT).min(MAX_WRITTEN);
        let plan =
            if matches!(plan, Plan::Classes(_)) && cycle <= most { write_down(plan, cycle) } else { plan };
        let at = seed.checked_rem(cycle).unwrap_or(0) as usize;
        Self { plan, at, cycle }
    }

    /// The number of turns after which the sequence begins anew.
    pub(super) fn cycle(&self) -> u64 {
        self.cycle
    }

    /// Whose turn it is; `None` if nobody has a weight.
    #[inline]
    pub(super) fn next(&mut self) -> Option<usize> {
        self.plan.next(&mut self.at)
    }

    /// The next for whom `wanted` holds, within so many turns.
    #[inline]
    pub(super) fn find(&mut self, turns: u64, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        for _ in 0..turns {
            let next = self.next()?;
            if wanted(next) {
                return Some(next);
            }
        }
        None
    }
}

impl Plan {
    #[inline]
    fn next(&mut self, at: &mut usize) -> Option<usize> {
        match self {
            Self::Empty => None,
            Self::Equal(members) | Self::Sequence(members) => advance(members, at),
            Self::Classes(classes) => {
                let richest = take_turn(classes.iter_mut().map(|class| &mut class.turn))?;
                let class = classes.get_mut(richest)?;
                advance(&class.members, &mut class.at)
            }
        }
    }
}

/// One cycle of a plan: to read it costs less than to work it out again.
fn write_down(mut plan: Plan, cycle: u64) -> Plan {
    Plan::Sequence((0..cycle).filter_map(|_| plan.next(&mut 0)).map(|i| i as u32).collect())
}

/// The member whose turn it is in a plain round.
#[inline]
fn advance(members: &[u32], at: &mut usize) -> Option<usize> {
    let here = if *at < members.len() { *at } else { 0 };
    *at = here + 1;
    members.get(here).map(|member| *member as usize)
}

/// One step of smooth weighted round robin.
#[inline]
fn take_turn<'a>(turns: impl Iterator<Item = &'a mut Turn>) -> Option<usize> {
    let mut total = 0;
    let mut richest: Option<(usize, &'a mut Turn)> = None;
    for (i, turn) in turns.enumerate() {
        turn.credit += turn.weight;
        total += turn.weight;
        if richest.as_ref().is_none_or(|(_, best)| turn.credit > best.credit) {
            richest = Some((i, turn));
        }
    }
    let (i, turn) = richest?;
    turn.credit -= total;
    Some(i)
}

fn sequence(weights: &[u32], cycle: u64) -> Box<[u32]> {
    let mut turns: Vec<Turn> =
        weights.iter().map(|weight| Turn { weight: i64::from(*weight), credit: 0 }).collect();
    (0..cycle).filter_map(|_| take_turn(turns.iter_mut())).map(|i| i as u32).collect()
}

fn classes(weights: &[u32], seed: u64) -> Box<[Class]> {
    let class = |digit: u32| {
        let members = with_digit(weights, digit);
        let weight = (members.len() as i64) << digit;
        let at = (seed.checked_rem(members.len() as u64)?) as usize;
        Some(Class { members, at, turn: Turn { weight, credit: 0 } })
    };
    (0..u32::BITS).filter_map(class).collect()
}

/// The indices of the weights that have this binary digit.
fn with_digit(weights: &[u32], digit: u32) -> Box<[u32]> {
    let has = |(_, weight): &(usize, &u32)| (**weight >> digit) & 1 == 1;
    weights.iter().enumerate().filter(has).map(|(i, _)| i as u32).collect()
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
