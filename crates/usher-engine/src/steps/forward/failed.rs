//! What can go wrong between a request's head and that of its response.

use usher_api::{Error, ErrorKind, Side};
use usher_wire::WireError;

use crate::steps::relay::upstream_error;

/// Why asking failed, and whether the connection simply was no longer there.
pub(super) struct Failed {
    pub error: Error,
    /// The connection failed before the endpoint answered anything.
    pub vanished: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, vanished: false }
    }
}

impl Failed {
    /// The endpoint's connection failed, or what came on it was no response. `silent` if nothing came.
    pub(super) fn upstream(error: WireError, silent: bool) -> Self {
        let vanished = silent && matches!(error, WireError::Closed | WireError::Io(_) | WireError::Refused);
        Self { error: upstream_error(error), vanished }
    }
}

/// Nothing moved for too long: the request's body at its source or its sink, or then the response.
pub(super) fn timeout(sending: bool, waits_for_endpoint: bool) -> Failed {
    let error = match (sending, waits_for_endpoint) {
        (true, false) => Error::new(Side::Downstream, ErrorKind::IdleTimeout).detail("request body"),
        (true, true) => Error::new(Side::Upstream, ErrorKind::IdleTimeout).detail("request body not taken"),
        (false, _) => Error::new(Side::Upstream, ErrorKind::FirstByteTimeout),
    };
    error.into()
}

/// The client did not take an informational response.
pub(super) fn stalled() -> Failed {
    Error::new(Side::Downstream, ErrorKind::WriteStall).detail("informational response").into()
}

/// An endpoint informs without end.
pub(super) fn too_informative() -> Failed {
    Error::new(Side::Upstream, ErrorKind::Malformed).detail("too many informational responses").into()
}
