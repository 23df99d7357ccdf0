//! Media types by file extension, and the choice of a content coding (RFC 9110 section 12.5.3).

use crate::syntax::{list, trim};

mod types;

/// The longest extension in the table, in bytes.
const MAX_EXTENSION_BYTES: usize = 16;

/// The type of what nothing is known of (RFC 9110 section 8.3).
pub const OCTET_STREAM: &str = "application/octet-stream";

/// The media type for a file extension without its dot, whatever its case; text comes with `charset=utf-8`.
pub fn by_extension(extension: &[u8]) -> Option<&'static str> {
    let mut lower = [0; MAX_EXTENSION_BYTES];
    let key = lower.get_mut(..extension.len())?;
    key.copy_from_slice(extension);
    key.make_ascii_lowercase();
    let key: &[u8] = key;
    let at = types::TYPES.binary_search_by(|(known, _)| known.as_bytes().cmp(key)).ok()?;
    types::TYPES.get(at).map(|(_, media_type)| *media_type)
}

/// The media type for a file name or path: by what follows its last dot, [`OCTET_STREAM`] if that is unknown.
pub fn for_file(name: &[u8]) -> &'static str {
    let name = memchr::memrchr(b'/', name).and_then(|at| name.get(at + 1..)).unwrap_or(name);
    // A name that begins with its only dot, such as `.html`, has no extension.
    let dot = memchr::memrchr(b'.', name).filter(|&at| at > 0);
    dot.and_then(|at| by_extension(name.get(at + 1..)?)).unwrap_or(OCTET_STREAM)
}

/// A content coding that Usher knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `zstd` (RFC 8878).
    Zstd,
    /// `br` (RFC 7932).
    Brotli,
    /// `gzip` (RFC 1952), also asked for as `x-gzip`.
    Gzip,
    /// As it is.
    Identity,
}

impl Coding {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Zstd, Self::Brotli, Self::Gzip, Self::Identity];

    /// Its name in `Content-Encoding` and `Accept-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }

    fn named(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL.into_iter().find(|coding| coding.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// A quality in thousandths, 0 (not acceptable) to 1000 (RFC 9110 section 12.4.2).
pub type Quality = u16;

/// Reads a qvalue: `0` or `1` with up to three decimals, not above 1.
pub fn quality(text: &[u8]) -> Option<Quality> {
    let (&whole, rest) = text.split_first()?;
    let decimals = match rest {
        [] => rest,
        [b'.', decimals @ ..] if decimals.len() <= 3 => decimals,
        _ => return None,
    };
    let mut value = 0;
    for place in 0..3 {
        let digit = *decimals.get(place).unwrap_or(&b'0');
        value = value * 10 + digit.is_ascii_digit().then(|| Quality::from(digit - b'0'))?;
    }
    match whole {
        b'0' => Some(value),
        b'1' if value == 0 => Some(1000),
        _ => None,
    }
}

/// What a client accepts of the known codings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// By the order of [`Coding::ALL`].
    qualities: [Quality; 4],
}

impl Accepted {
    /// The quality of `identity` that nobody mentioned: acceptable, but behind what was.
    const IMPLIED: Quality = 1;

    /// Reads all `Accept-Encoding` lines of a request; none at all means identity only, as clients that send none
    /// rarely decode anything. An element with a malformed weight is passed over. The first mention of a coding
    /// counts.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut named = [None; 4];
        let mut others = None;
        for element in lines.into_iter().flat_map(list) {
            let Some((name, quality)) = weighted(element) else { continue };
            if name == b"*" {
                others.get_or_insert(quality);
            } else if let Some(coding) = Coding::named(name) {
                named[coding as usize].get_or_insert(quality);
            }
        }
        let absent = |coding| match (coding, others) {
            (Coding::Identity, Some(0)) => 0,
            (Coding::Identity, _) => Self::IMPLIED,
            (_, others) => others.unwrap_or(0),
        };
        Self { qualities: Coding::ALL.map(|coding| named[coding as usize].unwrap_or_else(|| absent(coding))) }
    }

    /// How much the client wants `coding`; 0 if it does not accept it.
    pub fn quality(&self, coding: Coding) -> Quality {
        self.qualities[coding as usize]
    }

    /// The codings of `offered` that the client accepts, the most wanted first; among equals, in the order offered.
    /// Of `offered` no more than four are looked at. Nothing is left if even identity is refused: send it anyway
    /// (RFC 9110 section 12.5.3 lets a server) or answer 406.
    pub fn ordered(&self, offered: &[Coding]) -> impl Iterator<Item = Coding> + use<> {
        let mut found: [Option<(Quality, Coding)>; 4] = [None; 4];
        for (slot, &coding) in found.iter_mut().zip(offered) {
            *slot = Some((self.quality(coding), coding)).filter(|(quality, _)| *quality > 0);
        }
        found.sort_by_key(|slot| std::cmp::Reverse(slot.map_or(0, |(quality, _)| quality)));
        found.into_iter().flatten().map(|(_, coding)| coding)
    }
}

/// The name and weight of a list element; `None` if the weight is malformed. Other parameters are refused too.
fn weighted(element: &[u8]) -> Option<(&[u8], Quality)> {
    let Some(semicolon) = memchr::memchr(b';', element) else { return Some((element, 1000)) };
    let (name, weight) = element.split_at_checked(semicolon)?;
    let weight = trim(weight.get(1..)?);
    let value = weight.strip_prefix(b"q=").or_else(|| weight.strip_prefix(b"Q="))?;
    Some((trim(name), quality(value)?))
}

#[cfg(test)]
mod tests;
