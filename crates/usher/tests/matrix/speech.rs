//! What is spoken on either side of the proxy.

use usher_http::Version;

/// A protocol, and whether it is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// HTTP/1.1 over TLS.
    H1,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/3.
    H3,
    /// HTTP/1.1 over TCP, which may be spliced.
    Plain,
    /// HTTP/2 over TCP, by prior knowledge.
    H2c,
}

use Speech::{H1, H2, H2c, H3, Plain};

/// Every protocol with every other, and what is different without TLS.
pub(crate) const PAIRS: [(Speech, Speech); 15] = [
    (H1, H1),
    (H1, H2),
    (H1, H3),
    (H2, H1),
    (H2, H2),
    (H2, H3),
    (H3, H1),
    (H3, H2),
    (H3, H3),
    (Plain, Plain),
    (Plain, H2c),
    (H2c, Plain),
    (H2c, H2c),
    (H2, Plain),
    (H3, H2c),
];

/// What clusters exist for.
pub(crate) const ALL: [Speech; 5] = [H1, H2, H3, Plain, H2c];

impl Speech {
    /// As clusters and failures name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            H1 => "h1",
            H2 => "h2",
            H3 => "h3",
            Plain => "plain",
            H2c => "h2c",
        }
    }

    pub(crate) fn version(self) -> Version {
        match self {
            H1 | Plain => Version::Http11,
            H2 | H2c => Version::Http2,
            H3 => Version::Http3,
        }
    }

    /// Whether a connection carries one request at a time.
    pub(crate) fn is_h1(self) -> bool {
        matches!(self, H1 | Plain)
    }

    pub(crate) fn scheme(self) -> &'static str {
        match self {
            H1 | H2 | H3 => "https",
            Plain | H2c => "http",
        }
    }
}
