//! Why connections and streams end.

use std::fmt;
use std::io;

use quinn_proto::TransportErrorCode;

/// Why a connection is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionError {
    /// This side closed it.
    Local,
    /// The peer's application closed it, with this code.
    Application(u64),
    /// The peer's transport closed it, with this code (RFC 9000 section 20.1) and phrase.
    Closed(u64, Box<str>),
    /// The peer broke the protocol, or its handshake failed; the code and phrase that it was sent.
    Violation(u64, Box<str>),
    /// The peer has forgotten the connection (stateless reset).
    Reset,
    /// The peer was silent for too long, or its handshake took too long.
    TimedOut,
    /// The peer speaks no version that is known here.
    Version,
    /// The listener or connector is gone, or its thread ends.
    Ended,
}

/// CONNECTION_REFUSED (RFC 9000 section 20.1).
const REFUSED: u64 = 0x2;
/// Alerts of TLS are added to this (RFC 9000 section 20.1).
const CRYPTO: std::ops::Range<u64> = 0x100..0x200;

impl ConnectionError {
    /// Whether the peer refused the connection before it did anything.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Closed(REFUSED, _))
    }

    /// The alert of TLS behind it, whoever sent it (RFC 8446 section 6).
    pub fn alert(&self) -> Option<u8> {
        match self {
            Self::Closed(code, _) | Self::Violation(code, _) if CRYPTO.contains(code) => Some(*code as u8),
            _ => None,
        }
    }

    /// One phrase for logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Local => "closed",
            Self::Application(_) => "closed by peer",
            Self::Closed(REFUSED, _) => "refused by peer",
            Self::Closed(code, _) if CRYPTO.contains(code) => "handshake refused by peer",
            Self::Closed(..) => "aborted by peer",
            Self::Violation(code, _) if CRYPTO.contains(code) => "handshake failed",
            Self::Violation(..) => "protocol violation by peer",
            Self::Reset => "forgotten by peer",
            Self::TimedOut => "timed out",
            Self::Version => "no common version",
            Self::Ended => "endpoint ended",
        }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Application(code) => write!(f, " with code {code:#x}"),
            Self::Closed(code, text) | Self::Violation(code, text) => {
                write!(f, " with code {code:#x}: {text}")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ConnectionError {}

impl From<ConnectionError> for io::Error {
    fn from(error: ConnectionError) -> Self {
        let kind = match error {
            ConnectionError::TimedOut => io::ErrorKind::TimedOut,
            ConnectionError::Reset => io::ErrorKind::ConnectionReset,
            ConnectionError::Closed(REFUSED, _) => io::ErrorKind::ConnectionRefused,
            _ => io::ErrorKind::ConnectionAborted,
        };
        Self::new(kind, error)
    }
}

/// The most of a peer's phrase that is kept (bytes).
const PHRASE: usize = 128;

impl ConnectionError {
    pub(super) fn of(error: &quinn_proto::ConnectionError) -> Self {
        use quinn_proto::ConnectionError as Proto;
        match error {
            Proto::VersionMismatch => Self::Version,
            Proto::TransportError(error) => {
                Self::Violation(u64::from(error.code), error.reason.as_str().into())
            }
            Proto::ConnectionClosed(close) => {
                let phrase = close.reason.get(..close.reason.len().min(PHRASE)).unwrap_or_default();
                Self::Closed(u64::from(close.error_code), String::from_utf8_lossy(phrase).into())
            }
            Proto::ApplicationClosed(close) => Self::Application(close.error_code.into_inner()),
            Proto::Reset => Self::Reset,
            Proto::TimedOut => Self::TimedOut,
            Proto::LocallyClosed => Self::Local,
            Proto::CidsExhausted => {
                Self::Violation(u64::from(TransportErrorCode::INTERNAL_ERROR), "out of connection ids".into())
            }
        }
    }
}

/// Why a stream cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamError {
    /// The peer will send no more (RESET_STREAM), with this code.
    Reset(u64),
    /// The peer wants no more (STOP_SENDING), with this code.
    Stopped(u64),
    /// This side ended it before; or it was opened in early data that the peer then refused.
    Ended,
    /// Its connection is no more.
    Connection(ConnectionError),
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset(code) => write!(f, "stream reset by peer with code {code:#x}"),
            Self::Stopped(code) => write!(f, "stream stopped by peer with code {code:#x}"),
            Self::Ended => f.write_str("stream ended already"),
            Self::Connection(error) => write!(f, "connection {error}"),
        }
    }
}

impl std::error::Error for StreamError {}
