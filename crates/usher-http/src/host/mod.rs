//! The authority of a request: a `Host` field, or the authority of an absolute-form or `CONNECT` target
//! (RFC 3986 section 3.2, RFC 9110 section 7.2).
//!
//! The host chooses the route and often the site behind it, so only what every server reads the same way is taken:
//! no userinfo, no empty host, no white space, no percent-encoding, no `sub-delims` (DNS names hold none, and a `,`
//! is what two joined `Host` fields look like). Underscores are tolerated because deployed names have them.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name, in bytes, without its trailing dot (RFC 1035 section 2.3.4).
pub const MAX_NAME_BYTES: usize = 253;

/// Why an authority is not taken; each is answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// There is no host.
    Empty,
    /// A byte that is in no host name: userinfo, white space, an escape, a control byte, non-ASCII.
    BadByte,
    /// A label between dots is empty.
    EmptyLabel,
    /// The name is longer than [`MAX_NAME_BYTES`].
    TooLong,
    /// The part in brackets is not an IPv6 address (zones and future versions are not taken).
    BadIpv6,
    /// What follows the colon is not a port from 1 to 65535.
    BadPort,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "host is empty",
            Self::BadByte => "host holds a byte that no host name has",
            Self::EmptyLabel => "host has an empty label",
            Self::TooLong => "host name is longer than 253 bytes",
            Self::BadIpv6 => "host is not an IPv6 address",
            Self::BadPort => "port is not a number from 1 to 65535",
        })
    }
}

impl std::error::Error for HostError {}

/// A host and, if one was given, a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A name or IPv4 address; `normal` if it is in lower case and has no trailing dot.
    Name {
        normal: bool,
    },
    Ipv6(Ipv6Addr),
}

impl<'a> Authority<'a> {
    /// Reads `host [ ":" port ]`; a colon that nothing follows counts as no port (RFC 3986 section 3.2.3).
    pub fn parse(text: &'a [u8]) -> Result<Self, HostError> {
        if text.first() == Some(&b'[') {
            return Self::parse_ipv6(text);
        }
        let (end, seen) = scan_name(text);
        let (name, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
        let trailing_dot = name.last() == Some(&b'.');
        let bare = if trailing_dot { name.get(..end - 1).unwrap_or_default() } else { name };
        if seen & BAD != 0 {
            return Err(HostError::BadByte);
        }
        if bare.is_empty() {
            return Err(if trailing_dot { HostError::EmptyLabel } else { HostError::Empty });
        }
        if seen & EMPTY_LABEL != 0 {
            return Err(HostError::EmptyLabel);
        }
        if bare.len() > MAX_NAME_BYTES {
            return Err(HostError::TooLong);
        }
        let host = std::str::from_utf8(name).map_err(|_| HostError::BadByte)?;
        let normal = seen & UPPER == 0 && !trailing_dot;
        Ok(Self { host, port: parse_port(rest)?, form: Form::Name { normal } })
    }

    fn parse_ipv6(text: &'a [u8]) -> Result<Self, HostError> {
        let close = memchr::memchr(b']', text).ok_or(HostError::BadIpv6)?;
        let (host, rest) = text.split_at_checked(close + 1).ok_or(HostError::BadIpv6)?;
        let host = std::str::from_utf8(host).map_err(|_| HostError::BadIpv6)?;
        let inside = host.trim_start_matches('[').trim_end_matches(']');
        if inside.len() + 2 != host.len() {
            return Err(HostError::BadIpv6);
        }
        let address = inside.parse().map_err(|_| HostError::BadIpv6)?;
        Ok(Self { host, port: parse_port(rest)?, form: Form::Ipv6(address) })
    }

    /// The host as it came: an IPv6 address with its brackets, a name with its case and trailing dot.
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// The port, if one was given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port, or the one that the scheme implies.
    pub fn port_or(&self, default: u16) -> u16 {
        self.port.unwrap_or(default)
    }

    /// The address, if the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.form {
            Form::Ipv6(address) => Some(address.into()),
            Form::Name { .. } => {
                let name = self.host.strip_suffix('.').unwrap_or(self.host);
                name.parse::<Ipv4Addr>().ok().map(IpAddr::from)
            }
        }
    }

    /// The form that hosts are compared in: lower case, no trailing dot, IPv6 as RFC 5952 writes it.
    ///
    /// A name that has this form already is borrowed; otherwise `spare` is cleared and filled.
    pub fn lower_into<'s>(&self, spare: &'s mut String) -> &'s str
    where
        'a: 's,
    {
        match self.form {
            Form::Name { normal: true } => return self.host,
            Form::Name { normal: false } => {
                spare.clear();
                spare.push_str(self.host.strip_suffix('.').unwrap_or(self.host));
                spare.make_ascii_lowercase();
            }
            Form::Ipv6(address) => {
                spare.clear();
                // Writing to a `String` cannot fail.
                let _ = write!(spare, "[{address}]");
            }
        }
        spare
    }
}

// What a byte is to the scan; combined branch-free.
/// In no host name.
const BAD: u8 = 1;
/// A letter in upper case.
const UPPER: u8 = 2;
/// A dot; shifted left by one it marks an empty label when another follows.
const DOT: u8 = 4;
/// A label was empty.
const EMPTY_LABEL: u8 = 8;
/// A colon, which ends the host.
const COLON: u8 = 16;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [BAD; 256];
    let mut b = 0;
    while b < 128 {
        let byte = b as u8;
        if byte.is_ascii_uppercase() {
            table[b] = UPPER;
        } else if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            table[b] = 0;
        }
        b += 1;
    }
    table[b'.' as usize] = DOT;
    table[b':' as usize] = COLON;
    table
}

/// Where the name ends (its colon, or the end) and which classes it holds.
fn scan_name(text: &[u8]) -> (usize, u8) {
    let mut seen = 0;
    let mut before = DOT;
    for (at, &byte) in text.iter().enumerate() {
        let class = CLASS[usize::from(byte)];
        if class & COLON != 0 {
            return (at, seen);
        }
        seen |= class | ((class & before) << 1 & EMPTY_LABEL);
        before = class;
    }
    (text.len(), seen)
}

/// What follows a host: nothing, or a colon and up to five digits.
fn parse_port(rest: &[u8]) -> Result<Option<u16>, HostError> {
    let digits = match rest {
        [] | [b':'] => return Ok(None),
        [b':', digits @ ..] if digits.len() <= 5 => digits,
        _ => return Err(HostError::BadPort),
    };
    let mut port = 0_u32;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return Err(HostError::BadPort);
        }
        port = port * 10 + u32::from(digit - b'0');
    }
    match u16::try_from(port) {
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err(HostError::BadPort),
    }
}

#[cfg(test)]
mod tests;
