//! The server's side: requests come in, each on a stream.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use usher_http::multiplexed::{MessageError, each_response_field};
use usher_http::{FieldId, Fields, Framing, Request, Response};
use usher_net::quic::{Connection, ConnectionError, RecvStream, SendStream};

use super::body::{Exchange, body};
use super::code::{INTERNAL_ERROR, NO_ERROR, REQUEST_CANCELLED, REQUEST_REJECTED, Wrong};
use super::frame::MAX_INTEGER;
use super::limits::{GRACE_MS, GRACE_ROUND_TRIPS, Limits};
use super::opening::{Opened, Opening};
use super::peer::Peer;
use super::shared::Shared;
use crate::error::WireError;
use crate::h1::{Downstream, ReplyContext};

/// Requests that are taken before the control streams are looked at again.
const REQUESTS_IN_A_ROW: u32 = 16;

/// The server's side of a connection.
pub struct Server {
    shared: Rc<Shared>,
    peer: Peer,
    /// Requests whose heads have not arrived; QUIC bounds their number.
    opening: Vec<Opening>,
    /// The number of the first request that was not seen.
    next: u64,
    leaving: Leaving,
    in_a_row: u32,
}

/// How far the connection is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// It was announced; what is on its way is still taken.
    Announced,
    /// From this request on nothing is taken.
    Final(u64),
}

impl Server {
    /// Serves a connection whose handshake agreed on `h3`.
    pub fn new(connection: Connection, limits: Limits) -> Self {
        Self {
            shared: Shared::new(connection, limits),
            peer: Peer::default(),
            opening: Vec::new(),
            next: 0,
            leaving: Leaving::No,
            in_a_row: 0,
        }
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    /// Gives the next request, whose head is put into `request`. To be polled as long as the connection lives, for its
    /// control streams. None: the connection has ended in order.
    ///
    /// A head that cannot be served gives a stream too, which says so ([`ServerStream::refused`]); `request` is empty then.
    /// It may hold anything when this is pending.
    ///
    /// # Errors
    /// When the connection failed, or the client broke the protocol, which it was told then.
    pub fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut Request,
    ) -> Poll<Result<Option<ServerStream>, WireError>> {
        if self.in_a_row < REQUESTS_IN_A_ROW
            && let Some(opened) = self.accept(cx, request)
        {
            self.in_a_row += 1;
            return Poll::Ready(opened);
        }
        self.in_a_row = 0;
        let polled = self.peer.poll(cx, &self.shared).and_then(|()| self.shared.poll_flush(cx));
        if let Err(Wrong::Connection(code, phrase) | Wrong::Stream(code, phrase)) = polled {
            return Poll::Ready(Err(self.shared.fail(code, phrase)));
        }
        if let Some(opened) = self.go_on(cx, request).or_else(|| self.accept(cx, request)) {
            return Poll::Ready(opened);
        }
        self.leave(cx)
    }

    /// Takes new streams until there is a request, or the end.
    fn accept(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut Request,
    ) -> Option<Result<Option<ServerStream>, WireError>> {
        loop {
            let (send, receive) = match self.shared.connection.poll_accept_bi(cx) {
                Poll::Pending => return None,
                Poll::Ready(Ok(streams)) => streams,
                Poll::Ready(Err(error)) => return Some(self.ended(&error)),
            };
            let id = send.id();
            self.next = self.next.max(id.saturating_add(4));
            if matches!(self.leaving, Leaving::Final(from) if id >= from) {
                reject(send, receive);
                continue;
            }
            match Opening::new(&self.shared, send, receive).poll(cx, request) {
                Err(mut opening) => {
                    opening.is_old = self.opening.is_empty();
                    self.opening.push(opening);
                }
                Ok(opened) => {
                    if let Some(found) = found(opened) {
                        return Some(found);
                    }
                }
            }
        }
    }

    /// Looks at requests that have begun.
    fn go_on(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut Request,
    ) -> Option<Result<Option<ServerStream>, WireError>> {
        for _ in 0..self.opening.len() {
            // The oldest first; those that wait on go to the end.
            let opening = self.opening.remove(0);
            match opening.poll(cx, request) {
                Err(opening) => self.opening.push(opening),
                Ok(opened) => {
                    if let Some(found) = found(opened) {
                        return Some(found);
                    }
                }
            }
        }
        None
    }

    /// Why no more requests come.
    fn ended(&self, error: &ConnectionError) -> Result<Option<ServerStream>, WireError> {
        match self.shared.lost(error.clone()) {
            error @ WireError::Protocol(_) => Err(error),
            lost => match error {
                ConnectionError::Local
                | ConnectionError::TimedOut
                | ConnectionError::Application(0 | NO_ERROR)
                | ConnectionError::Closed(0, _) => Ok(None),
                _ => Err(lost),
            },
        }
    }

    /// Goes on with going away.
    fn leave(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<ServerStream>, WireError>> {
        if self.leaving == Leaving::Announced && self.shared.connection.poll_alarm(cx).is_ready() {
            self.leave_finally();
        }
        if !matches!(self.leaving, Leaving::Final(_)) {
            return Poll::Pending;
        }
        if self.shared.open.get() == 0 {
            return Poll::Ready(Ok(None));
        }
        self.shared.watch_idle(cx);
        Poll::Pending
    }

    fn leave_finally(&mut self) {
        self.leaving = Leaving::Final(self.next);
        self.shared.send_goaway(self.next);
    }

    /// Streams that somebody works on, and those whose heads have not arrived.
    pub fn streams(&self) -> usize {
        self.shared.open.get()
    }

    /// Requests whose heads have begun, or not even that, and not arrived.
    pub fn incomplete(&self) -> usize {
        self.opening.len()
    }

    /// Gives up requests whose heads have not arrived: a client that takes too long for them. Each is reset. Those that
    /// have come since the last call, or since there were none, are spared until the next one.
    pub fn drop_incomplete(&mut self) {
        self.opening.retain_mut(|opening| {
            if opening.is_old {
                opening.give_up(REQUEST_CANCELLED);
            }
            !std::mem::replace(&mut opening.is_old, true)
        });
    }

    /// Whether the connection is on its way to its end, for whatever reason.
    pub fn is_ending(&self) -> bool {
        self.shared.connection.is_closed() || self.leaving != Leaving::No
    }

    /// Takes no new requests but those on their way, and ends with the last one (GOAWAY twice, RFC 9114 section 5.2). A
    /// second call does not wait for those on their way. Poll afterwards.
    pub fn shut_down(&mut self) {
        match self.leaving {
            Leaving::No => {
                // The largest number that a request can have.
                self.shared.send_goaway(MAX_INTEGER - 3);
                let grace = self.shared.connection.round_trip().saturating_mul(GRACE_ROUND_TRIPS);
                let grace = grace.clamp(Duration::from_millis(GRACE_MS.0), Duration::from_millis(GRACE_MS.1));
                self.shared.connection.set_alarm(Some(Instant::now() + grace));
                self.leaving = Leaving::Announced;
            }
            Leaving::Announced => self.leave_finally(),
            Leaving::Final(_) => {}
        }
        self.shared.wake_idle();
    }
}

fn found(opened: Opened) -> Option<Result<Option<ServerStream>, WireError>> {
    match opened {
        Opened::Nothing => None,
        Opened::Failed(error) => Some(Err(error)),
        Opened::Request(exchange, refused) => {
            let is_early = exchange.shared.connection.is_early();
            Some(Ok(Some(ServerStream { exchange, is_early, refused })))
        }
    }
}

/// RFC 9114 section 4.1.1: nothing was done for it.
fn reject(mut send: SendStream, mut receive: RecvStream) {
    send.reset(REQUEST_REJECTED);
    receive.stop(REQUEST_REJECTED);
}

/// One request on a server's connection.
///
/// Dropped before the response was finished, it resets the stream with H3_REQUEST_CANCELLED; before the request was
/// received to its end, it asks for no more with H3_NO_ERROR.
pub struct ServerStream {
    exchange: Box<Exchange>,
    is_early: bool,
    refused: Option<MessageError>,
}

body!(ServerStream);

impl ServerStream {
    /// The stream's number.
    pub fn id(&self) -> u64 {
        self.exchange.id()
    }

    /// Whether the request came as early data, so that it may be a replay (RFC 8470): it must be safe to repeat, or be
    /// answered with 425.
    pub fn is_early(&self) -> bool {
        self.is_early
    }

    /// Why the head cannot be served; nothing is known of it then. One that exceeds a limit is to be answered. One that
    /// is malformed has been: its stream was reset, and whatever is sent on it fails.
    pub fn refused(&self) -> Option<MessageError> {
        self.refused
    }

    /// Whether the client has said already that it wants no answer.
    pub fn is_gone(&self) -> bool {
        self.exchange.output.stream.is_stopped()
    }

    /// Whether the response was sent to its end.
    pub fn is_answered(&self) -> bool {
        self.exchange.output.is_finished()
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.exchange.shared.connection
    }

    /// Resets the stream: the response is broken off.
    pub fn abort(&mut self) {
        self.exchange.break_off(INTERNAL_ERROR);
    }
}

impl Drop for ServerStream {
    fn drop(&mut self) {
        let is_finished = self.exchange.output.is_finished();
        self.exchange.break_off(if is_finished { NO_ERROR } else { REQUEST_CANCELLED });
    }
}

impl Downstream for ServerStream {
    fn begin_response(&mut self, response: &Response, framing: Framing, reply: ReplyContext<'_>) -> bool {
        let output = &mut self.exchange.output;
        output.head(framing, |emit| {
            each_response_field(response, &mut *emit);
            if !response.fields.may_have(FieldId::Date) {
                emit(b"date", reply.date);
            }
        });
        if reply.switches {
            output.begin_switching();
        } else {
            output.begin_body(framing, reply.trailers);
        }
        reply.persistent
    }

    fn inform(&mut self, response: &Response) {
        self.exchange.output.head(Framing::None, |emit| each_response_field(response, &mut *emit));
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<WireError> {
        self.exchange.poll_gone(cx)
    }

    fn is_watched(&self) -> bool {
        true
    }

    fn take_counts(&mut self) -> (u64, u64) {
        self.exchange.take_counts()
    }

    fn begin_tunnel(&mut self) {
        self.exchange.begin_tunnel();
    }
}
