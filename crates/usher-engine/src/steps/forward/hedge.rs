//! A second try beside a first one that takes long; the response that begins first is passed on (Dean and Barroso, "The
//! Tail at Scale", 2013).
//!
//! The second try has an exchange of its own, with a copy of the request, and no client: what it needs of one stays with
//! the first. Whichever loses is dropped, which closes its connection or resets its stream. A copy of the head and a
//! timer per request are what hedging costs; without it, nothing here runs.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::{Error, Exchange, Side};
use usher_config::config::Hedge;
use usher_http::Request;
use usher_http::framing::Framing;
use usher_net::{Dialer, Transport};
use usher_wire::Downstream;

use super::again::{Tries, other};
use super::attempt::{Attempt, Headed};
use super::nobody::Nobody;
use super::payload::Payload;
use super::{given_up, note_failure};
use crate::cluster::Lease;
use crate::path::Visit;
use crate::steps::relay;

/// What became of a try.
type Tried<S> = Result<Headed<S>, Error>;

/// How the two tries ended.
enum End<S: Transport> {
    /// The first one's outcome counts.
    First(Tried<S>),
    /// The second one answered before the first.
    Second(Headed<S>),
    /// The second one answered, and the first one was of no use.
    Alone(Headed<S>, Tried<S>),
}

/// How they ended, who was asked first, after how long, and who was asked beside.
type Raced<'g, S> = (End<S>, &'g mut Lease<S>, (Duration, Option<Lease<S>>));

/// Who is asked first, what body it is sent, and who may be asked beside it.
type Given<'g, 'p, S> = (&'g mut Lease<S>, &'g mut Payload, (&'g Hedge, &'g mut Tries<'p, S>));

/// Whether there may be a second try.
pub(super) fn is_for<D: Dialer>(visit: &Visit<'_, D>, exchange: &Exchange, payload: &Payload) -> bool {
    payload.framing == Framing::None
        && exchange.body.is_none()
        && exchange.request.method.is_idempotent()
        && visit.upgrade.is_empty()
}

/// Tries one endpoint, and another one if that takes long. Gives what became of it; the lease is of whoever that came from.
pub(super) async fn run<D: Dialer>(
    attempt: &Attempt<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    (lease, payload, (hedge, tries)): Given<'_, '_, D::Stream>,
) -> Tried<D::Stream> {
    let (visit, cluster) = (attempt.visit, attempt.cluster);
    let begun = Instant::now();
    cluster.hedgeable(visit.worker.deadlines.coarse_millis());
    let mut second = None;
    let mut spare = visit.worker.take_exchange();
    let copied = copy(&exchange.request, &mut spare.request);
    spare.client = exchange.client.clone();
    let beside = Beside { runs: Cell::new(false), failed: Cell::new(None) };
    let end = {
        let mut first = pin!(async {
            let outcome = attempt.run(exchange, &mut *down, (&*lease, payload)).await;
            if !beside.runs.get() || !may_be_bettered(attempt, &outcome) {
                return outcome;
            }
            // It is the second try's turn, which has no client to look after.
            beside.failed.set(Some(outcome));
            Err(relay::sink_error(poll_fn(|cx| down.poll_gone(cx)).await))
        });
        let delay = cluster.hedge_after(hedge.after).filter(|_| copied);
        match within(first.as_mut(), delay).await {
            Some(outcome) => End::First(outcome),
            None => match choose(attempt, &spare, &*lease, hedge) {
                None => End::First(first.await),
                Some(chosen) => {
                    let chosen = second.insert(chosen);
                    let deadline = visit.worker.deadlines.register();
                    let own = Visit { deadline: &deadline, local: visit.local.clone(), ..*visit };
                    let other = Attempt { visit: &own, begun: Instant::now(), ..*attempt };
                    beside.runs.set(true);
                    race((&other, &beside), first, (&mut spare, chosen)).await
                }
            },
        }
    };
    if let (End::First(_), Some(second)) = (&end, &second) {
        tries.asked_beside(&second.endpoint);
    }
    let ended = (begun.elapsed(), second);
    let told = settle(attempt, exchange, (end, lease, ended), &mut spare);
    spare.client = usher_api::Client::default();
    visit.worker.give_exchange(spare);
    told
}

/// Waits for a future for so long; for ever if nothing is said.
async fn within<F: Future>(mut future: Pin<&mut F>, delay: Option<Duration>) -> Option<F::Output> {
    let Some(delay) = delay else { return Some(future.await) };
    let mut passed = pin!(tokio::time::sleep(delay));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => passed.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Another endpoint, if there is one and the cluster's share of second tries is not used up.
fn choose<D: Dialer>(
    attempt: &Attempt<'_, D>,
    spare: &Exchange,
    lease: &Lease<D::Stream>,
    hedge: &Hedge,
) -> Option<Lease<D::Stream>> {
    let (visit, cluster) = (attempt.visit, attempt.cluster);
    let now = visit.worker.deadlines.coarse_millis();
    if !cluster.has_more_than(1) || !cluster.may_hedge(hedge.max, now) {
        return None;
    }
    let lease = other(cluster, spare, std::slice::from_ref(&lease.endpoint))?;
    visit.worker.metrics.upstream.hedges.increment();
    Some(lease)
}

/// What the first try knows of the second, and leaves to it.
struct Beside<S: Transport> {
    /// There is one.
    runs: Cell<bool>,
    /// What became of the first, where the second may do better.
    failed: Cell<Option<Tried<S>>>,
}

/// Waits for whichever try has a response first, or for the end of the client.
async fn race<D: Dialer>(
    (beside, state): (&Attempt<'_, D>, &Beside<D::Stream>),
    mut first: Pin<&mut impl Future<Output = Tried<D::Stream>>>,
    (spare, lease): (&mut Exchange, &Lease<D::Stream>),
) -> End<D::Stream> {
    let (mut nothing, mut nobody) = (Payload::default(), Nobody::default());
    let outcome = {
        let mut second = pin!(beside.run(spare, &mut nobody, (lease, &mut nothing)));
        poll_fn(|cx| match first.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Err(outcome)),
            Poll::Pending => second.as_mut().poll(cx).map(Ok),
        })
        .await
    };
    state.runs.set(false);
    let failed = state.failed.take();
    let second = match outcome {
        Ok(second) => second,
        Err(outcome) => {
            match &outcome {
                Ok(_) => beside.cluster.release(lease, Some(beside.begun.elapsed().as_micros() as u64)),
                Err(_) => beside.cluster.forget(lease),
            }
            return End::First(outcome);
        }
    };
    match (second, failed) {
        (Ok(headed), None) if !is_covered(beside, &headed) => End::Second(headed),
        (Ok(headed), Some(first)) if !is_covered(beside, &headed) => End::Alone(headed, first),
        // The second one was of no use.
        (second, failed) => {
            match second {
                Ok(headed) => given_up::response(spare, beside.cluster, (headed, lease)),
                Err(error) => note_failure(beside, (lease, &error)),
            }
            End::First(match failed {
                Some(outcome) => outcome,
                None => first.await,
            })
        }
    }
}

/// Whether a response has a status that is tried again.
fn is_covered<D: Dialer>(attempt: &Attempt<'_, D>, headed: &Headed<D::Stream>) -> bool {
    attempt.route.retry.covers_status(headed.status)
}

/// Whether the other try is waited for, after this outcome of the first.
fn may_be_bettered<D: Dialer>(attempt: &Attempt<'_, D>, outcome: &Tried<D::Stream>) -> bool {
    match outcome {
        Ok(headed) => is_covered(attempt, headed),
        Err(error) => error.side == Side::Upstream,
    }
}

/// Makes what has won that of the exchange, and lets the other one go.
fn settle<D: Dialer>(
    attempt: &Attempt<'_, D>,
    exchange: &mut Exchange,
    (end, lease, (took, second)): Raced<'_, D::Stream>,
    spare: &mut Exchange,
) -> Tried<D::Stream> {
    let (visit, cluster) = (attempt.visit, attempt.cluster);
    exchange.record.retries += u16::from(second.is_some());
    let (headed, second) = match (end, second) {
        (End::First(outcome), _) => {
            if outcome.is_ok() {
                cluster.note_latency(took);
            }
            return outcome;
        }
        (End::Second(headed), second) => {
            // It took so long at the least.
            let micros = took.as_micros() as u64;
            cluster.outrun(lease, micros);
            cluster.release(lease, Some(micros));
            (headed, second)
        }
        (End::Alone(headed, Ok(first)), second) => {
            given_up::response(exchange, cluster, (first, lease));
            (headed, second)
        }
        (End::Alone(headed, Err(error)), second) => {
            note_failure(attempt, (lease, &error));
            exchange.note_failure(&error);
            (headed, second)
        }
    };
    cluster.note_latency(took);
    visit.worker.metrics.upstream.hedges_won.increment();
    std::mem::swap(&mut exchange.response, &mut spare.response);
    exchange.endpoint = spare.endpoint.take();
    let (own, won) = (&mut exchange.record, &spare.record);
    (own.endpoint, own.reused, own.connect, own.first_byte) =
        (won.endpoint, won.reused, won.connect, won.first_byte);
    if let Some(second) = second {
        *lease = second;
    }
    Ok(headed)
}

/// Copies a request, but for what came with it and is not sent on; false if it has a field that cannot be added to a head.
pub(super) fn copy(from: &Request, to: &mut Request) -> bool {
    (to.method, to.version, to.form, to.scheme) = (from.method.clone(), from.version, from.form, from.scheme);
    to.host.clone_from(&from.host);
    to.authority.clone_from(&from.authority);
    to.path.clone_from(&from.path);
    to.query.clone_from(&from.query);
    from.fields.iter().all(|field| to.fields.add(field.name, field.value).is_ok())
}
