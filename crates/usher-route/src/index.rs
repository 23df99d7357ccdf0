//! The table that is searched: hosts by hash, below each its paths, below each path the rules that share both.
//!
//! Every node knows the best rank below it, and a search carries the rank that is still to be beaten. So parts that
//! cannot hold a better rule are never entered, and a priority that turns the usual order around needs no table of its
//! own.

mod node;
mod paths;
mod table;

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::Subject;
use crate::host::{HostKind, HostPattern};
use crate::path::PathPattern;
use crate::predicate::{self, Predicate};
use crate::regexes::Regexes;
use paths::Paths;

/// A hash table. The seed is fixed: what a peer sends is only looked up, never inserted, so it cannot make chains grow.
pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;

/// An alternative of a rule: its place in the order, and the rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Smaller wins; no two alternatives have the same.
    pub(crate) rank: u32,
    pub(crate) rule: u32,
}

/// The rank of what is empty.
const NONE: u32 = u32::MAX;

/// What is needed while a table is made, and what is learnt on the way.
pub(crate) struct Building<'a> {
    pub(crate) predicates: &'a [Box<[Predicate]>],
    /// Whether the table is the one that leaves methods out of account.
    pub(crate) ignore_method: bool,
    /// Per rule a text that is equal for equal conditions; empty for none.
    identities: Vec<String>,
    /// Alternatives that an earlier one always beats, with that one.
    pub(crate) covered: Vec<(Candidate, Candidate)>,
}

impl<'a> Building<'a> {
    pub(crate) fn new(predicates: &'a [Box<[Predicate]>], ignore_method: bool) -> Self {
        let identities = predicates.iter().map(|all| predicate::identity(all, ignore_method)).collect();
        Self { predicates, ignore_method, identities, covered: Vec::new() }
    }

    fn identity(&self, candidate: Candidate) -> &str {
        self.identities.get(candidate.rule as usize).map_or("", String::as_str)
    }

    fn predicates_of(&self, candidate: Candidate) -> &'a [Predicate] {
        self.predicates.get(candidate.rule as usize).map_or(&[], |all| all)
    }
}

/// A search under way.
pub(crate) struct Search<'a> {
    pub(crate) subject: &'a dyn Subject,
    pub(crate) predicates: &'a [Box<[Predicate]>],
    pub(crate) ignore_method: bool,
    /// Only ranks below this are of interest.
    limit: u32,
    goal: Goal,
}

/// What a search is for.
enum Goal {
    First,
    All(Vec<u32>),
}

impl<'a> Search<'a> {
    /// For the first match, with or without regard to methods.
    pub(crate) fn first(
        subject: &'a dyn Subject,
        predicates: &'a [Box<[Predicate]>],
        ignore_method: bool,
    ) -> Self {
        Self { subject, predicates, ignore_method, limit: NONE, goal: Goal::First }
    }

    /// For all matches without regard to methods.
    pub(crate) fn all(subject: &'a dyn Subject, predicates: &'a [Box<[Predicate]>]) -> Self {
        Self { subject, predicates, ignore_method: true, limit: NONE, goal: Goal::All(Vec::new()) }
    }

    /// The rank of the first match.
    pub(crate) fn found(&self) -> Option<u32> {
        (self.limit != NONE).then_some(self.limit)
    }

    /// The ranks of all matches.
    pub(crate) fn into_all(self) -> Vec<u32> {
        match self.goal {
            Goal::First => Vec::new(),
            Goal::All(ranks) => ranks,
        }
    }

    fn wants(&self, rank: u32) -> bool {
        rank < self.limit
    }

    /// Whether the conditions of `candidate` besides host and path hold; if so, it is taken down.
    fn try_candidate(&mut self, candidate: Candidate) {
        let predicates = self.predicates.get(candidate.rule as usize).map_or(&[][..], |all| all);
        let skip = |p: &Predicate| self.ignore_method && p.is_method();
        if !predicates.iter().all(|p| skip(p) || p.holds(self.subject)) {
            return;
        }
        match &mut self.goal {
            Goal::First => self.limit = candidate.rank,
            Goal::All(ranks) => ranks.push(candidate.rank),
        }
    }
}

/// All hosts.
#[derive(Default)]
pub(crate) struct Index {
    exact: Map<Box<str>, Paths>,
    wildcards: Wildcards,
    regexes: Regexes<Paths>,
    regexes_best: Option<u32>,
    any: Paths,
}

/// Hosts that are given by their end.
#[derive(Default)]
struct Wildcards {
    best: Option<u32>,
    /// The length of the longest end.
    longest: usize,
    /// Without the `*.`.
    ends: Map<Box<str>, Paths>,
}

impl Index {
    /// Adds an alternative; to be called in the order of the ranks.
    pub(crate) fn insert(
        &mut self,
        host: Option<&HostPattern>,
        path: Option<&PathPattern>,
        candidate: Candidate,
    ) {
        let paths = match host.map(|h| &h.kind) {
            None | Some(HostKind::Any) => &mut self.any,
            Some(HostKind::Exact(name)) => self.exact.entry(name.clone()).or_default(),
            Some(HostKind::Wildcard(end)) => {
                self.wildcards.best.get_or_insert(candidate.rank);
                self.wildcards.longest = self.wildcards.longest.max(end.len());
                self.wildcards.ends.entry(end.clone()).or_default()
            }
            Some(HostKind::Regex(regex)) => {
                self.regexes_best.get_or_insert(candidate.rank);
                self.regexes.entry(regex.as_str())
            }
        };
        paths.insert(path, candidate);
    }

    /// Makes the table ready once all alternatives are in.
    pub(crate) fn finish(&mut self, building: &mut Building<'_>) -> Result<(), regex::Error> {
        let paths = self.exact.values_mut().chain(self.wildcards.ends.values_mut());
        for paths in paths.chain(self.regexes.items_mut()).chain([&mut self.any]) {
            paths.finish(building)?;
        }
        self.regexes.compile(true)
    }

    pub(crate) fn search(&self, search: &mut Search<'_>) {
        let subject = search.subject;
        let (host, path) = (subject.host(), subject.path());
        if let Some(paths) = self.exact.get(host) {
            paths.search(path, search);
        }
        self.wildcards.search(host, path, search);
        if self.regexes_best.is_some_and(|best| search.wants(best)) {
            self.regexes.each(host, |paths| paths.search(path, search));
        }
        self.any.search(path, search);
    }
}

impl Wildcards {
    fn search(&self, host: &str, path: &str, search: &mut Search<'_>) {
        if !self.best.is_some_and(|best| search.wants(best)) {
            return;
        }
        for dot in memchr::memchr_iter(b'.', host.as_bytes()) {
            let end = host.get(dot + 1..).unwrap_or_default();
            if dot > 0
                && end.len() <= self.longest
                && let Some(paths) = self.ends.get(end)
            {
                paths.search(path, search);
            }
        }
    }
}
