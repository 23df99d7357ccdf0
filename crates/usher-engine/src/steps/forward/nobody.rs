//! The client of a second try: it sends nothing, is told nothing, and does not go away.

use std::task::{Context, Poll};

use usher_http::{Fields, Framing, Response};
use usher_wire::{Downstream, Plain, ReplyContext, Sink, Source, WireError};

/// A client that is none.
pub(super) struct Nobody;

impl Source for Nobody {
    fn poll_fill(&mut self, _: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        Poll::Ready(Ok(0))
    }

    fn chunk(&self) -> &[u8] {
        &[]
    }

    fn consume(&mut self, _: usize) {}

    fn trailers(&self) -> Option<&Fields> {
        None
    }

    fn is_done(&self) -> bool {
        true
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
