//! The rules that share host and path, told apart by their further conditions.

use std::collections::{BTreeMap, HashSet};

use super::{Building, Candidate, Map, NONE, Search};
use crate::Network;
use crate::predicate::Discriminator;

/// Up to so many candidates are tried one after another; more are told apart by hash.
const SCAN: usize = 4;
/// How many fields (and the like) one table is split by, at most.
const MAX_SPLITS: usize = 16;
/// How many splits lie within each other, at most.
const MAX_DEPTH: usize = 4;
/// How many entries all splits of a table may have per candidate: one with three methods takes three.
const COPIES: usize = 8;

/// Candidates in the order of their ranks.
pub(crate) struct Table {
    best: u32,
    splits: Vec<Split>,
    plain: Vec<Candidate>,
}

/// Candidates that all have a condition on the same field (or the method, the client, the listener).
struct Split {
    best: u32,
    on: Discriminator,
    /// For clients: the shapes of the networks.
    shapes: Vec<(bool, u8)>,
    arms: Map<Box<[u8]>, Table>,
}

impl Default for Table {
    fn default() -> Self {
        Self { best: NONE, splits: Vec::new(), plain: Vec::new() }
    }
}

impl Table {
    /// Adds a candidate; to be called in the order of the ranks.
    pub(super) fn push(&mut self, candidate: Candidate) {
        self.best = self.best.min(candidate.rank);
        self.plain.push(candidate);
    }

    pub(super) fn finish(&mut self, building: &mut Building<'_>) {
        self.drop_covered(building);
        let mut room = self.plain.len().saturating_mul(COPIES);
        self.split(building, &mut Vec::new(), &mut room);
        self.plain.shrink_to_fit();
    }

    /// Removes candidates with the same conditions as an earlier one, and what comes after one without any. When methods
    /// are left out, the latter are kept, since they may allow other methods.
    fn drop_covered(&mut self, building: &mut Building<'_>) {
        if self.plain.len() < 2 {
            return;
        }
        let mut seen: Map<&str, Candidate> = Map::default();
        let mut kept = Vec::with_capacity(self.plain.len());
        let mut covered = Vec::new();
        let mut catch_all = None;
        for candidate in std::mem::take(&mut self.plain) {
            let identity = building.identity(candidate);
            if let Some(by) = catch_all.or_else(|| seen.get(identity).copied()) {
                covered.push((candidate, by));
                continue;
            }
            if identity.is_empty() && !building.ignore_method {
                catch_all = Some(candidate);
            }
            seen.insert(identity, candidate);
            kept.push(candidate);
        }
        self.plain = kept;
        building.covered.extend(covered);
    }

    /// Moves candidates from the plain list into hash tables while that helps. `used` are the discriminators of the
    /// splits around this table, `room` the entries that may still be made.
    fn split(&mut self, building: &Building<'_>, used: &mut Vec<Discriminator>, room: &mut usize) {
        while self.plain.len() > SCAN
            && used.len() < MAX_DEPTH
            && self.splits.len() < MAX_SPLITS
            && let Some((on, copies)) = choose(&self.plain, building, used, *room)
        {
            *room -= copies;
            used.push(on.clone());
            let split = Split::take(on, &mut self.plain, building, used, room);
            used.pop();
            self.splits.push(split);
        }
        self.splits.sort_by_key(|split| split.best);
    }

    pub(super) fn search(&self, search: &mut Search<'_>) {
        if !search.wants(self.best) {
            return;
        }
        for split in &self.splits {
            if search.wants(split.best) {
                split.search(search);
            }
        }
        for candidate in &self.plain {
            if !search.wants(candidate.rank) {
                break;
            }
            search.try_candidate(*candidate);
        }
    }
}

impl Split {
    /// Takes all candidates that `on` can tell apart out of `plain`.
    fn take(
        on: Discriminator,
        plain: &mut Vec<Candidate>,
        building: &Building<'_>,
        used: &mut Vec<Discriminator>,
        room: &mut usize,
    ) -> Self {
        let mut split = Self { best: NONE, on, shapes: Vec::new(), arms: Map::default() };
        plain.retain(|candidate| {
            let mut keys = keys(*candidate, building);
            let Some((_, keys)) = keys.find(|(on, _)| *on == split.on) else { return true };
            split.best = split.best.min(candidate.rank);
            for key in keys {
                let arm = split.arms.entry(key).or_default();
                if arm.plain.last().is_none_or(|last| last.rank != candidate.rank) {
                    arm.push(*candidate);
                }
            }
            false
        });
        if split.on == Discriminator::Client {
            let shapes = split.arms.keys().filter_map(|key| Network::shape(key));
            split.shapes = shapes.collect::<HashSet<_>>().into_iter().collect();
            split.shapes.sort_unstable();
        }
        split.arms.values_mut().for_each(|arm| arm.split(building, used, room));
        split
    }

    fn search(&self, search: &mut Search<'_>) {
        let subject = search.subject;
        self.on.each_key(subject, &self.shapes, &mut |key| {
            if let Some(arm) = self.arms.get(key) {
                arm.search(search);
            }
        });
    }
}

/// The discriminators of a candidate with their keys.
fn keys<'a>(
    candidate: Candidate,
    building: &Building<'a>,
) -> impl Iterator<Item = (Discriminator, Vec<Box<[u8]>>)> + use<'a> {
    let ignore_method = building.ignore_method;
    let all = building.predicates_of(candidate).iter();
    all.filter(move |p| !(ignore_method && p.is_method())).filter_map(|p| p.keys())
}

/// What a discriminator would do for a list of candidates.
#[derive(Default)]
struct Use {
    candidates: usize,
    copies: usize,
    distinct: HashSet<Box<[u8]>>,
}

/// The discriminator that tells the most candidates apart, and how many entries it takes.
fn choose(
    plain: &[Candidate],
    building: &Building<'_>,
    used: &[Discriminator],
    room: usize,
) -> Option<(Discriminator, usize)> {
    let mut uses: BTreeMap<Discriminator, Use> = BTreeMap::new();
    for candidate in plain {
        let mut own: Vec<Discriminator> = Vec::new();
        for (on, keys) in keys(*candidate, building) {
            // A second test of the same field is not used.
            if used.contains(&on) || own.contains(&on) {
                continue;
            }
            let count = uses.entry(on.clone()).or_default();
            count.candidates += 1;
            count.copies += keys.len();
            count.distinct.extend(keys);
            own.push(on);
        }
    }
    let good = uses.into_iter().filter(|(_, u)| u.candidates > SCAN && u.copies <= room);
    let best = good.max_by_key(|(_, u)| (u.distinct.len(), u.candidates));
    best.map(|(on, u)| (on, u.copies))
}
