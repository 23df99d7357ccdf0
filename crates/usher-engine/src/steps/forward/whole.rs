//! Responses that are taken in whole before any of it is passed on: one that breaks off can be asked for again, which
//! nobody can do once the client has seen its head.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_http::framing::Framing;
use usher_http::{FieldId, Fields};
use usher_net::Dialer;
use usher_net::shortage::{self, Level};
use usher_wire::turns::Filling;
use usher_wire::{Downstream, Plain, Source, WireError};

use super::attempt::{Attempt, Headed};
use super::payload::Payload;
use crate::steps::relay::{UNWATCHED, sink_error, upstream_error};

/// Types of responses that come bit by bit, for as long as it takes.
const STREAMS: [&[u8]; 2] = [b"text/event-stream", b"application/grpc"];

/// What was taken in of a response.
#[derive(Default)]
pub(crate) struct Ahead {
    bytes: Vec<u8>,
    /// How much of it was passed on.
    at: usize,
}

impl Ahead {
    /// The body, of which `source` has what is behind this.
    pub(crate) fn of<'a, S: Source>(&'a mut self, source: &'a mut S) -> Behind<'a, S> {
        Behind { ahead: self, source }
    }

    /// Whether there is more that is in memory.
    pub(crate) fn is_left(&self) -> bool {
        self.at < self.bytes.len()
    }

    fn left(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

/// A body, first from memory and then from its source.
pub(crate) struct Behind<'a, S> {
    ahead: &'a mut Ahead,
    source: &'a mut S,
}

impl<S: Source> Source for Behind<'_, S> {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        match self.ahead.left().len() {
            0 => self.source.poll_fill(cx),
            left => Poll::Ready(Ok(left)),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self.ahead.left() {
            [] => self.source.chunk(),
            left => left,
        }
    }

    fn consume(&mut self, len: usize) {
        match self.ahead.left().len() {
            0 => self.source.consume(len),
            left => self.ahead.at += len.min(left),
        }
        if !self.ahead.is_left() {
            *self.ahead = Ahead::default();
        }
    }

    fn trailers(&self) -> Option<&Fields> {
        self.source.trailers()
    }

    fn is_done(&self) -> bool {
        !self.ahead.is_left() && self.source.is_done()
    }

    fn plain(&mut self) -> Option<Plain<'_>> {
        if self.ahead.is_left() { None } else { self.source.plain() }
    }

    fn took_plain(&mut self, len: u64) -> Result<(), WireError> {
        self.source.took_plain(len)
    }
}

/// Whether a response is taken in before it is passed on: it fits, its end can be told, and the request may be sent again.
#[inline]
pub(super) fn is_for<D: Dialer>(
    attempt: &Attempt<'_, D>,
    (exchange, payload): (&Exchange, &Payload),
    headed: &Headed<D::Stream>,
) -> bool {
    attempt.route.retry.whole > 0 && is_fit(attempt, (exchange, payload), headed)
}

#[inline(never)]
fn is_fit<D: Dialer>(
    attempt: &Attempt<'_, D>,
    (exchange, payload): (&Exchange, &Payload),
    headed: &Headed<D::Stream>,
) -> bool {
    let policy = &attempt.route.retry;
    if policy.covers_status(headed.status) || shortage::memory() >= Level::Tight {
        return false;
    }
    let harmless = policy.non_idempotent || exchange.request.method.is_idempotent();
    let fits = match headed.framing {
        Framing::Length(length) => length > 0 && length <= policy.whole as u64,
        Framing::Chunked => true,
        // Where it ends is not known, or it has none.
        Framing::Close | Framing::None => false,
    };
    let kind = exchange.response.fields.get(FieldId::ContentType).unwrap_or_default();
    let streams = STREAMS
        .iter()
        .any(|stream| kind.get(..stream.len()).is_some_and(|start| start.eq_ignore_ascii_case(stream)));
    fits && !streams
        && harmless
        && payload.is_whole()
        && headed.request_body.is_none()
        && headed.status != 101
}

/// Takes in a response to its end, or as much of it as may be kept. Until then it counts as not begun: it is waited for
/// no longer than for a head, and an error is one of the try.
pub(super) async fn take<D: Dialer>(
    attempt: &Attempt<'_, D>,
    down: &mut impl Downstream,
    (mut headed, payload): (Headed<D::Stream>, &mut Payload),
) -> Result<Headed<D::Stream>, Error> {
    let Attempt { visit, clock, .. } = *attempt;
    let (limit, idle) = (attempt.route.retry.whole, headed.idle);
    let length = if let Framing::Length(length) = headed.framing { length as usize } else { 0 };
    let mut bytes = Vec::with_capacity(length.min(limit));
    let up = &mut headed.connection;
    let mut filling = Filling::default();
    let mut watching = down.is_watched();
    let patience = |watching| if watching { idle } else { idle.min(UNWATCHED) };
    visit.deadline.set(clock.limit(patience(watching)));
    poll_fn(|cx| {
        loop {
            match filling.poll(cx, up).map_err(upstream_error)? {
                Poll::Ready(0) => return Poll::Ready(Ok(())),
                Poll::Ready(len) if bytes.len() + len > limit => return Poll::Ready(Ok(())),
                Poll::Ready(len) => {
                    bytes.extend_from_slice(up.chunk());
                    up.consume(len);
                    visit.deadline.set(clock.limit(patience(watching)));
                    continue;
                }
                Poll::Pending => {}
            }
            if watching && let Poll::Ready(gone) = down.poll_gone(cx) {
                return Poll::Ready(Err(sink_error(gone)));
            }
            ready!(visit.deadline.poll(cx));
            if filling.waits_for_turn() && !clock.limit(idle).is_zero() {
                // Not the endpoint's doing.
                visit.deadline.set(clock.limit(patience(watching)));
                ready!(visit.deadline.poll(cx));
            }
            if watching || clock.limit(idle).is_zero() {
                let late = Error::new(Side::Upstream, ErrorKind::IdleTimeout);
                return Poll::Ready(Err(late.detail("response body")));
            }
            watching = true;
            visit.deadline.set(clock.limit(idle.saturating_sub(UNWATCHED)));
        }
    })
    .await?;
    payload.ahead = Some(Box::new(Ahead { bytes, at: 0 }));
    Ok(headed)
}
