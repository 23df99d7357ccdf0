//! Waiting for an endpoint that has room for one more request.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, ready};
use std::time::Duration;

use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_net::{Dialer, Transport};
use usher_wire::{Downstream, Source};

use super::clock::Clock;
use crate::cluster::{Cluster, Lease, Turn};
use crate::path::Visit;
use crate::steps::relay::sink_error;

/// In place of an endpoint that could not be chosen: where all have as many requests as they may, the first that has room.
pub(super) async fn instead<D: Dialer>(
    (visit, cluster, clock): (&Visit<'_, D>, &Cluster<D::Stream>, &Clock<'_>),
    exchange: &Exchange,
    down: &mut impl Downstream,
    error: Error,
) -> Result<Lease<D::Stream>, Error> {
    let turn = (error.kind == ErrorKind::Overloaded).then(|| cluster.queue()).flatten();
    let picked = match turn {
        Some(turn) => {
            clock.wait();
            let limit = cluster.spec.limits.queue_timeout;
            let patience = clock.left().map_or(limit, |left| left.min(limit));
            // Boxed, as it is rare: every request under way would hold room for it.
            Box::pin(wait(cluster, exchange, down, (turn, error, patience))).await
        }
        None => Err(error),
    };
    // That the client left is nobody's failure here.
    picked.inspect_err(|error| {
        if error.side != Side::Downstream {
            visit.worker.metrics.upstream.failed(error.kind);
        }
    })
}

async fn wait<S: Transport>(
    cluster: &Cluster<S>,
    exchange: &Exchange,
    down: &mut impl Downstream,
    (turn, full, patience): (Turn, Error, Duration),
) -> Result<Lease<S>, Error> {
    let mut over = pin!(tokio::time::sleep(patience));
    let mut picked = pin!(cluster.pick_in_turn(exchange, &turn));
    poll_fn(|cx| {
        if let Poll::Ready(picked) = picked.as_mut().poll(cx) {
            return Poll::Ready(picked);
        }
        // A body that waits to be taken hides whether the client is still there.
        if Source::is_done(down)
            && let Poll::Ready(gone) = down.poll_gone(cx)
        {
            return Poll::Ready(Err(sink_error(gone)));
        }
        ready!(over.as_mut().poll(cx));
        Poll::Ready(Err(Error::new(full.side, full.kind).detail("waited in the queue for too long")))
    })
    .await
}
