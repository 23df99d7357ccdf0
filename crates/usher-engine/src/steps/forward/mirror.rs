//! Copies of requests for other clusters, whose answers are thrown away.
//!
//! A copy is a task of its own on the same thread, with an exchange of its own and no client. What it shares with the
//! visitor's request is a bounded buffer that the body goes through (`feed.rs`): a copy that takes it too slowly is given up,
//! and nothing of that request ever waits for it. It ends with its answer, by its time limit, or with the process: draining
//! does not wait for it, and a reload leaves it the snapshot that it began with.
//!
//! All methods are copied, as nginx, Envoy and Traefik have it. Requests that switch protocols are not: what follows is no
//! request.

pub(super) mod feed;

use std::rc::Rc;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use usher_api::metrics::{MirrorMetrics, MirrorOutcome, MirrorPlace};
use usher_api::{Client, Error, ErrorKind, Exchange, Side};
use usher_config::config::MirrorHost;
use usher_http::trust::ClientText;
use usher_http::{FieldId, Framing};
use usher_net::Dialer;
use usher_net::shortage::{self, Level};
use usher_wire::Source;

use self::feed::Feed;
use super::attempt::{Attempt, Headed};
use super::clock::Clock;
use super::nobody::Nobody;
use super::payload::Payload;
use super::{Forwarded, hedge, note_failure};
use crate::cluster::Lease;
use crate::path::Visit;
use crate::shift::{WHOLE, below};
use crate::snapshot::{Mirror, Route};
use crate::steps::{patience, relay};
use crate::worker::{Local, Worker};

/// A copy that is about to be sent.
struct Copy<D: Dialer> {
    worker: Rc<Worker<D>>,
    local: Rc<Local<D::Stream>>,
    /// The listener's, the route's and the mirror's number.
    place: (u32, u32, usize),
    exchange: Box<Exchange>,
    framing: Framing,
    /// Facts about the request that hold for the copy too.
    facts: usher_http::sanitize::Facts,
    body: Option<Feed>,
    metrics: Arc<MirrorMetrics>,
    _in_flight: MirrorPlace,
}

/// Begins the copies of a request that is about to be sent. What is sent of its body they get through `payload`.
pub(super) fn begin<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &Exchange,
    route: &Route,
    payload: &mut Payload,
) {
    if !visit.upgrade.is_empty() {
        return;
    }
    for (mirror, number) in route.mirrors.iter().zip(0..) {
        if mirror.share < WHOLE && below(visit.worker.random(), WHOLE) >= mirror.share {
            continue;
        }
        if let Err(outcome) = copy(visit, exchange, (mirror, number), payload) {
            mirror.metrics.ended(outcome);
        }
    }
}

fn copy<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &Exchange,
    (mirror, number): (&Mirror, usize),
    payload: &mut Payload,
) -> Result<(), MirrorOutcome> {
    let (Some(worker), Some(route)) = (visit.worker.handle(), exchange.record.route) else {
        return Err(MirrorOutcome::Failed);
    };
    if exchange.body.as_ref().is_some_and(|body| body.len() > mirror.buffer) {
        return Err(MirrorOutcome::TooLarge);
    }
    // Nobody misses a copy: they are the first to go when memory or descriptors are short.
    if shortage::level() >= Level::Tight {
        return Err(MirrorOutcome::TooMany);
    }
    let in_flight = mirror.metrics.place(mirror.max_in_flight).ok_or(MirrorOutcome::TooMany)?;
    let mut copied = worker.take_exchange();
    if !hedge::copy(&exchange.request, &mut copied.request) {
        worker.give_exchange(copied);
        return Err(MirrorOutcome::Failed);
    }
    // Its body comes whether it is asked for or not.
    copied.request.fields.remove(FieldId::Expect);
    copied.request.fields.remove_alike(mirror.mark.as_bytes());
    // The name was checked as the config was read.
    let _ = copied.request.fields.add(mirror.mark.as_bytes(), b"1");
    if mirror.host == MirrorHost::Shadow {
        copied.request.authority = shadow(&copied.request.authority);
    }
    copied.client = exchange.client.clone();
    copied.id = exchange.id;
    copied.body.clone_from(&exchange.body);
    let streams = payload.framing != Framing::None && copied.body.is_none();
    let body = streams.then(|| payload.feed(mirror.buffer));
    let copy = Copy {
        local: visit.local.clone(),
        place: (visit.listener_index, route, number),
        exchange: copied,
        framing: payload.framing,
        facts: visit.facts,
        body,
        metrics: mirror.metrics.clone(),
        _in_flight: in_flight,
        worker,
    };
    tokio::task::spawn_local(copy.run());
    Ok(())
}

/// `example.com:8080` as `example.com-shadow:8080`. An address in brackets has no place for it.
fn shadow(authority: &str) -> String {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() || host.ends_with(']') {
        return authority.to_owned();
    }
    match port {
        Some(port) => format!("{host}-shadow:{port}"),
        None => format!("{host}-shadow"),
    }
}

impl<D: Dialer> Copy<D> {
    async fn run(mut self) {
        let mut exchange = std::mem::take(&mut self.exchange);
        let outcome = self.send(&mut exchange).await;
        self.metrics.ended(outcome);
        exchange.client = Client::default();
        self.worker.give_exchange(exchange);
    }

    /// Sends the copy and reads its answer away.
    async fn send(&mut self, exchange: &mut Exchange) -> MirrorOutcome {
        let (listener, route, number) = self.place;
        let shared = self.local.shared.clone();
        let (Some(listener), Some(route)) =
            (shared.listeners.get(listener as usize), shared.routes.get(route as usize))
        else {
            return MirrorOutcome::Failed;
        };
        let Some(mirror) = route.mirrors.get(number) else { return MirrorOutcome::Failed };
        let cluster = self.local.clusters.get(mirror.destination.cluster as usize);
        let Some(cluster) = cluster.cloned() else { return MirrorOutcome::Failed };
        let deadline = self.worker.deadlines.register();
        let client = ClientText::default();
        let visit = Visit {
            worker: &*self.worker,
            local: self.local.clone(),
            listener,
            listener_index: self.place.0,
            deadline: &deadline,
            client: &client,
            peer: exchange.client.peer,
            is_known: true,
            started: Instant::now(),
            upgrade: b"",
            facts: self.facts,
        };
        cluster.asked(visit.worker.deadlines.coarse_millis());
        // Where endpoints have as many requests as they may, visitors come first: a copy does not wait for a place.
        // And where the circuit is not closed, no copy goes where no visitor may.
        let picked = match cluster.is_closed() {
            true => cluster.pick(exchange, &[]),
            false => Err(Error::new(Side::Proxy, ErrorKind::CircuitOpen)),
        };
        let lease = match picked {
            Ok(lease) => lease,
            Err(error) => {
                visit.worker.metrics.upstream.failed(error.kind);
                return MirrorOutcome::Failed;
            }
        };
        let clock = Clock::new(&visit, exchange, (&mirror.policy, &mirror.destination));
        let begun = clock.begin_try();
        let destination = &mirror.destination;
        let attempt = Attempt { visit: &visit, cluster: &cluster, route, destination, clock: &clock, begun };
        let limit = (begun + mirror.timeout, Nobody::sending(self.body.take()));
        exchange_with(&attempt, exchange, (lease, Payload::copied(self.framing)), limit).await
    }
}

/// Sends the copy to an endpoint, and reads its answer away, until this moment.
async fn exchange_with<D: Dialer>(
    attempt: &Attempt<'_, D>,
    exchange: &mut Exchange,
    (lease, mut payload): (Lease<D::Stream>, Payload),
    (end, mut nobody): (Instant, Nobody),
) -> MirrorOutcome {
    let cluster = attempt.cluster;
    let tried = timeout_at(end, attempt.run(exchange, &mut nobody, (&lease, &mut payload))).await;
    match tried {
        Ok(Ok(headed)) => read_away(attempt, exchange, (headed, lease, payload), (end, nobody)).await,
        Ok(Err(failed)) => {
            note_failure(attempt, (&lease, &failed));
            ended(&failed, &nobody)
        }
        // It had the whole request, and said nothing.
        Err(_) if nobody.is_done() => {
            let late = Error::new(Side::Upstream, ErrorKind::FirstByteTimeout);
            note_failure(attempt, (&lease, &late));
            MirrorOutcome::Timeout
        }
        Err(_) => {
            cluster.forget(&lease);
            MirrorOutcome::Timeout
        }
    }
}

/// What an error means for a copy.
fn ended(error: &Error, nobody: &Nobody) -> MirrorOutcome {
    match (error.side, nobody.is_given_up()) {
        (_, true) => MirrorOutcome::Slow,
        (Side::Downstream, false) => MirrorOutcome::Incomplete,
        _ => MirrorOutcome::Failed,
    }
}

/// Sends what is left of the body and reads the answer, for nobody.
async fn read_away<D: Dialer>(
    attempt: &Attempt<'_, D>,
    exchange: &mut Exchange,
    (headed, lease, payload): (Headed<D::Stream>, Lease<D::Stream>, Payload),
    (end, mut nobody): (Instant, Nobody),
) -> MirrorOutcome {
    let Attempt { visit, cluster, route, .. } = *attempt;
    let status = exchange.response.status;
    let failed = status >= 500 && status != 501;
    let mut forwarded = headed.with(lease, cluster.clone(), payload);
    let micros = Some(forwarded.first_byte_micros);
    cluster.fared(&forwarded.lease, micros.filter(|_| !failed));
    let held = exchange.body.take();
    let bodies = relay::Bodies {
        request_body: &mut forwarded.request_body,
        held: held.as_deref(),
        payload: forwarded.payload.as_deref_mut(),
        response_change: None,
    };
    let patience = relay::Patience { endpoint: forwarded.idle, client: patience::body_idle(visit, route) };
    let reading = relay::response(visit, &mut nobody, &mut forwarded.connection, bodies, patience);
    let read = timeout_at(end, reading).await;
    let Forwarded { connection, lease, cluster, persistent, .. } = *forwarded;
    cluster.release(&lease, micros);
    match read {
        Err(_) => return MirrorOutcome::Timeout,
        Ok((_, Err(error))) => return ended(&error, &nobody),
        Ok((_, Ok(()))) => {}
    }
    if persistent && let Some(connection) = connection.reusable() {
        lease.endpoint.keep(connection, Instant::now());
    }
    if failed { MirrorOutcome::AnsweredError } else { MirrorOutcome::Answered }
}

#[cfg(test)]
mod tests;
