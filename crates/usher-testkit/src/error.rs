//! The one error of the kit: what kind of thing went wrong, and the bytes that had arrived by then.

use crate::show::visible;
use std::fmt;
use std::io;

/// The result of every fallible operation of the kit.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The deadline passed.
    Timeout,
    /// The peer ended the connection in order (FIN).
    Closed,
    /// The peer ended the connection by a reset (RST).
    Reset,
    /// The peer sent what HTTP/1 does not allow.
    Malformed,
    /// The test ended while this wait was under way.
    Cancelled,
    /// The process under test could not be started, or ended when it should not have.
    Process,
    /// The test itself asks for what cannot be: an unknown placeholder, a missing binary.
    Usage,
    /// Anything else that the operating system reported.
    Io,
}

/// A failed operation. Its `Debug` form is its `Display` form, so that `unwrap` in a test reads well.
#[derive(Clone)]
pub struct Error {
    /// What kind of thing went wrong.
    pub kind: Kind,
    /// What was being done, and how it failed.
    pub message: String,
    /// The bytes of the message under way that had arrived; empty where none apply.
    pub received: Vec<u8>,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), received: Vec::new() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, message)
    }

    /// An error of the operating system, sorted into the kinds that tests ask about.
    pub(crate) fn io(doing: &str, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Kind::Timeout,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Kind::Reset,
            io::ErrorKind::UnexpectedEof => Kind::Closed,
            _ => Kind::Io,
        };
        Self::new(kind, format!("{doing}: {error}"))
    }

    pub(crate) fn with_received(mut self, received: &[u8]) -> Self {
        self.received = received.to_vec();
        self
    }

    /// True when the peer ended the connection, in whichever way.
    pub fn is_end(&self) -> bool {
        matches!(self.kind, Kind::Closed | Kind::Reset)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        if !self.received.is_empty() {
            write!(out, "\nreceived {} bytes:\n{}", self.received.len(), visible(&self.received))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl std::error::Error for Error {}
