//! Entity tags (RFC 9110 section 8.8.3) and the conditions built on them and on dates (section 13).

use crate::date;

/// The most tags of one condition that are looked at; a list with more counts as malformed.
pub const MAX_TAGS: usize = 64;

/// An entity tag: what is between its quotes, and whether it is weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ETag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> ETag<'a> {
    /// Reads `"…"` or `W/"…"`, with nothing around it.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        Self::leading(text).and_then(|(tag, rest)| rest.is_empty().then_some(tag))
    }

    /// The tag that `text` begins with, and what follows it.
    fn leading(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let strong = text.strip_prefix(b"W/");
        let weak = strong.is_some();
        let inside = strong.unwrap_or(text).strip_prefix(b"\"")?;
        let (opaque, rest) = inside.split_at_checked(memchr::memchr(b'"', inside)?)?;
        let rest = rest.strip_prefix(b"\"")?;
        opaque.iter().all(|&b| is_etagc(b)).then_some((Self { weak, opaque }, rest))
    }

    /// Whether it promises equal meaning only, not equal bytes.
    pub fn is_weak(&self) -> bool {
        self.weak
    }

    /// What is between the quotes.
    pub fn opaque(&self) -> &'a [u8] {
        self.opaque
    }

    /// Strong comparison (RFC 9110 section 8.8.3.2): equal, and neither is weak.
    pub fn strong_eq(&self, other: &ETag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison: equal but for the mark.
    pub fn weak_eq(&self, other: &ETag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// `etagc` of RFC 9110 section 8.8.3: visible bytes but the quote, and 0x80 and above.
fn is_etagc(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'~' | 0x80..)
}

/// The tags of one `If-Match` or `If-None-Match` line that is not `*`; the iterator yields `Err` once and ends where
/// the list is malformed. A comma inside a tag does not end it.
pub fn tags(line: &[u8]) -> Tags<'_> {
    Tags { rest: line, ended: false }
}

/// A tag list does not follow its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// See [`tags`].
#[derive(Clone, Debug)]
pub struct Tags<'a> {
    rest: &'a [u8],
    ended: bool,
}

impl<'a> Iterator for Tags<'a> {
    type Item = Result<ETag<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while let [b' ' | b'\t' | b',', rest @ ..] = self.rest {
            self.rest = rest;
        }
        if self.ended || self.rest.is_empty() {
            return None;
        }
        if let Some((tag, mut rest)) = ETag::leading(self.rest) {
            while let [b' ' | b'\t', after @ ..] = rest {
                rest = after;
            }
            if matches!(rest, [] | [b',', ..]) {
                self.rest = rest;
                return Some(Ok(tag));
            }
        }
        self.ended = true;
        Some(Err(Malformed))
    }
}

/// What is known of the representation that would be sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validators<'a> {
    /// Whether there is a representation at all; `*` matches if so.
    pub exists: bool,
    /// Its entity tag.
    pub etag: Option<ETag<'a>>,
    /// Seconds since the epoch at which it was last changed.
    pub last_modified: Option<u64>,
}

impl Validators<'_> {
    /// `If-Match` (RFC 9110 section 13.1.1), by strong comparison. A malformed list does not hold.
    pub fn if_match<'f>(&self, lines: impl IntoIterator<Item = &'f [u8]>) -> bool {
        self.list_matches(lines, ETag::strong_eq) == Ok(true)
    }

    /// `If-None-Match` (section 13.1.2), by weak comparison. A malformed list holds: the whole answer is safe to send
    /// to a reader, and it is for [`evaluate`] to refuse a write.
    pub fn if_none_match<'f>(&self, lines: impl IntoIterator<Item = &'f [u8]>) -> bool {
        self.list_matches(lines, ETag::weak_eq) != Ok(true)
    }

    fn list_matches<'f>(
        &self,
        lines: impl IntoIterator<Item = &'f [u8]>,
        equal: fn(&ETag<'f>, &ETag<'_>) -> bool,
    ) -> Result<bool, Malformed> {
        let mut seen = 0;
        let mut matched = false;
        for line in lines {
            if line == b"*" {
                return Ok(self.exists);
            }
            for tag in tags(line) {
                seen += 1;
                if seen > MAX_TAGS {
                    return Err(Malformed);
                }
                let tag = tag?;
                matched |= self.etag.is_some_and(|own| equal(&tag, &own));
            }
        }
        Ok(matched)
    }

    /// `If-Modified-Since` (section 13.1.3); holds where either date is unknown.
    pub fn if_modified_since(&self, field: &[u8]) -> bool {
        match (date::parse(field), self.last_modified) {
            (Some(since), Some(modified)) => modified > since,
            _ => true,
        }
    }

    /// `If-Unmodified-Since` (section 13.1.4); a date that cannot be read is ignored, an unknown date of change does
    /// not hold.
    pub fn if_unmodified_since(&self, field: &[u8]) -> bool {
        match (date::parse(field), self.last_modified) {
            (None, _) => true,
            (Some(since), Some(modified)) => modified <= since,
            (Some(_), None) => false,
        }
    }

    /// `If-Range` (section 13.1.5): whether a range of what is here completes what the client has. A tag is compared
    /// strongly. A date must be the very same, and is no proof where the tag is weak: what may change again within the
    /// second (section 8.8.2.2).
    pub fn if_range(&self, field: &[u8]) -> bool {
        match ETag::parse(field) {
            Some(tag) => self.etag.is_some_and(|own| own.strong_eq(&tag)),
            None if self.etag.is_some_and(|own| own.weak) => false,
            None => date::parse(field).is_some_and(|at| self.last_modified == Some(at)),
        }
    }
}

/// The conditions of a request: for each field its lines, or its one line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'a> {
    /// `If-Match` lines; none if absent.
    pub if_match: &'a [&'a [u8]],
    /// `If-None-Match` lines; none if absent.
    pub if_none_match: &'a [&'a [u8]],
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a [u8]>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<&'a [u8]>,
}

/// What the conditions of a request say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Go on.
    Proceed,
    /// Answer 304.
    NotModified,
    /// Answer 412.
    Failed,
}

/// Evaluates the conditions in the order of RFC 9110 section 13.2.2; `reads` says that the method is `GET` or `HEAD`.
pub fn evaluate(conditions: &Conditions<'_>, current: &Validators<'_>, reads: bool) -> Outcome {
    if !conditions.if_match.is_empty() {
        if !current.if_match(conditions.if_match.iter().copied()) {
            return Outcome::Failed;
        }
    } else if conditions.if_unmodified_since.is_some_and(|field| !current.if_unmodified_since(field)) {
        return Outcome::Failed;
    }
    if !conditions.if_none_match.is_empty() {
        let matched = current.list_matches(conditions.if_none_match.iter().copied(), ETag::weak_eq);
        return match matched {
            Ok(false) => Outcome::Proceed,
            Ok(true) if reads => Outcome::NotModified,
            Err(Malformed) if reads => Outcome::Proceed,
            Ok(true) | Err(Malformed) => Outcome::Failed,
        };
    }
    if reads && conditions.if_modified_since.is_some_and(|field| !current.if_modified_since(field)) {
        return Outcome::NotModified;
    }
    Outcome::Proceed
}

#[cfg(test)]
mod tests;
