//! What a reload changed, in a line.

use std::collections::BTreeSet;
use std::sync::Arc;

use usher_engine::Snapshot;

/// Names that are listed, of each kind of change.
const MAX_NAMED: usize = 4;

/// `2 listeners, 5 routes (+shop, -old), 3 clusters`
pub(super) fn describe(before: &Snapshot, after: &Snapshot) -> String {
    let kinds = [
        kind(
            "listener",
            &names(&before.listeners, |one| &one.name),
            &names(&after.listeners, |one| &one.name),
        ),
        kind("route", &names(&before.routes, |one| &one.name), &names(&after.routes, |one| &one.name)),
        kind("cluster", &names(&before.clusters, |one| &one.name), &names(&after.clusters, |one| &one.name)),
    ];
    kinds.join(", ")
}

fn names<T>(all: &[T], name: impl Fn(&T) -> &Arc<str>) -> BTreeSet<&str> {
    all.iter().map(|one| &**name(one)).collect()
}

/// `4 endpoints (+10.0.0.4:80)`
pub(crate) fn came_and_went(what: &str, before: &BTreeSet<String>, after: &BTreeSet<String>) -> String {
    let told = kind(what, &texts(before), &texts(after));
    if before == after { format!("{told}, with other weights") } else { told }
}

fn texts(all: &BTreeSet<String>) -> BTreeSet<&str> {
    all.iter().map(String::as_str).collect()
}

fn kind(what: &str, before: &BTreeSet<&str>, after: &BTreeSet<&str>) -> String {
    let mut text = format!("{} {what}{}", after.len(), if after.len() == 1 { "" } else { "s" });
    let (added, removed) = (list('+', after.difference(before)), list('-', before.difference(after)));
    let changes: Vec<String> = [added, removed].into_iter().flatten().collect();
    if !changes.is_empty() {
        text.push_str(&format!(" ({})", changes.join(", ")));
    }
    text
}

fn list<'a>(sign: char, names: impl Iterator<Item = &'a &'a str>) -> Option<String> {
    let names: Vec<String> = names.map(|name| format!("{sign}{name}")).collect();
    let rest = names.len().saturating_sub(MAX_NAMED);
    let shown = names.get(..names.len() - rest).unwrap_or_default().join(", ");
    match (names.is_empty(), rest) {
        (true, _) => None,
        (_, 0) => Some(shown),
        (_, rest) => Some(format!("{shown} and {rest} more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_came_and_went() {
        let set = |text: &'static str| text.split_whitespace().collect::<BTreeSet<_>>();
        let cases = [
            ("a b", "a b", "2 routes"),
            ("a b", "b", "1 route (-a)"),
            ("", "a b", "2 routes (+a, +b)"),
            ("x", "a b c d e f", "6 routes (+a, +b, +c, +d and 2 more, -x)"),
        ];
        for (before, after, expected) in cases {
            assert_eq!(kind("route", &set(before), &set(after)), expected);
        }
    }
}
