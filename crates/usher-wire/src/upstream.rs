//! The endpoint's side of an exchange, whatever the protocol.

use std::task::{Context, Poll};

use usher_http::parse::HeadLimits;
use usher_http::{Framing, Request, Response};
use usher_net::Transport;

use crate::body::{Sink, Source};
use crate::error::WireError;
use crate::h1::{Connection, RequestContext};

/// One request to an endpoint and its response: a connection of HTTP/1, or a stream.
pub trait Upstream: Source + Sink {
    /// Queues a request head. `host` is what its Host or `:authority` says; the body is framed as the endpoint's
    /// protocol allows, and `framing` is what is known of it.
    fn begin_request(&mut self, request: &Request, host: &[u8], framing: Framing, extra: RequestContext<'_>);

    /// Reads a response head, informational ones too. The answer to an extended CONNECT (RFC 8441) looks like that to
    /// an upgrade of HTTP/1: 101 with Upgrade and Connection.
    fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        response: &mut Response,
    ) -> Poll<Result<(), WireError>>;

    /// After the final head: how the response's body is framed.
    fn begin_receive(&mut self, framing: Framing);

    /// Turns the rest into a tunnel, in both directions, after 101.
    fn begin_tunnel(&mut self);

    /// Whether the request was sent to its end, and nothing of it waits for a flush.
    fn is_send_done(&self) -> bool;

    /// Whether something of the response was received that was not taken yet.
    fn has_input(&self) -> bool;

    /// Bytes received and sent on the wire since the last call.
    fn take_counts(&mut self) -> (u64, u64);

    /// Breaks the exchange off: nobody must take what was sent for complete.
    fn abort(&mut self);
}

impl<T: Transport> Upstream for Connection<T> {
    fn begin_request(&mut self, request: &Request, host: &[u8], framing: Framing, extra: RequestContext<'_>) {
        Self::begin_request(self, request, host, framing, extra);
    }

    fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        response: &mut Response,
    ) -> Poll<Result<(), WireError>> {
        Self::poll_response(self, cx, limits, response)
    }

    fn begin_receive(&mut self, framing: Framing) {
        Self::begin_receive(self, framing);
    }

    fn begin_tunnel(&mut self) {
        Self::begin_receive(self, Framing::Close);
        Self::begin_send(self, Framing::Close);
    }

    fn is_send_done(&self) -> bool {
        Self::is_send_done(self) && self.is_flushed()
    }

    fn has_input(&self) -> bool {
        Self::has_input(self)
    }

    fn take_counts(&mut self) -> (u64, u64) {
        (self.take_received(), self.take_sent())
    }

    fn abort(&mut self) {
        self.stream().abort();
    }
}
