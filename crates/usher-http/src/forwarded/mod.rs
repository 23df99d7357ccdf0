//! Who is at the far end: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! Each proxy on the way adds at the right what it saw, and anybody can write anything at the left. So the client's
//! address is found from the right: the first address that is not a trusted proxy's. What cannot be read ends the
//! walk, and the last address that could be is the answer.

use crate::fields::is_token;
use crate::syntax;
use std::borrow::Cow;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

mod elements;

pub use elements::{Element, Elements, Malformed, elements};

/// The most proxies on the way that are looked at; further to the left nobody is trusted.
pub const MAX_HOPS: usize = 32;

/// Whom a `for` or `by` parameter names (RFC 7239 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node<'a> {
    /// An address, and the port if one was given as a number.
    Ip(IpAddr, Option<u16>),
    /// `unknown`.
    Unknown,
    /// An identifier that hides the node: `_` and letters, digits, `.`, `_`, `-`.
    Obfuscated(&'a str),
}

impl<'a> Node<'a> {
    /// Reads an unquoted node; `None` if it is malformed. An IPv6 address must be in brackets.
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some(inside) = text.strip_prefix('[') {
            let (address, rest) = inside.split_once(']')?;
            let address = address.parse::<Ipv6Addr>().ok()?;
            return Some(Self::Ip(IpAddr::V6(address).to_canonical(), node_port(rest)?));
        }
        let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
        let port = node_port(rest)?;
        if name.eq_ignore_ascii_case("unknown") {
            return Some(Self::Unknown);
        }
        if is_obfuscated(name) {
            return Some(Self::Obfuscated(name));
        }
        name.parse::<Ipv4Addr>().ok().map(|address| Self::Ip(address.into(), port))
    }

    /// The address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        if let Self::Ip(address, _) = self { Some(*address) } else { None }
    }
}

/// Nothing, or `:` and a port; the inner `None` is no port or a hidden one.
fn node_port(rest: &str) -> Option<Option<u16>> {
    if rest.is_empty() {
        return Some(None);
    }
    let port = rest.strip_prefix(':')?;
    if is_obfuscated(port) {
        return Some(None);
    }
    let fits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    if fits { port.parse().ok().map(Some) } else { None }
}

fn is_obfuscated(text: &str) -> bool {
    let inside = text.strip_prefix('_').unwrap_or_default();
    !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Reads one element of `X-Forwarded-For`: an address, IPv6 with or without brackets, with or without a port, as
/// deployed proxies write them.
pub fn x_forwarded_for_ip(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    Node::parse(text)?.ip()
}

/// The client's address according to `X-Forwarded-For`.
///
/// `lines` are the lines of the field, **the last one first**. The answer is the first address from the right that
/// is not `trusted`, beginning with the peer itself; if all are, the leftmost. A peer without an address (on a Unix
/// socket) is trusted if one asks: what comes out is none if it names nobody.
pub fn client_address<'a>(
    peer: Option<IpAddr>,
    lines: impl IntoIterator<Item = &'a [u8]>,
    trusted: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let elements = lines.into_iter().flat_map(|line| syntax::list(line).rev());
    first_untrusted(peer, elements.map(x_forwarded_for_ip), trusted)
}

/// The client's address according to `Forwarded`; `lines` as in [`client_address`].
///
/// A line can be read only from its left, so one that is malformed anywhere says nothing at all, and one with more
/// than [`MAX_HOPS`] elements neither. A trusted proxy that appends to a line of a stranger's, rather than replacing
/// it, makes the line as good as the stranger's quotes: then the proxy's own address is the answer.
pub fn client_address_forwarded<'a>(
    peer: Option<IpAddr>,
    lines: impl IntoIterator<Item = &'a [u8]>,
    trusted: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let hops = lines.into_iter().flat_map(|line| {
        // One unreadable hop stands for a line that cannot be read.
        let (hops, count) = line_hops(line).unwrap_or(([None; MAX_HOPS], 1));
        hops.into_iter().take(count).rev()
    });
    first_untrusted(peer, hops, trusted)
}

/// The addresses of one `Forwarded` line from left to right; `None` for a line that cannot be read.
fn line_hops(line: &[u8]) -> Option<([Option<IpAddr>; MAX_HOPS], usize)> {
    let mut hops = [None; MAX_HOPS];
    let mut count = 0;
    for element in elements(line) {
        let client = element.ok()?.client;
        *hops.get_mut(count)? = client.and_then(|text| Node::parse(&text)?.ip());
        count += 1;
    }
    Some((hops, count))
}

/// Walks `hops` (from the right; `None` where no address can be read) as long as what was reached is trusted.
fn first_untrusted(
    peer: Option<IpAddr>,
    hops: impl Iterator<Item = Option<IpAddr>>,
    trusted: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut reached = peer.map(|peer| peer.to_canonical());
    let mut hops = hops.take(MAX_HOPS);
    while reached.is_none_or(&trusted) {
        match hops.next() {
            Some(Some(address)) => reached = Some(address),
            Some(None) | None => break,
        }
    }
    reached
}

/// The element that this proxy adds to `Forwarded`. `by` is left out: it would name the proxy's own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop<'a> {
    /// Whom the request came from.
    pub client: Node<'a>,
    /// The `Host` of the request as it came.
    pub host: Option<&'a str>,
    /// `http` or `https`.
    pub proto: Option<&'a str>,
}

impl Hop<'_> {
    /// Appends `for=…;host=…;proto=…`, quoting what is not a token (RFC 7239 section 4).
    ///
    /// A host or proto that no quoted string can hold (a control byte, non-ASCII) is left out.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"for=");
        write_node(&self.client, out);
        for (name, value) in [("host", self.host), ("proto", self.proto)] {
            if let Some(value) = value.filter(|value| syntax::visible(value.as_bytes()).is_some()) {
                out.push(b';');
                out.extend_from_slice(name.as_bytes());
                out.push(b'=');
                write_value(value, out);
            }
        }
    }
}

// Writing to a `Vec` cannot fail, so the results are dropped.
fn write_node(node: &Node<'_>, out: &mut Vec<u8>) {
    let _ = match node {
        Node::Ip(IpAddr::V4(address), None) => write!(out, "{address}"),
        Node::Ip(IpAddr::V4(address), Some(port)) => write!(out, "\"{address}:{port}\""),
        Node::Ip(IpAddr::V6(address), None) => write!(out, "\"[{address}]\""),
        Node::Ip(IpAddr::V6(address), Some(port)) => write!(out, "\"[{address}]:{port}\""),
        Node::Obfuscated(name) if is_obfuscated(name) => write!(out, "{name}"),
        Node::Obfuscated(_) | Node::Unknown => write!(out, "unknown"),
    };
}

fn write_value(value: &str, out: &mut Vec<u8>) {
    if is_token(value.as_bytes()) {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in value.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Appends an address as `X-Forwarded-For` and `X-Real-IP` write it: IPv6 without brackets, an IPv4 address that came
/// in through an IPv6 socket as IPv4.
pub fn write_ip(address: IpAddr, out: &mut Vec<u8>) {
    match address.to_canonical() {
        // Once per connection, and nearly always: worth more than the formatter's generality.
        IpAddr::V4(address) => {
            for (place, part) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                if part >= 100 {
                    out.push(b'0' + part / 100);
                }
                if part >= 10 {
                    out.push(b'0' + part / 10 % 10);
                }
                out.push(b'0' + part % 10);
            }
        }
        IpAddr::V6(address) => {
            let _ = write!(out, "{address}");
        }
    }
}

/// A parameter's value: borrowed unless it was quoted with escapes.
type Value<'a> = Cow<'a, str>;

#[cfg(test)]
mod tests;
