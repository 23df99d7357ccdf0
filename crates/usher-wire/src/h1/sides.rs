//! What is different on the two sides: how heads are written.

use usher_http::{FieldId, Framing, Method, Request, Response, Version};
use usher_net::Transport;

use super::connection::Connection;
use super::websocket;
use crate::body::{Sink, Source};
use crate::error::WireError;
use std::task::{Context, Poll};

/// The client's side of an exchange, whatever the protocol.
pub trait Downstream: Source + Sink {
    /// Queues a final response head. Its body is framed as the client's protocol allows; `length` is what is known.
    ///
    /// Returns whether the connection can carry another request afterwards, as far as framing is concerned.
    fn begin_response(&mut self, response: &Response, framing: Framing, reply: ReplyContext<'_>) -> bool;

    /// Queues an informational response head.
    fn inform(&mut self, response: &Response);

    /// Ready if the connection failed while an endpoint works.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<WireError>;

    /// Whether [`Downstream::poll_gone`] costs nothing to ask.
    fn is_watched(&self) -> bool;

    /// Bytes received and sent on the wire since the last call.
    fn take_counts(&mut self) -> (u64, u64);

    /// Turns the rest of the connection into a tunnel, in both directions.
    fn begin_tunnel(&mut self);
}

/// Bodies up to this size leave with their head, in one write (bytes).
const SMALL_BODY: u64 = 4 << 10;
const CHUNKED: &[u8] = b"Transfer-Encoding: chunked\r\n";
const EMPTY: &[u8] = b"Content-Length: 0\r\n";

/// What most heads take at most (bytes).
const USUAL_HEAD: usize = 512;

/// What a response head depends on beside the response.
#[derive(Clone, Copy)]
pub struct ReplyContext<'a> {
    /// The version that the client speaks.
    pub version: Version,
    /// Whether the connection shall carry another request.
    pub persistent: bool,
    /// For the Date field, if the response has none.
    pub date: &'a [u8],
    /// The client takes trailers, but for those of these names.
    pub trailers: Option<&'a NotTrailers>,
    /// The response is 101; the protocol is in its Upgrade field.
    pub switches: bool,
}

impl<T: Transport> Downstream for Connection<T> {
    fn begin_response(&mut self, response: &Response, framing: Framing, reply: ReplyContext<'_>) -> bool {
        let old = reply.version == Version::Http10;
        let framing = match framing {
            Framing::Chunked | Framing::Close if old => Framing::Close,
            Framing::Close => Framing::Chunked,
            known => known,
        };
        let persistent = reply.persistent && framing != Framing::Close;
        let out = self.output();
        if let Framing::Length(length @ ..=SMALL_BODY) = framing {
            // It follows the head in the same memory, which need not grow for it.
            out.reserve(USUAL_HEAD + length as usize);
        }
        response.encode(out);
        if !response.fields.may_have(FieldId::Date) {
            write(out, b"Date: ");
            write(out, reply.date);
            write(out, b"\r\n");
        }
        match framing {
            Framing::Chunked => out.extend_from_slice(CHUNKED),
            // HTTP/2 and 3 need not say so.
            Framing::Length(0) if !response.fields.may_have(FieldId::ContentLength) => {
                write(out, EMPTY);
            }
            _ => {}
        }
        if reply.switches {
            write(out, b"Connection: upgrade\r\n");
        } else if !persistent {
            write(out, b"Connection: close\r\n");
        } else if old {
            write(out, b"Connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
        self.begin_send(framing);
        self.pass_trailers(reply.trailers);
        persistent
    }

    fn inform(&mut self, response: &Response) {
        let out = self.output();
        response.encode(out);
        out.extend_from_slice(b"\r\n");
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<WireError> {
        Connection::poll_gone(self, cx)
    }

    fn is_watched(&self) -> bool {
        self.stream.is_watched()
    }

    fn take_counts(&mut self) -> (u64, u64) {
        (self.take_received(), self.take_sent())
    }

    fn begin_tunnel(&mut self) {
        self.begin_receive(Framing::Close);
        self.begin_send(Framing::Close);
    }
}

impl<T: Transport> Connection<T> {
    /// Queues a request head towards an endpoint. Only [`Framing::Chunked`] adds a field; a length is in the head.
    pub fn begin_request(
        &mut self,
        request: &Request,
        host: &[u8],
        framing: Framing,
        extra: RequestContext<'_>,
    ) {
        let out = self.output();
        request.encode(host, out);
        match framing {
            Framing::Chunked => write(out, CHUNKED),
            Framing::None if needs_length(request) => write(out, EMPTY),
            _ => {}
        }
        if let Some(protocol) = extra.upgrade {
            push_upgrade(protocol, out);
            if protocol.eq_ignore_ascii_case(b"websocket") && request.version >= Version::Http2 {
                websocket::push_key(&request.fields, out);
            }
        } else if extra.takes_trailers {
            write(out, b"TE: trailers\r\nConnection: TE\r\n");
        }
        out.extend_from_slice(b"\r\n");
        self.begin_send(framing);
        self.pass_trailers(extra.trailers);
    }
}

/// Writes what not every head has. Called, so that growing the memory is not written out at each of many places, most of
/// which a request never comes to.
#[inline(never)]
fn write(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

/// Names of fields that are not passed on as trailers; shared, as the body is sent long after the head.
pub type NotTrailers = std::sync::Arc<[Box<str>]>;

/// What a request head depends on beside the request.
#[derive(Clone, Copy, Default)]
pub struct RequestContext<'a> {
    /// The protocol that the client asks to switch to.
    pub upgrade: Option<&'a [u8]>,
    /// The client takes trailers.
    pub takes_trailers: bool,
    /// The request's trailers are passed on, but for those of these names.
    pub trailers: Option<&'a NotTrailers>,
}

/// Whether a request without a body must say so: it came over a protocol that need not, and its method gives a body a
/// meaning (RFC 9110 section 8.6).
fn needs_length(request: &Request) -> bool {
    let gives_meaning = matches!(request.method, Method::Post | Method::Put | Method::Patch);
    gives_meaning && request.version >= Version::Http2 && !request.fields.may_have(FieldId::ContentLength)
}

#[inline(never)]
fn push_upgrade(protocol: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: ");
    out.extend_from_slice(protocol);
    out.extend_from_slice(b"\r\n");
}
