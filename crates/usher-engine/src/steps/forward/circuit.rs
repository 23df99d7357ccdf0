//! Whether a cluster takes requests, by its breaker, and what this one says about it.

use std::rc::Rc;

use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_net::{Dialer, Transport};

use super::Forwarded;
use super::clock::Clock;
use crate::cluster::{Cluster, Fate, Permit};
use crate::path::Visit;
use crate::snapshot::Destination;
use crate::steps::grpc;

/// A cluster, and leave to send a request there, where that is needed.
type Entered<S> = (Rc<Cluster<S>>, Option<Permit>);

/// The cluster that takes the request: that of the destination, or, while its circuit is open, the one in its place.
pub(super) fn enter<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    destination: &Destination,
) -> Result<Entered<D::Stream>, Error> {
    let cluster = named(visit, exchange, destination.cluster)?;
    if cluster.spec.circuit.is_none() {
        return Ok((cluster, None));
    }
    let refused = match cluster.admit() {
        Ok(permit) => return Ok((cluster, permit)),
        Err(refused) => refused,
    };
    visit.worker.metrics.upstream.failed(refused.kind);
    let Some(other) = cluster.spec.circuit.as_ref().and_then(|circuit| circuit.fallback) else {
        return Err(refused);
    };
    let other = named(visit, exchange, other)?;
    let permit = other.admit().inspect_err(|error| visit.worker.metrics.upstream.failed(error.kind))?;
    Ok((other, permit))
}

fn named<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    index: u32,
) -> Result<Rc<Cluster<D::Stream>>, Error> {
    exchange.record.cluster = Some(index);
    let cluster = visit.local.clusters.get(index as usize).cloned();
    cluster.ok_or_else(|| Error::new(Side::Proxy, ErrorKind::Internal))
}

/// Whether the request shall still be sent, after it has waited, or sent again.
pub(super) fn holds(permit: Option<&Permit>) -> bool {
    permit.is_none_or(Permit::holds)
}

/// The same, for a request that has waited: an error if the circuit was opened meanwhile.
pub(super) fn still_holds<D: Dialer>(visit: &Visit<'_, D>, permit: Option<&Permit>) -> Result<(), Error> {
    if holds(permit) {
        return Ok(());
    }
    let mut error = Error::new(Side::Proxy, ErrorKind::CircuitOpen).detail("while it waited");
    error.retry_after = 1;
    visit.worker.metrics.upstream.failed(error.kind);
    Err(error)
}

/// Tells the breaker how the request ended. What says nothing about the cluster is not told: the client left, or did not
/// want to wait for as long as the cluster may take, or nobody was asked.
#[inline]
pub(super) fn judge<D: Dialer, S: Transport>(
    visit: &Visit<'_, D>,
    cluster: &Cluster<S>,
    permit: Option<Permit>,
    (sent, exchange, clock): (&Result<Box<Forwarded<S>>, Error>, &Exchange, &Clock<'_>),
) {
    if permit.is_some() {
        tell(visit, cluster, permit, (sent, exchange, clock));
    }
}

#[inline(never)]
fn tell<D: Dialer, S: Transport>(
    visit: &Visit<'_, D>,
    cluster: &Cluster<S>,
    permit: Option<Permit>,
    (sent, exchange, clock): (&Result<Box<Forwarded<S>>, Error>, &Exchange, &Clock<'_>),
) {
    let fate = match sent {
        Ok(forwarded) => {
            let Some(status) = grpc::outcome(exchange) else { return };
            Fate::Answered(status, forwarded.first_byte_micros)
        }
        Err(error) if error.side == Side::Upstream && !clock.is_call_over() => Fate::Failed,
        Err(_) => return,
    };
    cluster.judge(permit, &fate, visit.worker.random());
}
