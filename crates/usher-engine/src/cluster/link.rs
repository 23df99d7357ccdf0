//! The way to an endpoint that a request goes: a connection of HTTP/1, or a stream of one that carries many.

use std::hint::cold_path;
use std::task::{Context, Poll};

use usher_http::parse::HeadLimits;
use usher_http::{Fields, Framing, Request, Response};
use usher_net::Transport;
use usher_net::tls::Secured;
use usher_wire::{Connection, Plain, RequestContext, Sink, Source, Upstream, WireError, h2, h3};

/// The way to an endpoint that a request goes.
pub enum Link<S: Transport> {
    /// A connection of HTTP/1, which may go back to its pool. Boxed from its first use to its last: it goes from hand to
    /// hand.
    H1(Box<Connection<Secured<S>>>),
    /// A stream of a connection of HTTP/2.
    H2(Box<h2::ClientStream>),
    /// A stream of a connection of HTTP/3.
    H3(Box<h3::ClientStream>),
}

/// Calls a method of whichever way is inside.
macro_rules! either {
    ($link:expr, $up:ident => $then:expr) => {
        match $link {
            Link::H1($up) => $then,
            // Where the code lies: what these do is more than HTTP/1 does, and shall not part it.
            Link::H2($up) => {
                cold_path();
                $then
            }
            Link::H3($up) => {
                cold_path();
                $then
            }
        }
    };
}

impl<S: Transport> Link<S> {
    /// The connection, if another request may be sent on it.
    pub fn reusable(self) -> Option<Box<Connection<Secured<S>>>> {
        let Self::H1(connection) = self else { return None };
        let is_reusable = Source::is_done(&*connection)
            && connection.is_send_done()
            && connection.is_flushed()
            && !connection.has_input()
            && !connection.is_ended();
        is_reusable.then_some(connection)
    }
}

impl<S: Transport> Source for Link<S> {
    #[inline]
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        either!(self, up => up.poll_fill(cx))
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        either!(self, up => up.chunk())
    }

    #[inline]
    fn consume(&mut self, len: usize) {
        either!(self, up => up.consume(len));
    }

    #[inline]
    fn trailers(&self) -> Option<&Fields> {
        either!(self, up => up.trailers())
    }

    #[inline]
    fn is_done(&self) -> bool {
        either!(self, up => Source::is_done(&**up))
    }

    #[inline]
    fn plain(&mut self) -> Option<Plain<'_>> {
        either!(self, up => Source::plain(&mut **up))
    }

    fn took_plain(&mut self, len: u64) -> Result<(), WireError> {
        either!(self, up => up.took_plain(len))
    }
}

impl<S: Transport> Sink for Link<S> {
    #[inline]
    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, WireError>> {
        either!(self, up => up.poll_send(cx, data))
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        either!(self, up => up.poll_flush(cx))
    }

    #[inline]
    fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), WireError>> {
        either!(self, up => up.poll_finish(cx, trailers))
    }

    #[inline]
    fn plain(&mut self) -> Option<Plain<'_>> {
        either!(self, up => Sink::plain(&mut **up))
    }

    fn gave_plain(&mut self, len: u64) {
        either!(self, up => up.gave_plain(len));
    }

    #[inline]
    fn queued(&self) -> usize {
        either!(self, up => up.queued())
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        either!(self, up => up.poll_end(cx))
    }
}

impl<S: Transport> Upstream for Link<S> {
    fn begin_request(&mut self, request: &Request, host: &[u8], framing: Framing, extra: RequestContext<'_>) {
        either!(self, up => Upstream::begin_request(&mut **up, request, host, framing, extra));
    }

    #[inline]
    fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        response: &mut Response,
    ) -> Poll<Result<(), WireError>> {
        either!(self, up => Upstream::poll_response(&mut **up, cx, limits, response))
    }

    fn begin_receive(&mut self, framing: Framing) {
        either!(self, up => Upstream::begin_receive(&mut **up, framing));
    }

    fn begin_tunnel(&mut self) {
        either!(self, up => Upstream::begin_tunnel(&mut **up));
    }

    #[inline]
    fn is_send_done(&self) -> bool {
        either!(self, up => Upstream::is_send_done(&**up))
    }

    #[inline]
    fn has_input(&self) -> bool {
        either!(self, up => Upstream::has_input(&**up))
    }

    fn take_counts(&mut self) -> (u64, u64) {
        either!(self, up => Upstream::take_counts(&mut **up))
    }

    fn abort(&mut self) {
        either!(self, up => Upstream::abort(&mut **up));
    }
}
