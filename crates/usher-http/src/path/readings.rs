//! What other servers may read in a path that is in normal form.
//!
//! The normal form keeps `%2F`, `%5C` and `;` as data, as RFC 3986 section 2.2 asks. Not every server does: some decode
//! before they split a path into segments, some twice, some drop what follows a `;` in a segment (`/admin;x` is
//! `/admin` there). Whoever guards a path by a route wants to know what these would serve.

use std::borrow::Cow;

use super::{PathError, normalize};

/// Whether some server would read another path than this one, which is in normal form.
pub fn has_other_readings(path: &str) -> bool {
    // Nearly no path has either.
    memchr::memchr2_iter(b'%', b';', path.as_bytes()).any(|at| {
        let text = path.as_bytes().get(at..).unwrap_or_default();
        text.first() == Some(&b';') || mark(text).is_some()
    })
}

/// The other paths that servers may read, each in normal form and once.
///
/// # Errors
/// There is a reading that has no normal form: it climbs, or holds control bytes.
pub fn other_readings(path: &str) -> Result<Vec<String>, PathError> {
    let mut found: Vec<String> = Vec::new();
    for decoding in [Decoding::None, Decoding::Once, Decoding::Twice] {
        let decoded = decode(path, decoding)?;
        let bare = normal(&without_parameters(&decoded))?;
        for reading in [decoded, bare] {
            if reading != path && !found.contains(&reading) {
                found.push(reading);
            }
        }
    }
    Ok(found)
}

/// How often a server decodes a path before it splits it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decoding {
    None,
    Once,
    Twice,
}

/// What can be read in two ways.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// `%2F` or `%5C`
    Slash,
    /// `%3B`
    Semicolon,
    /// An overlong dot
    Dot,
    /// `%25` with two hex digits behind it
    Escape,
}

/// The mark that a text begins with, and its length.
fn mark(text: &[u8]) -> Option<(Mark, usize)> {
    let escape = text.strip_prefix(b"%")?;
    Some(match escape.split_at_checked(2)? {
        (b"2F" | b"5C", _) => (Mark::Slash, 3),
        (b"3B", _) => (Mark::Semicolon, 3),
        (b"C0", [b'%', b'A', b'F', ..]) | (b"C1", [b'%', b'9', b'C', ..]) => (Mark::Slash, 6),
        (b"C0", [b'%', b'A', b'E', ..]) => (Mark::Dot, 6),
        (b"25", [high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => (Mark::Escape, 3),
        _ => return None,
    })
}

fn decode(path: &str, decoding: Decoding) -> Result<String, PathError> {
    let mut text = Cow::Borrowed(path);
    if decoding == Decoding::Twice {
        text = Cow::Owned(normal(&replaced(&text, Mark::Escape, "%"))?);
    }
    if decoding != Decoding::None {
        let replaced = [(Mark::Slash, "/"), (Mark::Semicolon, ";"), (Mark::Dot, ".")]
            .iter()
            .fold(text.into_owned(), |text, (wanted, by)| replaced(&text, *wanted, by));
        text = Cow::Owned(normal(&replaced)?);
    }
    Ok(text.into_owned())
}

/// The text with every such mark replaced.
fn replaced(text: &str, wanted: Mark, by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for at in memchr::memchr_iter(b'%', text.as_bytes()) {
        match mark(text.as_bytes().get(at..).unwrap_or_default()) {
            Some((found, len)) if found == wanted && at >= from => {
                out.push_str(text.get(from..at).unwrap_or_default());
                out.push_str(by);
                from = at + len;
            }
            _ => {}
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// Each segment up to its first `;`.
fn without_parameters(path: &str) -> String {
    let bare: Vec<&str> = path.split('/').map(|part| part.split(';').next().unwrap_or_default()).collect();
    bare.join("/")
}

/// The normal form of a reading. One with a `..` has none: nobody hides a step upwards by accident.
fn normal(path: &str) -> Result<String, PathError> {
    let climbs = |segment: &str| segment.to_ascii_lowercase().replace("%2e", ".") == "..";
    if path.split('/').any(climbs) {
        return Err(PathError::HiddenDotSegment);
    }
    let mut spare = Vec::new();
    let normal = normalize(path.as_bytes(), &mut spare)?;
    Ok(String::from_utf8_lossy(normal.bytes()).into_owned())
}
