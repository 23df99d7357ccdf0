//! The request goes out over one connection, and heads come in until the final one. Both at once: an endpoint may
//! answer before it has the whole body (RFC 9112 section 9.5).

use std::future::poll_fn;
use std::hint::cold_path;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;
use usher_api::Exchange;
use usher_http::framing::Framing;
use usher_net::Dialer;
use usher_wire::pump::{Pump, PumpError};
use usher_wire::{Downstream, Held, Sink, Source, Upstream as _, WireError};

use super::attempt::Attempt;
use super::failed::{Failed, stalled, timeout};
use super::interim;
use super::payload::Payload;
use crate::cluster::Link;
use crate::deadline::Pace;
use crate::steps::patience;
use crate::steps::relay::{UNWATCHED, sink_error, source_error};

/// One request on one connection, until the final head is there.
struct Asking<'a, D: Dialer> {
    attempt: &'a Attempt<'a, D>,
    connection: &'a mut Link<D::Stream>,
    /// Moves the request's body.
    pump: &'a mut Pump,
    /// The request's body.
    payload: &'a mut Payload,
    /// What is still to be sent comes from the client, whose time is not the endpoint's.
    from_client: bool,
    /// Since when the request is on its way.
    begun: Pace,
    /// Since when that is so, if anybody counts the time.
    since: Option<Instant>,
    /// The body, if it is in memory.
    held: Option<Held<'a>>,
    /// Something of the request is still to be sent.
    sending: bool,
    /// It is looked whether the client has gone.
    watching: bool,
    /// Informational responses so far.
    informed: u32,
    /// Bytes of them that the client has not taken, since it has taken none.
    stalled: Option<usize>,
    /// Bytes of the body that were moved, bytes of the request that waited, and whether the client sends, when there was
    /// last progress.
    progress: (u64, usize, bool),
}

impl<D: Dialer> Attempt<'_, D> {
    /// Sends the request, whose head is queued, and reads response heads until the final one is there.
    pub(super) async fn ask(
        &self,
        exchange: &mut Exchange,
        down: &mut impl Downstream,
        (connection, pump, payload): (&mut Link<D::Stream>, &mut Pump, &mut Payload),
    ) -> Result<(), Failed> {
        let body = exchange.body.take();
        let mut asking = Asking {
            attempt: self,
            connection,
            pump,
            payload,
            from_client: false,
            begun: self.visit.deadline.pace(),
            since: None,
            held: body.as_deref().map(Held::new),
            sending: true,
            watching: down.is_watched(),
            informed: 0,
            stalled: None,
            progress: (0, usize::MAX, false),
        };
        if !asking.is_bare() {
            self.visit.deadline.set(patience::body_idle(self.visit, self.route));
        }
        let outcome = poll_fn(|cx| asking.poll(cx, exchange, down)).await;
        exchange.body = body;
        outcome
    }
}

impl<D: Dialer> Asking<'_, D> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
        down: &mut impl Downstream,
    ) -> Poll<Result<(), Failed>> {
        let visit = self.attempt.visit;
        loop {
            if self.sending {
                self.send(cx, down)?;
            }
            // Informational responses that the client has not taken stop the reading of more.
            if self.informed > 0 {
                cold_path();
                ready!(self.poll_taken(cx, down))?;
            }
            match self.connection.poll_response(cx, &visit.listener.head, &mut exchange.response) {
                Poll::Ready(Ok(())) if interim::is_interim(&exchange.response) => {
                    cold_path();
                    self.informed += 1;
                    interim::pass_on(visit, exchange, down, self.informed)?;
                    continue;
                }
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => {
                    cold_path();
                    return Poll::Ready(Err(self.failed(error)));
                }
                Poll::Pending => {}
            }
            if self.watches() {
                // Most endpoints have answered before.
                cold_path();
                if let Poll::Ready(error) = down.poll_gone(cx) {
                    return Poll::Ready(Err(sink_error(error).into()));
                }
            }
            ready!(visit.deadline.poll(cx));
            cold_path();
            self.passed()?;
        }
    }

    /// Whether the request is a head and nothing else.
    #[inline]
    fn is_bare(&self) -> bool {
        self.held.is_none() && self.payload.framing == Framing::None
    }

    /// Sends what can be sent now. Only what is wrong with the client's body is an error.
    fn send(&mut self, cx: &mut Context<'_>, down: &mut impl Downstream) -> Result<(), Failed> {
        if self.is_bare() {
            self.send_head(cx);
            return Ok(());
        }
        let sent = match &mut self.held {
            Some(source) => self.pump.poll(cx, source, self.connection),
            None => self.pump.poll(cx, &mut self.payload.of(down), self.connection),
        };
        self.sending = sent.is_pending();
        self.look_whose_time(down);
        match sent {
            Poll::Ready(Ok(())) => self.set_deadline(),
            Poll::Ready(Err(PumpError::Source(error))) => return Err(source_error(error).into()),
            // The endpoint takes no more; it may have answered already.
            Poll::Ready(Err(PumpError::Sink(_))) => {}
            Poll::Pending => {
                let now = (self.pump.moved(), self.connection.queued(), self.from_client);
                if now != self.progress {
                    self.progress = now;
                    self.set_deadline();
                }
            }
        }
        Ok(())
    }

    /// The same without a body: nearly always the head leaves at once, and then there is nothing but to wait for the
    /// response.
    fn send_head(&mut self, cx: &mut Context<'_>) {
        let sent = self.connection.poll_finish(cx, None);
        self.sending = sent.is_pending();
        if !matches!(sent, Poll::Ready(Ok(()))) {
            cold_path();
            let now = (0, self.connection.queued(), false);
            // An endpoint that takes no more may have answered already, or does not: then it is waited for as long.
            if sent.is_pending() && now == self.progress {
                return;
            }
            self.progress = now;
        }
        self.set_deadline();
    }

    /// Notes whether the client is still to send something. What is in memory, or has been sent before, is the endpoint's
    /// to take.
    fn look_whose_time(&mut self, down: &impl Downstream) {
        let (clock, payload) = (self.attempt.clock, &self.payload);
        let streams = payload.framing != Framing::None && self.held.is_none() && !payload.is_resent();
        self.from_client = self.sending && streams && !Source::is_done(down);
        match self.since {
            None if self.from_client && clock.is_set() => self.since = Some(Instant::now()),
            Some(since) if !self.from_client => {
                self.since = None;
                clock.stood_still(since.elapsed());
            }
            _ => {}
        }
    }

    /// Ready when the client has taken all informational responses.
    fn poll_taken(&mut self, cx: &mut Context<'_>, down: &mut impl Downstream) -> Poll<Result<(), Failed>> {
        let Attempt { visit, route, .. } = *self.attempt;
        match down.poll_flush(cx) {
            Poll::Ready(taken) => {
                if self.stalled.take().is_some() {
                    self.set_deadline();
                }
                Poll::Ready(taken.map_err(|error| sink_error(error).into()))
            }
            Poll::Pending => {
                let left = Some(down.queued());
                if left != self.stalled {
                    self.stalled = left;
                    visit.deadline.set(patience::write_stall(visit, Some(route)));
                }
                visit.deadline.poll(cx).map(|_| Err(stalled()))
            }
        }
    }

    /// How long to wait for the request's body, or for the response, before something else is to be done.
    fn set_deadline(&self) {
        let Attempt { visit, route, clock, .. } = *self.attempt;
        visit.deadline.set(match (self.sending, self.watching) {
            (true, _) if self.from_client => patience::body_idle(visit, route),
            (true, _) => clock.limit(patience::body_idle(visit, route)),
            (false, true) => clock.first_byte(),
            (false, false) => clock.first_byte().min(UNWATCHED),
        });
        if self.sending && self.from_client && !self.pump.waits_for_sink() {
            visit.deadline.waits(self.begun.moved(self.pump.moved()).wait());
        }
    }

    /// Whether the request's body waits for other bodies alone, and there is time for that.
    fn waits_for_turn(&self) -> bool {
        let Attempt { visit, route, clock, .. } = *self.attempt;
        let is_up = || !self.from_client && clock.limit(patience::body_idle(visit, route)).is_zero();
        self.sending && self.pump.waits_for_turn() && !visit.deadline.was_cut() && !is_up()
    }

    /// Whether to look if the client has gone. While its body arrives, that shows by itself.
    fn watches(&self) -> bool {
        !self.sending && self.watching
    }

    /// The endpoint's connection failed, or what came on it is no response.
    fn failed(&self, error: WireError) -> Failed {
        Failed::upstream(error, self.informed == 0 && !self.connection.has_input())
    }

    /// The deadline passed: from now on the client is watched too, or it is too late.
    fn passed(&mut self) -> Result<(), Failed> {
        if self.waits_for_turn() {
            // Neither side is to blame.
            self.set_deadline();
            return Ok(());
        }
        if self.sending || self.watching {
            return Err(timeout(self.sending, !self.from_client || self.pump.waits_for_sink()));
        }
        self.watching = true;
        self.attempt.visit.deadline.set(self.attempt.clock.first_byte_after(UNWATCHED));
        Ok(())
    }
}
