//! What went wrong, on which side, and what may be done about it.

use std::fmt;
use std::io;

/// Where an error arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Between the client and the proxy.
    Downstream,
    /// Between the proxy and the endpoint.
    Upstream,
    /// In the proxy itself.
    Proxy,
}

/// What went wrong. The name, in snake case, is the reason in access logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request or response cannot be parsed or has more than one reading.
    Malformed,
    /// A limit of the config was passed (head, fields, body).
    TooLarge,
    /// The peer closed or reset the connection before the message was complete.
    Disconnected,
    /// A connection to the endpoint could not be made.
    ConnectFailed,
    /// A connection to the endpoint was not made in time.
    ConnectTimeout,
    /// The endpoint did not begin its response in time.
    FirstByteTimeout,
    /// A body made no progress in time.
    IdleTimeout,
    /// The client took none of the response in time.
    WriteStall,
    /// The cluster has no endpoint to choose (none configured, none resolved, all failed).
    NoEndpoint,
    /// The cluster's circuit is open: too many of its requests failed.
    CircuitOpen,
    /// All connections to the cluster's endpoints that the limits allow are in use.
    Overloaded,
    /// The process is shutting down.
    Draining,
    /// A defect of the proxy.
    Internal,
}

impl ErrorKind {
    /// The reason as it stands in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Disconnected => "disconnected",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::WriteStall => "write_stall",
            Self::NoEndpoint => "no_endpoint",
            Self::CircuitOpen => "circuit_open",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::Internal => "internal",
        }
    }
}

/// An error on the path of a request.
#[derive(Debug)]
pub struct Error {
    /// Where it arose.
    pub side: Side,
    /// What it is.
    pub kind: ErrorKind,
    /// No byte of the request can have been acted upon: another endpoint may be tried, whatever the method.
    pub untouched: bool,
    /// When it is worth asking again (seconds from now); 0 if nobody knows.
    pub retry_after: u32,
    /// More detail for the log, without user data.
    pub detail: &'static str,
    /// The error of the operating system, if there is one.
    pub cause: Option<io::Error>,
}

impl Error {
    /// An error without cause or detail.
    #[cold]
    pub fn new(side: Side, kind: ErrorKind) -> Self {
        Self { side, kind, untouched: false, retry_after: 0, detail: "", cause: None }
    }

    /// Adds the error of the operating system.
    #[must_use]
    pub fn caused_by(mut self, cause: io::Error) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Adds detail for the log.
    #[must_use]
    pub fn detail(mut self, detail: &'static str) -> Self {
        self.detail = detail;
        self
    }

    /// Says that another endpoint may be tried, whatever the method.
    #[must_use]
    pub fn untouched(mut self) -> Self {
        self.untouched = true;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.as_str())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        self.cause.as_ref().map_or(Ok(()), |cause| write!(f, " ({cause})"))
    }
}

impl std::error::Error for Error {}
