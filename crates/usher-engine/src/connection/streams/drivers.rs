//! What the drivers of HTTP/2 and HTTP/3 have in common.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use usher_http::Request;
use usher_http::multiplexed::MessageError;
use usher_net::Transport;
use usher_wire::{Downstream, WireError, h2, h3};

/// A connection that many requests come on.
pub(super) trait Streams: 'static {
    /// One request and its response.
    type Stream: Stream + 'static;

    /// Drives the connection and gives the next request, whose head it puts into `request`. None when the connection
    /// has ended in order.
    fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut Request,
    ) -> Poll<Result<Option<Self::Stream>, WireError>>;

    /// Requests under way.
    fn streams(&self) -> usize;

    /// Requests whose heads have begun and are not complete, where that holds up nobody else.
    fn incomplete(&self) -> usize {
        0
    }

    /// Gives those up: their client takes too long.
    fn drop_incomplete(&mut self) {}

    /// Takes no more requests, and ends when those that are under way have.
    fn shut_down(&mut self);

    /// Asks the client for a sign of life.
    fn ping(&mut self);

    /// Whether one came since it was asked for.
    fn take_pong(&mut self) -> bool;

    /// After an error: lets the client read what it was told, and throws away what it still sends.
    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// One request on such a connection.
pub(super) trait Stream: Downstream {
    /// Breaks it off, so that nobody takes what was sent for complete.
    fn abort(&mut self);

    /// Why its head cannot be served: it is answered, as far as it can be, and recorded. Nothing is known of it.
    fn refused(&self) -> Option<MessageError> {
        None
    }

    /// Whether nobody waits for the answer any more, as far as that is known without asking.
    fn is_gone(&self) -> bool {
        false
    }

    /// Whether the answer was sent to its end.
    fn is_answered(&self) -> bool {
        true
    }

    /// Whether it came before the handshake was complete: it may be somebody else's copy.
    fn is_early(&self) -> bool {
        false
    }

    /// Where the client is now, if it can move.
    fn peer(&self) -> Option<SocketAddr> {
        None
    }
}

impl<T: Transport> Streams for h2::Server<T> {
    type Stream = h2::ServerStream;

    fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut Request,
    ) -> Poll<Result<Option<Self::Stream>, WireError>> {
        Self::poll_request(self, cx, request)
    }

    fn streams(&self) -> usize {
        Self::streams(self)
    }

    fn shut_down(&mut self) {
        Self::shut_down(self);
    }

    fn ping(&mut self) {
        Self::ping(self);
    }

    fn take_pong(&mut self) -> bool {
        Self::take_pong(self)
    }

    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll_last_words(self, cx)
    }
}

impl Stream for h2::ServerStream {
    fn abort(&mut self) {
        Self::abort(self);
    }

    fn refused(&self) -> Option<MessageError> {
        Self::refused(self)
    }

    fn is_gone(&self) -> bool {
        Self::is_gone(self)
    }

    fn is_answered(&self) -> bool {
        Self::is_answered(self)
    }
}

impl Streams for h3::Server {
    type Stream = h3::ServerStream;

    fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut Request,
    ) -> Poll<Result<Option<Self::Stream>, WireError>> {
        Self::poll_request(self, cx, request)
    }

    fn streams(&self) -> usize {
        Self::streams(self)
    }

    fn shut_down(&mut self) {
        Self::shut_down(self);
    }

    fn incomplete(&self) -> usize {
        Self::incomplete(self)
    }

    fn drop_incomplete(&mut self) {
        Self::drop_incomplete(self);
    }

    // QUIC itself watches over the connection, and ends one that is silent.
    fn ping(&mut self) {}

    fn take_pong(&mut self) -> bool {
        true
    }

    fn poll_last_words(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Stream for h3::ServerStream {
    fn abort(&mut self) {
        Self::abort(self);
    }

    fn refused(&self) -> Option<MessageError> {
        Self::refused(self)
    }

    fn is_gone(&self) -> bool {
        Self::is_gone(self)
    }

    fn is_answered(&self) -> bool {
        Self::is_answered(self)
    }

    fn is_early(&self) -> bool {
        Self::is_early(self)
    }

    fn peer(&self) -> Option<SocketAddr> {
        Some(self.connection().peer())
    }
}
