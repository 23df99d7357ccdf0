//! Step 10: to an endpoint and back to the head of its response.
//!
//! What fails before the endpoint can have seen the request goes to another endpoint; what fails on a pooled
//! connection that its endpoint closed meanwhile goes to the same endpoint on a fresh one, if the method allows.
//!
//! - this file: one endpoint after another, until one has answered;
//! - `attempt.rs`: one endpoint: a pooled connection or a new one, and what the final head says;
//! - `asking.rs`: one connection: the request goes out, and heads come in until the final one;
//! - `interim.rs`: what becomes of the heads before it;
//! - `under_way.rs`: the counts of what endpoints have in hand;
//! - `websocket.rs`: what HTTP/1 says of a WebSocket, and the others do not;
//! - `failed.rs`: what can go wrong on the way.

mod asking;
mod attempt;
mod failed;
mod interim;
mod under_way;
mod websocket;

use std::rc::Rc;
use std::time::Duration;

use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_http::FieldId;
use usher_http::framing::Framing;
use usher_net::{Dialer, Transport};
use usher_wire::pump::Pump;
use usher_wire::{Change, Downstream};

use self::attempt::Attempt;
use self::under_way::UnderWay;
use crate::cluster::{Cluster, Lease, Link};
use crate::path::Visit;
use crate::snapshot::{Destination, Route};
use crate::steps::grpc;

/// The largest number of endpoints that are tried for one request.
const MAX_TRIES: usize = 5;

/// An endpoint's response, with what is needed to pass on its body.
pub(crate) struct Forwarded<S: Transport> {
    pub connection: Link<S>,
    pub lease: Lease<S>,
    pub cluster: Rc<Cluster<S>>,
    /// Moves what is left of the request's body; none if it was sent or given up.
    pub request_body: Option<Pump>,
    /// What it becomes, if it is changed.
    pub request_change: Option<Change>,
    pub framing: Framing,
    /// The connection may be used again.
    pub persistent: bool,
    pub idle: Duration,
    pub first_byte_micros: u64,
    /// Counts the request until its response is sent.
    _under_way: UnderWay<S>,
}

/// Sends the request to an endpoint of the destination's cluster and reads the head of its response.
pub(crate) async fn run<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    (route, destination): (&Route, &Destination),
) -> Result<Forwarded<D::Stream>, Error> {
    let cluster = visit.local.clusters.get(destination.cluster as usize).cloned();
    let cluster = cluster.ok_or_else(|| Error::new(Side::Proxy, ErrorKind::Internal))?;
    exchange.record.cluster = Some(destination.cluster);
    let body = prepare_body(visit, exchange);
    let first_byte = grpc::patience(&exchange.request, destination.timeouts.first_byte);
    let first = cluster.pick(exchange, &[]);
    let mut lease = first.inspect_err(|error| visit.worker.metrics.upstream.failed(error.kind))?;
    let mut tried = Vec::new();
    loop {
        let attempt = Attempt { visit, cluster: &cluster, route, destination, body, first_byte };
        let failed = match attempt.run(exchange, down, &lease).await {
            Ok(headed) => return Ok(headed.with(lease, cluster)),
            Err(failed) => failed,
        };
        // That the client broke off is not the endpoint's fault.
        if failed.side == Side::Upstream {
            lease.endpoint.metrics.failed();
            visit.worker.metrics.upstream.failed(failed.kind);
        }
        cluster.release(&lease, None);
        tried.push(lease.endpoint.clone());
        if !failed.untouched || tried.len() >= MAX_TRIES {
            return Err(failed);
        }
        // If there is nobody else, this failure is the answer.
        let Ok(other) = cluster.pick(exchange, &tried) else { return Err(failed) };
        exchange.note_failure(&failed);
        exchange.record.retries += 1;
        lease = other;
    }
}

/// How the request's body is framed towards the endpoint. A body that a filter wanted whole is sent from memory.
fn prepare_body<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange) -> Framing {
    change_held(exchange);
    if exchange.request_transform.is_some() && visit.facts.framing != Framing::None {
        // How long it will be is not known before its end.
        exchange.request.fields.remove(FieldId::ContentLength);
        return Framing::Chunked;
    }
    let Some(body) = &exchange.body else { return visit.facts.framing };
    let length = body.len() as u64;
    let fields = &mut exchange.request.fields;
    fields.remove(FieldId::Expect);
    // Its trailers are not kept.
    fields.remove(FieldId::Trailer);
    if visit.facts.framing == Framing::None {
        return Framing::None;
    }
    fields.remove(FieldId::ContentLength);
    fields.push(FieldId::ContentLength, length.to_string().as_bytes());
    Framing::Length(length)
}

/// Changes a body that is in memory already, in one go. One that cannot be changed is sent as it is, for the endpoint to
/// judge.
fn change_held(exchange: &mut Exchange) {
    let Exchange { body: Some(body), request_transform, .. } = exchange else { return };
    let Some(mut change) = request_transform.take() else { return };
    let mut changed = Vec::with_capacity(body.len());
    let pushed = change.0.push(body, &mut changed);
    if pushed.and_then(|()| change.0.finish(None, &mut changed)).is_ok() {
        *body = changed;
    }
}
