//! The conditions of a rule besides host and path. Searching, explaining and indexing all go through here, so that they
//! cannot disagree.

use crate::{FieldKind, FieldTest, Network, Rule, Subject};

/// One condition.
#[derive(Clone, Debug)]
pub(crate) enum Predicate {
    Listener(Box<[u32]>),
    Method(Box<[String]>),
    Client(Box<[Network]>),
    Field(FieldKind, FieldTest),
}

/// Something of a request that can be looked up in a hash table to tell rules apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Discriminator {
    Listener,
    Method,
    Client,
    Field(FieldKind, Box<str>),
}

/// The conditions of `rule`, the cheap ones first.
pub(crate) fn of_rule(rule: &Rule) -> Box<[Predicate]> {
    let mut all = Vec::new();
    if !rule.listeners.is_empty() {
        all.push(Predicate::Listener(rule.listeners.clone().into()));
    }
    if !rule.methods.is_empty() {
        all.push(Predicate::Method(rule.methods.clone().into()));
    }
    let fields = |kind, tests: &[FieldTest]| {
        let tests = tests.to_vec();
        tests.into_iter().map(move |mut test| {
            if kind == FieldKind::Header {
                test.name.make_ascii_lowercase();
            }
            Predicate::Field(kind, test)
        })
    };
    all.extend(fields(FieldKind::Header, &rule.headers));
    all.extend(fields(FieldKind::Query, &rule.query));
    all.extend(fields(FieldKind::Cookie, &rule.cookies));
    if !rule.clients.is_empty() {
        all.push(Predicate::Client(rule.clients.clone().into()));
    }
    all.into()
}

/// A text that two lists of conditions share only if they ask for the same.
pub(crate) fn identity(predicates: &[Predicate], ignore_method: bool) -> String {
    let counted = predicates.iter().filter(|p| !(ignore_method && p.is_method()));
    let mut texts: Vec<String> = counted.map(Predicate::identity).collect();
    texts.sort();
    texts.dedup();
    texts.join("\n")
}

impl Predicate {
    /// Whether the condition is one on the method.
    pub(crate) fn is_method(&self) -> bool {
        matches!(self, Self::Method(_))
    }

    /// Whether the condition holds.
    pub(crate) fn holds(&self, subject: &dyn Subject) -> bool {
        match self {
            Self::Listener(listeners) => listeners.contains(&subject.listener()),
            Self::Method(methods) => {
                let method = subject.method();
                methods.iter().any(|m| m == method)
            }
            Self::Client(networks) => {
                subject.client().is_some_and(|client| networks.iter().any(|n| n.contains(client)))
            }
            Self::Field(kind, field) => field.test.holds(|test| kind.any(subject, &field.name, test)),
        }
    }

    /// By what a hash table can find this condition, and under which keys; `None` if it cannot.
    pub(crate) fn keys(&self) -> Option<(Discriminator, Vec<Box<[u8]>>)> {
        Some(match self {
            Self::Listener(all) => {
                (Discriminator::Listener, all.iter().map(|l| l.to_be_bytes().as_slice().into()).collect())
            }
            Self::Method(all) => (Discriminator::Method, all.iter().map(|m| m.as_bytes().into()).collect()),
            Self::Client(all) => {
                (Discriminator::Client, all.iter().map(|n| n.key().as_slice().into()).collect())
            }
            Self::Field(kind, FieldTest { name, test: crate::ValueTest::Exact(value) }) => {
                (Discriminator::Field(*kind, name.as_str().into()), vec![value.as_bytes().into()])
            }
            Self::Field(..) => return None,
        })
    }

    fn identity(&self) -> String {
        match self {
            Self::Listener(all) => format!("l{:?}", sorted(all.to_vec())),
            Self::Method(all) => format!("m{:?}", sorted(all.to_vec())),
            Self::Client(all) => format!("c{:?}", sorted(all.iter().map(Network::key).collect())),
            Self::Field(kind, FieldTest { name, test }) => format!("f{kind:?}{name:?}{test:?}"),
        }
    }
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items.dedup();
    items
}

impl Discriminator {
    /// Calls `visit` with every key under which conditions on this may be found that hold for `subject`.
    /// `shapes` are those of the networks in the table.
    pub(crate) fn each_key(
        &self,
        subject: &dyn Subject,
        shapes: &[(bool, u8)],
        visit: &mut dyn FnMut(&[u8]),
    ) {
        match self {
            Self::Listener => visit(&subject.listener().to_be_bytes()),
            Self::Method => visit(subject.method().as_bytes()),
            Self::Client => {
                let Some(client) = subject.client() else { return };
                for network in shapes.iter().filter_map(|shape| Network::around(client, *shape)) {
                    visit(&network.key());
                }
            }
            Self::Field(kind, name) => {
                kind.any(subject, name, &mut |value| {
                    visit(value);
                    false
                });
            }
        }
    }
}
