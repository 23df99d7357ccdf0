//! The order of rules: which of two that match wins, and how to say so.

use std::cmp::Reverse;
use std::fmt;

/// Where an alternative of a rule (one of its hosts with one of its paths) stands; the smaller key wins.
/// The order of the fields, and of the variants below, *is* the documented order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) priority: Reverse<i32>,
    pub(crate) host: HostClass,
    pub(crate) path: PathClass,
    /// The number of further conditions.
    pub(crate) conditions: Reverse<usize>,
    pub(crate) rule: u32,
    /// The number of the alternative within its rule.
    pub(crate) alternative: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HostClass {
    Exact,
    /// By the length of what follows the `*.`.
    Wildcard(Reverse<usize>),
    Regex,
    Any,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PathClass {
    Exact,
    /// The shape, segment by segment, with its end.
    Pattern(Box<[Step]>),
    Regex,
    Any,
}

/// What a pattern says of one segment. `End` comes before `Rest`, since of two patterns that fit the same path and are
/// equal up to there, the one without `*` is more specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Literal,
    Name,
    End,
    Rest,
}

/// Why one rule comes before another that matches too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advantage {
    /// Its priority is higher.
    Priority {
        /// The priority of the winner.
        winner: i32,
        /// The priority of the other.
        loser: i32,
    },
    /// Its host or path is more specific; what each of the two is.
    MoreSpecific {
        /// What the winner has.
        winner: &'static str,
        /// What the other has.
        loser: &'static str,
    },
    /// It has more further conditions.
    MoreConditions {
        /// How many the winner has.
        winner: usize,
        /// How many the other has.
        loser: usize,
    },
    /// It was declared earlier.
    DeclaredEarlier,
}

impl Key {
    /// Why `self` comes before `other`.
    pub(crate) fn advantage_over(&self, other: &Self) -> Advantage {
        if self.priority != other.priority {
            return Advantage::Priority { winner: self.priority.0, loser: other.priority.0 };
        }
        if self.host != other.host {
            return host_advantage(self.host, other.host);
        }
        if self.path != other.path {
            return path_advantage(&self.path, &other.path);
        }
        if self.conditions != other.conditions {
            return Advantage::MoreConditions { winner: self.conditions.0, loser: other.conditions.0 };
        }
        Advantage::DeclaredEarlier
    }
}

fn host_advantage(winner: HostClass, loser: HostClass) -> Advantage {
    if let (HostClass::Wildcard(_), HostClass::Wildcard(_)) = (winner, loser) {
        return Advantage::MoreSpecific { winner: "longer wildcard host", loser: "shorter" };
    }
    let name = |class| match class {
        HostClass::Exact => "exact host",
        HostClass::Wildcard(_) => "wildcard host",
        HostClass::Regex => "host regex",
        HostClass::Any => "any host",
    };
    Advantage::MoreSpecific { winner: name(winner), loser: name(loser) }
}

fn path_advantage(winner: &PathClass, loser: &PathClass) -> Advantage {
    if let (PathClass::Pattern(a), PathClass::Pattern(b)) = (winner, loser) {
        return pattern_advantage(a, b);
    }
    Advantage::MoreSpecific { winner: path_name(winner), loser: path_name(loser) }
}

fn path_name(class: &PathClass) -> &'static str {
    match class {
        PathClass::Exact => "exact path",
        PathClass::Pattern(steps) if is_prefix(steps) => "prefix",
        PathClass::Pattern(_) => "path pattern",
        PathClass::Regex => "path regex",
        PathClass::Any => "any path",
    }
}

fn is_prefix(steps: &[Step]) -> bool {
    steps.last() == Some(&Step::Rest) && !steps.contains(&Step::Name)
}

fn pattern_advantage(winner: &[Step], loser: &[Step]) -> Advantage {
    if is_prefix(winner) && is_prefix(loser) {
        return Advantage::MoreSpecific { winner: "longer prefix", loser: "shorter" };
    }
    let name = |step: Option<&Step>| match step {
        Some(Step::Literal) => "literal segment",
        Some(Step::Name) => "`{name}`",
        Some(Step::End) | None => "end of the path",
        Some(Step::Rest) => "`*`",
    };
    let at = winner.iter().zip(loser).take_while(|(a, b)| a == b).count();
    Advantage::MoreSpecific { winner: name(winner.get(at)), loser: name(loser.get(at)) }
}

impl fmt::Display for Advantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Priority { winner, loser } => write!(f, "has the higher priority: {winner} before {loser}"),
            Self::MoreSpecific { winner, loser } => write!(f, "is more specific: {winner} before {loser}"),
            Self::MoreConditions { winner, loser } => {
                let plural = if *winner == 1 { "" } else { "s" };
                write!(f, "is more specific: {winner} further condition{plural} before {loser}")
            }
            Self::DeclaredEarlier => f.write_str("is equally specific and was declared earlier"),
        }
    }
}
