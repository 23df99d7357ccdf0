//! What follows a 101: bytes both ways, until the end.
//!
//! - this file: which kind it is, and tunnels of which nothing is known;
//! - `websocket.rs`: WebSockets, which can be closed where a message ends;
//! - `way.rs`: one direction of a WebSocket;
//! - `plan.rs`: when it is closed, and who is told first.

mod plan;
#[cfg(test)]
mod tests;
mod way;
mod websocket;

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use usher_api::Exchange;
use usher_http::FieldId;
use usher_net::Dialer;
use usher_wire::pump::Pump;
use usher_wire::{Downstream, Sink, Source, Upstream};

use crate::path::Visit;
use crate::snapshot::WebSocketPolicy;
use crate::steps::forward::Forwarded;

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By its two sides.
    Done,
    /// Nothing passed for too long.
    Idle,
    /// Usher closed it at the end of a message in both directions.
    Drained,
    /// The same; but one side had said something more before it heard of that.
    Late,
    /// Usher broke it off.
    Cut,
}

/// What a tunnel is.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Bytes.
    Opaque,
    /// Messages.
    WebSocket(WebSocketPolicy),
}

impl Kind {
    /// By what the two sides agreed on; `policy` holds for WebSockets.
    pub(crate) fn of(exchange: &Exchange, upgrade: &[u8], policy: WebSocketPolicy) -> Self {
        // An endpoint of HTTP/2 or 3 does not say: it is what was asked for (RFC 8441 section 5).
        let protocol = exchange.response.fields.get(FieldId::Upgrade).unwrap_or(upgrade);
        if protocol.eq_ignore_ascii_case(b"websocket") { Self::WebSocket(policy) } else { Self::Opaque }
    }
}

/// Bytes both ways after 101, each direction ended as its sender ends it. Returns bytes to the client.
pub(crate) async fn run<D: Dialer>(
    visit: &Visit<'_, D>,
    down: &mut impl Downstream,
    forwarded: &mut Forwarded<D::Stream>,
    (kind, idle): (Kind, Duration),
) -> (u64, End) {
    down.begin_tunnel();
    forwarded.connection.begin_tunnel();
    match kind {
        Kind::Opaque => opaque(visit, down, &mut forwarded.connection, idle).await,
        Kind::WebSocket(policy) => websocket::run(visit, down, forwarded, (policy, idle)).await,
    }
}

async fn opaque<D: Dialer>(
    visit: &Visit<'_, D>,
    down: &mut (impl Source + Sink),
    up: &mut (impl Source + Sink),
    idle: Duration,
) -> (u64, End) {
    let (mut forth, mut back) = (Direction::default(), Direction::default());
    visit.deadline.set(idle);
    let mut moved = 0;
    let end = poll_fn(|cx| {
        let ended = (forth.poll(cx, down, up), back.poll(cx, up, down));
        let now = forth.pump.moved() + back.pump.moved();
        if now != moved {
            moved = now;
            visit.deadline.set(idle);
        }
        match ended {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(End::Done),
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(End::Done),
            _ if visit.worker.is_cut() => Poll::Ready(End::Cut),
            _ => visit.deadline.poll(cx).map(|_| End::Idle),
        }
    })
    .await;
    (back.pump.moved(), end)
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
        cx: &mut Context<'_>,
        source: &mut impl Source,
        sink: &mut impl Sink,
    ) -> Poll<Result<(), ()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        ready!(self.pump.poll(cx, source, sink)).map_err(|_| ())?;
        ready!(sink.poll_end(cx)).map_err(|_| ())?;
        self.ended = true;
        Poll::Ready(Ok(()))
    }
}
