//! Tests of header fields, query parameters and cookies.

mod query;

use std::fmt;

use regex::bytes::Regex;

use crate::{PatternError, Subject, regexes};

/// A test of one header field, query parameter or cookie.
#[derive(Clone, Debug)]
pub struct FieldTest {
    /// Its name; the case of a header's does not matter.
    pub name: String,
    /// What must be true of its values.
    pub test: ValueTest,
}

/// What must be true of a field. With several values (a header sent twice), one of them has to pass; the values of a
/// list in one field line are not taken apart.
#[derive(Clone, Debug)]
pub enum ValueTest {
    /// It is there, with any value.
    Present,
    /// It is not there.
    Absent,
    /// A value is this, byte for byte.
    Exact(String),
    /// A value starts with this.
    Prefix(String),
    /// The whole of a value matches; made by [`ValueTest::regex`].
    Regex(Regex),
}

impl ValueTest {
    /// A test for values that match `pattern` as a whole.
    pub fn regex(pattern: &str) -> Result<Self, PatternError> {
        let whole = regexes::whole(pattern, 0)?;
        Regex::new(&whole).map(Self::Regex).map_err(|e| regexes::too_big(pattern, 0, &e))
    }

    /// Reads `value`, `prefix*` or `~regex`; a lone `*` is [`ValueTest::Present`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if let Some(pattern) = text.strip_prefix('~') {
            return Self::regex(pattern).map_err(|mut error| {
                error.span = error.span.start + 1..error.span.end + 1;
                error
            });
        }
        let (body, open) = text.strip_suffix('*').map_or((text, false), |body| (body, true));
        if let Some(at) = body.find('*') {
            return Err(PatternError::new(
                at..at + 1,
                "`*` must be at the end; write `~` and a regex for more",
            ));
        }
        Ok(match (body, open) {
            ("", true) => Self::Present,
            (prefix, true) => Self::Prefix(prefix.to_owned()),
            (value, false) => Self::Exact(value.to_owned()),
        })
    }

    /// Whether the test holds for a field, whose values `any` hands to a function until it answers `true`.
    pub(crate) fn holds(&self, mut any: impl FnMut(&mut dyn FnMut(&[u8]) -> bool) -> bool) -> bool {
        match self {
            Self::Present => any(&mut |_| true),
            Self::Absent => !any(&mut |_| true),
            Self::Exact(value) => any(&mut |got| got == value.as_bytes()),
            Self::Prefix(prefix) => any(&mut |got| got.starts_with(prefix.as_bytes())),
            Self::Regex(regex) => any(&mut |got| regex.is_match(got)),
        }
    }
}

impl fmt::Display for ValueTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("any value"),
            Self::Absent => f.write_str("no value"),
            Self::Exact(value) => write!(f, "`{value}`"),
            Self::Prefix(prefix) => write!(f, "`{prefix}*`"),
            Self::Regex(regex) => {
                let source = regex.as_str();
                let inner = source.strip_prefix(r"\A(?:").and_then(|s| s.strip_suffix(r")\z"));
                write!(f, "`~{}`", inner.unwrap_or(source))
            }
        }
    }
}

/// Where a field is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FieldKind {
    /// Among the header fields.
    Header,
    /// Among the query parameters.
    Query,
    /// Among the cookies.
    Cookie,
}

impl FieldKind {
    /// Calls `test` with the values of the field `name` until it answers `true`; whether it did.
    pub(crate) fn any(self, subject: &dyn Subject, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        match self {
            Self::Header => subject.any_header(name, test),
            Self::Query => query::any(subject.query(), name, test),
            Self::Cookie => subject.any_cookie(name, test),
        }
    }
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Query => "query parameter",
            Self::Cookie => "cookie",
        })
    }
}
