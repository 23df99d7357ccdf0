//! The grammar of `Forwarded` (RFC 7239 section 4): elements between commas, `name=value` pairs between semicolons.

use super::Value;
use crate::syntax::{leading_quoted, leading_token};
use std::borrow::Cow;

/// One element: what one proxy said. The values are without quotes; unknown parameters are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element<'a> {
    /// `for`: whom the proxy got the request from; [`Node::parse`](super::Node::parse) reads it.
    pub client: Option<Value<'a>>,
    /// `by`: where the proxy got it.
    pub by: Option<Value<'a>>,
    /// `host`: the `Host` that it got.
    pub host: Option<Value<'a>>,
    /// `proto`: the scheme that it got it over.
    pub proto: Option<Value<'a>>,
}

/// A line does not follow the grammar, or an element has a parameter twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The elements of one `Forwarded` line from left to right; yields `Err` once and ends where the line is malformed.
pub fn elements(line: &[u8]) -> Elements<'_> {
    Elements { rest: line }
}

/// See [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while let [b' ' | b'\t' | b',', rest @ ..] = self.rest {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        let read = read_element(self.rest);
        self.rest = read.as_ref().map_or(&[], |(_, rest)| *rest);
        Some(read.map(|(element, _)| element).ok_or(Malformed))
    }
}

/// The element that `text` begins with, and the rest from its comma on. White space is taken around `;` too, which
/// the grammar does not have but deployed proxies write.
fn read_element(mut text: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let mut element = Element::default();
    loop {
        let (name, rest) = leading_token(text)?;
        let (value, rest) = leading_value(rest.strip_prefix(b"=")?)?;
        element.set(name, value)?;
        text = match skip_space(rest) {
            [b';', rest @ ..] => skip_space(rest),
            rest @ ([] | [b',', ..]) => return Some((element, rest)),
            _ => return None,
        };
        // A semicolon that nothing follows is allowed by the grammar.
        if matches!(text, [] | [b',', ..]) {
            return Some((element, text));
        }
    }
}

fn leading_value(text: &[u8]) -> Option<(Value<'_>, &[u8])> {
    if text.first() == Some(&b'"') {
        return leading_quoted(text);
    }
    let (token, rest) = leading_token(text)?;
    Some((Cow::Borrowed(std::str::from_utf8(token).ok()?), rest))
}

fn skip_space(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    text
}

impl<'a> Element<'a> {
    /// Keeps a parameter; `None` if it is there already.
    fn set(&mut self, name: &[u8], value: Value<'a>) -> Option<()> {
        let slots = [
            (&b"for"[..], &mut self.client),
            (b"by", &mut self.by),
            (b"host", &mut self.host),
            (b"proto", &mut self.proto),
        ];
        for (known, slot) in slots {
            if name.eq_ignore_ascii_case(known) {
                return slot.replace(value).is_none().then_some(());
            }
        }
        Some(())
    }
}
