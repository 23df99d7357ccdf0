//! Promises that are kept or broken by single lines of source.

use std::fs;
use std::path::{Path, PathBuf};

use super::source::{code, has_word};
use crate::paths;

/// The only folder with `unsafe`; each block there says why it is sound.
const UNSAFE_FOLDER: &str = "crates/usher-net/src/sys/";

/// Ways to open a socket. The engine is given a dialer and accepted streams instead.
const SOCKETS: &[&str] = &[
    "TcpStream::connect",
    "TcpListener::bind",
    "TcpSocket::new_v4",
    "TcpSocket::new_v6",
    "UdpSocket::bind",
    "UnixStream::connect",
    "UnixListener::bind",
    "UnixDatagram::bind",
    "Socket::new",
];

/// The most lines of a file.
const MAX_LINES: usize = 500;

/// Files that may be longer, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

type Found = Result<Vec<String>, String>;

pub(super) fn unsafe_code() -> Found {
    let mut found = Vec::new();
    for file in all_files().iter().filter(|file| !relative(file).starts_with(UNSAFE_FOLDER)) {
        found.extend(lines(file, |line| has_word(line, "unsafe"))?);
    }
    Ok(found)
}

pub(super) fn engine_sockets() -> Found {
    let mut found = Vec::new();
    let files = paths::rust_files(&paths::root().join("crates/usher-engine/src"));
    // Tests may be the other end of a connection: what the kernel does with real ones is what some are about.
    for file in files.into_iter().filter(|file| !file.ends_with("tests.rs")) {
        found.extend(lines(&file, |line| SOCKETS.iter().any(|opens| has_word(line, opens)))?);
    }
    Ok(found)
}

pub(super) fn long_files() -> Found {
    let mut found = Vec::new();
    for file in all_files() {
        let name = relative(&file);
        let length = read(&file)?.lines().count();
        let excused = LONG_FILES.iter().any(|(long, _)| *long == name);
        if length > MAX_LINES && !excused {
            found.push(format!(
                "{name} has {length} lines: divide it by what it is about (at most {MAX_LINES})"
            ));
        } else if excused && length <= MAX_LINES {
            found.push(format!("{name} is short again: take it off the list of long files"));
        }
    }
    Ok(found)
}

pub(super) fn extensions() -> Found {
    let source = paths::root().join("crates/usher-extensions/src");
    let all = Extension::all(&source);
    let mut found = Vec::new();
    for own in &all {
        for file in paths::rust_files(&source.join(&own.kind).join(&own.name)) {
            let inside = file.strip_prefix(source.join(&own.kind)).unwrap_or(&file);
            let supers = depth(inside);
            let imports = imported_names(&code(&read(&file)?), &own.kind, supers);
            let others = all.iter().filter(|other| *other != own);
            for other in others.filter(|other| imports.contains(&other.path())) {
                let (file, own, other) = (relative(&file), own.path(), other.path());
                found.push(format!("{file}: {own} imports {other}; what both need belongs into usher-api"));
            }
        }
    }
    Ok(found)
}

#[derive(PartialEq, Eq)]
struct Extension {
    kind: String,
    name: String,
}

impl Extension {
    /// Every folder `KIND/NAME` with a `mod.rs`.
    fn all(source: &Path) -> Vec<Self> {
        let mut found = Vec::new();
        for kind in folders(source) {
            for name in folders(&source.join(&kind)) {
                if source.join(&kind).join(&name).join("mod.rs").is_file() {
                    found.push(Self { kind: kind.clone(), name });
                }
            }
        }
        found
    }

    fn path(&self) -> String {
        format!("{}::{}", self.kind, self.name)
    }
}

/// How many `super::` lead from a file to its kind: one from `NAME/mod.rs`, two from `NAME/config.rs`.
fn depth(inside: &Path) -> usize {
    let parts = inside.components().count();
    if inside.ends_with("mod.rs") { parts - 1 } else { parts }
}

/// What of `KIND::NAME` a file names: through `crate::KIND::…`, or through as many `super::` as lead to its kind.
fn imported_names(code: &str, kind: &str, supers: usize) -> Vec<String> {
    let dense: String = code.split_whitespace().collect();
    let mut found = Vec::new();
    for (at, _) in dense.match_indices("crate::") {
        found.extend(expand(&dense[at + "crate::".len()..], 2));
    }
    let up = "super::".repeat(supers);
    for (at, _) in dense.match_indices(&up) {
        let rest = &dense[at + up.len()..];
        // One more or one less `super` leads elsewhere.
        if !dense[..at].ends_with("super::") && !rest.starts_with("super::") {
            found.extend(expand(rest, 1).into_iter().map(|name| format!("{kind}::{name}")));
        }
    }
    found
}

/// The paths of `length` words at the start of `text`, braces opened: `a::{b, c::d}` has `a::b` and `a::c`.
fn expand(text: &str, length: usize) -> Vec<String> {
    if let Some(inner) = text.strip_prefix('{') {
        return members(inner).into_iter().flat_map(|member| expand(member, length)).collect();
    }
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    match (length, rest.strip_prefix("::")) {
        _ if word.is_empty() => Vec::new(),
        (1, _) => vec![word.to_owned()],
        (_, Some(rest)) => {
            expand(rest, length - 1).into_iter().map(|tail| format!("{word}::{tail}")).collect()
        }
        (_, None) => Vec::new(),
    }
}

/// The members of a group whose opening brace was taken, divided by its own commas.
fn members(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0_u32, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&text[start..at]);
                return found;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

fn folders(parent: &Path) -> Vec<String> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn all_files() -> Vec<PathBuf> {
    ["crates", "bench", "fuzz", "tests"]
        .iter()
        .flat_map(|folder| paths::rust_files(&paths::root().join(folder)))
        .collect()
}

fn relative(file: &Path) -> String {
    file.strip_prefix(paths::root()).unwrap_or(file).display().to_string()
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))
}

/// `FILE:LINE: TEXT` for the lines whose code `breaks` the promise.
fn lines(file: &Path, breaks: impl Fn(&str) -> bool) -> Found {
    let source = read(file)?;
    let code = code(&source);
    let both = code.lines().zip(source.lines()).enumerate();
    let found = both.filter(|(_, (code, _))| breaks(code));
    Ok(found.map(|(index, (_, text))| format!("{}:{}: {}", relative(file), index + 1, text.trim())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_imports_of_other_extensions() {
        let cases = [
            ("use crate::filters::headers::Headers;", 1, true),
            ("use crate::filters::{redirect::A, headers};", 1, true),
            ("use crate::{balancers, filters::headers::B};", 1, true),
            ("use super::headers::Headers;", 1, true),
            ("use super::super::headers;", 2, true),
            ("let x = crate::filters :: headers::new();", 1, true),
            ("use super::headers::Headers;", 2, false),
            ("use super::super::headers::Headers;", 1, false),
            ("use crate::filters::headers_more;", 1, false),
            ("use usher_api::filters::other;", 1, false),
            ("use crate::filters::Filter;", 1, false),
        ];
        for (code, supers, found) in cases {
            let names = imported_names(code, "filters", supers);
            assert_eq!(names.contains(&"filters::headers".to_owned()), found, "{code}: {names:?}");
        }
    }

    #[test]
    fn depth_of_files() {
        let cases = [("a/mod.rs", 1), ("a/config.rs", 2), ("a/b/mod.rs", 2), ("a/b/c.rs", 3)];
        for (file, supers) in cases {
            assert_eq!(depth(Path::new(file)), supers, "{file}");
        }
    }
}
