//! Patterns of paths.

mod parse;

use std::fmt;

use regex::Regex;

use crate::order::{PathClass, Step};
use crate::{Captures, PatternError, regexes};

/// The most segments that a pattern may have. Bounds the depth of the search, whatever the length of a path.
pub const MAX_SEGMENTS: usize = 60;

/// A condition on the path, compared with its normal form: `/exact`, `/prefix/*` (also `/prefix`; captures `rest`),
/// `/u/{name}/x`, a last `{name...}`, or `~regex` (the whole path; captures named groups).
#[derive(Clone, Debug)]
pub struct PathPattern {
    text: Box<str>,
    pub(crate) kind: PathKind,
}

#[derive(Clone, Debug)]
pub(crate) enum PathKind {
    Exact(Box<str>),
    Segments {
        segments: Box<[Segment]>,
        /// The name of what follows, if anything may.
        rest: Option<Box<str>>,
    },
    Regex(Regex),
}

/// One part of a path between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(Box<str>),
    /// Any segment that is not empty.
    Name(Box<str>),
}

impl PathPattern {
    /// Reads a pattern. Percent-escapes are put into normal form: unreserved characters (RFC 3986, section 2.3) plain,
    /// other bytes escaped with upper-case digits (section 6.2.2).
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let kind = match text.strip_prefix('~') {
            Some(pattern) => {
                let whole = regexes::whole(pattern, 1)?;
                PathKind::Regex(Regex::new(&whole).map_err(|e| regexes::too_big(pattern, 1, &e))?)
            }
            None => parse::segments(text)?,
        };
        Ok(Self { text: text.into(), kind })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names that the pattern captures.
    pub fn names(&self) -> Vec<&str> {
        match &self.kind {
            PathKind::Exact(_) => Vec::new(),
            PathKind::Regex(regex) => regex.capture_names().flatten().collect(),
            PathKind::Segments { segments, rest } => {
                let named = segments.iter().filter_map(|segment| match segment {
                    Segment::Name(name) => Some(&**name),
                    Segment::Literal(_) => None,
                });
                named.chain(rest.as_deref()).collect()
            }
        }
    }

    /// Whether `path`, in its normal form, fits.
    pub fn matches(&self, path: &str) -> bool {
        match &self.kind {
            PathKind::Exact(exact) => path == &**exact,
            PathKind::Regex(regex) => regex.is_match(path),
            PathKind::Segments { segments, rest } => match walk(segments, path, |_, _, _| {}) {
                Some(Walked::Whole) => true,
                Some(Walked::UpTo(_)) => rest.is_some(),
                None => false,
            },
        }
    }

    /// Fills `captures` from `path`, which the pattern matches.
    pub(crate) fn capture(&self, path: &str, captures: &mut Captures) {
        match &self.kind {
            PathKind::Exact(_) => {}
            PathKind::Regex(regex) => capture_groups(regex, path, captures),
            PathKind::Segments { segments, rest } => {
                let walked = walk(segments, path, |name, from, to| captures.push(name, from..to));
                let from = match walked {
                    Some(Walked::UpTo(from)) => from,
                    _ => path.len(),
                };
                if let Some(name) = rest {
                    captures.push(name, from..path.len());
                }
            }
        }
    }

    pub(crate) fn class(&self) -> PathClass {
        match &self.kind {
            PathKind::Exact(_) => PathClass::Exact,
            PathKind::Regex(_) => PathClass::Regex,
            PathKind::Segments { segments, rest } => {
                let steps = segments.iter().map(|segment| match segment {
                    Segment::Literal(_) => Step::Literal,
                    Segment::Name(_) => Step::Name,
                });
                let last = if rest.is_some() { Step::Rest } else { Step::End };
                PathClass::Pattern(steps.chain([last]).collect())
            }
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How far a list of segments covers a path that it fits.
enum Walked {
    Whole,
    /// There are more segments, from this byte on.
    UpTo(usize),
}

/// Lays `segments` over the beginning of `path` and calls `named` with the name and range of every capture; `None` if
/// they do not fit.
fn walk(segments: &[Segment], path: &str, mut named: impl FnMut(&str, usize, usize)) -> Option<Walked> {
    if !path.starts_with('/') {
        return None;
    }
    let bytes = path.as_bytes();
    let mut from = Some(1);
    for segment in segments {
        let start = from?;
        let tail = bytes.get(start..)?;
        let slash = memchr::memchr(b'/', tail);
        let end = slash.map_or(bytes.len(), |at| start + at);
        match segment {
            Segment::Literal(literal) if bytes.get(start..end) != Some(literal.as_bytes()) => return None,
            Segment::Literal(_) => {}
            Segment::Name(_) if start == end => return None,
            Segment::Name(name) => named(name, start, end),
        }
        from = slash.map(|_| end + 1);
    }
    Some(from.map_or(Walked::Whole, Walked::UpTo))
}

fn capture_groups(regex: &Regex, path: &str, captures: &mut Captures) {
    let mut places = regex.capture_locations();
    if regex.captures_read(&mut places, path).is_none() {
        return;
    }
    for (group, name) in regex.capture_names().enumerate() {
        if let (Some(name), Some((from, to))) = (name, places.get(group)) {
            captures.push(name, from..to);
        }
    }
}
