//! Patterns of hosts.

use std::fmt;
use std::net::Ipv6Addr;
use std::ops::Range;

use regex::{Regex, RegexBuilder};

use crate::order::HostClass;
use crate::{PatternError, regexes};

/// The longest host name, in bytes (RFC 1035, section 2.3.4, without the trailing dot).
const MAX_HOST_BYTES: usize = 253;
/// The longest label of a host name, in bytes (RFC 1035, section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// A condition on the host: `example.com`, `*.example.com` (one or more labels before it), `~regex` (the whole host,
/// without regard to case) or `*` (any host, also none).
#[derive(Clone, Debug)]
pub struct HostPattern {
    text: Box<str>,
    pub(crate) kind: HostKind,
}

#[derive(Clone, Debug)]
pub(crate) enum HostKind {
    Any,
    Exact(Box<str>),
    /// What must follow the first labels and their dot.
    Wildcard(Box<str>),
    Regex(Regex),
}

impl HostPattern {
    /// Reads a pattern; names are put into lower case and lose a trailing dot.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let kind = if text == "*" {
            HostKind::Any
        } else if let Some(pattern) = text.strip_prefix('~') {
            HostKind::Regex(parse_regex(pattern)?)
        } else if let Some(suffix) = text.strip_prefix("*.") {
            HostKind::Wildcard(parse_name(suffix, 2)?)
        } else if text.starts_with('[') {
            HostKind::Exact(parse_ipv6(text)?)
        } else {
            HostKind::Exact(parse_name(text, 0)?)
        };
        Ok(Self { text: text.into(), kind })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `host` (lower case, no port, no trailing dot) fits.
    pub fn matches(&self, host: &str) -> bool {
        match &self.kind {
            HostKind::Any => true,
            HostKind::Exact(name) => host == &**name,
            HostKind::Wildcard(suffix) => {
                let labels = host.strip_suffix(&**suffix).and_then(|before| before.strip_suffix('.'));
                labels.is_some_and(|labels| !labels.is_empty())
            }
            HostKind::Regex(regex) => regex.is_match(host),
        }
    }

    pub(crate) fn class(&self) -> HostClass {
        match &self.kind {
            HostKind::Any => HostClass::Any,
            HostKind::Exact(_) => HostClass::Exact,
            HostKind::Wildcard(suffix) => HostClass::Wildcard(std::cmp::Reverse(suffix.len())),
            HostKind::Regex(_) => HostClass::Regex,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_regex(pattern: &str) -> Result<Regex, PatternError> {
    let whole = regexes::whole(pattern, 1)?;
    let built = RegexBuilder::new(&whole).case_insensitive(true).build();
    built.map_err(|e| regexes::too_big(pattern, 1, &e))
}

fn parse_ipv6(text: &str) -> Result<Box<str>, PatternError> {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let address = inner.and_then(|t| t.parse::<Ipv6Addr>().ok());
    match address {
        Some(address) => Ok(format!("[{address}]").into()),
        None => Err(PatternError::new(0..text.len(), "not an IPv6 address in brackets; a host has no port")),
    }
}

/// Reads the host name `text`, which starts at byte `at` of the pattern.
fn parse_name(text: &str, at: usize) -> Result<Box<str>, PatternError> {
    let fail =
        |span: Range<usize>, message: &str| Err(PatternError::new(at + span.start..at + span.end, message));
    if let Some((place, odd)) = text.char_indices().find(|(_, c)| !is_name_char(*c)) {
        return fail(place..place + odd.len_utf8(), odd_char(odd));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return fail(0..text.len(), "the host is empty; write `*` for any host");
    }
    if name.len() > MAX_HOST_BYTES {
        return fail(MAX_HOST_BYTES..name.len(), "a host name has at most 253 bytes");
    }
    let mut start = 0;
    for label in name.split('.') {
        let span = start..start + label.len();
        start = span.end + 1;
        if label.is_empty() {
            return fail(span, "a label is empty; there are two dots, or one at the start");
        }
        if label.len() > MAX_LABEL_BYTES {
            return fail(span, "a label of a host name has at most 63 bytes");
        }
    }
    Ok(name.to_ascii_lowercase().into())
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn odd_char(odd: char) -> &'static str {
    match odd {
        '*' => {
            "`*` stands for whole labels at the start, as in `*.example.com`; write `~` and a regex for more"
        }
        ':' => "a host pattern has no port; restrict the listener instead",
        '/' => "a host pattern has no path; put it under `path`",
        c if !c.is_ascii() => "host names travel in ASCII; write the `xn--` form",
        _ => "a host name has letters, digits, `-`, `_` and dots; write `~` before a regex",
    }
}
