//! The one loop that moves a body from a source to a sink, whatever the protocols.

#[cfg(test)]
mod tests;

use std::task::{Context, Poll, ready};

use usher_net::Pipe;

use crate::body::{Sink, Source};
use crate::error::WireError;
use crate::turns::{self, SMALL, TOO_LITTLE, Turn, Way};

/// Bodies with at least so many bytes still to come go through a pipe inside the kernel (bytes).
pub const SPLICE_FROM: u64 = 64 << 10;
/// Rounds before the loop gives other connections of the thread a turn.
const ROUNDS: usize = 32;
/// One of unknown length that moved less than this when it was its turn, and has no more for now, is small again (bytes):
/// messages and events go by without waiting.
const TRICKLE: u64 = 4 << 10;

/// On which side a transfer failed.
#[derive(Debug)]
pub enum PumpError {
    /// Receiving from the source.
    Source(WireError),
    /// Sending to the sink.
    Sink(WireError),
}

/// The state of moving one body.
#[derive(Default)]
pub struct Pump {
    pipe: Option<Pipe>,
    state: State,
    moved: u64,
    taken: u64,
    limit: Option<u64>,
    no_splice: bool,
    waits_for_sink: bool,
    /// It waits for its turn before it moves anything.
    is_large: bool,
    /// It is known to be.
    is_long: bool,
    /// What had been moved when it was small (bytes).
    small_at: u64,
    turn: Turn,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Moving,
    Finishing,
    Done,
}

impl Pump {
    /// A pump that never splices: where the bytes must be seen.
    pub fn without_splice() -> Self {
        Self { no_splice: true, ..Self::default() }
    }

    /// A pump that fails with [`WireError::TooLarge`] at more than `limit` bytes of payload.
    pub fn limited(limit: Option<u64>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Whether the last poll stopped because the sink took nothing more, rather than for want of payload.
    pub fn waits_for_sink(&self) -> bool {
        self.waits_for_sink
    }

    /// Payload bytes moved so far: it has made progress if this has grown.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Payload bytes taken from the source so far; more than were moved while some are in the pipe.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether the body was moved and ended.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Moves what can be moved now. Ready when the body is complete and sent.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
        sink: &mut impl Sink,
    ) -> Poll<Result<(), PumpError>> {
        if !self.is_large {
            self.waits_for_sink = false;
            return self.poll_rounds(cx, source, sink, None);
        }
        // Whom it waited for before it waited for its turn is whom it waits for.
        let most = ready!(self.poll_turn(cx, sink));
        self.waits_for_sink = false;
        let before = self.moved;
        let polled = self.poll_rounds(cx, source, sink, Some(most));
        let moved = self.moved - before;
        if polled.is_pending() && !self.is_long && !self.waits_for_sink && moved < TRICKLE.min(most) {
            (self.is_large, self.small_at) = (false, self.moved);
        }
        polled
    }

    /// Whether it waits for nobody but other bodies ([`turns`]).
    pub fn waits_for_turn(&self) -> bool {
        self.turn.is_waiting()
    }

    /// Waits for its turn. What was kept (a head without body) does not.
    fn poll_turn(&mut self, cx: &mut Context<'_>, sink: &mut impl Sink) -> Poll<u64> {
        let polled = self.turn.poll(cx);
        if polled.is_pending() {
            sink.notice_room();
            if sink.queued() > 0 {
                // An error is told by the next write.
                let _ = sink.poll_flush(cx);
            }
        }
        polled
    }

    /// Moves at most about `most` bytes; without a number, until it is found to be large.
    fn poll_rounds(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
        sink: &mut impl Sink,
        mut most: Option<u64>,
    ) -> Poll<Result<(), PumpError>> {
        for _ in 0..ROUNDS {
            if self.limit.is_some_and(|limit| self.moved > limit) {
                return Poll::Ready(Err(PumpError::Source(WireError::TooLarge)));
            }
            match self.state {
                State::Moving => {
                    let plain = source.plain().map(|plain| plain.left);
                    self.is_long |= plain.is_some_and(|left| left >= SPLICE_FROM);
                    self.is_large |= self.is_long;
                    let left = match most {
                        Some(left) => left,
                        None if self.is_large => ready!(self.poll_turn(cx, sink)),
                        None => u64::MAX,
                    };
                    if left < TOO_LITTLE {
                        break;
                    }
                    // Not before: who waits for its first turn has no pipe, and the next one finds the last one's, still warm.
                    let splices = self.may_splice(cx, plain, sink);
                    let before = (self.moved, self.taken);
                    let moved = if splices {
                        self.poll_splice(cx, source, sink, turns::piped(left))
                    } else {
                        self.poll_copy(cx, source, sink)
                    };
                    if self.is_large {
                        let bytes = (self.moved - before.0).max(self.taken - before.1);
                        let work = turns::cost(bytes, if splices { Way::Piped } else { Way::Copied });
                        turns::spend(work);
                        most = Some(left.saturating_sub(work));
                    }
                    self.is_large |= self.moved - self.small_at >= SMALL;
                    ready!(moved)?;
                }
                State::Finishing => {
                    self.waits_for_sink = true;
                    ready!(sink.poll_finish(cx, source.trailers())).map_err(PumpError::Sink)?;
                    self.waits_for_sink = false;
                    self.state = State::Done;
                    return Poll::Ready(Ok(()));
                }
                State::Done => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
        sink: &mut impl Sink,
    ) -> Poll<Result<(), PumpError>> {
        let len = match source.poll_fill(cx) {
            Poll::Ready(filled) => filled.map_err(PumpError::Source)?,
            Poll::Pending => {
                // Nothing more for now: what was kept must not wait for it.
                self.waits_for_sink = true;
                ready!(sink.poll_flush(cx)).map_err(PumpError::Sink)?;
                self.waits_for_sink = false;
                return Poll::Pending;
            }
        };
        if len == 0 {
            self.state = State::Finishing;
            return Poll::Ready(Ok(()));
        }
        if self.limit.is_some_and(|limit| self.moved + len as u64 > limit) {
            return Poll::Ready(Err(PumpError::Source(WireError::TooLarge)));
        }
        self.waits_for_sink = true;
        let sent = ready!(sink.poll_send(cx, source.chunk())).map_err(PumpError::Sink)?;
        self.waits_for_sink = false;
        source.consume(sent);
        self.moved += sent as u64;
        self.taken += sent as u64;
        Poll::Ready(Ok(()))
    }

    /// Whether to go through the pipe: bytes are in it, or both sides are plain and there is much to come (bytes that are
    /// left, if the source is plain).
    fn may_splice(&mut self, cx: &mut Context<'_>, plain: Option<u64>, sink: &mut impl Sink) -> bool {
        if self.pipe.as_ref().is_some_and(|pipe| !pipe.is_empty()) {
            return true;
        }
        let Some(left) = plain else { return false };
        if self.no_splice || left < SPLICE_FROM && self.pipe.is_none() {
            return false;
        }
        // What was kept (a head without body) goes first.
        if !matches!(sink.poll_flush(cx), Poll::Ready(Ok(()))) || sink.plain().is_none() {
            return false;
        }
        if self.pipe.is_none() {
            self.pipe = Pipe::take().ok();
            self.no_splice = self.pipe.is_none();
        }
        self.pipe.is_some()
    }

    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
        sink: &mut impl Sink,
        share: u64,
    ) -> Poll<Result<(), PumpError>> {
        let Some(pipe) = &mut self.pipe else { return Poll::Ready(Ok(())) };
        let mut waits = false;
        let mut more = false;
        let reach = sink.plain().map_or(usize::MAX, |plain| plain.stream.reach());
        if let Some(plain) = source.plain()
            && !pipe.is_full()
            && pipe.len() < reach
        {
            let room = pipe.capacity().min(reach).saturating_sub(pipe.len()).max(1);
            let left = plain.left;
            let max = usize::try_from(left.min(share)).unwrap_or(usize::MAX).min(room);
            match plain.stream.poll_splice_in(cx, pipe, max) {
                Poll::Pending => waits = true,
                Poll::Ready(moved) => {
                    let moved = moved.map_err(|error| PumpError::Source(error.into()))? as u64;
                    source.took_plain(moved).map_err(PumpError::Source)?;
                    self.taken += moved;
                    // As much as was asked for came: more is likely to be there.
                    more = moved < left && moved == max as u64;
                }
            }
        }
        if pipe.is_empty() {
            return if waits { Poll::Pending } else { Poll::Ready(Ok(())) };
        }
        let Some(plain) = sink.plain() else {
            return Poll::Ready(Err(PumpError::Sink(WireError::Truncated)));
        };
        let most = usize::try_from(plain.left.min(share)).unwrap_or(usize::MAX);
        if most == 0 {
            // More payload than the sink's framing announced: the surplus is never sent.
            return Poll::Ready(Err(PumpError::Sink(WireError::Truncated)));
        }
        self.waits_for_sink = true;
        let moved = ready!(plain.stream.poll_splice_out(cx, pipe, most, more))
            .map_err(|error| PumpError::Sink(error.into()))?;
        self.waits_for_sink = false;
        sink.gave_plain(moved as u64);
        self.moved += moved as u64;
        Poll::Ready(Ok(()))
    }
}
