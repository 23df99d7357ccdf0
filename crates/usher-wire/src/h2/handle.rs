//! What both kinds of streams are: a place in the connection's table, and the payload that was fetched from it.

use std::task::{Context, Poll};

use usher_http::{Fields, Framing};

use super::core::{Core, Shared};
use super::frame::Code;
use super::stream::{Direction, Interest};
use crate::error::WireError;
use crate::h1::NotTrailers;

/// Payload that was taken is told to the connection in pieces of this size, or when all at hand was taken (bytes).
const TELL: usize = 16 << 10;
/// Memory for payload that is kept while nothing is at hand (bytes).
const KEPT: usize = 64 << 10;

/// A stream that somebody has.
pub(super) struct Handle {
    core: Shared,
    pub(super) slot: u32,
    pub(super) id: u32,
    /// Payload at hand, and how much of it was taken.
    at_hand: Vec<u8>,
    start: usize,
    /// Taken, and not told to the connection yet (bytes).
    untold: usize,
    trailers: Option<Box<Fields>>,
    /// Which trailers are sent.
    pub(super) pass_trailers: Option<NotTrailers>,
}

impl Handle {
    pub(super) fn new(core: Shared, slot: u32, id: u32) -> Self {
        Self { core, slot, id, at_hand: Vec::new(), start: 0, untold: 0, trailers: None, pass_trailers: None }
    }

    /// Looks at the connection, or changes it.
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut Core, u32) -> R) -> R {
        with(&self.core, |core| change(core, self.slot))
    }

    pub(super) fn poll_fill(&mut self, cx: &Context<'_>) -> Poll<Result<usize, WireError>> {
        let at_hand = self.at_hand.len() - self.start;
        if at_hand > 0 {
            return Poll::Ready(Ok(at_hand));
        }
        (self.start, self.untold) = (0, 0);
        self.at_hand.clear();
        let mut core = self.core.borrow_mut();
        let fault = core.fault;
        let Some(stream) = core.streams.get_mut(self.slot) else {
            return Poll::Ready(Err(WireError::Closed));
        };
        if let Some(fault) = stream.fault {
            return Poll::Ready(Err(fault.error(true)));
        }
        if !stream.received.is_empty() {
            std::mem::swap(&mut stream.received, &mut self.at_hand);
            return Poll::Ready(Ok(self.at_hand.len()));
        }
        if stream.receiving == Direction::Ended {
            if stream.trailers.is_some() {
                self.trailers = stream.trailers.take();
            }
            return Poll::Ready(Ok(0));
        }
        if let Some(fault) = fault {
            return Poll::Ready(Err(fault.error(true)));
        }
        stream.register(cx, Interest::READ);
        Poll::Pending
    }

    pub(super) fn chunk(&self) -> &[u8] {
        self.at_hand.get(self.start..).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, len: usize) {
        let len = len.min(self.at_hand.len() - self.start);
        self.start += len;
        self.untold += len;
        if self.start == self.at_hand.len() {
            self.start = 0;
            self.at_hand.clear();
            if self.at_hand.capacity() > KEPT {
                self.at_hand = Vec::new();
            }
        } else if self.untold < TELL {
            return;
        }
        let taken = std::mem::take(&mut self.untold);
        self.with(|core, slot| core.credit(slot, taken));
    }

    pub(super) fn trailers(&self) -> Option<&Fields> {
        self.trailers.as_deref()
    }

    pub(super) fn is_done(&self) -> bool {
        self.start == self.at_hand.len() && {
            let core = self.core.borrow();
            core.streams
                .get(self.slot)
                .is_some_and(|stream| stream.receiving == Direction::Ended && stream.received.is_empty())
        }
    }

    /// Whether something was received that was not taken yet.
    pub(super) fn has_input(&self) -> bool {
        !self.at_hand.is_empty()
            || self
                .core
                .borrow()
                .streams
                .get(self.slot)
                .is_some_and(|stream| !stream.heads.is_empty() || !stream.received.is_empty())
    }

    pub(super) fn is_send_done(&self) -> bool {
        let core = self.core.borrow();
        core.streams
            .get(self.slot)
            .is_some_and(|stream| matches!(stream.sending, Direction::Ended | Direction::Switching))
    }

    pub(super) fn poll_send(&mut self, cx: &Context<'_>, data: &[u8]) -> Poll<Result<usize, WireError>> {
        self.with(|core, slot| core.poll_send(cx, slot, data))
    }

    pub(super) fn poll_flush(&mut self, cx: &Context<'_>) -> Poll<Result<(), WireError>> {
        self.with(|core, slot| core.poll_room(cx, slot))
    }

    pub(super) fn poll_finish(
        &mut self,
        cx: &Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), WireError>> {
        let trailers = trailers.zip(self.pass_trailers.as_ref());
        self.with(|core, slot| core.poll_finish(cx, slot, trailers))
    }

    /// Bytes up to this stream's last that the peer's system has not taken.
    pub(super) fn queued(&self) -> usize {
        let core = self.core.borrow();
        core.streams.get(self.slot).map_or(0, |stream| core.output.waiting_to(stream.last_end))
    }

    pub(super) fn poll_gone(&mut self, cx: &Context<'_>) -> Poll<WireError> {
        let mut core = self.core.borrow_mut();
        if let Some(fault) = core.fault_of(self.slot) {
            return Poll::Ready(fault.error(false));
        }
        if let Some(stream) = core.streams.get_mut(self.slot) {
            stream.register(cx, Interest::GONE);
        }
        Poll::Pending
    }

    pub(super) fn take_counts(&mut self) -> (u64, u64) {
        let mut core = self.core.borrow_mut();
        core.streams.get_mut(self.slot).map(|stream| std::mem::take(&mut stream.counts)).unwrap_or_default()
    }

    /// What follows in both directions are bytes of a tunnel.
    pub(super) fn begin_tunnel(&mut self) {
        let mut core = self.core.borrow_mut();
        if let Some(stream) = core.streams.get_mut(self.slot) {
            stream.expected = None;
            stream.left = None;
            stream.is_tunnel = true;
            if stream.sending == Direction::Switching {
                stream.sending = Direction::Open;
            }
        }
    }

    /// The length of the body that is sent, by its framing; whether there is none.
    pub(super) fn announced(framing: Framing) -> (Option<u64>, bool) {
        match framing {
            Framing::None | Framing::Length(0) => (Some(0), true),
            Framing::Length(len) => (Some(len), false),
            Framing::Chunked | Framing::Close => (None, false),
        }
    }

    /// Breaks the stream off: with CONNECT_ERROR if it is a tunnel (RFC 9113 section 8.5).
    pub(super) fn abort(&mut self, code: Code) {
        self.with(|core, slot| {
            let is_tunnel = core.streams.get(slot).is_some_and(|stream| stream.is_tunnel);
            core.abort(slot, if is_tunnel { Code::Connect } else { code });
        });
    }

    /// Gives the stream up.
    pub(super) fn give_up(&mut self, unfinished: Code) {
        let unread = self.at_hand.len() - self.start + self.untold;
        let stream = self.with(|core, slot| core.drop_stream(slot, unread, unfinished));
        // Its waker is dropped where nothing is borrowed.
        drop(stream);
    }
}

/// Looks at a connection, or changes it, and wakes its driver if that gave it something to do.
pub(super) fn with<R>(core: &Shared, change: impl FnOnce(&mut Core) -> R) -> R {
    let (outcome, driver) = {
        let mut core = core.borrow_mut();
        let outcome = change(&mut core);
        (outcome, core.take_driver())
    };
    if let Some(driver) = driver {
        driver.wake();
    }
    outcome
}

/// Implements [`crate::Source`] and [`crate::Sink`] for a type with a [`Handle`] in its field `handle`.
macro_rules! body {
    ($name:ident) => {
        impl $crate::body::Source for $name {
            fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
                self.handle.poll_fill(cx)
            }

            fn chunk(&self) -> &[u8] {
                self.handle.chunk()
            }

            fn consume(&mut self, len: usize) {
                self.handle.consume(len);
            }

            fn trailers(&self) -> Option<&Fields> {
                self.handle.trailers()
            }

            fn is_done(&self) -> bool {
                self.handle.is_done()
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
                self.handle.poll_send(cx, data)
            }

            /// Ready once the output of the connection has room: what is in it leaves with that of other streams.
            fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
                self.handle.poll_flush(cx)
            }

            fn poll_finish(
                &mut self,
                cx: &mut Context<'_>,
                trailers: Option<&Fields>,
            ) -> Poll<Result<(), WireError>> {
                self.handle.poll_finish(cx, trailers)
            }

            fn plain(&mut self) -> Option<$crate::body::Plain<'_>> {
                None
            }

            fn gave_plain(&mut self, _: u64) {}

            fn queued(&self) -> usize {
                self.handle.queued()
            }

            fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
                self.handle.poll_finish(cx, None)
            }
        }
    };
}
pub(super) use body;
