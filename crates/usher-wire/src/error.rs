//! What can go wrong between bytes and messages.

use std::fmt;
use std::io;

use usher_http::chunk::ChunkError;
use usher_http::framing::FramingError;
use usher_http::parse::ParseError;

/// An error of one connection.
#[derive(Debug)]
pub enum WireError {
    /// A head or trailer section that cannot be parsed.
    Parse(ParseError),
    /// A message whose body has more than one reading.
    Framing(FramingError),
    /// A chunked body that cannot be parsed.
    Chunk(ChunkError),
    /// The peer ended the stream between messages: the ordinary end of a connection.
    Closed,
    /// The peer ended the stream within a message.
    Truncated,
    /// More payload than a limit of the config allows.
    TooLarge,
    /// The peer processed nothing of the exchange (RFC 9113 section 8.7): it is safe to try it elsewhere.
    Refused,
    /// The peer reset the stream, with this code of its protocol.
    Reset(u32),
    /// What the peer sent breaks its protocol, or a limit against floods; the phrase says how.
    Protocol(&'static str),
    /// The operating system's error.
    Io(io::Error),
}

impl WireError {
    /// Whether the bytes were wrong, rather than the connection.
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Parse(_) | Self::Framing(_) | Self::Chunk(_) | Self::Protocol(_))
    }

    /// One phrase for logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Parse(error) => error.as_str(),
            Self::Framing(error) => error.as_str(),
            Self::Chunk(_) => "malformed chunked body",
            Self::Closed => "connection closed",
            Self::Truncated => "connection closed within a message",
            Self::TooLarge => "body too large",
            Self::Refused => "stream refused",
            Self::Reset(_) => "stream reset",
            Self::Protocol(phrase) => phrase,
            Self::Io(_) => "connection failed",
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{}: {error}", self.as_str()),
            Self::Reset(code) => write!(f, "{}: code {code}", self.as_str()),
            _ => f.write_str(self.as_str()),
        }
    }
}

impl std::error::Error for WireError {}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ParseError> for WireError {
    fn from(error: ParseError) -> Self {
        Self::Parse(error)
    }
}

impl From<ChunkError> for WireError {
    fn from(error: ChunkError) -> Self {
        Self::Chunk(error)
    }
}
