//! Bytes both ways after an upgrade, until both directions ended.

use std::task::{Context, Poll, ready};

use usher_net::Transport;

use crate::buffer::Buffer;
use crate::error::WireError;

/// One direction of a tunnel.
#[derive(Default)]
struct Direction {
    held: Buffer,
    ended: bool,
    finished: bool,
    moved: u64,
}

/// Two streams that are joined.
pub struct Tunnel<A, B> {
    a: A,
    b: B,
    to_b: Direction,
    to_a: Direction,
}

/// Turns before other connections of the thread get theirs.
const ROUNDS: usize = 32;

impl<A: Transport, B: Transport> Tunnel<A, B> {
    /// Joins two streams, with the bytes that were read ahead from each.
    pub fn new((a, from_a): (A, Buffer), (b, from_b): (B, Buffer)) -> Self {
        let to_b = Direction { held: from_a, ..Direction::default() };
        let to_a = Direction { held: from_b, ..Direction::default() };
        Self { a, b, to_b, to_a }
    }

    /// Bytes moved so far: towards `b`, towards `a`.
    pub fn moved(&self) -> (u64, u64) {
        (self.to_b.moved, self.to_a.moved)
    }

    /// Moves what can be moved now. Ready when both directions ended, each end passed on as it came (half-close).
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        let forth = self.to_b.poll(cx, &mut self.a, &mut self.b)?;
        let back = self.to_a.poll(cx, &mut self.b, &mut self.a)?;
        if forth.is_ready() && back.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl Direction {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut impl Transport,
        to: &mut impl Transport,
    ) -> Poll<Result<(), WireError>> {
        for _ in 0..ROUNDS {
            if self.finished {
                return Poll::Ready(Ok(()));
            }
            if !self.held.is_empty() {
                let sent = ready!(to.poll_write(cx, self.held.bytes()))?;
                self.held.consume(sent);
                self.moved += sent as u64;
            } else if self.ended {
                ready!(to.poll_shutdown(cx))?;
                self.finished = true;
            } else {
                ready!(self.poll_read(cx, from))?;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, from: &mut impl Transport) -> Poll<Result<(), WireError>> {
        // Waits without a buffer: an idle tunnel holds no memory.
        if self.held.is_empty() {
            self.held.release();
            ready!(from.poll_read_ready(cx))?;
        }
        let read = from.poll_read(cx, self.held.room(crate::buffer::SMALL));
        match read {
            Poll::Pending => {
                self.held.release();
                Poll::Pending
            }
            Poll::Ready(read) => {
                let len = read?;
                self.held.filled(len);
                self.ended = len == 0;
                Poll::Ready(Ok(()))
            }
        }
    }
}
