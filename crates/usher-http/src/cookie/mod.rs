//! Cookies: reading the `Cookie` field of a request, writing `Set-Cookie` (RFC 6265 sections 4.1 and 5.4).
//!
//! Reading is as lenient as what browsers send: any byte in a value, optional white space around a pair. Writing is
//! strict, so no value can begin an attribute or another field.

use crate::fields::is_token;
use crate::syntax::trim;
use std::fmt;

/// The longest `Set-Cookie` name and value together, in bytes: browsers drop longer ones (RFC 6265 section 6.1).
pub const MAX_PAIR_BYTES: usize = 4096;

/// The name and value pairs of one `Cookie` field, in order.
///
/// A piece without `=` or without a name is left out: agents disagree about which of the two it is. Quotes around a
/// value belong to the value, as in a browser.
pub fn pairs(field: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    field.split(|&b| b == b';').filter_map(|piece| {
        let equals = memchr::memchr(b'=', piece)?;
        let (name, value) = piece.split_at(equals);
        let name = trim(name);
        (!name.is_empty()).then(|| (name, trim(value.get(1..).unwrap_or_default())))
    })
}

/// The value of the first cookie called `name` (case matters) in all `Cookie` fields of a request; HTTP/2 may send
/// several (RFC 9113 section 8.2.3).
pub fn find<'a>(fields: impl IntoIterator<Item = &'a [u8]>, name: &[u8]) -> Option<&'a [u8]> {
    fields.into_iter().flat_map(pairs).find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// When a browser sends a cookie along with requests that other sites cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// On top-level navigation only.
    Lax,
    /// Always; browsers require `Secure` with it.
    None,
}

/// Why a `Set-Cookie` is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieError {
    /// The name is not a token.
    BadName,
    /// The value holds a byte that RFC 6265 does not allow: control, space, `"`, `,`, `;`, `\`, non-ASCII.
    BadValue,
    /// The path or domain is empty, or holds a control byte, `;` or non-ASCII.
    BadAttribute,
    /// Name and value are longer than [`MAX_PAIR_BYTES`].
    TooLong,
    /// A `__Secure-` or `__Host-` name, `SameSite=None` or `Partitioned` lacks what browsers require with it.
    Insecure,
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadName => "cookie name is not a token",
            Self::BadValue => "cookie value holds a byte that is not allowed",
            Self::BadAttribute => "cookie path or domain holds a byte that is not allowed",
            Self::TooLong => "cookie is longer than 4096 bytes",
            Self::Insecure => "cookie needs `Secure` (and `__Host-` also `Path=/` and no `Domain`)",
        })
    }
}

impl std::error::Error for CookieError {}

/// A cookie to set. `SetCookie { path: Some("/"), secure: true, ..SetCookie::new("sid", "1") }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// A token.
    pub name: &'a str,
    /// Bytes that RFC 6265 section 4.1.1 calls `cookie-octet`.
    pub value: &'a str,
    /// Where under the site it is sent; without it the folder of the request.
    pub path: Option<&'a str>,
    /// The domain whose hosts all get it; without it only the host that set it.
    pub domain: Option<&'a str>,
    /// Seconds to keep it (0 deletes it); without it until the browser ends.
    pub max_age_seconds: Option<u64>,
    /// Only over TLS.
    pub secure: bool,
    /// Hidden from scripts.
    pub http_only: bool,
    /// Sent with requests that other sites cause; without it browsers mean `Lax`.
    pub same_site: Option<SameSite>,
    /// Kept apart for each top-level site (CHIPS).
    pub partitioned: bool,
}

impl<'a> SetCookie<'a> {
    /// A cookie with no attributes.
    pub const fn new(name: &'a str, value: &'a str) -> Self {
        Self {
            name,
            value,
            path: None,
            domain: None,
            max_age_seconds: None,
            secure: false,
            http_only: false,
            same_site: None,
            partitioned: false,
        }
    }

    /// Appends the field value to `out`, or nothing if some part is not allowed.
    pub fn write_to(&self, out: &mut Vec<u8>) -> Result<(), CookieError> {
        self.check()?;
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(self.value.as_bytes());
        for (attribute, value) in [("; Path=", self.path), ("; Domain=", self.domain)] {
            if let Some(value) = value {
                out.extend_from_slice(attribute.as_bytes());
                out.extend_from_slice(value.as_bytes());
            }
        }
        if let Some(seconds) = self.max_age_seconds {
            // Writing to a `Vec` cannot fail.
            let _ = std::io::Write::write_fmt(out, format_args!("; Max-Age={seconds}"));
        }
        let same_site = match self.same_site {
            Some(SameSite::Strict) => "; SameSite=Strict",
            Some(SameSite::Lax) => "; SameSite=Lax",
            Some(SameSite::None) => "; SameSite=None",
            None => "",
        };
        out.extend_from_slice(same_site.as_bytes());
        for (wanted, text) in
            [(self.secure, "; Secure"), (self.http_only, "; HttpOnly"), (self.partitioned, "; Partitioned")]
        {
            if wanted {
                out.extend_from_slice(text.as_bytes());
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), CookieError> {
        if !is_token(self.name.as_bytes()) {
            return Err(CookieError::BadName);
        }
        if !self.value.bytes().all(is_cookie_octet) {
            return Err(CookieError::BadValue);
        }
        if self.name.len() + self.value.len() > MAX_PAIR_BYTES {
            return Err(CookieError::TooLong);
        }
        let attributes = [self.path, self.domain];
        if attributes.iter().flatten().any(|text| text.is_empty() || !text.bytes().all(is_attribute_byte)) {
            return Err(CookieError::BadAttribute);
        }
        if self.lacks_security() { Err(CookieError::Insecure) } else { Ok(()) }
    }

    /// Whether browsers would drop it for want of `Secure` and its company.
    fn lacks_security(&self) -> bool {
        let named =
            |prefix: &str| self.name.get(..prefix.len()).is_some_and(|n| n.eq_ignore_ascii_case(prefix));
        let host = named("__Host-");
        let needs_secure =
            host || named("__Secure-") || self.partitioned || self.same_site == Some(SameSite::None);
        (needs_secure && !self.secure) || (host && (self.path != Some("/") || self.domain.is_some()))
    }
}

fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

fn is_attribute_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b';'
}

#[cfg(test)]
mod tests;
