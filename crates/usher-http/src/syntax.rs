//! The small pieces that field values are made of (RFC 9110 section 5.6): lists, tokens and quoted strings at
//! the beginning of a text.

use crate::fields::is_token_byte;
use std::borrow::Cow;

/// `text` without spaces and tabs at its ends (RFC 9110 section 5.6.3).
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let is_space = |b: &u8| matches!(b, b' ' | b'\t');
    let Some(first) = text.iter().position(|b| !is_space(b)) else { return &[] };
    let last = text.iter().rposition(|b| !is_space(b)).unwrap_or(first);
    text.get(first..=last).unwrap_or_default()
}

/// The elements of a comma-separated list whose elements hold no quoted strings; empty ones are left out
/// (RFC 9110 section 5.6.1.2).
pub fn list(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(trim).filter(|element| !element.is_empty())
}

/// The token that `text` begins with, and what follows it.
pub(crate) fn leading_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|&b| !is_token_byte(b)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// The quoted string (RFC 9110 section 5.6.4) that `text` begins with, without quotes and escapes, and what follows
/// it. Bytes of 0x80 and above are refused: no value that is read through here has a use for them.
pub(crate) fn leading_quoted(text: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let inside = text.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', inside)?;
    let (plain, rest) = inside.split_at(end);
    if let Some(rest) = rest.strip_prefix(b"\"") {
        return Some((Cow::Borrowed(visible(plain)?), rest));
    }
    let (value, rest) = unescape(inside)?;
    Some((Cow::Owned(value), rest))
}

/// The rest of a quoted string that holds escapes.
fn unescape(mut inside: &[u8]) -> Option<(String, &[u8])> {
    let mut value = Vec::new();
    loop {
        let at = memchr::memchr2(b'"', b'\\', inside)?;
        value.extend_from_slice(inside.get(..at)?);
        match inside.get(at..)? {
            [b'"', rest @ ..] => return visible(&value).map(|v| (v.to_owned(), rest)),
            [b'\\', escaped, rest @ ..] => {
                value.push(*escaped);
                inside = rest;
            }
            _ => return None,
        }
    }
}

/// `bytes` as text, if they are visible ASCII, spaces or tabs.
pub(crate) fn visible(bytes: &[u8]) -> Option<&str> {
    let fits = bytes.iter().all(|&b| matches!(b, b'\t' | b' '..=b'~'));
    if fits { std::str::from_utf8(bytes).ok() } else { None }
}
