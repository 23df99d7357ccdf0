//! Responses that are not passed on, as the request is sent again.

use std::io;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;
use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_net::Transport;
use usher_wire::Source;

use super::attempt::Headed;
use crate::cluster::{Cluster, Lease, Link};

/// The largest body that is read so that its connection can be kept (bytes).
const READ: usize = 16 << 10;

/// Gives a response up. Where all of it is there already its connection is kept; any other is closed, or its stream
/// reset, as what is left of it is worth less than the time to wait for it.
pub(super) fn response<S: Transport>(
    exchange: &mut Exchange,
    cluster: &Cluster<S>,
    (headed, lease): (Headed<S>, &Lease<S>),
) {
    let status = io::Error::other(format!("answered {}", exchange.response.status));
    exchange.note_failure(&Error::new(Side::Upstream, ErrorKind::Disconnected).caused_by(status));
    cluster.fared(lease, None);
    cluster.release(lease, None);
    let Headed { mut connection, persistent, .. } = headed;
    if persistent
        && is_read(&mut connection)
        && let Some(connection) = connection.reusable()
    {
        lease.endpoint.keep(connection, Instant::now());
    }
}

/// Reads what is there; whether that is all.
fn is_read<S: Transport>(connection: &mut Link<S>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    let mut read = 0;
    while let Poll::Ready(Ok(len)) = connection.poll_fill(&mut cx) {
        if len == 0 {
            return true;
        }
        read += len;
        if read > READ {
            return false;
        }
        connection.consume(len);
    }
    false
}
