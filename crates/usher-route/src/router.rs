//! The compiled table.

use crate::host::HostPattern;
use crate::index::{Index, Map, Search};
use crate::order::Key;
use crate::path::PathPattern;
use crate::predicate::Predicate;
use crate::{BuildError, Captures, Explanation, Outcome, Rule, Subject, Warning, build, explain};

/// Finds the rule of a request. Made once, then only read; see the [crate] for the order and the cost.
pub struct Router {
    parts: Parts,
}

/// What a router is made of.
pub(crate) struct Parts {
    pub(crate) rules: Vec<Rule>,
    /// Per rule its conditions besides host and path.
    pub(crate) predicates: Vec<Box<[Predicate]>>,
    /// In their order; the place is the rank.
    pub(crate) alternatives: Vec<Alternative>,
    pub(crate) table: Index,
    /// Of the rules that name methods, without regard to these.
    pub(crate) any_method: Index,
    /// The rules that `any_method` does not hold since they differ only by method from one that it does, by its rank.
    pub(crate) merged: Map<u32, Vec<u32>>,
    pub(crate) warnings: Vec<Warning>,
}

/// One host of a rule with one of its paths.
#[derive(Clone, Debug)]
pub(crate) struct Alternative {
    pub(crate) key: Key,
    /// The place in the rule's list; `None` if the list is empty.
    pub(crate) host: Option<usize>,
    pub(crate) path: Option<usize>,
}

impl Alternative {
    pub(crate) fn host_of<'r>(&self, rule: &'r Rule) -> Option<&'r HostPattern> {
        self.host.and_then(|at| rule.hosts.get(at))
    }

    pub(crate) fn path_of<'r>(&self, rule: &'r Rule) -> Option<&'r PathPattern> {
        self.path.and_then(|at| rule.paths.get(at))
    }
}

impl Router {
    /// Compiles `rules`, or says all that is wrong with them.
    pub fn build(rules: Vec<Rule>) -> Result<Self, Vec<BuildError>> {
        build::build(rules)
    }

    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// The first rule in the order that matches; `captures` are replaced by those of its path pattern.
    pub fn find(&self, subject: &impl Subject, captures: &mut Captures) -> Outcome {
        captures.clear();
        let Some((rule, path)) = self.first(subject) else {
            return self.without(subject);
        };
        if let Some(path) = path {
            path.capture(subject.path(), captures);
        }
        Outcome::Found(rule)
    }

    /// The methods of the rules that match in everything else, sorted; for the `Allow` field of a 405 response
    /// (RFC 9110, section 15.5.6).
    pub fn allowed(&self, subject: &impl Subject) -> Vec<&str> {
        self.allowed_to(subject)
    }

    pub(crate) fn allowed_to(&self, subject: &dyn Subject) -> Vec<&str> {
        let mut search = Search::all(subject, &self.parts.predicates);
        self.parts.any_method.search(&mut search);
        let mut methods = Vec::new();
        for rank in search.into_all() {
            let own = self.parts.alternatives.get(rank as usize).map(|a| a.key.rule);
            let merged = self.parts.merged.get(&rank).into_iter().flatten().copied();
            for rule in own.into_iter().chain(merged).filter_map(|rule| self.rule(rule)) {
                methods.extend(rule.methods.iter().map(String::as_str));
            }
        }
        methods.sort_unstable();
        methods.dedup();
        methods
    }

    /// What [`Router::find`] answers, and why the others lost. For people: it looks at every rule.
    pub fn explain(&self, subject: &impl Subject) -> Explanation {
        explain::explain(self, subject)
    }

    /// Rules that can never be chosen.
    pub fn warnings(&self) -> &[Warning] {
        &self.parts.warnings
    }

    /// The rule of an index that [`Outcome::Found`] gave.
    pub fn rule(&self, index: u32) -> Option<&Rule> {
        self.parts.rules.get(index as usize)
    }

    /// All rules in the order of declaration.
    pub fn rules(&self) -> &[Rule] {
        &self.parts.rules
    }

    pub(crate) fn predicates_of(&self, rule: u32) -> &[Predicate] {
        self.parts.predicates.get(rule as usize).map_or(&[], |all| all)
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The rank of the first alternative that matches.
    pub(crate) fn first_rank(&self, subject: &dyn Subject) -> Option<u32> {
        let mut search = Search::first(subject, &self.parts.predicates, false);
        self.parts.table.search(&mut search);
        search.found()
    }

    fn first(&self, subject: &dyn Subject) -> Option<(u32, Option<&PathPattern>)> {
        let rank = self.first_rank(subject)?;
        let alternative = self.parts.alternatives.get(rank as usize)?;
        let rule = self.rule(alternative.key.rule)?;
        Some((alternative.key.rule, alternative.path_of(rule)))
    }

    /// Why nothing matches.
    pub(crate) fn without(&self, subject: &dyn Subject) -> Outcome {
        let mut search = Search::first(subject, &self.parts.predicates, true);
        self.parts.any_method.search(&mut search);
        if search.found().is_some() { Outcome::MethodNotAllowed } else { Outcome::NotFound }
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("rules", &self.parts.rules.len()).finish_non_exhaustive()
    }
}
