//! One endpoint after another, until one is there.

use tokio::time::Instant;
use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_net::Dialer;
use usher_net::tls::Secured;

use super::Passage;
use crate::cluster::{Fate, Lease, Permit, Wanted};

/// Endpoints that are tried for one connection.
const MAX_TRIES: usize = 5;

/// An endpoint, and the connection to it.
type Reached<S> = (Lease<S>, Secured<S>);

/// Connects to an endpoint of the cluster. No byte of the client's was sent to those that fail, so another one is tried,
/// whatever is spoken.
pub(super) async fn to_any<D: Dialer>(
    passage: &Passage<'_, D>,
    exchange: &mut Exchange,
) -> Result<Reached<D::Stream>, Error> {
    let Passage { worker, cluster, .. } = passage;
    let failed = |error: &Error| worker.metrics.upstream.failed(error.kind);
    let permit = cluster.admit().inspect_err(failed)?;
    let lease = pick(passage, exchange).await.inspect_err(failed)?;
    if !holds(permit.as_ref()) {
        cluster.forget(&lease);
        let opened = Error::new(Side::Proxy, ErrorKind::CircuitOpen).detail("while it waited");
        return Err(opened).inspect_err(failed);
    }
    let reached = try_all(passage, exchange, (lease, permit.as_ref())).await;
    let fate = match &reached {
        Ok(_) => Fate::Answered(0, exchange.record.connect),
        Err(_) => Fate::Failed,
    };
    cluster.judge(permit, &fate, worker.random());
    reached
}

/// Whether the circuit has not been opened meanwhile.
fn holds(permit: Option<&Permit>) -> bool {
    permit.is_none_or(Permit::holds)
}

/// Connects to the endpoint that was chosen, or to others.
async fn try_all<D: Dialer>(
    passage: &Passage<'_, D>,
    exchange: &mut Exchange,
    (mut lease, permit): (Lease<D::Stream>, Option<&Permit>),
) -> Result<Reached<D::Stream>, Error> {
    let Passage { worker, cluster, .. } = passage;
    let mut tried = Vec::new();
    loop {
        exchange.record.endpoint = Some(lease.index as u32);
        exchange.endpoint = Some(lease.endpoint.resolved.label.clone());
        let begun = Instant::now();
        let dialed = connect(passage, exchange, &lease).await;
        let micros = begun.elapsed().as_micros() as u64;
        exchange.record.connect += micros;
        lease.endpoint.connected(dialed.is_ok());
        cluster.fared(&lease, dialed.is_ok().then_some(micros));
        let failed = match dialed {
            Ok(stream) => return Ok((lease, stream)),
            Err(failed) => failed,
        };
        lease.endpoint.metrics.failed();
        worker.metrics.upstream.failed(failed.kind);
        cluster.release(&lease, None);
        lease.leave();
        tried.push(lease.endpoint.clone());
        if tried.len() >= MAX_TRIES || !holds(permit) {
            return Err(failed);
        }
        // If there is nobody else, this failure is the answer.
        let Ok(other) = cluster.pick(exchange, &tried) else { return Err(failed) };
        exchange.note_failure(&failed);
        exchange.record.retries += 1;
        lease = other;
    }
}

/// Chooses an endpoint; where all have as many connections as they may, as soon as one has room. A client that leaves
/// meanwhile shows only then: nothing is read of it before.
async fn pick<D: Dialer>(
    Passage { deadline, cluster, .. }: &Passage<'_, D>,
    exchange: &Exchange,
) -> Result<Lease<D::Stream>, Error> {
    let full = match cluster.pick(exchange, &[]) {
        Err(error) if error.kind == ErrorKind::Overloaded => error,
        picked => return picked,
    };
    let Some(turn) = cluster.queue() else { return Err(full) };
    let waiting = cluster.pick_in_turn(exchange, &turn);
    let waited = deadline.limit(cluster.spec.limits.queue_timeout, waiting).await;
    waited.unwrap_or_else(|_| Err(full.detail("waited in the queue for too long")))
}

async fn connect<D: Dialer>(
    passage: &Passage<'_, D>,
    exchange: &Exchange,
    lease: &Lease<D::Stream>,
) -> Result<Secured<D::Stream>, Error> {
    let patience = passage.onward.destination.timeouts.connect;
    let spec = &passage.cluster.spec;
    let client = (&exchange.client, passage.host);
    let wanted = Wanted { spec, tunnel: true, bare: true, patience, client };
    // Boxed, as it is large: what is connected would hold room for it.
    let connecting = Box::pin(lease.endpoint.connect(&passage.worker.dialer, wanted));
    let timed_out = || Error::new(Side::Upstream, ErrorKind::ConnectTimeout);
    passage.deadline.limit(patience, connecting).await.unwrap_or_else(|_| Err(timed_out()))
}
