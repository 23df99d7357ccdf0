//! How long a request may take to its response's head, over all tries, and what endpoints are told of that.
//!
//! Without `per_try` and `deadline` on the route and without `grpc-timeout` in the request, nothing here reads a clock.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::Exchange;
use usher_net::Dialer;

use crate::path::Visit;
use crate::snapshot::{Destination, RetryPolicy};
use crate::steps::grpc;

/// Less than this is not worth changing what the client wrote.
const WORTH_TELLING: Duration = Duration::from_millis(1);

/// The ends of all waiting for one request.
pub(super) struct Clock<'a> {
    policy: &'a RetryPolicy,
    /// How long an endpoint may take to begin its response, and to be connected to.
    usual: (Duration, Duration),
    /// When the call of gRPC began that says how long it may take, and how long that is.
    call: Option<(Instant, Duration)>,
    /// The end of all tries.
    end: Cell<Option<Instant>>,
    /// The end of this one.
    end_of_try: Cell<Option<Instant>>,
    /// When the first try began, if that was with the request, so that nobody need look.
    begun: Cell<Option<Instant>>,
}

impl<'a> Clock<'a> {
    pub(super) fn new<D: Dialer>(
        visit: &Visit<'_, D>,
        exchange: &Exchange,
        (policy, destination): (&'a RetryPolicy, &Destination),
    ) -> Self {
        // The time in which a filter waited for the body is the client's.
        let begun = || if exchange.body.is_some() { Instant::now() } else { visit.started };
        let call = grpc::deadline(&exchange.request).map(|told| (visit.started, told));
        let timeouts = &destination.timeouts;
        let clock = Self::of(policy, (timeouts.first_byte, timeouts.connect), (begun, call));
        clock.begun.set(exchange.body.is_none().then_some(visit.started));
        clock
    }

    fn of(
        policy: &'a RetryPolicy,
        usual: (Duration, Duration),
        (begun, call): (impl Fn() -> Instant, Option<(Instant, Duration)>),
    ) -> Self {
        let ends =
            [policy.deadline.map(|all| later(begun(), all)), call.map(|(began, all)| later(began, all))];
        let (end, end_of_try) = (Cell::new(ends.into_iter().flatten().min()), Cell::new(None));
        Self { policy, usual, call, end, end_of_try, begun: Cell::new(None) }
    }

    /// It is waited before the first try, which begins later than the request.
    pub(super) fn wait(&self) {
        self.begun.set(None);
    }

    /// Begins a try; gives when that was.
    pub(super) fn begin_try(&self) -> Instant {
        self.end_of_try.set(self.policy.per_try.map(|length| later(Instant::now(), length)));
        self.begun.take().unwrap_or_else(Instant::now)
    }

    /// Whether there is an end of all waiting, beside what each wait may take.
    pub(super) fn is_set(&self) -> bool {
        self.end.get().is_some() || self.end_of_try.get().is_some()
    }

    /// How long may be waited from now on for what usually may take so long.
    pub(super) fn limit(&self, usual: Duration) -> Duration {
        let ends = self.end.get().into_iter().chain(self.end_of_try.get());
        let left = ends.min().map(|end| end.saturating_duration_since(Instant::now()));
        left.map_or(usual, |left| left.min(usual))
    }

    /// How long an endpoint may take to begin its response, from now on.
    pub(super) fn first_byte(&self) -> Duration {
        self.limit(self.usual.0)
    }

    /// The same, when so much of it has passed already.
    pub(super) fn first_byte_after(&self, passed: Duration) -> Duration {
        self.limit(self.usual.0.saturating_sub(passed))
    }

    /// How long connecting may take.
    pub(super) fn connect(&self) -> Duration {
        self.limit(self.usual.1)
    }

    /// How long it is until the end of all tries; none without one.
    pub(super) fn left(&self) -> Option<Duration> {
        self.end.get().map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Whether the client itself does not want to wait any longer: it said so, as callers of gRPC do.
    pub(super) fn is_call_over(&self) -> bool {
        self.call.is_some_and(|(began, told)| began.elapsed() >= told)
    }

    /// So long it was waited for the client, which is not the endpoint's time.
    pub(super) fn stood_still(&self, length: Duration) {
        for end in [&self.end, &self.end_of_try] {
            end.set(end.get().map(|end| later(end, length)));
        }
    }

    /// Tells the endpoint how long it is waited for.
    #[inline]
    pub(super) fn tell(&self, exchange: &mut Exchange) {
        if self.call.is_some() || self.policy.deadline_header.is_some() {
            self.write(exchange);
        }
    }

    #[inline(never)]
    fn write(&self, exchange: &mut Exchange) {
        let fields = &mut exchange.request.fields;
        if let Some((began, told)) = self.call {
            let end = self.end.get().map_or(told, |end| end.saturating_duration_since(began));
            let left = end.min(told).saturating_sub(began.elapsed());
            if told.saturating_sub(left) >= WORTH_TELLING {
                // Digits and a unit: it is valid.
                let _ = fields.set(grpc::TIMEOUT, grpc::write_timeout(left).as_bytes());
            }
        }
        if let Some(name) = &self.policy.deadline_header {
            let millis = self.first_byte().as_millis().max(1).to_string();
            fields.remove_alike(name.as_bytes());
            // The name was checked as the config was read.
            let _ = fields.add(name.as_bytes(), millis.as_bytes());
        }
    }
}

/// A moment so much later; a time that is too long to count with is a day.
fn later(moment: Instant, length: Duration) -> Instant {
    moment.checked_add(length).unwrap_or(moment + Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests;
