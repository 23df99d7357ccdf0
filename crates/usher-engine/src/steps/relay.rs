//! Bodies both ways: the response to the client, and what is left of the request to the endpoint.

use std::future::poll_fn;
use std::hint::cold_path;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use usher_api::{Error, ErrorKind, Side};
use usher_net::Dialer;
use usher_wire::pump::{Pump, PumpError};
use usher_wire::{Change, Downstream, Held, MaybeChanged, Upstream, WireError};

use crate::path::Visit;
use crate::steps::forward::Payload;
use crate::steps::patience;

/// How long an endpoint may be silent before a client that the runtime does not watch yet is watched: most responses come
/// sooner, and watching costs two system calls.
pub(crate) const UNWATCHED: Duration = Duration::from_millis(100);

/// How long each side may do nothing.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// The endpoint, without a byte of its response.
    pub endpoint: Duration,
    /// The client, without taking a byte.
    pub client: Duration,
}

/// Bodies that are on their way, and what becomes of them.
pub(crate) struct Bodies<'a> {
    /// Moves what is left of the request's body.
    pub request_body: &'a mut Option<Box<Pump>>,
    /// The request's body, if it is in memory.
    pub held: Option<&'a [u8]>,
    /// What it becomes, and what is to be sent of it before the rest comes, if it is not; and what was taken in of the
    /// response's body.
    pub payload: Option<&'a mut Payload>,
    pub response_change: Option<Change>,
}

impl Bodies<'_> {
    /// Moves what can be moved of the request's body; ready if it needs no more of it.
    #[inline(never)]
    fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        down: &mut impl Downstream,
        up: &mut impl Upstream,
    ) -> Poll<Result<(), PumpError>> {
        let Some(body) = self.request_body else { return Poll::Ready(Ok(())) };
        let Some(bytes) = self.held else {
            return match &mut self.payload {
                Some(payload) => body.poll(cx, &mut payload.of(down), up),
                None => body.poll(cx, down, up),
            };
        };
        // A body in memory goes on where it stopped: nothing of it was ever spliced, or changed.
        let rest = bytes.get(body.moved() as usize..).unwrap_or_default();
        body.poll(cx, &mut Held::new(rest), up)
    }

    /// Moves what can be moved of the response's body: first what was taken in of it.
    #[inline]
    fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        pump: &mut Pump,
        (up, down): (&mut impl Upstream, &mut impl Downstream),
    ) -> Poll<Result<(), PumpError>> {
        let change = self.response_change.as_mut();
        let ahead = self.payload.as_deref_mut().and_then(|payload| payload.ahead.as_deref_mut());
        match ahead.filter(|ahead| ahead.is_left()) {
            Some(ahead) => {
                cold_path();
                pump.poll(cx, &mut MaybeChanged::new(&mut ahead.of(up), change), down)
            }
            None => pump.poll(cx, &mut MaybeChanged::new(up, change), down),
        }
    }
}

/// Moves the response's body to the client, while the request's body may still be on its way. Returns how many bytes
/// of payload the client was sent, whatever happened.
pub(crate) async fn response<D: Dialer>(
    visit: &Visit<'_, D>,
    down: &mut impl Downstream,
    up: &mut impl Upstream,
    mut bodies: Bodies<'_>,
    patience: Patience,
) -> (u64, Result<(), Error>) {
    let mut pump = Pump::default();
    let mut progress = None;
    let mut watching = down.is_watched();
    // Since when the client is what is waited for, and what it had taken then.
    let mut pace = None;
    let outcome = poll_fn(|cx| {
        if bodies.request_body.is_some() {
            cold_path();
            match bodies.poll_request(cx, down, up) {
                Poll::Ready(Err(PumpError::Source(error))) => return Poll::Ready(Err(source_error(error))),
                // The endpoint has answered; that it takes no more of the request is its right.
                Poll::Ready(_) => *bodies.request_body = None,
                Poll::Pending => {}
            }
        }
        match bodies.poll_response(cx, &mut pump, (up, down)) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(PumpError::Source(error))) => return Poll::Ready(Err(upstream_error(error))),
            Poll::Ready(Err(PumpError::Sink(error))) => return Poll::Ready(Err(sink_error(error))),
            Poll::Pending => {}
        }
        let waits_for_client = pump.waits_for_sink() || down.queued() > 0;
        let sent = bodies.request_body.as_ref().map_or(0, |body| body.moved());
        let now = Some((pump.moved(), sent, down.queued(), up.queued(), waits_for_client));
        let whole = if waits_for_client { patience.client } else { patience.endpoint };
        if now != progress {
            progress = now;
            visit.deadline.set(if watching { whole } else { whole.min(UNWATCHED) });
            if waits_for_client {
                let (begun, before) = *pace.get_or_insert_with(|| (visit.deadline.pace(), pump.moved()));
                visit.deadline.waits(begun.moved(pump.moved() - before).wait());
            } else {
                pace = None;
            }
        }
        loop {
            // While the request's body is still to come, that the client has gone shows by itself.
            if watching
                && (bodies.request_body.is_none() || down.is_done())
                && let Poll::Ready(error) = down.poll_gone(cx)
            {
                return Poll::Ready(Err(sink_error(error)));
            }
            ready!(visit.deadline.poll(cx));
            let cut = visit.deadline.was_cut();
            if pump.waits_for_turn() && !cut {
                // Neither side is to blame.
                visit.deadline.set(whole);
                continue;
            }
            if watching || cut {
                return Poll::Ready(Err(stalled(waits_for_client, cut)));
            }
            watching = true;
            visit.deadline.set(whole.saturating_sub(UNWATCHED));
            if let Some((begun, before)) = pace {
                visit.deadline.waits(begun.moved(pump.moved() - before).wait());
            }
        }
    })
    .await;
    (pump.moved(), outcome)
}

#[cold]
fn stalled(waits_for_client: bool, cut: bool) -> Error {
    if waits_for_client {
        Error::new(Side::Downstream, ErrorKind::WriteStall).detail(if cut { patience::CUT } else { "" })
    } else {
        Error::new(Side::Upstream, ErrorKind::IdleTimeout).detail("response body")
    }
}

/// An error of receiving from the client.
pub(crate) fn source_error(error: WireError) -> Error {
    of_wire(Side::Downstream, error)
}

/// An error of sending to the client.
pub(crate) fn sink_error(error: WireError) -> Error {
    of_wire(Side::Downstream, error)
}

/// An error of the endpoint's connection.
pub(crate) fn upstream_error(error: WireError) -> Error {
    of_wire(Side::Upstream, error)
}

#[cold]
#[inline(never)]
fn of_wire(side: Side, error: WireError) -> Error {
    let detail = error.as_str();
    match error {
        WireError::Refused => Error::new(side, ErrorKind::Disconnected).detail(detail).untouched(),
        WireError::TooLarge => Error::new(side, ErrorKind::TooLarge).detail("request body"),
        WireError::Io(cause) => Error::new(side, ErrorKind::Disconnected).caused_by(cause),
        error if error.is_malformed() => Error::new(side, ErrorKind::Malformed).detail(detail),
        _ => Error::new(side, ErrorKind::Disconnected).detail(detail),
    }
}
