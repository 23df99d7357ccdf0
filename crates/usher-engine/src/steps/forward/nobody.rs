//! The client of a second try, or of a copy: it is told nothing, and does not go away. That of a copy may send a body.

use std::task::{Context, Poll};

use usher_http::{Fields, Framing, Response};
use usher_wire::{Downstream, Plain, ReplyContext, Sink, Source, WireError};

use super::mirror::feed::Feed;

/// A client that is none.
#[derive(Default)]
pub(super) struct Nobody {
    body: Option<Feed>,
}

impl Nobody {
    /// One that sends this body, if there is any.
    pub(super) fn sending(body: Option<Feed>) -> Self {
        Self { body }
    }

    /// Whether the body came faster than it was taken.
    pub(super) fn is_given_up(&self) -> bool {
        self.body.as_ref().is_some_and(Feed::is_given_up)
    }
}

impl Source for Nobody {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        self.body.as_mut().map_or(Poll::Ready(Ok(0)), |body| body.poll_fill(cx))
    }

    fn chunk(&self) -> &[u8] {
        self.body.as_ref().map_or(&[], Feed::chunk)
    }

    fn consume(&mut self, len: usize) {
        if let Some(body) = &mut self.body {
            body.consume(len);
        }
    }

    fn trailers(&self) -> Option<&Fields> {
        self.body.as_ref().and_then(Feed::trailers)
    }

    fn is_done(&self) -> bool {
        self.body.as_ref().is_none_or(Feed::is_done)
    }

    fn plain(&mut self) -> Option<Plain<'_>> {
        None
    }

    fn took_plain(&mut self, _: u64) -> Result<(), WireError> {
        Ok(())
    }
}

impl Sink for Nobody {
    fn poll_send(&mut self, _: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, WireError>> {
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _: &mut Context<'_>, _: Option<&Fields>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn plain(&mut self) -> Option<Plain<'_>> {
        None
    }

    fn gave_plain(&mut self, _: u64) {}

    fn queued(&self) -> usize {
        0
    }

    fn poll_end(&mut self, _: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }
}

impl Downstream for Nobody {
    fn begin_response(&mut self, _: &Response, _: Framing, _: ReplyContext<'_>) -> bool {
        false
    }

    fn inform(&mut self, _: &Response) {}

    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<WireError> {
        Poll::Pending
    }

    fn is_watched(&self) -> bool {
        true
    }

    fn take_counts(&mut self) -> (u64, u64) {
        (0, 0)
    }

    fn begin_tunnel(&mut self) {}
}
