//! What every protocol offers for bodies.

use std::task::{Context, Poll};

use usher_http::Fields;
use usher_net::Transport;

use crate::error::WireError;

/// A body that is being received.
pub trait Source {
    /// Ready when payload is at hand: the number of bytes in [`Source::chunk`], 0 at the end of the body.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>>;

    /// The payload at hand.
    fn chunk(&self) -> &[u8];

    /// Marks the first `len` bytes of the payload at hand as taken.
    fn consume(&mut self, len: usize);

    /// The trailers, at the end of the body.
    fn trailers(&self) -> Option<&Fields>;

    /// Whether the whole body was taken.
    fn is_done(&self) -> bool;

    /// The raw stream, if what follows on it is nothing but payload that is not in memory yet.
    fn plain(&mut self) -> Option<Plain<'_>>;

    /// Notes that `len` bytes of payload were taken from the raw stream; 0 means that the stream ended.
    fn took_plain(&mut self, len: u64) -> Result<(), WireError>;
}

/// A body that is being sent.
pub trait Sink {
    /// Takes bytes of payload; may keep them until [`Sink::poll_flush`]. Returns how many were taken, at least 1.
    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, WireError>>;

    /// Sends what was kept.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>>;

    /// Ends the body and sends everything.
    fn poll_finish(&mut self, cx: &mut Context<'_>, trailers: Option<&Fields>)
    -> Poll<Result<(), WireError>>;

    /// The raw stream, if payload may be written to it as it is and nothing is kept.
    fn plain(&mut self) -> Option<Plain<'_>>;

    /// Notes that `len` bytes of payload were written to the raw stream.
    fn gave_plain(&mut self, len: u64);

    /// Bytes that were taken but not sent yet.
    fn queued(&self) -> usize;

    /// As [`Transport::notice_room`], where the stream is this body's alone.
    fn notice_room(&mut self) {}

    /// Ends the direction itself, after the body was finished: for tunnels.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>>;
}

/// A body in memory.
pub struct Held<'a> {
    bytes: &'a [u8],
}

impl<'a> Held<'a> {
    /// All of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl Source for Held<'_> {
    fn poll_fill(&mut self, _: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        Poll::Ready(Ok(self.bytes.len()))
    }

    fn chunk(&self) -> &[u8] {
        self.bytes
    }

    fn consume(&mut self, len: usize) {
        self.bytes = self.bytes.get(len..).unwrap_or_default();
    }

    fn trailers(&self) -> Option<&Fields> {
        None
    }

    fn is_done(&self) -> bool {
        self.bytes.is_empty()
    }

    fn plain(&mut self) -> Option<Plain<'_>> {
        None
    }

    fn took_plain(&mut self, _: u64) -> Result<(), WireError> {
        Ok(())
    }
}

/// A raw stream, and how much payload may go over it in a row.
pub struct Plain<'a> {
    /// The stream; it can splice.
    pub stream: &'a mut dyn Transport,
    /// Bytes; `u64::MAX` where the end of the stream is the end of the body.
    pub left: u64,
}
