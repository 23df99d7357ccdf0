//! The PROXY protocol, versions 1 and 2: a load balancer in front tells who its client is.
//!
//! After the HAProxy specification "The PROXY protocol, Versions 1 & 2". Pure: bytes in, meaning out. Strict: what the
//! specification does not allow is refused, as a wrong client address is a way around every rule built on it. Only
//! connections from trusted sources may be parsed at all; that is the caller's to decide.

mod crc32c;
mod encode;
mod error;
mod tlv;
mod v1;
mod v2;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use encode::{encode_v1, encode_v2};
pub use error::Error;

/// Most bytes of a version 1 header, CRLF included (section 2.1).
pub const MAX_V1_BYTES: usize = 107;
/// Most bytes of a version 2 header that are accepted: the fixed part and 4 KiB of addresses and TLVs.
pub const MAX_V2_BYTES: usize = v2::FIXED_BYTES + v2::MAX_PAYLOAD_BYTES;
/// Most bytes of a unique id (section 2.2.5).
pub const MAX_UNIQUE_ID_BYTES: usize = 128;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// So far a header, but not all of it: read more and call again with all bytes from the start. Never needed
    /// beyond [`MAX_V2_BYTES`].
    NeedMore,
    /// Not a PROXY header: the bytes are what the client sent.
    Absent,
    /// A whole header.
    Header(Header),
}

/// A whole header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its length in bytes; what the client sent begins after it.
    pub consumed: usize,
    /// Which of the two forms it had.
    pub version: Version,
    /// Whose connection this is.
    pub endpoints: Endpoints,
    /// What else version 2 tells.
    pub details: Details,
}

impl Header {
    /// The client's address and the address that it connected to; `None` when the connection speaks for itself.
    pub fn source(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.endpoints.ip()
    }
}

/// The two forms of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Whose connection a header speaks of.
///
/// IPv4 addresses in IPv6 form (`::ffff:1.2.3.4`) are given as IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoints {
    /// The connection is the sender's own (LOCAL: a health check), or the sender does not know (UNKNOWN, UNSPEC):
    /// use the addresses of the connection itself.
    Own,
    /// A TCP connection.
    Tcp {
        /// The client.
        source: SocketAddr,
        /// What the client connected to.
        destination: SocketAddr,
    },
    /// UDP datagrams.
    Udp {
        /// The client.
        source: SocketAddr,
        /// What the client sent to.
        destination: SocketAddr,
    },
    /// A Unix socket, stream or datagram.
    Unix {
        /// Path of the client's socket; mostly empty.
        source: PathBuf,
        /// Path of the socket connected to.
        destination: PathBuf,
    },
}

impl Endpoints {
    /// Source and destination, of TCP and UDP.
    pub fn ip(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self {
            Self::Tcp { source, destination } | Self::Udp { source, destination } => {
                Some((*source, *destination))
            }
            Self::Own | Self::Unix { .. } => None,
        }
    }
}

/// What a version 2 header tells beyond addresses (section 2.2.1 and after). Other TLVs are skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The host name that the client asked for (PP2_TYPE_AUTHORITY), mostly from TLS SNI.
    pub authority: Option<String>,
    /// The application protocol that was negotiated (PP2_TYPE_ALPN).
    pub alpn: Option<Vec<u8>>,
    /// An opaque id of the connection (PP2_TYPE_UNIQUE_ID).
    pub unique_id: Option<Vec<u8>>,
    /// Whether the client came over TLS (PP2_TYPE_SSL with PP2_CLIENT_SSL).
    pub over_tls: bool,
    /// Whether the client showed a certificate that was verified, and when.
    pub certificate: Option<Shown>,
}

/// When a client showed its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// In this connection (PP2_CLIENT_CERT_CONN).
    Now,
    /// In an earlier connection, whose session was resumed (PP2_CLIENT_CERT_SESS).
    Before,
}

/// Parses the start of a connection. Calling it again with more bytes never changes an answer other than
/// [`Parsed::NeedMore`].
///
/// # Errors
/// When the bytes begin as a header and break its rules: close the connection, there is no way to go on.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Error> {
    for (signature, parse) in [(v1::SIGNATURE, v1::parse as Parser), (v2::SIGNATURE, v2::parse)] {
        if let Some(rest) = bytes.strip_prefix(signature) {
            return parse(rest).map(|header| header.map_or(Parsed::NeedMore, Parsed::Header));
        }
        if signature.starts_with(bytes) {
            return Ok(Parsed::NeedMore);
        }
    }
    Ok(Parsed::Absent)
}

/// Parses what follows the signature; `None` needs more.
type Parser = fn(&[u8]) -> Result<Option<Header>, Error>;

#[cfg(test)]
mod tests;
