//! What is wrong with a config that is looked at further, to find the rest.

use std::collections::HashSet;
use std::ops::Deref;

use crate::diagnostic::Diagnostic;
use crate::document::{Document, Node, Value};
use crate::source::Span;

/// Errors, and the parts of the config that are not as they were meant because of them.
#[derive(Debug, Clone, Default)]
pub struct Mistakes {
    errors: Vec<Diagnostic>,
    /// Where they are.
    places: HashSet<Span>,
    /// Those of them that are a whole table, of which a key is missing: what stands in it is not at fault.
    tables: HashSet<Span>,
    /// The routes with an error anywhere in them.
    routes: HashSet<Span>,
    /// There is one in what routes may take settings from.
    shared: bool,
}

impl Mistakes {
    pub(crate) fn new(errors: Vec<Diagnostic>, document: &Document) -> Self {
        if errors.is_empty() {
            return Self::default();
        }
        let places: HashSet<Span> = errors.iter().filter_map(place).collect();
        let routes = document.root.get("route").and_then(Node::as_list).unwrap_or_default();
        let routes = routes.iter().filter(|route| holds(route, &places)).map(|route| route.span).collect();
        let mut shared = ["defaults", "bundle"].iter().filter_map(|name| document.root.get(name));
        let shared = shared.any(|node| holds(node, &places));
        let mut tables = HashSet::new();
        find_tables(&document.root, &places, &mut tables);
        Self { errors, places, tables, routes, shared }
    }

    /// Whether a route may lack something because of them, so that what it lacks is not told.
    pub fn touch(&self, route: Span) -> bool {
        self.shared || self.routes.contains(&route)
    }

    /// Whether a later finding is about a place where there is a mistake already.
    pub(crate) fn explain(&self, found: &Diagnostic) -> bool {
        let Some(found) = place(found) else { return false };
        let by = |own: Span| contains(found, own) || overlap(found, own) && !self.tables.contains(&own);
        self.places.iter().any(|own| by(*own))
    }
}

impl Deref for Mistakes {
    type Target = [Diagnostic];
    fn deref(&self) -> &[Diagnostic] {
        &self.errors
    }
}

/// The place at fault.
fn place(found: &Diagnostic) -> Option<Span> {
    found.labels.first().map(|label| label.span)
}

fn contains(outer: Span, inner: Span) -> bool {
    outer.source == inner.source && outer.start <= inner.start && inner.end <= outer.end
}

fn overlap(one: Span, other: Span) -> bool {
    one.source == other.source && one.start < other.end && other.start < one.end
}

fn find_tables(node: &Node, places: &HashSet<Span>, found: &mut HashSet<Span>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| find_tables(item, places, found)),
        Value::Table(entries) => {
            found.extend(Some(node.span).filter(|span| places.contains(span)));
            entries.iter().for_each(|(_, node)| find_tables(node, places, found));
        }
        _ => {}
    }
}

/// Whether one of the places is that of the node, of a key, or of a value below it.
fn holds(node: &Node, places: &HashSet<Span>) -> bool {
    let here = |span: Span| places.contains(&span);
    match &node.value {
        _ if here(node.span) => true,
        Value::List(items) => items.iter().any(|item| holds(item, places)),
        Value::Table(entries) => entries.iter().any(|(key, node)| here(key.span) || holds(node, places)),
        // A part of a text, such as a variable without a value.
        Value::String(_) => places.iter().any(|place| overlap(*place, node.span)),
        _ => false,
    }
}
