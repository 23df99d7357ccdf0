//! How long a client may take: what its route says, or else its listener.

use std::time::Duration;

use usher_net::Dialer;

use crate::path::Visit;
use crate::snapshot::Route;

/// What the log says of a client that was ended before its time.
pub(crate) const CUT: &str = "ended early: the process is short of memory or descriptors";

/// Without a byte of the request's body.
pub(crate) fn body_idle<D: Dialer>(visit: &Visit<'_, D>, route: &Route) -> Duration {
    route.body_idle.unwrap_or(visit.listener.timeouts.body_idle)
}

/// Without taking a byte of the response.
pub(crate) fn write_stall<D: Dialer>(visit: &Visit<'_, D>, route: Option<&Route>) -> Duration {
    route.and_then(|route| route.write_stall).unwrap_or(visit.listener.timeouts.write_stall)
}

/// Without a byte in either direction of a tunnel.
pub(crate) fn tunnel_idle<D: Dialer>(visit: &Visit<'_, D>, route: Option<&Route>) -> Duration {
    route.and_then(|route| route.tunnel_idle).unwrap_or(visit.listener.timeouts.tunnel_idle)
}
