//! A request whose head has not arrived.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use usher_http::multiplexed::{MessageError, RequestBuilder, each_response_field};
use usher_http::parse::ParseError;
use usher_http::{Framing, Request, Response, Version, framing};
use usher_net::quic::{RecvStream, SendStream};

use super::body::Exchange;
use super::code::{NO_ERROR, REQUEST_INCOMPLETE, Wrong};
use super::flood::Kind;
use super::input::{Found, Stop};
use super::shared::Shared;
use crate::error::WireError;

/// RFC 9218 section 4.1.
const DEFAULT_URGENCY: i32 = 3;

/// A stream on which a request begins.
pub(super) struct Opening {
    exchange: Box<Exchange>,
}

/// What became of it.
pub(super) enum Opened {
    /// The head was read.
    Request(Box<Exchange>),
    /// There was none that is taken, and the client was told.
    Nothing,
    /// The connection ends.
    Failed(WireError),
}

impl Opening {
    pub(super) fn new(shared: &Rc<Shared>, send: SendStream, receive: RecvStream) -> Self {
        Self { exchange: Box::new(Exchange::new(shared, send, receive)) }
    }

    /// Reads the head into `request`. Of no use after it was ready; gives itself back while it is not.
    pub(super) fn poll(mut self, cx: &mut Context<'_>, request: &mut Request) -> Result<Opened, Self> {
        let read = match self.poll_head(cx, request) {
            Poll::Pending => return Err(self),
            Poll::Ready(read) => read,
        };
        let shared = Rc::clone(&self.exchange.shared);
        Ok(match read {
            Ok(()) => {
                self.begin_body(request);
                Opened::Request(self.exchange)
            }
            Err(Stop::Message(MessageError::TooLarge(error))) => {
                self.answer(cx, error.status());
                self.exchange.input.stop(NO_ERROR);
                match shared.floods.count(Kind::Mistake, 1) {
                    Err(Wrong::Connection(code, phrase)) => Opened::Failed(shared.fail(code, phrase)),
                    _ => Opened::Nothing,
                }
            }
            Err(stop) => {
                let error = self.exchange.stopped(stop);
                // An end of the connection is told by whoever asks for the next stream.
                let is_failed = matches!(error, WireError::Protocol(_)) && shared.connection.is_closed();
                if is_failed { Opened::Failed(error) } else { Opened::Nothing }
            }
        })
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
            self.exchange.output.stream.set_priority(DEFAULT_URGENCY - urgency(value));
        }
    }

    /// Answers a request that is not taken in.
    fn answer(&mut self, cx: &mut Context<'_>, status: u16) {
        let mut response = Response::default();
        response.status = status;
        let output = &mut self.exchange.output;
        output.head(Framing::None, |emit| {
            each_response_field(&response, &mut *emit);
            emit(b"content-length", b"0");
        });
        output.begin_body(Framing::None, None);
        if !matches!(output.poll_flush(cx), Poll::Ready(Ok(()))) {
            // A client that takes not even that.
            output.reset(NO_ERROR);
        }
    }
}

/// The urgency that a value of the Priority field says, 0 to 7 (RFC 9218 section 4.1). What is no dictionary with an
/// integer `u` says nothing.
fn urgency(value: &[u8]) -> i32 {
    let mut found = DEFAULT_URGENCY;
    for member in usher_http::list(value) {
        if let [b'u', b'=', digit @ b'0'..=b'7', rest @ ..] = member
            && matches!(rest.first(), None | Some(b';'))
        {
            found = i32::from(digit - b'0');
        }
    }
    found
}
