//! A request whose head has not arrived.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use usher_http::multiplexed::{MessageError, RequestBuilder};
use usher_http::parse::ParseError;
use usher_http::{Framing, Request, Version, framing};
use usher_net::quic::{RecvStream, SendStream};

use super::body::Exchange;
use super::code::{REQUEST_INCOMPLETE, Wrong};
use super::flood::Kind;
use super::input::{Found, Stop};
use super::priority;
use super::shared::Shared;
use crate::error::WireError;

/// A stream on which a request begins.
pub(super) struct Opening {
    exchange: Box<Exchange>,
    /// It was there when patience with such requests began to run.
    pub(super) is_old: bool,
}

/// What became of it.
pub(super) enum Opened {
    /// The head was read. If it cannot be served, nothing of it is known but why not.
    Request(Box<Exchange>, Option<MessageError>),
    /// There was none, and the client was told.
    Nothing,
    /// The connection ends.
    Failed(WireError),
}

impl Opening {
    pub(super) fn new(shared: &Rc<Shared>, send: SendStream, receive: RecvStream) -> Self {
        Self { exchange: Box::new(Exchange::new(shared, send, receive)), is_old: false }
    }

    /// Reads the head into `request`. Of no use after it was ready; gives itself back while it is not.
    pub(super) fn poll(mut self, cx: &mut Context<'_>, request: &mut Request) -> Result<Opened, Self> {
        let read = match self.poll_head(cx, request) {
            Poll::Pending => return Err(self),
            Poll::Ready(read) => read,
        };
        Ok(match read {
            Ok(()) => {
                self.begin_body(request);
                Opened::Request(self.exchange, None)
            }
            Err(Stop::Message(error)) => self.refuse(request, error),
            Err(stop) => {
                let error = self.exchange.stopped(stop);
                // An end of the connection is told by whoever asks for the next stream.
                let is_failed =
                    matches!(error, WireError::Protocol(_)) && self.exchange.shared.connection.is_closed();
                if is_failed { Opened::Failed(error) } else { Opened::Nothing }
            }
        })
    }

    /// A head that cannot be served. One that is malformed is answered by a reset only; one that exceeds a limit, by
    /// whoever gets the stream.
    fn refuse(mut self, request: &mut Request, error: MessageError) -> Opened {
        request.clear();
        request.version = Version::Http3;
        let exchange = &mut self.exchange;
        match error {
            MessageError::Malformed(_) => {
                let told = exchange.stopped(Stop::Message(error));
                if exchange.shared.connection.is_closed() {
                    return Opened::Failed(told);
                }
            }
            MessageError::TooLarge(_) => {
                exchange.input.pass_over_head();
                if let Err(Wrong::Connection(code, phrase)) = exchange.shared.floods.count(Kind::Mistake, 1) {
                    return Opened::Failed(exchange.shared.fail(code, phrase));
                }
            }
        }
        Opened::Request(self.exchange, Some(error))
    }

    /// Resets the stream.
    pub(super) fn give_up(&mut self, code: u64) {
        self.exchange.break_off(code);
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, request: &mut Request) -> Poll<Result<(), Stop>> {
        let Exchange { shared, input, .. } = &mut *self.exchange;
        let len = match ready!(input.poll_found(cx))? {
            Found::Section(len) => len,
            Found::TooLarge => {
                return Poll::Ready(Err(Stop::Message(MessageError::TooLarge(ParseError::HeadTooLarge))));
            }
            // Nothing else is found before a head.
            _ => {
                let wrong = Wrong::Stream(REQUEST_INCOMPLETE, "stream that ends before its request");
                return Poll::Ready(Err(Stop::Wrong(wrong)));
            }
        };
        let mut builder = RequestBuilder::new(request, Version::Http3, &shared.limits.head);
        let id = input.stream.id();
        let decoded =
            shared.poll_decode(cx, id, input.section(len), |name, value| builder.field(name, value));
        let Poll::Ready(decoded) = decoded else { return input.poll_given_up(cx) };
        decoded?.map_err(Stop::Message)?;
        input.take_section(len);
        let ends = input.is_at_end(cx);
        Poll::Ready(builder.finish(ends).map_err(Stop::Message))
    }

    fn begin_body(&mut self, request: &mut Request) {
        let expected = match framing::of_request(request) {
            Ok(Framing::Length(len)) => Some(len),
            _ => None,
        };
        self.exchange.input.begin_body(expected);
        if let Some(value) = request.fields.get_named(b"priority") {
            // What came on the control stream was said later, though it may come before (RFC 9218 section 7).
            let stream = &mut self.exchange.output.stream;
            if !self.exchange.shared.was_reprioritized(stream.id()) {
                stream.set_priority(priority::of(value));
            }
        }
    }
}
