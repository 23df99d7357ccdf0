//! One request and its response, as filters see and edit it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use usher_http::transform::Transform;
use usher_http::{Request, Response};
use usher_net::tls::Session;

use crate::error::Error;
use crate::record::{Failures, Record};

/// Who sent the request, and through which door it came.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The client's address: the peer's, or what a trusted proxy says of it. `None` on Unix sockets.
    pub ip: Option<IpAddr>,
    /// The peer of the connection (after the PROXY protocol, if that is in use).
    pub peer: Option<SocketAddr>,
    /// The address that the client connected to.
    pub local: Option<SocketAddr>,
    /// Whether the peer is one of the trusted proxies.
    pub trusted: bool,
    /// The listener's name.
    pub listener: Arc<str>,
    /// What was agreed in the TLS handshake; none on plain connections.
    pub tls: Option<Arc<Session>>,
}

/// A request's identifier: 32 characters at most, kept inline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl Default for RequestId {
    fn default() -> Self {
        Self { bytes: [0; Self::MAX], len: 0 }
    }
}

impl RequestId {
    /// The longest identifier that is kept (bytes).
    pub const MAX: usize = 64;

    /// An identifier of letters, digits and `-_.:/+=`; `None` if it is anything else or too long.
    pub fn new(text: &[u8]) -> Option<Self> {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
        if text.is_empty() || text.len() > Self::MAX || !text.iter().all(plain) {
            return None;
        }
        let mut id = Self { bytes: [0; Self::MAX], len: text.len() as u8 };
        id.bytes[..text.len()].copy_from_slice(text);
        Some(id)
    }

    /// 128 bits as 32 hexadecimal digits.
    pub fn from_bits(bits: u128) -> Self {
        let mut id = Self { bytes: [0; Self::MAX], len: 32 };
        for (at, digits) in id.bytes.chunks_exact_mut(8).take(4).enumerate() {
            digits.copy_from_slice(&hexadecimal((bits >> (96 - 32 * at)) as u32));
        }
        id
    }

    /// The identifier as it goes into fields.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// Eight hexadecimal digits of a number, all at once: each half byte is spread to a byte of its own, and what is above
/// nine moved from behind `9` to `a`.
fn hexadecimal(number: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut word = u64::from(number);
    word = (word << 16 | word) & 0x0000_ffff_0000_ffff;
    word = (word << 8 | word) & 0x00ff_00ff_00ff_00ff;
    word = (word << 4 | word) & 0x0f0f_0f0f_0f0f_0f0f;
    let above_nine = (word + ONES * 6) >> 4 & ONES;
    (word + ONES * u64::from(b'0') + above_nine * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

/// One request and its response. Reused from request to request; `clear` begins a new one.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The request; filters may edit it until it is forwarded.
    pub request: Request,
    /// The response; filters may edit it until it is sent.
    pub response: Response,
    /// Who sent the request.
    pub client: Client,
    /// The request's identifier.
    pub id: RequestId,
    /// The request's whole body, if a filter asked for it with [`crate::Filter::body_limit`].
    pub body: Option<Vec<u8>>,
    /// Changes the request's body on its way to the endpoint, if a filter set it.
    pub request_transform: Option<Transformation>,
    /// Changes the response's body on its way to the client, if a filter set it in `on_response`. Responses without a
    /// body do not ask it.
    pub response_transform: Option<Transformation>,
    /// What the route's path pattern captured.
    pub captures: Captures,
    /// The label of the endpoint that was tried last.
    pub endpoint: Option<Arc<str>>,
    /// What a filter authenticated the client as.
    pub user: Option<String>,
    /// What endpoints failed at, for the access log.
    pub failures: Failures,
    /// What will be written to logs and metrics.
    pub record: Record,
}

impl Exchange {
    /// Empties everything but the client, which belongs to the connection.
    pub fn clear(&mut self) {
        self.request.clear();
        self.response.clear();
        self.id = RequestId::default();
        self.body = None;
        self.request_transform = None;
        self.response_transform = None;
        self.captures.clear();
        self.user = None;
        self.endpoint = None;
        self.failures.clear();
        self.record = Record::default();
    }

    /// Notes for the access log what the endpoint failed at that was tried last.
    pub fn note_failure(&mut self, error: &Error) {
        self.failures.note(self.endpoint.as_deref().unwrap_or("-"), error);
    }
}

/// A change of a body.
pub struct Transformation(pub Box<dyn Transform>);

impl fmt::Debug for Transformation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transformation")
    }
}

/// What a path pattern captured, by name.
#[derive(Clone, Debug, Default)]
pub struct Captures {
    text: String,
    parts: Vec<(Arc<str>, Range<u32>)>,
}

impl Captures {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.text.clear();
        self.parts.clear();
    }

    /// Adds one.
    pub fn push(&mut self, name: Arc<str>, value: &str) {
        let start = self.text.len() as u32;
        self.text.push_str(value);
        self.parts.push((name, start..self.text.len() as u32));
    }

    /// The value captured under `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, range) = self.parts.iter().find(|(key, _)| &**key == name)?;
        self.text.get(range.start as usize..range.end as usize)
    }

    /// All names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parts.iter().map(|(name, range)| {
            (&**name, self.text.get(range.start as usize..range.end as usize).unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests;
