//! Whether a request is sent again, to whom, and after which pause.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_net::{Dialer, Transport};
use usher_wire::{Downstream, Source};

use super::clock::Clock;
use super::payload::Payload;
use crate::cluster::{Cluster, Endpoint, Lease};
use crate::path::Visit;
use crate::snapshot::RetryPolicy;
use crate::steps::relay::{UNWATCHED, sink_error};

/// Why a try was none, as far as another may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// There was no connection.
    Connect,
    /// The endpoint did nothing with the request.
    Refused,
    /// The connection broke off; the endpoint may have acted on the request.
    Reset,
    /// The response did not begin in time.
    Timeout,
    /// The response has a status that is tried again.
    Status,
}

impl Fault {
    /// None if another endpoint would not do better.
    pub(super) fn of(error: &Error) -> Option<Self> {
        let kind = Some(error.kind).filter(|_| error.side == Side::Upstream)?;
        match kind {
            ErrorKind::ConnectFailed | ErrorKind::ConnectTimeout => Some(Self::Connect),
            ErrorKind::Disconnected if error.untouched => Some(Self::Refused),
            ErrorKind::Disconnected => Some(Self::Reset),
            ErrorKind::FirstByteTimeout | ErrorKind::IdleTimeout => Some(Self::Timeout),
            _ => None,
        }
    }

    /// Whether no endpoint has acted on the request.
    fn is_untouched(self) -> bool {
        matches!(self, Self::Connect | Self::Refused)
    }

    fn is_covered(self, policy: &RetryPolicy) -> bool {
        match self {
            Self::Connect => policy.connect_failure,
            Self::Refused => policy.refused_stream,
            Self::Reset => policy.reset,
            Self::Timeout => policy.timeout,
            Self::Status => true,
        }
    }
}

/// The tries of one request.
pub(super) struct Tries<'a, S> {
    policy: &'a RetryPolicy,
    /// The endpoints that have failed, in this round.
    tried: Vec<Rc<Endpoint<S>>>,
    /// How often it was sent.
    made: u8,
    /// How often there was a pause.
    pauses: u32,
}

/// What comes after a try that was none.
pub(super) struct Next<S> {
    pub lease: Lease<S>,
    pub pause: Duration,
}

impl<'a, S: Transport> Tries<'a, S> {
    pub(super) fn new(policy: &'a RetryPolicy) -> Self {
        Self { policy, tried: Vec::new(), made: 0, pauses: 0 }
    }

    /// Who is asked next, after `lease` has failed; none if what there is must do.
    pub(super) fn next<D: Dialer<Stream = S>>(
        &mut self,
        (visit, cluster, clock): (&Visit<'_, D>, &Cluster<S>, &Clock<'_>),
        (exchange, payload): (&Exchange, &Payload),
        (fault, lease): (Fault, &Lease<S>),
    ) -> Option<Next<S>> {
        self.made += 1;
        let untouched = fault.is_untouched();
        let harmless = untouched || self.policy.non_idempotent || exchange.request.method.is_idempotent();
        let possible = self.made < self.policy.tries && payload.is_whole() && harmless;
        if !possible || !fault.is_covered(self.policy) || clock.left().is_some_and(|left| left.is_zero()) {
            return None;
        }
        self.tried.push(lease.endpoint.clone());
        if untouched && let Some(lease) = other(cluster, exchange, &self.tried) {
            return Some(Next { lease, pause: Duration::ZERO });
        }
        let pause = self.pause(visit.worker.random());
        if clock.left().is_some_and(|left| left <= pause) {
            return None;
        }
        // Whoever is chosen must be asked: endpoints that were avoided are tried by one request at a time.
        let has_next = self.policy.again || cluster.has_more_than(self.tried.len());
        if !has_next || !budget_allows(visit, cluster) {
            return None;
        }
        let fresh = if untouched { None } else { other(cluster, exchange, &self.tried) };
        let Some(lease) = fresh.or_else(|| self.once_more(cluster, exchange, &lease.endpoint)) else {
            cluster.did_not_ask_again();
            return None;
        };
        self.pauses += 1;
        Some(Next { lease, pause })
    }

    /// Begins the next round, if there may be one: with anybody, but rather not who was asked last.
    fn once_more(
        &mut self,
        cluster: &Cluster<S>,
        exchange: &Exchange,
        last: &Rc<Endpoint<S>>,
    ) -> Option<Lease<S>> {
        if !self.policy.again {
            return None;
        }
        self.tried.clear();
        let another = other(cluster, exchange, std::slice::from_ref(last));
        another.or_else(|| cluster.pick(exchange, &[]).ok())
    }

    /// An endpoint was asked beside the one of this try.
    pub(super) fn asked_beside(&mut self, endpoint: &Rc<Endpoint<S>>) {
        self.tried.push(endpoint.clone());
    }

    /// A random time up to one that doubles with each pause: full jitter, as in "Exponential Backoff And Jitter"
    /// (Brooker 2015).
    fn pause(&self, random: u64) -> Duration {
        let (base, max) = self.policy.backoff;
        let longest = base.saturating_mul(1 << self.pauses.min(16)).min(max);
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(((u128::from(random) * u128::from(nanos)) >> 64) as u64)
    }
}

/// An endpoint that was not tried.
pub(super) fn other<S: Transport>(
    cluster: &Cluster<S>,
    exchange: &Exchange,
    tried: &[Rc<Endpoint<S>>],
) -> Option<Lease<S>> {
    let lease = cluster.pick(exchange, tried).ok()?;
    // A balancer may go on sending a visitor to an endpoint that is being drained, although it was tried.
    if tried.iter().any(|endpoint| Rc::ptr_eq(endpoint, &lease.endpoint)) {
        cluster.forget(&lease);
        return None;
    }
    Some(lease)
}

/// Whether the cluster's budget has room for a retry.
fn budget_allows<D: Dialer>(visit: &Visit<'_, D>, cluster: &Cluster<D::Stream>) -> bool {
    let allows = cluster.may_ask_again(visit.worker.deadlines.coarse_millis());
    if !allows {
        visit.worker.metrics.upstream.retries_refused.increment();
    }
    allows
}

/// Waits before the next try; an error if the client goes meanwhile.
pub(super) async fn pause<D: Dialer>(
    visit: &Visit<'_, D>,
    down: &mut impl Downstream,
    length: Duration,
) -> Result<(), Error> {
    visit.worker.metrics.upstream.retries.increment();
    if length.is_zero() {
        return Ok(());
    }
    // While its body arrives, that the client has gone shows by itself.
    let watches = Source::is_done(down) && (down.is_watched() || length >= UNWATCHED);
    let mut passed = pin!(tokio::time::sleep(length));
    poll_fn(|cx| {
        if watches && let Poll::Ready(error) = down.poll_gone(cx) {
            return Poll::Ready(Err(sink_error(error)));
        }
        passed.as_mut().poll(cx).map(Ok)
    })
    .await
}

#[cfg(test)]
mod tests;
