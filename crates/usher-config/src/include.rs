//! `include = ["conf.d/*.toml"]`: which files a pattern names, and how two documents become one.

use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::document::{Key, Node, Value};

/// Directory entries that one pattern may look at.
const MAX_ENTRIES: usize = 10_000;
/// The keys whose lists are put one behind the other.
const APPENDED: [&str; 2] = ["listener", "route"];

/// The files that `pattern` names, sorted by path. `*` and `?` stand for characters of one path component; a file that
/// starts with a dot is only found by a pattern that does.
pub(crate) fn files(directory: &Path, pattern: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut found = vec![if pattern.starts_with('/') { PathBuf::from("/") } else { directory.to_path_buf() }];
    let mut parts = pattern.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        if !has_wildcard(part) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for path in &found {
            matching(path, part, last, &mut next)?;
        }
        found = next;
    }
    if has_wildcard(pattern) {
        found.retain(|path| path.is_file());
    }
    found.sort();
    Ok(found)
}

/// Whether a pattern may name no file without that being an error.
pub(crate) fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

fn matching(directory: &Path, part: &str, last: bool, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let entries = match std::fs::read_dir(here) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for (seen, entry) in entries.enumerate() {
        if seen >= MAX_ENTRIES {
            return Err(std::io::Error::other(format!("the directory has more than {MAX_ENTRIES} entries")));
        }
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let hidden = name.starts_with('.') && !part.starts_with('.');
        if !hidden && matches(part.as_bytes(), name.as_bytes()) && (last || entry.path().is_dir()) {
            found.push(directory.join(name));
        }
    }
    Ok(())
}

/// Wildcard match in linear space and at most quadratic time: on a mismatch the last `*` takes one byte more.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Adds the entries of an included document to `into`. Lists of listeners and routes are appended, tables united; what
/// both set is an error that names both places.
pub(crate) fn merge(into: &mut Vec<(Key, Node)>, from: Vec<(Key, Node)>, errors: &mut Vec<Diagnostic>) {
    for (key, node) in from {
        if key.name == "include" {
            continue;
        }
        let Some((first, old)) = into.iter_mut().find(|(old, _)| old.name == key.name) else {
            into.push((key, node));
            continue;
        };
        match (&mut old.value, node.value) {
            (Value::List(old), Value::List(new)) if APPENDED.contains(&key.name.as_str()) => old.extend(new),
            (Value::Table(old), Value::Table(new)) => unite(&key.name, old, new, errors),
            _ => errors.push(twice(&format!("`{}`", key.name), &key, first)),
        }
    }
}

fn unite(table: &str, old: &mut Vec<(Key, Node)>, new: Vec<(Key, Node)>, errors: &mut Vec<Diagnostic>) {
    let places: std::collections::HashMap<String, Key> =
        old.iter().map(|(key, _)| (key.name.clone(), key.clone())).collect();
    for (key, node) in new {
        match places.get(&key.name) {
            Some(first) => errors.push(twice(&format!("`{table}.{}`", key.name), &key, first)),
            None => old.push((key, node)),
        }
    }
}

fn twice(what: &str, again: &Key, first: &Key) -> Diagnostic {
    Diagnostic::error(format!("{what} is set in two files"))
        .at(again.span, "set again here")
        .at(first.span, "first set here")
        .help("keep one of the two")
}

#[cfg(test)]
mod tests {
    #[test]
    fn wildcards_match_within_a_name() {
        for (pattern, name, expected) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.yaml", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("**", "", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(super::matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
