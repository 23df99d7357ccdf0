//! Why a rule was not chosen, in plain words.

use std::fmt;
use std::net::IpAddr;

use crate::predicate::Predicate;
use crate::{Advantage, FieldKind, Subject, ValueTest};

/// How much of a value is shown, in characters.
const SHOWN: usize = 100;

/// The first reason why a rule was not chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// None of its hosts fits.
    Host {
        /// The request's.
        got: String,
        /// The rule's.
        wants: Vec<String>,
    },
    /// None of its paths fits.
    Path {
        /// The request's.
        got: String,
        /// The rule's.
        wants: Vec<String>,
    },
    /// The listener is another.
    Listener {
        /// The request's.
        got: u32,
        /// The rule's.
        wants: Vec<u32>,
    },
    /// The method is another.
    Method {
        /// The request's.
        got: String,
        /// The rule's.
        wants: Vec<String>,
    },
    /// A header, query parameter or cookie has no value that passes.
    Field {
        /// Where it was looked for.
        kind: FieldKind,
        /// Its name.
        name: String,
        /// Its first value, if it is there.
        got: Option<String>,
        /// What it should be; `None` if it should be absent.
        wants: Option<String>,
    },
    /// The client comes from elsewhere.
    Client {
        /// Its address, if it has one.
        got: Option<IpAddr>,
        /// The rule's networks.
        wants: Vec<String>,
    },
    /// It matches, but another comes first.
    Outranked {
        /// The name of the rule that was chosen.
        winner: String,
        /// Why that comes first.
        why: Advantage,
    },
}

impl Reason {
    /// Why `predicate`, which does not hold, does not.
    pub(crate) fn of(predicate: &Predicate, subject: &dyn Subject) -> Self {
        match predicate {
            Predicate::Listener(wants) => Self::Listener { got: subject.listener(), wants: wants.to_vec() },
            Predicate::Method(wants) => Self::Method { got: shown(subject.method()), wants: wants.to_vec() },
            Predicate::Client(networks) => Self::Client {
                got: subject.client(),
                wants: networks.iter().map(ToString::to_string).collect(),
            },
            Predicate::Field(kind, field) => {
                let mut got = None;
                kind.any(subject, &field.name, &mut |value| {
                    got = Some(shown(&String::from_utf8_lossy(value)));
                    true
                });
                let wants = match &field.test {
                    ValueTest::Absent => None,
                    test => Some(test.to_string()),
                };
                Self::Field { kind: *kind, name: field.name.clone(), got, wants }
            }
        }
    }
}

/// `text`, cut to a length that can be read.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { got, wants } if got.is_empty() => write!(f, "there is no host, {}", wanted(wants)),
            Self::Host { got, wants } => write!(f, "host is `{got}`, {}", wanted(wants)),
            Self::Path { got, wants } => write!(f, "path is `{got}`, {}", wanted(wants)),
            Self::Listener { got, wants } => write!(f, "listener is `{got}`, {}", wanted(wants)),
            Self::Method { got, wants } => write!(f, "method is `{got}`, {}", wanted(wants)),
            Self::Client { got: Some(got), wants } => write!(f, "client is `{got}`, {}", wanted(wants)),
            Self::Client { got: None, wants } => write!(f, "the client has no address, {}", wanted(wants)),
            Self::Field { kind, name, got: None, .. } => write!(f, "{kind} `{name}` is absent"),
            Self::Field { kind, name, got: Some(_), wants: None } => {
                write!(f, "{kind} `{name}` is present, the route wants it absent")
            }
            Self::Field { kind, name, got: Some(got), wants: Some(wants) } => {
                write!(f, "{kind} `{name}` is `{got}`, the route wants {wants}")
            }
            Self::Outranked { winner, why } => write!(f, "matches too, but `{winner}` {why}"),
        }
    }
}

/// The sentence about what a rule wants, with at most three alternatives.
fn wanted<T: fmt::Display>(items: &[T]) -> String {
    let named: Vec<String> = items.iter().take(3).map(|item| format!("`{item}`")).collect();
    let more = items.len().saturating_sub(named.len());
    let list = named.join(" or ");
    if more == 0 {
        format!("the route wants {list}")
    } else {
        format!("the route wants {list} or {more} more")
    }
}
