//! Step 10: to an endpoint and back to the head of its response.
//!
//! What fails before the endpoint can have seen the request goes to another endpoint; what fails on a pooled
//! connection that its endpoint closed meanwhile goes to the same endpoint on a fresh one, if the method allows. What
//! fails later is sent again as the route's `retry` says.
//!
//! - this file: one try after another, until there is a response to pass on;
//! - `circuit.rs`: whether the cluster takes requests, and how this one ended;
//! - `waiting.rs`: until it is the turn of whoever asks for the first time, and until an endpoint has room;
//! - `again.rs`: whether there is another try, at which endpoint, and after which pause;
//! - `clock.rs`: how long all of that may take, and what endpoints are told of it;
//! - `payload.rs`: the request's body over all tries;
//! - `given_up.rs`: responses that are not passed on;
//! - `hedge.rs`, `nobody.rs`: a second try beside the first;
//! - `mirror.rs`: copies for other clusters;
//! - `attempt.rs`: one endpoint: a pooled connection or a new one, and what the final head says;
//! - `asking.rs`: one connection: the request goes out, and heads come in until the final one;
//! - `interim.rs`: what becomes of the heads before it;
//! - `whole.rs`: responses that are taken in whole before they are passed on;
//! - `under_way.rs`: the counts of what endpoints have in hand;
//! - `websocket.rs`: what HTTP/1 says of a WebSocket, and the others do not;
//! - `failed.rs`: what can go wrong on the way.

mod again;
mod asking;
mod attempt;
mod circuit;
mod clock;
mod failed;
mod given_up;
mod hedge;
mod interim;
mod mirror;
mod nobody;
mod payload;
mod under_way;
mod waiting;
mod websocket;
mod whole;

use std::hint::cold_path;
use std::rc::Rc;
use std::time::Duration;

use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_http::FieldId;
use usher_http::framing::Framing;
use usher_net::{Dialer, Transport};
use usher_wire::Downstream;
use usher_wire::pump::Pump;

use self::again::{Fault, Next, Tries, pause};
use self::attempt::{Attempt, Headed};
use self::clock::Clock;
pub(crate) use self::payload::Payload;
use self::under_way::UnderWay;
use crate::cluster::{Cluster, Lease, Link, Permit};
use crate::path::Visit;
use crate::snapshot::{Destination, Route};

/// An endpoint's response, with what is needed to pass on its body. Boxed, as it goes through many hands: each of them would
/// copy it.
pub(crate) struct Forwarded<S: Transport> {
    pub connection: Link<S>,
    pub lease: Lease<S>,
    pub cluster: Rc<Cluster<S>>,
    /// Moves what is left of the request's body; none if it was sent or given up.
    pub request_body: Option<Box<Pump>>,
    /// What is left of it, then, and what was taken in of the response's.
    pub payload: Option<Box<Payload>>,
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
) -> Result<Box<Forwarded<D::Stream>>, Error> {
    let clock = Clock::new(visit, exchange, (&route.retry, destination));
    if !visit.is_known {
        exchange.record.cluster = Some(destination.cluster);
        waiting::until_its_turn(&clock, down).await?;
    }
    // Not before: a trial of a circuit that is half open shall not wait.
    let (cluster, permit) = circuit::enter(visit, exchange, destination)?;
    let towards = Towards { cluster: &cluster, permit: permit.as_ref(), clock: &clock, route, destination };
    let sent = send(visit, exchange, down, &towards).await;
    circuit::judge(visit, &cluster, permit, (&sent, exchange, &clock));
    sent
}

/// Where a request is sent, and by which rules.
struct Towards<'a, S: Transport> {
    cluster: &'a Rc<Cluster<S>>,
    /// Leave to be sent, where the cluster has a breaker.
    permit: Option<&'a Permit>,
    clock: &'a Clock<'a>,
    route: &'a Route,
    destination: &'a Destination,
}

impl<'a, S: Transport> Towards<'a, S> {
    /// A try that begins now.
    fn attempt<D: Dialer<Stream = S>>(&self, visit: &'a Visit<'a, D>) -> Attempt<'a, D> {
        let Self { cluster, clock, route, destination, .. } = *self;
        Attempt { visit, cluster, route, destination, clock, begun: clock.begin_try() }
    }
}

/// What a request has beside itself, over all its tries.
struct Course<'a, S: Transport> {
    lease: Lease<S>,
    payload: Payload,
    tries: Tries<'a, S>,
}

impl<S: Transport> Course<'_, S> {
    /// This response is passed on.
    fn ends_with(self, headed: Headed<S>, cluster: &Rc<Cluster<S>>) -> Box<Forwarded<S>> {
        headed.with(self.lease, cluster.clone(), self.payload)
    }
}

/// Asks an endpoint, and if nothing came of that, others.
async fn send<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    towards: &Towards<'_, D::Stream>,
) -> Result<Box<Forwarded<D::Stream>>, Error> {
    let Towards { cluster, permit, clock, route, .. } = *towards;
    cluster.asked(visit.worker.deadlines.coarse_millis());
    let payload = Payload::new(exchange, visit.facts.framing, &route.retry);
    let lease = match cluster.pick(exchange, &[]) {
        Ok(lease) => lease,
        Err(error) => {
            cold_path();
            waiting::instead((visit, cluster, clock), exchange, down, error).await?
        }
    };
    if let Err(opened) = circuit::still_holds(visit, permit) {
        cluster.forget(&lease);
        return Err(opened);
    }
    let mut course = Course { lease, payload, tries: Tries::new(&route.retry) };
    // Not before: what is sent to nobody is not copied.
    if !route.mirrors.is_empty() {
        mirror::begin(visit, exchange, route, &mut course.payload);
    }
    let attempt = towards.attempt(visit);
    let outcome = if route.retry.is_plain() {
        attempt.run(exchange, down, (&course.lease, &mut course.payload)).await
    } else {
        cold_path();
        Box::pin(try_once(&attempt, exchange, down, &mut course)).await
    };
    match outcome {
        Ok(headed) if !route.retry.covers_status(exchange.response.status) => {
            Ok(course.ends_with(headed, cluster))
        }
        outcome => {
            cold_path();
            // Boxed, as it is large and rare: every request under way would hold room for it.
            Box::pin(go_on((visit, towards), exchange, down, (attempt, outcome, course))).await
        }
    }
}

/// Asks the endpoint of the lease: the head of its response, whatever it says. With a second try beside it, and all of the
/// response, where the route wants that.
async fn try_once<D: Dialer>(
    attempt: &Attempt<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    course: &mut Course<'_, D::Stream>,
) -> Result<Headed<D::Stream>, Error> {
    let Course { lease, payload, tries } = course;
    let outcome = match &attempt.route.retry.hedge {
        Some(hedge) if hedge::is_for(attempt.visit, exchange, payload) => {
            cold_path();
            Box::pin(hedge::run(attempt, exchange, down, (lease, payload, (hedge, tries)))).await
        }
        _ => attempt.run(exchange, down, (lease, payload)).await,
    };
    match outcome {
        Ok(headed) if whole::is_for(attempt, (exchange, payload), &headed) => {
            Box::pin(whole::take(attempt, down, (headed, payload))).await
        }
        outcome => outcome,
    }
}

/// Goes on after a try of which nothing came, or an answer that is tried again: asks others for as long as the rules allow.
async fn go_on<'a, D: Dialer>(
    (visit, towards): (&'a Visit<'a, D>, &Towards<'a, D::Stream>),
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    (mut attempt, mut outcome, mut course): Tried<'a, D>,
) -> Result<Box<Forwarded<D::Stream>>, Error> {
    let Towards { cluster, permit, clock, route, .. } = *towards;
    loop {
        let fault = match &outcome {
            Ok(_) => Some(Fault::Status),
            Err(failed) => {
                note_failure(&attempt, (&course.lease, failed));
                Fault::of(failed)
            }
        };
        if fault.is_some() {
            course.lease.leave();
        }
        let Course { lease, payload, tries } = &mut course;
        let next = fault
            .filter(|_| circuit::holds(permit))
            .and_then(|fault| tries.next((visit, cluster, clock), (exchange, payload), (fault, lease)));
        // If there is nobody else, what came of this try is the answer.
        let Some(Next { lease: other, pause: length }) = next else {
            return outcome.map(|headed| course.ends_with(headed, cluster));
        };
        match outcome {
            Ok(headed) => given_up::response(exchange, cluster, (headed, lease)),
            Err(failed) => exchange.note_failure(&failed),
        }
        exchange.record.retries += 1;
        *lease = other;
        begin_anew(exchange, payload);
        let paused = pause(visit, down, length).await;
        if let Err(error) = paused.and_then(|()| circuit::still_holds(visit, permit)) {
            cluster.forget(lease);
            return Err(error);
        }
        attempt = towards.attempt(visit);
        outcome = try_once(&attempt, exchange, down, &mut course).await;
        if let Ok(headed) = outcome {
            if !route.retry.covers_status(exchange.response.status) {
                return Ok(course.ends_with(headed, cluster));
            }
            outcome = Ok(headed);
        }
    }
}

/// A try, what came of it, and what is left for others.
type Tried<'a, D> =
    (Attempt<'a, D>, Result<Headed<<D as Dialer>::Stream>, Error>, Course<'a, <D as Dialer>::Stream>);

/// Notes that a try came to nothing.
fn note_failure<D: Dialer>(attempt: &Attempt<'_, D>, (lease, failed): (&Lease<D::Stream>, &Error)) {
    let (visit, cluster) = (attempt.visit, attempt.cluster);
    // That the client broke off is not the endpoint's fault.
    if failed.side == Side::Upstream {
        lease.endpoint.metrics.failed();
        cluster.fared(lease, None);
        let timed_out = matches!(failed.kind, ErrorKind::FirstByteTimeout | ErrorKind::ConnectTimeout);
        // How long a client wants to wait says nothing about the cluster.
        if timed_out && !attempt.clock.is_call_over() {
            cluster.took(attempt.begun.elapsed().as_micros() as u64);
        }
        visit.worker.metrics.upstream.failed(failed.kind);
        cluster.release(lease, None);
    } else {
        cluster.forget(lease);
    }
}

/// Makes the request ready to be sent again.
fn begin_anew(exchange: &mut Exchange, payload: &mut Payload) {
    exchange.response.clear();
    (exchange.record.reason, exchange.record.detail, exchange.record.first_byte) = ("", "", 0);
    payload.rewind();
    if payload.is_begun() {
        // The client sends its body already, so nobody needs to be asked whether it may.
        exchange.request.fields.remove(FieldId::Expect);
    }
}
