//! Reading and writing DER (X.690), as much as OCSP needs.

use std::time::SystemTime;

use crate::time::from_civil;

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const BITS: u8 = 0x03;
pub(super) const OID: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const NULL: u8 = 0x05;
pub(super) const TIME: u8 = 0x18;

/// A reader of the values in a constructed one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'a> {
    rest: &'a [u8],
}

/// A value: its tag, its content, and all of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) whole: &'a [u8],
}

impl<'a> Der<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next value. None at the end, and where the encoding is broken or not the shortest.
    pub(super) fn next(&mut self) -> Option<Value<'a>> {
        let (&tag, after) = self.rest.split_first()?;
        let (&first, after) = after.split_first()?;
        let (length, after) = if first < 0x80 {
            (usize::from(first), after)
        } else {
            let (bytes, after) =
                after.split_at_checked(usize::from(first & 0x7f)).filter(|(bytes, _)| bytes.len() <= 4)?;
            let length = bytes.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
            (Some(length).filter(|length| *length >= 0x80 && bytes.first() != Some(&0))?, after)
        };
        let (content, after) = after.split_at_checked(length)?;
        let whole = self.rest.get(..self.rest.len() - after.len())?;
        self.rest = after;
        Some(Value { tag, content, whole })
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next value, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<Value<'a>> {
        self.next().filter(|value| value.tag == tag)
    }

    /// The next value if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Value<'a>> {
        (self.rest.first() == Some(&tag)).then(|| self.next())?
    }
}

impl<'a> Value<'a> {
    /// The values in it.
    pub(super) fn inside(&self) -> Der<'a> {
        Der::new(self.content)
    }
}

/// A value of this tag.
pub(super) fn write(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => out.push(length),
        _ => {
            let bytes = (content.len() as u64).to_be_bytes();
            let skip = bytes.iter().take_while(|byte| **byte == 0).count();
            out.push(0x80 | (bytes.len() - skip) as u8);
            out.extend(bytes.iter().skip(skip));
        }
    }
    out.extend(content);
    out
}

/// A `GeneralizedTime` as OCSP uses it: `YYYYMMDDHHMMSSZ` (RFC 5280 section 4.1.2.5.2).
pub(super) fn time(value: &Value<'_>) -> Option<SystemTime> {
    let digits = value.content.strip_suffix(b"Z").filter(|digits| digits.len() == 14 && value.tag == TIME)?;
    let number = |from: usize, to: usize| {
        let part = std::str::from_utf8(digits.get(from..to)?).ok()?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<i64>().ok())?
    };
    let of_day = number(8, 10)? * 3600 + number(10, 12)? * 60 + number(12, 14)?;
    from_civil(number(0, 4)?, number(4, 6)?, number(6, 8)?, of_day)
}
