//! Bytes one way, until their end: copied where they are few, through a pipe inside the kernel where they are many.

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll, ready};

use usher_net::{Pipe, Transport};
use usher_wire::Buffer;
use usher_wire::buffer::LARGE;
use usher_wire::turns::{self, Turn};

/// Rounds before other connections of the thread have a turn.
const ROUNDS: usize = 32;
/// A read of so many bytes filled the buffer: there is likely more, and the next ones are spliced.
const MANY: usize = LARGE;
/// What is spliced is few below this (bytes); copying needs fewer system calls then.
const FEW: usize = 16 << 10;
/// After so many times of few bytes in a row they are copied again, and the pipe is given back.
const PATIENCE: u8 = 8;
/// Pipes that one thread may have in use for this: each takes two descriptors.
const MAX_PIPES: u32 = 512;

thread_local! {
    static PIPES: Cell<u32> = const { Cell::new(0) };
}

/// Which side broke off.
#[derive(Debug)]
pub(super) enum Broken {
    /// Where bytes come from.
    Source(io::Error),
    /// Where they go.
    Sink(io::Error),
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Moving,
    /// The source has ended: the sink is told when it has everything.
    Ending,
    Done,
}

/// One direction of a connection.
#[derive(Default)]
pub(super) struct Direction {
    stage: Stage,
    /// What was read and not written yet.
    buffer: Buffer,
    /// What bytes are spliced through, while they are many.
    pipe: Option<Borrowed>,
    /// How often in a row few bytes were spliced.
    few: u8,
    /// There was no pipe to be had: not asked again until the connection has rested.
    copies: bool,
    /// The last read took all that there was: what comes next is announced before it is read.
    emptied: bool,
    /// Much came at once: from then on it moves in turns with others, until it has rested.
    is_large: bool,
    turn: Turn,
    moved: u64,
}

impl Direction {
    /// One whose first bytes are here already.
    pub(super) fn beginning_with(ahead: &[u8]) -> Self {
        let mut this = Self::default();
        let mut rest = ahead;
        while !rest.is_empty() {
            let room = this.buffer.room(ahead.len().max(LARGE));
            let len = room.len().min(rest.len());
            room[..len].copy_from_slice(&rest[..len]);
            this.buffer.filled(len);
            rest = &rest[len..];
        }
        this
    }

    /// Bytes that the sink has taken.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether the sink has everything, and knows that it is all.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether it waits for nobody but other flows.
    pub(super) fn waits_for_turn(&self) -> bool {
        self.turn.is_waiting()
    }

    /// Gives back what it does not need while nothing is said.
    pub(super) fn rest(&mut self) {
        debug_assert!(!self.waits_for_turn(), "it does not rest");
        drop(self.pipe.take_if(|pipe| pipe.0.is_empty()));
        self.copies = false;
        self.is_large = false;
    }

    /// Moves what can be moved now. Ready when the source has ended and the sink knows.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Transport,
        sink: &mut impl Transport,
    ) -> Poll<Result<(), Broken>> {
        let mut left = None;
        for _ in 0..ROUNDS {
            if self.stage == Stage::Done {
                return Poll::Ready(Ok(()));
            }
            if !self.is_large {
                ready!(self.poll_step(cx, source, sink, u64::MAX))?;
                continue;
            }
            let most = match left {
                Some(0) => break,
                Some(most) => most,
                None => match self.turn.poll(cx) {
                    Poll::Ready(most) => most,
                    Poll::Pending => {
                        sink.notice_room();
                        return Poll::Pending;
                    }
                },
            };
            let before = self.moved;
            let step = self.poll_step(cx, source, sink, most);
            turns::spend(self.moved - before);
            left = Some(most.saturating_sub(self.moved - before));
            ready!(step)?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Does what is next, and moves no more than about `most` bytes.
    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Transport,
        sink: &mut impl Transport,
        most: u64,
    ) -> Poll<Result<(), Broken>> {
        if !self.buffer.is_empty() {
            return self.poll_write(cx, sink);
        }
        if self.pipe.is_some() {
            return self.poll_splice(cx, source, sink, most);
        }
        match self.stage {
            Stage::Moving => return self.poll_read(cx, source, sink.can_splice()),
            Stage::Ending => {
                ready!(sink.poll_shutdown(cx)).map_err(Broken::Sink)?;
                self.stage = Stage::Done;
            }
            Stage::Done => {}
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, sink: &mut impl Transport) -> Poll<Result<(), Broken>> {
        let written = ready!(sink.poll_write(cx, self.buffer.bytes())).map_err(Broken::Sink)?;
        if written == 0 {
            return Poll::Ready(Err(Broken::Sink(io::ErrorKind::WriteZero.into())));
        }
        self.buffer.consume(written);
        self.moved += written as u64;
        Poll::Ready(Ok(()))
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Transport,
        sink_splices: bool,
    ) -> Poll<Result<(), Broken>> {
        let Poll::Ready(read) = self.poll_fill(cx, source) else {
            // While nothing comes, there is no buffer.
            self.buffer.release();
            return Poll::Pending;
        };
        let read = read.map_err(Broken::Source)?;
        if read == 0 {
            self.buffer.release();
            self.stage = Stage::Ending;
            return Poll::Ready(Ok(()));
        }
        self.buffer.filled(read);
        self.is_large |= read >= MANY;
        if read >= MANY && !self.copies && sink_splices && source.can_splice() {
            self.pipe = Borrowed::take();
            (self.copies, self.few) = (self.pipe.is_none(), 0);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads into the buffer, unless it is known that there is nothing: a connection that the runtime does not know yet
    /// would be asked in vain.
    fn poll_fill(&mut self, cx: &mut Context<'_>, source: &mut impl Transport) -> Poll<io::Result<usize>> {
        if self.emptied {
            ready!(source.poll_read_ready(cx))?;
        }
        let room = self.buffer.room_for_stream();
        let most = room.len();
        let read = ready!(source.poll_read(cx, room))?;
        self.emptied = read < most;
        Poll::Ready(Ok(read))
    }

    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Transport,
        sink: &mut impl Transport,
        most: u64,
    ) -> Poll<Result<(), Broken>> {
        self.buffer.release();
        let Some(Borrowed(pipe)) = &mut self.pipe else { return Poll::Ready(Ok(())) };
        let mut waits = false;
        let reach = sink.reach();
        if self.stage == Stage::Moving && !pipe.is_full() && pipe.len() < reach {
            let room = pipe.capacity().min(reach).saturating_sub(pipe.len()).max(1);
            let room = usize::try_from(most).unwrap_or(usize::MAX).clamp(1, room);
            match source.poll_splice_in(cx, pipe, room) {
                Poll::Pending => waits = true,
                Poll::Ready(Ok(0)) => self.stage = Stage::Ending,
                Poll::Ready(Ok(moved)) if moved < FEW => self.few = self.few.saturating_add(1),
                Poll::Ready(Ok(_)) => self.few = 0,
                Poll::Ready(Err(why)) => return Poll::Ready(Err(Broken::Source(why))),
            }
        }
        if pipe.is_empty() {
            if self.few >= PATIENCE || self.stage != Stage::Moving {
                self.pipe = None;
                return Poll::Ready(Ok(()));
            }
            return if waits { Poll::Pending } else { Poll::Ready(Ok(())) };
        }
        // Never MSG_MORE: whether more follows, nobody knows, and what is held back would wait for it.
        let held = usize::try_from(most).unwrap_or(usize::MAX).min(pipe.len());
        let moved = ready!(sink.poll_splice_out(cx, pipe, held, false)).map_err(Broken::Sink)?;
        if moved == 0 {
            return Poll::Ready(Err(Broken::Sink(io::ErrorKind::WriteZero.into())));
        }
        self.moved += moved as u64;
        Poll::Ready(Ok(()))
    }
}

/// A pipe, counted while it is in use.
struct Borrowed(Pipe);

impl Borrowed {
    /// None if there is none to be had, or this thread has as many as it may.
    fn take() -> Option<Self> {
        if PIPES.get() >= MAX_PIPES {
            return None;
        }
        let pipe = Pipe::take().ok()?;
        PIPES.set(PIPES.get() + 1);
        Some(Self(pipe))
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        PIPES.set(PIPES.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests;
