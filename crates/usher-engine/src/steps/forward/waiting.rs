//! Waiting for the turn of a stranger, and for an endpoint that has room for one more request.

use std::future::{Future, poll_fn};
use std::hint::cold_path;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_net::{Dialer, Transport};
use usher_wire::turns;
use usher_wire::{Downstream, Source};

use super::clock::Clock;
use crate::cluster::{Cluster, Lease, Turn};
use crate::path::Visit;
use crate::steps::relay::sink_error;

/// The longest that a stranger stands in line: as long as others wait in the queue of a cluster unless they say otherwise.
const LONGEST: Duration = Duration::from_secs(10);

/// Waits until somebody whom nobody knows may ask: a request of a connection that has not taken a whole response yet. Most of
/// them need a new connection to an endpoint, which takes ten times as long as to ask over one that is there: of hundreds at
/// once some go on in each pass of the loop, so that whoever is known does not stand behind all of them.
///
/// # Errors
/// The client has left, or its turn did not come in time (of a deadline, half is left for the endpoint): nobody was asked then.
pub(super) async fn until_its_turn(clock: &Clock<'_>, down: &mut impl Downstream) -> Result<(), Error> {
    let mut turn = turns::Turn::of_stranger();
    if poll_fn(|cx| Poll::Ready(turn.poll(cx).is_pending())).await {
        cold_path();
        let patience = clock.left().map_or(LONGEST, |left| LONGEST.min(left / 2)).min(clock.first_byte());
        // Boxed, as it is rare: every request under way would hold room for it.
        Box::pin(stand_in_line(turn, patience, down)).await?;
        clock.wait();
    }
    turns::ask();
    Ok(())
}

async fn stand_in_line(
    mut turn: turns::Turn,
    patience: Duration,
    down: &mut impl Downstream,
) -> Result<(), Error> {
    let mut over = pin!(tokio::time::sleep(patience));
    poll_fn(|cx| {
        if turn.poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(error) = gone(cx, down) {
            return Poll::Ready(Err(error));
        }
        ready!(over.as_mut().poll(cx));
        let late = Error::new(Side::Proxy, ErrorKind::Overloaded);
        Poll::Ready(Err(late.detail("waited for its turn for too long, as many others came anew")))
    })
    .await
}

/// Ready when the client has left.
fn gone(cx: &mut Context<'_>, down: &mut impl Downstream) -> Poll<Error> {
    // A body that waits to be taken hides whether it is still there.
    if Source::is_done(down) { down.poll_gone(cx).map(sink_error) } else { Poll::Pending }
}

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
        if let Poll::Ready(error) = gone(cx, down) {
            return Poll::Ready(Err(error));
        }
        ready!(over.as_mut().poll(cx));
        Poll::Ready(Err(Error::new(full.side, full.kind).detail("waited in the queue for too long")))
    })
    .await
}
