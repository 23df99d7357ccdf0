//! Reading a pattern that is not a regex.

use std::fmt::Write;
use std::ops::Range;

use super::{MAX_SEGMENTS, PathKind, Segment};
use crate::PatternError;

/// The name under which a last `*` captures.
const REST: &str = "rest";

/// Reads `/exact`, `/prefix/*`, `/u/{name}/x` and the like.
pub(super) fn segments(text: &str) -> Result<PathKind, PatternError> {
    let Some(inner) = text.strip_prefix('/') else {
        return Err(PatternError::new(0..text.len().min(1), no_slash(text)));
    };
    let mut reader = Reader::default();
    let mut start = 1;
    for part in inner.split('/') {
        let span = start..start + part.len();
        start = span.end + 1;
        reader.read(part, span)?;
    }
    if reader.names.is_empty() && reader.rest.is_none() {
        return Ok(PathKind::Exact(reader.plain.into()));
    }
    Ok(PathKind::Segments { segments: reader.segments.into(), rest: reader.rest })
}

fn no_slash(text: &str) -> &'static str {
    match text {
        "" => "the path is empty; write `/` for the root or `/*` for all paths",
        "*" => "write `/*` for all paths",
        _ => "a path starts with `/`; write `~` before a regex",
    }
}

/// What has been read of a pattern so far.
#[derive(Default)]
struct Reader {
    segments: Vec<Segment>,
    names: Vec<Box<str>>,
    rest: Option<Box<str>>,
    /// The literals, each after a slash: the whole path if there is nothing else.
    plain: String,
}

impl Reader {
    fn read(&mut self, part: &str, span: Range<usize>) -> Result<(), PatternError> {
        if self.rest.is_some() {
            let before = span.start.saturating_sub(2)..span.start.saturating_sub(1);
            return Err(PatternError::new(
                before,
                "what takes the rest of the path must be the last segment",
            ));
        }
        if self.segments.len() == MAX_SEGMENTS {
            return Err(PatternError::new(span, format!("a pattern has at most {MAX_SEGMENTS} segments")));
        }
        if part == "*" {
            self.rest = Some(self.name(REST, span)?);
        } else if let Some(inner) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            match inner.strip_suffix("...") {
                Some(name) => self.rest = Some(self.name(name, span)?),
                None => {
                    let name = self.name(inner, span)?;
                    self.segments.push(Segment::Name(name));
                }
            }
        } else {
            let literal = literal(part, span)?;
            self.plain.push('/');
            self.plain.push_str(&literal);
            self.segments.push(Segment::Literal(literal.into()));
        }
        Ok(())
    }

    fn name(&mut self, name: &str, span: Range<usize>) -> Result<Box<str>, PatternError> {
        let mut chars = name.chars();
        let good = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good {
            let message = "a name in braces is a letter or `_`, then letters, digits and `_`";
            return Err(PatternError::new(span, message));
        }
        if self.names.iter().any(|known| &**known == name) {
            return Err(PatternError::new(
                span,
                format!("`{name}` is captured twice; rename one of the two"),
            ));
        }
        self.names.push(name.into());
        Ok(name.into())
    }
}

/// Checks a literal segment and puts its percent-escapes into normal form.
fn literal(part: &str, span: Range<usize>) -> Result<String, PatternError> {
    if part == "." || part == ".." {
        return Err(PatternError::new(span, "the normal form of a path has no `.` and `..` segments"));
    }
    let mut out = String::with_capacity(part.len());
    let mut chars = part.char_indices();
    while let Some((at, c)) = chars.next() {
        let place = span.start + at..span.start + at + c.len_utf8();
        match c {
            '*' | '{' | '}' => return Err(PatternError::new(place, wildcard_inside(c))),
            '?' | '#' => return Err(PatternError::new(place, "a path has no query; put it under `query`")),
            '%' => {
                let digits = part.get(at + 1..at + 3).and_then(hex_byte);
                let Some(byte) = digits else {
                    return Err(PatternError::new(place, "`%` must be followed by two hexadecimal digits"));
                };
                chars.nth(1);
                push_normal(&mut out, byte);
            }
            c if c.is_ascii_graphic() => out.push(c),
            c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| push_normal(&mut out, byte)),
        }
    }
    Ok(out)
}

fn wildcard_inside(c: char) -> &'static str {
    if c == '*' {
        "`*` must be the whole last segment, as in `/files/*`; write `~` and a regex for more"
    } else {
        "a `{name}` must be a whole segment, as in `/users/{id}`; write `~` and a regex for more"
    }
}

fn hex_byte(digits: &str) -> Option<u8> {
    if digits.bytes().all(|b| b.is_ascii_hexdigit()) { u8::from_str_radix(digits, 16).ok() } else { None }
}

fn push_normal(out: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        out.push(char::from(byte));
    } else {
        // Writing to a string cannot fail.
        let _ = write!(out, "%{byte:02X}");
    }
}
