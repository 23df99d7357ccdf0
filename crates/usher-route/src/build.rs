//! From rules to a router, with what is wrong or useless in them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use crate::index::{Building, Candidate, Index, Map};
use crate::order::{HostClass, Key, PathClass};
use crate::router::{Alternative, Parts, Router};
use crate::{HostPattern, PathPattern, Rule, predicate};

/// The most combinations of host and path that all rules may have together.
pub const MAX_ALTERNATIVES: usize = 1 << 20;

/// Why rules do not make a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// A method is not a token (RFC 9110, section 9.1).
    Method {
        /// The index of the rule.
        rule: u32,
        /// The method.
        method: String,
    },
    /// The name of a header or cookie is not a token (RFC 9110, section 5.1; RFC 6265, section 4.1.1), or that of a
    /// query parameter is empty.
    FieldName {
        /// The index of the rule.
        rule: u32,
        /// The name.
        name: String,
    },
    /// There are more combinations of hosts and paths than [`MAX_ALTERNATIVES`]; the rule is the first that is too much.
    TooManyAlternatives {
        /// The index of the rule.
        rule: u32,
    },
    /// The regexes of all hosts, or those of the paths of one host, do not fit into one automaton.
    RegexesTooBig,
}

impl BuildError {
    /// The index of the rule at fault, if it is one rule's.
    pub fn rule(&self) -> Option<u32> {
        match self {
            Self::Method { rule, .. } | Self::FieldName { rule, .. } | Self::TooManyAlternatives { rule } => {
                Some(*rule)
            }
            Self::RegexesTooBig => None,
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method { method, .. } => write!(f, "`{method}` is not a method; write a name like `GET`"),
            Self::FieldName { name, .. } => write!(f, "`{name}` is not the name of a field"),
            Self::TooManyAlternatives { .. } => {
                write!(f, "the routes have more than {MAX_ALTERNATIVES} combinations of host and path")
            }
            Self::RegexesTooBig => f.write_str(
                "the regexes of the routes are too big together; use fewer, or bound their repetitions",
            ),
        }
    }
}

impl std::error::Error for BuildError {}

/// A rule that can never be chosen, or not for all of its hosts and paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The index of the rule.
    pub rule: u32,
    /// Its name.
    pub name: String,
    /// The index of the rule that always comes before it.
    pub by: u32,
    /// The name of that.
    pub by_name: String,
    /// The host and path for which this is so; `None` if the rule can never match at all.
    pub only: Option<(Option<String>, Option<String>)>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route `{}` can never match", self.name)?;
        if let Some((host, path)) = &self.only {
            let place = |text: &Option<String>, any| text.as_ref().map_or(any, |t| format!("`{t}`"));
            let (host, path) = (place(host, "any host".to_owned()), place(path, "any path".to_owned()));
            write!(f, " for {host} and {path}")?;
        }
        write!(f, ", since route `{}` takes all of its requests before", self.by_name)
    }
}

/// Compiles `rules`.
pub(crate) fn build(rules: Vec<Rule>) -> Result<Router, Vec<BuildError>> {
    let errors = check(&rules);
    if !errors.is_empty() {
        return Err(errors);
    }
    let predicates: Vec<_> = rules.iter().map(predicate::of_rule).collect();
    let alternatives = alternatives(&rules, &predicates);
    let with_method = |rule: &Rule| !rule.methods.is_empty();

    let mut building = Building::new(&predicates, false);
    let table = index(&rules, &alternatives, &mut building, |_| true)?;
    let warnings = warnings(&rules, &alternatives, &building.covered);

    let mut building = Building::new(&predicates, true);
    let any_method = index(&rules, &alternatives, &mut building, with_method)?;
    let mut merged: Map<u32, Vec<u32>> = Map::default();
    for (hidden, by) in building.covered {
        merged.entry(by.rank).or_default().push(hidden.rule);
    }
    Ok(Router::new(Parts { rules, predicates, alternatives, table, any_method, merged, warnings }))
}

fn check(rules: &[Rule]) -> Vec<BuildError> {
    let mut errors = Vec::new();
    let mut total = 0usize;
    for (rule, number) in rules.iter().zip(0u32..) {
        let bad_methods = rule.methods.iter().filter(|m| !is_token(m));
        errors.extend(bad_methods.map(|m| BuildError::Method { rule: number, method: m.clone() }));
        let tokens = rule.headers.iter().chain(&rule.cookies).filter(|f| !is_token(&f.name));
        let empty = rule.query.iter().filter(|f| f.name.is_empty());
        errors.extend(
            tokens.chain(empty).map(|f| BuildError::FieldName { rule: number, name: f.name.clone() }),
        );
        let own = rule.hosts.len().max(1).saturating_mul(rule.paths.len().max(1));
        let before = total;
        total = total.saturating_add(own);
        if before <= MAX_ALTERNATIVES && total > MAX_ALTERNATIVES {
            errors.push(BuildError::TooManyAlternatives { rule: number });
        }
    }
    errors
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// All alternatives of all rules in their order; the place in the list is the rank.
fn alternatives(rules: &[Rule], predicates: &[Box<[predicate::Predicate]>]) -> Vec<Alternative> {
    let mut all = Vec::new();
    for ((rule, predicates), number) in rules.iter().zip(predicates).zip(0u32..) {
        let mut alternative = 0;
        for host in choices(rule.hosts.len()) {
            for path in choices(rule.paths.len()) {
                let host_class = host.and_then(|h| rule.hosts.get(h)).map(HostPattern::class);
                let path_class = path.and_then(|p| rule.paths.get(p)).map(PathPattern::class);
                let key = Key {
                    priority: Reverse(rule.priority),
                    host: host_class.unwrap_or(HostClass::Any),
                    path: path_class.unwrap_or(PathClass::Any),
                    conditions: Reverse(predicates.len()),
                    rule: number,
                    alternative,
                };
                alternative += 1;
                all.push(Alternative { key, host, path });
            }
        }
    }
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
}

/// The places in a list of alternatives, or `None` once if it is empty.
fn choices(length: usize) -> impl Iterator<Item = Option<usize>> {
    let none = (length == 0).then_some(None);
    none.into_iter().chain((0..length).map(Some))
}

fn index(
    rules: &[Rule],
    alternatives: &[Alternative],
    building: &mut Building<'_>,
    takes: impl Fn(&Rule) -> bool,
) -> Result<Index, Vec<BuildError>> {
    let mut index = Index::default();
    for (alternative, rank) in alternatives.iter().zip(0u32..) {
        let number = alternative.key.rule;
        if let Some(rule) = rules.get(number as usize).filter(|rule| takes(rule)) {
            let candidate = Candidate { rank, rule: number };
            index.insert(alternative.host_of(rule), alternative.path_of(rule), candidate);
        }
    }
    index.finish(building).map_err(|_| vec![BuildError::RegexesTooBig])?;
    Ok(index)
}

fn warnings(
    rules: &[Rule],
    alternatives: &[Alternative],
    covered: &[(Candidate, Candidate)],
) -> Vec<Warning> {
    let mut by_rule: BTreeMap<u32, Vec<(Candidate, Candidate)>> = BTreeMap::new();
    for pair in covered {
        by_rule.entry(pair.0.rule).or_default().push(*pair);
    }
    let name = |rule: u32| rules.get(rule as usize).map(|r| r.name.clone()).unwrap_or_default();
    let mut warnings = Vec::new();
    for (number, mut pairs) in by_rule {
        let Some(rule) = rules.get(number as usize) else { continue };
        let all = pairs.len() == rule.hosts.len().max(1) * rule.paths.len().max(1);
        // An alternative that is written twice within one rule is no harm.
        pairs.retain(|(hidden, by)| hidden.rule != by.rule);
        pairs.sort_by_key(|(hidden, _)| hidden.rank);
        pairs.truncate(if all { 1 } else { pairs.len() });
        for (hidden, by) in pairs {
            let place = alternatives.get(hidden.rank as usize).filter(|_| !all);
            let only = place.map(|a| {
                (a.host_of(rule).map(ToString::to_string), a.path_of(rule).map(ToString::to_string))
            });
            warnings.push(Warning {
                rule: number,
                name: rule.name.clone(),
                by: by.rule,
                by_name: name(by.rule),
                only,
            });
        }
    }
    warnings
}
