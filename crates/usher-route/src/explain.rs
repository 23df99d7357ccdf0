//! A dry run for people: the rule that is chosen, and why the nearest others are not.

use std::cmp::Reverse;

use crate::order::Key;
use crate::reason::shown;
use crate::router::{Alternative, Router};
use crate::{Captures, Outcome, Reason, Rule, Subject};

/// How many rules that were not chosen are explained.
pub const MAX_NEAR_MISSES: usize = 10;

/// The answer of [`Router::explain`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What [`Router::find`] answers.
    pub outcome: Outcome,
    /// The rule that was chosen, if one was.
    pub chosen: Option<Chosen>,
    /// With [`Outcome::MethodNotAllowed`]: the methods that are allowed.
    pub allowed: Vec<String>,
    /// The nearest of the other rules: first those that match too, then by how many conditions hold and how much of the
    /// path is alike.
    pub near: Vec<NearMiss>,
    /// How many more rules matched on host or path.
    pub more: usize,
}

/// The rule that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Its index.
    pub rule: u32,
    /// Its name.
    pub name: String,
    /// The host pattern that fits, if the rule has any.
    pub host: Option<String>,
    /// The path pattern that fits, if the rule has any.
    pub path: Option<String>,
    /// Names and values that the path pattern captured.
    pub captures: Vec<(String, String)>,
}

/// A rule that was not chosen although its host or path fits. Where none was chosen, every host fits
/// one without a condition on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// Its index.
    pub rule: u32,
    /// Its name.
    pub name: String,
    /// How many of its conditions hold.
    pub held: usize,
    /// How many conditions it has.
    pub conditions: usize,
    /// The first reason why it was not chosen.
    pub reason: Reason,
}

pub(crate) fn explain(router: &Router, subject: &dyn Subject) -> Explanation {
    let winner = router.first_rank(subject).and_then(|rank| router.parts().alternatives.get(rank as usize));
    let outcome = winner.map_or_else(|| router.without(subject), |w| Outcome::Found(w.key.rule));
    let (near, more) = near_misses(router, subject, winner);
    Explanation {
        outcome,
        chosen: winner.and_then(|winner| chosen(router, subject, winner)),
        allowed: match outcome {
            Outcome::MethodNotAllowed => router.allowed_to(subject).into_iter().map(str::to_owned).collect(),
            _ => Vec::new(),
        },
        near,
        more,
    }
}

fn chosen(router: &Router, subject: &dyn Subject, winner: &Alternative) -> Option<Chosen> {
    let rule = router.rule(winner.key.rule)?;
    let path = winner.path_of(rule);
    let mut captures = Captures::new();
    if let Some(path) = path {
        path.capture(subject.path(), &mut captures);
    }
    let values = captures.iter(subject.path()).map(|(name, value)| (name.to_owned(), value.to_owned()));
    Some(Chosen {
        rule: winner.key.rule,
        name: rule.name.clone(),
        host: winner.host_of(rule).map(ToString::to_string),
        path: path.map(ToString::to_string),
        captures: values.collect(),
    })
}

fn near_misses(
    router: &Router,
    subject: &dyn Subject,
    winner: Option<&Alternative>,
) -> (Vec<NearMiss>, usize) {
    let mut nearest: Vec<Option<Seen<'_>>> = vec![None; router.rules().len()];
    for alternative in &router.parts().alternatives {
        let number = alternative.key.rule;
        let Some(slot) = nearest.get_mut(number as usize) else { continue };
        if winner.is_some_and(|w| w.key.rule == number) {
            continue;
        }
        let seen = look(router, subject, alternative);
        // The alternatives come in their order, so that the earlier of two equal ones stays.
        if seen.near(winner.is_some()) && slot.as_ref().is_none_or(|best| seen.distance() < best.distance()) {
            *slot = Some(seen);
        }
    }
    let mut near: Vec<Seen<'_>> = nearest.into_iter().flatten().collect();
    near.sort_by(|a, b| a.distance().cmp(&b.distance()).then_with(|| a.key.cmp(b.key)));
    let more = near.len().saturating_sub(MAX_NEAR_MISSES);
    near.truncate(MAX_NEAR_MISSES);
    (near.iter().filter_map(|seen| near_miss(router, subject, winner, seen)).collect(), more)
}

/// How an alternative fares with a request.
#[derive(Clone)]
struct Seen<'a> {
    key: &'a Key,
    /// `None` without such a condition.
    host: Option<bool>,
    path: Option<bool>,
    held: usize,
    conditions: usize,
    /// How many bytes its path has in common with the request's, from the beginning.
    alike: usize,
}

impl Seen<'_> {
    fn all(&self) -> bool {
        self.held == self.conditions
    }

    /// Whether it is for the request's host or its path. Where none was chosen, any host is the request's too.
    fn near(&self, chosen: bool) -> bool {
        self.all() || self.host == Some(true) || self.path == Some(true) || !chosen && self.host.is_none()
    }

    /// Smaller is nearer.
    fn distance(&self) -> (bool, Reverse<usize>, usize, Reverse<usize>) {
        (!self.all(), Reverse(self.held), self.conditions, Reverse(self.alike))
    }
}

fn look<'r>(router: &'r Router, subject: &dyn Subject, alternative: &'r Alternative) -> Seen<'r> {
    let rule = router.rule(alternative.key.rule);
    let host = rule.and_then(|r| alternative.host_of(r)).map(|host| host.matches(subject.host()));
    let path = rule.and_then(|r| alternative.path_of(r)).map(|path| path.matches(subject.path()));
    let predicates = router.predicates_of(alternative.key.rule);
    let held = predicates.iter().filter(|p| p.holds(subject)).count();
    let placed = [host, path];
    Seen {
        key: &alternative.key,
        host,
        path,
        held: held + placed.iter().filter(|p| **p == Some(true)).count(),
        alike: rule
            .and_then(|r| alternative.path_of(r))
            .map_or(0, |path| alike(path.as_str(), subject.path())),
        conditions: predicates.len() + placed.iter().flatten().count(),
    }
}

fn alike(pattern: &str, path: &str) -> usize {
    pattern.bytes().zip(path.bytes()).take_while(|(one, other)| one == other).count()
}

fn near_miss(
    router: &Router,
    subject: &dyn Subject,
    winner: Option<&Alternative>,
    seen: &Seen<'_>,
) -> Option<NearMiss> {
    let number = seen.key.rule;
    let rule = router.rule(number)?;
    let reason = match first_failure(router, rule, subject, seen) {
        Some(reason) => reason,
        None => {
            let winner = winner?;
            let name = router.rule(winner.key.rule).map(|r| r.name.clone()).unwrap_or_default();
            Reason::Outranked { winner: name, why: winner.key.advantage_over(seen.key) }
        }
    };
    Some(NearMiss {
        rule: number,
        name: rule.name.clone(),
        held: seen.held,
        conditions: seen.conditions,
        reason,
    })
}

fn first_failure(router: &Router, rule: &Rule, subject: &dyn Subject, seen: &Seen<'_>) -> Option<Reason> {
    if seen.host == Some(false) {
        let wants = rule.hosts.iter().map(ToString::to_string).collect();
        return Some(Reason::Host { got: shown(subject.host()), wants });
    }
    if seen.path == Some(false) {
        let wants = rule.paths.iter().map(ToString::to_string).collect();
        return Some(Reason::Path { got: shown(subject.path()), wants });
    }
    let failing = router.predicates_of(seen.key.rule).iter().find(|p| !p.holds(subject));
    failing.map(|predicate| Reason::of(predicate, subject))
}
