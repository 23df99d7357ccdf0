//! Bodies both ways: the response to the client, and what is left of the request to the endpoint.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use usher_api::{Error, ErrorKind, Side};
use usher_net::{Dialer, Transport};
use usher_wire::pump::{Pump, PumpError};
use usher_wire::{Connection, Downstream, Framing, Held, Sink, WireError};

use crate::path::Visit;

/// How long each side may do nothing.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// The endpoint, without a byte of its response.
    pub endpoint: Duration,
    /// The client, without taking a byte.
    pub client: Duration,
}

/// Moves the response's body to the client, while the request's body may still be on its way. Returns how many bytes
/// of payload the client was sent, whatever happened.
pub(crate) async fn response<D: Dialer>(
    visit: &Visit<'_, D>,
    down: &mut impl Downstream,
    (up, request_body, held): (&mut Connection<D::Stream>, &mut Option<Pump>, Option<&[u8]>),
    patience: Patience,
) -> (u64, Result<(), Error>) {
    let mut pump = Pump::default();
    let mut progress = None;
    let outcome = poll_fn(|cx| {
        if let Some(body) = request_body {
            let polled = match held {
                // A body in memory goes on where it stopped: nothing of it was ever spliced.
                Some(bytes) => {
                    let rest = bytes.get(body.moved() as usize..).unwrap_or_default();
                    body.poll(cx, &mut Held::new(rest), up)
                }
                None => body.poll(cx, down, up),
            };
            match polled {
                Poll::Ready(Err(PumpError::Source(error))) => return Poll::Ready(Err(source_error(error))),
                // The endpoint has answered; that it takes no more of the request is its right.
                Poll::Ready(_) => *request_body = None,
                Poll::Pending => {}
            }
        }
        match pump.poll(cx, up, down) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(PumpError::Source(error))) => return Poll::Ready(Err(upstream_error(error))),
            Poll::Ready(Err(PumpError::Sink(error))) => return Poll::Ready(Err(sink_error(error))),
            Poll::Pending => {}
        }
        let waits_for_client = pump.waits_for_sink() || down.queued() > 0;
        let sent = request_body.as_ref().map_or(0, Pump::moved);
        let now = Some((pump.moved(), sent, down.queued(), up.queued(), waits_for_client));
        if now != progress {
            progress = now;
            visit.deadline.set(if waits_for_client { patience.client } else { patience.endpoint });
        }
        visit.deadline.poll(cx).map(|_| Err(stalled(waits_for_client)))
    })
    .await;
    (pump.moved(), outcome)
}

/// Bytes both ways after 101, each direction ended as its sender ends it. Returns bytes to the client and to the
/// endpoint.
pub(crate) async fn tunnel<D: Dialer>(
    visit: &Visit<'_, D>,
    down: &mut impl Downstream,
    up: &mut Connection<D::Stream>,
    idle: Duration,
) -> (u64, u64) {
    down.begin_tunnel();
    up.begin_receive(Framing::Close);
    up.begin_send(Framing::Close);
    let (mut forth, mut back) = (Direction::default(), Direction::default());
    visit.deadline.set(idle);
    let mut moved = 0;
    poll_fn(|cx| {
        let ended = (forth.poll(cx, down, up), back.poll(cx, up, down));
        let now = forth.pump.moved() + back.pump.moved();
        if now != moved {
            moved = now;
            visit.deadline.set(idle);
        }
        match ended {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(()),
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(()),
            _ => visit.deadline.poll(cx).map(|_| ()),
        }
    })
    .await;
    (back.pump.moved(), forth.pump.moved())
}

/// One direction of a tunnel: its bytes, then its end.
struct Direction {
    pump: Pump,
    ended: bool,
}

impl Default for Direction {
    fn default() -> Self {
        // A tunnel lives long and says little: two pipes each would cost more than they save.
        Self { pump: Pump::without_splice(), ended: false }
    }
}

impl Direction {
    fn poll(
        &mut self,
        cx: &mut std::task::Context<'_>,
        source: &mut impl usher_wire::Source,
        sink: &mut impl Sink,
    ) -> Poll<Result<(), ()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        std::task::ready!(self.pump.poll(cx, source, sink)).map_err(|_| ())?;
        std::task::ready!(sink.poll_end(cx)).map_err(|_| ())?;
        self.ended = true;
        Poll::Ready(Ok(()))
    }
}

fn stalled(waits_for_client: bool) -> Error {
    if waits_for_client {
        Error::new(Side::Downstream, ErrorKind::WriteStall)
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

fn of_wire(side: Side, error: WireError) -> Error {
    let detail = error.as_str();
    match error {
        WireError::TooLarge => Error::new(side, ErrorKind::TooLarge).detail("request body"),
        WireError::Io(cause) => Error::new(side, ErrorKind::Disconnected).caused_by(cause),
        error if error.is_malformed() => Error::new(side, ErrorKind::Malformed).detail(detail),
        _ => Error::new(side, ErrorKind::Disconnected).detail(detail),
    }
}

/// Whether a connection may go back to its pool.
pub(crate) fn is_reusable<S: Transport>(connection: &Connection<S>) -> bool {
    usher_wire::Source::is_done(connection)
        && connection.is_send_done()
        && connection.is_flushed()
        && !connection.has_input()
        && !connection.is_ended()
}
