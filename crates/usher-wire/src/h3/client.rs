//! The client's side: requests go out, each on a stream.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use usher_http::multiplexed::{MessageError, ResponseBuilder, each_request_field};
use usher_http::parse::{HeadLimits, ParseError};
use usher_http::{FieldId, Fields, Framing, Request, Response, Version};
use usher_net::quic::{Connection, RecvStream, SendStream};

use super::body::{Exchange, body};
use super::code::{NO_ERROR, REQUEST_CANCELLED, Wrong};
use super::input::{Found, Stop};
use super::limits::Limits;
use super::peer::Peer;
use super::shared::Shared;
use crate::error::WireError;
use crate::h1::RequestContext;
use crate::upstream::Upstream;

/// The client's side of a connection: opens streams. All clones are one client; the connection ends when none is left and
/// no stream is.
#[derive(Clone)]
pub struct Client(Rc<Inner>);

struct Inner {
    shared: Rc<Shared>,
    /// A stream that was opened to see whether one can be.
    spare: RefCell<Option<(SendStream, RecvStream)>>,
    closing: Cell<bool>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.wake_idle();
    }
}

impl Client {
    /// The client, and what drives its connection: a future to be spawned on the same thread, which ends with the
    /// connection. The handshake has agreed on `h3`.
    pub fn new(connection: Connection, limits: Limits) -> (Self, Driver) {
        let shared = Shared::new(connection, limits);
        let inner = Rc::new(Inner {
            shared: Rc::clone(&shared),
            spare: RefCell::new(None),
            closing: Cell::new(false),
        });
        let driver = Driver { shared, peer: Peer::default(), client: Rc::downgrade(&inner) };
        (Self(inner), driver)
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.0.shared.connection
    }

    /// Whether another stream can be opened now.
    pub fn can_open(&self) -> bool {
        if !self.is_open() {
            return false;
        }
        let mut spare = self.0.spare.borrow_mut();
        if spare.is_none() {
            *spare = self.0.shared.connection.open_bi();
        }
        spare.is_some()
    }

    /// Opens a stream, if that is possible now.
    pub fn open(&self) -> Option<ClientStream> {
        if !self.can_open() {
            return None;
        }
        let (send, receive) = self.0.spare.take()?;
        let exchange = Exchange::new(&self.0.shared, send, receive);
        Some(ClientStream { exchange, protocol: None, answered: false })
    }

    /// Streams that somebody has.
    pub fn streams(&self) -> usize {
        self.0.shared.open.get()
    }

    /// Whether the connection lives and takes further streams, now or when others have ended.
    pub fn is_open(&self) -> bool {
        let shared = &self.0.shared;
        !self.0.closing.get() && shared.goaway.get().is_none() && !shared.connection.is_closed()
    }

    /// Whether the server takes extended CONNECT (RFC 9220); false before its settings have come.
    pub fn takes_connect_protocol(&self) -> bool {
        self.0.shared.settings.get().is_some_and(|settings| settings.connect_protocol)
    }

    /// Whether the server's settings have come.
    pub fn is_greeted(&self) -> bool {
        self.0.shared.settings.get().is_some()
    }

    /// Opens no more streams; the connection ends with the last one.
    pub fn close(&self) {
        self.0.closing.set(true);
        self.0.shared.wake_idle();
    }
}

/// Drives a client's connection; ends with it.
pub struct Driver {
    shared: Rc<Shared>,
    peer: Peer,
    client: Weak<Inner>,
}

impl Driver {
    /// Whether no more streams are opened.
    fn is_closing(&self) -> bool {
        self.shared.goaway.get().is_some() || self.client.upgrade().is_none_or(|client| client.closing.get())
    }
}

impl Future for Driver {
    type Output = Result<(), WireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let polled = this.peer.poll(cx, &this.shared).and_then(|()| this.shared.poll_flush(cx));
        if let Err(Wrong::Connection(code, phrase) | Wrong::Stream(code, phrase)) = polled {
            return Poll::Ready(Err(this.shared.fail(code, phrase)));
        }
        if this.is_closing() && this.shared.open.get() == 0 {
            this.shared.connection.close(NO_ERROR, b"");
            return Poll::Ready(Ok(()));
        }
        this.shared.watch_idle(cx);
        let error = ready!(this.shared.connection.poll_closed(cx));
        Poll::Ready(Err(this.shared.lost(error)))
    }
}

/// One request on a client's connection, and its response.
///
/// Dropped before both were finished, it resets the stream with H3_REQUEST_CANCELLED.
pub struct ClientStream {
    exchange: Exchange,
    /// What an extended CONNECT asks to switch to.
    protocol: Option<Box<[u8]>>,
    /// The final head came.
    answered: bool,
}

body!(ClientStream);

impl ClientStream {
    /// The stream's number.
    pub fn id(&self) -> u64 {
        self.exchange.id()
    }

    /// Whether the server has said that it processes nothing of this stream (RFC 9114 section 5.2).
    fn is_refused(&self) -> bool {
        !self.answered && self.exchange.shared.goaway.get().is_some_and(|from| self.id() >= from)
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        response: &mut Response,
    ) -> Poll<Result<(), Stop>> {
        let Exchange { shared, input, .. } = &mut self.exchange;
        let len = match ready!(input.poll_found(cx))? {
            Found::Section(len) => len,
            Found::TooLarge => {
                return Poll::Ready(Err(Stop::Message(MessageError::TooLarge(ParseError::HeadTooLarge))));
            }
            // Nothing else is found before a head.
            _ => {
                let phrase = "stream that ends before its response";
                return Poll::Ready(Err(Stop::Message(MessageError::Malformed(phrase))));
            }
        };
        let mut builder = ResponseBuilder::new(response, Version::Http3, limits);
        let id = input.stream.id();
        let decoded =
            shared.poll_decode(cx, id, input.section(len), |name, value| builder.field(name, value));
        let Poll::Ready(decoded) = decoded else { return input.poll_given_up(cx) };
        decoded?.map_err(Stop::Message)?;
        input.take_section(len);
        let ends = input.is_at_end(cx);
        Poll::Ready(builder.finish(ends).map_err(Stop::Message))
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        self.exchange.break_off(REQUEST_CANCELLED);
    }
}

impl Upstream for ClientStream {
    fn begin_request(&mut self, request: &Request, host: &[u8], framing: Framing, extra: RequestContext<'_>) {
        let output = &mut self.exchange.output;
        output.head(framing, |emit| {
            each_request_field(request, host, extra.upgrade, &mut *emit);
            if extra.takes_trailers {
                emit(b"te", b"trailers");
            }
        });
        self.protocol = extra.upgrade.map(Into::into);
        if extra.upgrade.is_some() {
            output.begin_switching();
        } else {
            output.begin_body(framing, extra.trailers);
        }
    }

    fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        response: &mut Response,
    ) -> Poll<Result<(), WireError>> {
        if self.is_refused() {
            return Poll::Ready(Err(WireError::Refused));
        }
        if let Err(stop) = ready!(self.poll_head(cx, limits, response)) {
            return Poll::Ready(Err(self.exchange.stopped(stop)));
        }
        if response.is_informational() {
            return Poll::Ready(Ok(()));
        }
        self.answered = true;
        self.exchange.input.begin_body(None);
        if let (Some(protocol), 200..=299) = (&self.protocol, response.status) {
            // As HTTP/1 answers an upgrade.
            response.status = 101;
            response.fields.push(FieldId::Upgrade, protocol);
            response.fields.push(FieldId::Connection, b"upgrade");
        }
        Poll::Ready(Ok(()))
    }

    fn begin_receive(&mut self, framing: Framing) {
        match framing {
            Framing::Length(len) => self.exchange.input.begin_body(Some(len)),
            // A tunnel follows, or a body never does.
            Framing::None if self.protocol.is_none() => self.exchange.input.end_body(),
            Framing::None | Framing::Chunked | Framing::Close => {}
        }
    }

    fn begin_tunnel(&mut self) {
        self.exchange.begin_tunnel();
    }

    fn is_send_done(&self) -> bool {
        self.exchange.output.is_sent()
    }

    fn has_input(&self) -> bool {
        self.exchange.input.has_input()
    }

    fn take_counts(&mut self) -> (u64, u64) {
        self.exchange.take_counts()
    }

    fn abort(&mut self) {
        self.exchange.break_off(REQUEST_CANCELLED);
    }
}
