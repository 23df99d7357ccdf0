//! One normal form of a request path, used for matching *and* for forwarding.
//!
//! A proxy that matches one reading of a path and forwards another can be walked around: the rule that guards
//! `/admin` must see what the endpoint will see. So there is one form (RFC 3986 sections 3.3 and 6.2.2), it is what
//! routes are matched against, and it is what leaves. What has more than one plausible reading is refused.
//!
//! | in the path | what happens | example |
//! |---|---|---|
//! | unreserved byte, encoded (`A-Z a-z 0-9 - . _ ~`) | decoded | `/%61` → `/a` |
//! | any other encoding | kept, hex digits in upper case | `/%c3%a9` → `/%C3%A9` |
//! | `%2F` | kept: data, never a separator | `/a%2fb` → `/a%2Fb` |
//! | `%5C` | kept: data, never a separator | `/a%5cb` → `/a%5Cb` |
//! | `%00`, other control bytes, raw or encoded (below `0x20`, `0x7F`) | refused | `/a%00` |
//! | `%` without two hex digits | refused | `/100%`, `/%u0041` |
//! | byte that RFC 3986 does not allow in a path (space, `"` `<` `>` `[` `]` `^` `` ` `` `{` `\|` `}` `?`) | encoded | `/a b` → `/a%20b` |
//! | byte of `0x80` and above | encoded | `/é` → `/%C3%A9` |
//! | raw `\` | refused: some servers read it as `/` | `/a\b` |
//! | raw `#` | refused: a fragment is never sent | `/a#b` |
//! | `//` | merged into one `/` | `/a//b` → `/a/b` |
//! | segment `.` or `..`, also encoded | resolved | `/a/%2e%2E/b` → `/b` |
//! | `..` that climbs above the root | refused | `/../a` |
//! | `.` or `..` ended by `;`, `%3B`, or delimited by `%2F` or `%5C` | refused: some servers read a dot segment there | `/..;x/a`, `/a%2F..%2Fb` |
//! | `;` elsewhere | kept: data | `/a;v=1` |
//! | nothing before the first `/` | required | `a/b` is refused |
//!
//! Slashes are merged before dot segments are resolved, so `/a//..` is `/`. The form is a fixed point: normalizing it
//! again changes nothing. It is at most three times as long as what came.

use bytes::{ODD, SLASH, UNRESERVED, class, escape, is_control, push_escape};
use std::borrow::Cow;
use std::fmt;

mod bytes;
mod readings;

pub use readings::{has_other_readings, other_readings};

/// Why a path has no normal form; each is answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It does not begin with `/`.
    NotAbsolute,
    /// A control byte (below 0x20, or 0x7F), raw or percent-encoded.
    Control,
    /// A `%` that two hex digits do not follow.
    BadEscape,
    /// A raw backslash, which some servers read as a separator.
    Backslash,
    /// A raw `#`.
    Fragment,
    /// A `..` that climbs above the root.
    AboveRoot,
    /// A `.` or `..` that only some servers would read as a dot segment (`..;x`, `..%2F`).
    HiddenDotSegment,
    /// A decoded segment that names no file: it holds `/`, or is `.` or `..` ([`decode_segment`] only).
    NotAName,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "path does not begin with `/`",
            Self::Control => "path holds a control byte",
            Self::BadEscape => "path holds a `%` without two hex digits",
            Self::Backslash => "path holds a raw backslash",
            Self::Fragment => "path holds a raw `#`",
            Self::AboveRoot => "path climbs above the root",
            Self::HiddenDotSegment => "path holds a disguised dot segment",
            Self::NotAName => "path segment is not a file name",
        })
    }
}

impl std::error::Error for PathError {}

/// A path in normal form, and whether it is the very bytes that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normal<'a> {
    /// The path was in normal form already.
    AsCame(&'a [u8]),
    /// The normal form differs and was written to the caller's buffer.
    Rewritten(&'a [u8]),
}

impl<'a> Normal<'a> {
    /// The normal form.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::AsCame(bytes) | Self::Rewritten(bytes) => bytes,
        }
    }

    /// Whether the head must be edited before it is forwarded.
    pub fn is_rewritten(self) -> bool {
        matches!(self, Self::Rewritten(_))
    }
}

/// Puts the path part of a target (no query) into the normal form that the [module](self) describes.
///
/// A path that is normal already is borrowed; otherwise `spare` is cleared and filled, so a caller that keeps one
/// buffer allocates nothing in the long run. The `*` of `OPTIONS` is the caller's business.
pub fn normalize<'a>(raw: &'a [u8], spare: &'a mut Vec<u8>) -> Result<Normal<'a>, PathError> {
    if is_plain(raw) || is_normal(raw) {
        return Ok(Normal::AsCame(raw));
    }
    rewrite(raw, spare)?;
    Ok(Normal::Rewritten(spare))
}

/// Decodes every escape of one segment (no raw `/`) for use as a file name: refuses NUL and other control bytes, a
/// decoded `/`, and the names `.` and `..`.
pub fn decode_segment(segment: &[u8]) -> Result<Cow<'_, [u8]>, PathError> {
    let decoded = match memchr::memchr(b'%', segment) {
        None => Cow::Borrowed(segment),
        Some(first) => Cow::Owned(decode_from(segment, first)?),
    };
    if decoded.iter().any(|&b| is_control(b)) {
        return Err(PathError::Control);
    }
    match &*decoded {
        b"." | b".." => Err(PathError::NotAName),
        name if name.contains(&b'/') => Err(PathError::NotAName),
        _ => Ok(decoded),
    }
}

/// `segment` with the escapes from `first` on decoded.
fn decode_from(segment: &[u8], first: usize) -> Result<Vec<u8>, PathError> {
    let (head, mut rest) = segment.split_at_checked(first).unwrap_or((segment, &[]));
    let mut out = Vec::with_capacity(segment.len());
    out.extend_from_slice(head);
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let (value, tail) = escape(tail).ok_or(PathError::BadEscape)?;
            out.push(value);
            rest = tail;
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    Ok(out)
}

/// The common case in one pass without branches: no escapes, no `//`, and no segment that begins with a dot.
fn is_plain(raw: &[u8]) -> bool {
    let mut seen = 0;
    let mut forbidden = ODD;
    for &byte in raw {
        let class = class(byte);
        seen |= class & forbidden;
        forbidden = ODD | ((class & SLASH) >> 1);
    }
    seen == 0 && raw.first() == Some(&b'/')
}

/// Whether `raw` is in normal form; normal escapes and names such as `.well-known` included.
pub fn is_normal(raw: &[u8]) -> bool {
    let mut rest = raw;
    if raw.first() != Some(&b'/') {
        return false;
    }
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'/' if tail.first() == Some(&b'/') || dot_part(tail).is_some() => return false,
            b'%' => match normal_escape(tail) {
                Some((b'/' | b'\\', after)) if dot_part(after).is_some() => return false,
                Some((_, after)) => rest = after,
                None => return false,
            },
            _ if class(byte) & ODD != 0 => return false,
            _ => {}
        }
    }
    true
}

/// The value of an escape whose `%` was taken, if its form is the normal one, and what follows it.
fn normal_escape(tail: &[u8]) -> Option<(u8, &[u8])> {
    let (value, after) = escape(tail)?;
    let lower = tail.iter().take(2).any(u8::is_ascii_lowercase);
    let keep = class(value) & UNRESERVED == 0 && !is_control(value) && !lower;
    keep.then_some((value, after))
}

/// If what begins here is `.` or `..` up to something that could end a segment: the rest from that end on.
fn dot_part(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b".")?;
    let rest = rest.strip_prefix(b".").unwrap_or(rest);
    let ends = matches!(rest, [] | [b'/' | b';', ..] | [b'%', b'2', b'F', ..] | [b'%', b'3', b'B', ..])
        || rest.starts_with(b"%5C");
    ends.then_some(rest)
}

/// Writes the normal form to `out`, one segment at a time.
fn rewrite(raw: &[u8], out: &mut Vec<u8>) -> Result<(), PathError> {
    let rest = raw.strip_prefix(b"/").ok_or(PathError::NotAbsolute)?;
    out.clear();
    out.reserve(raw.len() + 16);
    out.push(b'/');
    let mut segments = rest.split(|&b| b == b'/').peekable();
    while let Some(segment) = segments.next() {
        let start = out.len();
        push_segment(segment, out)?;
        let written = out.get(start..).unwrap_or_default();
        match written {
            b"" => {}
            b"." => out.truncate(start),
            b".." => climb(start, out)?,
            _ if hides_dots(written) => return Err(PathError::HiddenDotSegment),
            _ if segments.peek().is_some() => out.push(b'/'),
            _ => {}
        }
    }
    Ok(())
}

/// Appends one segment with its escapes in normal form.
fn push_segment(mut rest: &[u8], out: &mut Vec<u8>) -> Result<(), PathError> {
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (value, after) = escape(tail).ok_or(PathError::BadEscape)?;
                rest = after;
                match value {
                    _ if is_control(value) => return Err(PathError::Control),
                    _ if class(value) & UNRESERVED != 0 => out.push(value),
                    _ => push_escape(value, out),
                }
            }
            b'\\' => return Err(PathError::Backslash),
            b'#' => return Err(PathError::Fragment),
            _ if is_control(byte) => return Err(PathError::Control),
            _ if class(byte) & ODD != 0 => push_escape(byte, out),
            _ => out.push(byte),
        }
    }
    Ok(())
}

/// Removes a `..` that begins at `start`, and the segment before it.
fn climb(start: usize, out: &mut Vec<u8>) -> Result<(), PathError> {
    let above = out.get(..start).and_then(|kept| kept.strip_suffix(b"/")).ok_or(PathError::AboveRoot)?;
    let slash = memchr::memrchr(b'/', above).ok_or(PathError::AboveRoot)?;
    out.truncate(slash + 1);
    Ok(())
}

/// Whether a segment in normal form, not itself a dot segment, has a part that some server would read as one.
fn hides_dots(segment: &[u8]) -> bool {
    dot_part(segment).is_some()
        || memchr::memchr_iter(b'%', segment).any(|at| {
            let after = segment.get(at..).unwrap_or_default();
            let inside = after.strip_prefix(b"%2F").or_else(|| after.strip_prefix(b"%5C"));
            inside.is_some_and(|rest| dot_part(rest).is_some())
        })
}

#[cfg(test)]
mod tests;
