//! A request's stream in both directions, as both sides have it.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use usher_http::Fields;
use usher_http::multiplexed::MessageError;
use usher_net::quic::{RecvStream, SendStream, StreamError};

use super::code::{EXCESSIVE_LOAD, MESSAGE_ERROR, Wrong};
use super::flood::Kind;
use super::input::{Input, Stop};
use super::output::{Output, SendStop};
use super::shared::Shared;
use crate::error::WireError;

/// A request's stream.
pub(super) struct Exchange {
    pub(super) shared: Rc<Shared>,
    pub(super) input: Input,
    pub(super) output: Output,
    /// The peer broke it off.
    cancelled: bool,
    /// It was reset for what the peer did; one phrase for logs.
    refused: Option<&'static str>,
}

impl Exchange {
    pub(super) fn new(shared: &Rc<Shared>, send: SendStream, receive: RecvStream) -> Self {
        shared.opened();
        Self {
            shared: Rc::clone(shared),
            input: Input::new(receive, shared),
            output: Output::new(send),
            cancelled: false,
            refused: None,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.output.stream.id()
    }

    /// What it means that reading cannot go on; the peer is told.
    pub(super) fn stopped(&mut self, stop: Stop) -> WireError {
        match stop {
            Stop::Broken(error) => self.broken(error),
            Stop::Wrong(Wrong::Connection(code, phrase)) => self.shared.fail(code, phrase),
            Stop::Wrong(Wrong::Stream(code, phrase)) => self.refuse(code, WireError::Protocol(phrase)),
            Stop::Message(MessageError::Malformed(phrase)) => {
                self.refuse(MESSAGE_ERROR, WireError::Protocol(phrase))
            }
            Stop::Message(MessageError::TooLarge(error)) => {
                self.refuse(EXCESSIVE_LOAD, WireError::Parse(error))
            }
        }
    }

    /// The stream is reset for what the peer did on it.
    fn refuse(&mut self, code: u64, error: WireError) -> WireError {
        self.break_off(code);
        if let WireError::Protocol(phrase) = error {
            self.refused = Some(phrase);
        }
        match self.shared.floods.count(Kind::Mistake, 1) {
            Err(Wrong::Connection(code, phrase)) => self.shared.fail(code, phrase),
            _ => error,
        }
    }

    /// What it means that the stream or its connection has ended.
    pub(super) fn broken(&mut self, error: StreamError) -> WireError {
        if matches!(error, StreamError::Reset(_) | StreamError::Stopped(_))
            && !std::mem::replace(&mut self.cancelled, true)
            && let Err(Wrong::Connection(code, phrase)) = self.shared.floods.count(Kind::Reset, 1)
        {
            return self.shared.fail(code, phrase);
        }
        self.shared.broken(error)
    }

    fn send_stopped(&mut self, stop: SendStop) -> WireError {
        match stop {
            SendStop::Broken(error) => self.broken(error),
            SendStop::Length => WireError::Truncated,
        }
    }

    /// Breaks both directions off, as far as they have not ended.
    pub(super) fn break_off(&mut self, code: u64) {
        self.output.reset(code);
        self.input.stop(code);
    }

    fn check(&self) -> Result<(), WireError> {
        self.refused.map_or(Ok(()), |phrase| Err(WireError::Protocol(phrase)))
    }

    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        self.check()?;
        let filled = ready!(self.input.poll_payload(cx));
        Poll::Ready(filled.map_err(|stop| self.stopped(stop)))
    }

    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, WireError>> {
        self.check()?;
        let sent = ready!(self.output.poll_send(cx, data));
        Poll::Ready(sent.map_err(|stop| self.send_stopped(stop)))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.check()?;
        let flushed = ready!(self.output.poll_flush(cx));
        Poll::Ready(flushed.map_err(|error| self.broken(error)))
    }

    pub(super) fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), WireError>> {
        self.check()?;
        let finished = ready!(self.output.poll_finish(cx, trailers));
        Poll::Ready(finished.map_err(|stop| self.send_stopped(stop)))
    }

    /// Ready when the peer has broken it off, in either direction, or the connection is no more.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<WireError> {
        if let Poll::Ready(error) = self.output.stream.poll_stopped(cx) {
            return Poll::Ready(self.broken(error));
        }
        let reset = ready!(self.input.stream.poll_reset(cx));
        Poll::Ready(self.broken(reset))
    }

    pub(super) fn take_counts(&mut self) -> (u64, u64) {
        (self.input.take_received(), self.output.take_sent())
    }

    pub(super) fn begin_tunnel(&mut self) {
        self.input.begin_tunnel();
        self.output.begin_tunnel();
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.output.is_finished() && !self.cancelled {
            self.shared.floods.give_back(Kind::Reset);
        }
        self.shared.closed();
    }
}

/// Implements [`crate::Source`] and [`crate::Sink`] for a type with an [`Exchange`] in its field `exchange`.
macro_rules! body {
    ($name:ident) => {
        impl $crate::body::Source for $name {
            fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
                self.exchange.poll_fill(cx)
            }

            fn chunk(&self) -> &[u8] {
                self.exchange.input.chunk()
            }

            fn consume(&mut self, len: usize) {
                self.exchange.input.consume(len);
            }

            fn trailers(&self) -> Option<&Fields> {
                self.exchange.input.trailers()
            }

            fn is_done(&self) -> bool {
                self.exchange.input.is_done()
            }

            fn plain(&mut self) -> Option<$crate::body::Plain<'_>> {
                None
            }

            fn took_plain(&mut self, _: u64) -> Result<(), WireError> {
                Ok(())
            }
        }

        impl $crate::body::Sink for $name {
            fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, WireError>> {
                self.exchange.poll_send(cx, data)
            }

            fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
                self.exchange.poll_flush(cx)
            }

            fn poll_finish(
                &mut self,
                cx: &mut Context<'_>,
                trailers: Option<&Fields>,
            ) -> Poll<Result<(), WireError>> {
                self.exchange.poll_finish(cx, trailers)
            }

            fn plain(&mut self) -> Option<$crate::body::Plain<'_>> {
                None
            }

            fn gave_plain(&mut self, _: u64) {}

            fn queued(&self) -> usize {
                self.exchange.output.queued()
            }

            fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
                self.exchange.poll_finish(cx, None)
            }
        }
    };
}
pub(super) use body;
