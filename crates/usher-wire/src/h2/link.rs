//! Reading and writing: what drives a connection, on both sides.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use usher_net::Transport;

use super::core::{Core, Role, Shared};
use super::frame::{FrameHead, HEAD, PREFACE, Wrong};
use super::headers::Block;
use super::output::PAUSE;
use super::receive::Next;
use super::stream::Fault;
use crate::buffer::{Buffer, LARGE};
use crate::error::WireError;
use crate::pressure;

/// Reads before others of the thread get a turn.
const READS: usize = 8;
/// After an error: how much more of what the peer sends is thrown away (bytes).
const LAST_WORDS: usize = 256 << 10;

/// A connection's stream of bytes and its state.
pub(super) struct Link<T> {
    pub(super) core: Shared,
    pub(super) stream: T,
    input: Buffer,
    /// Memory of the list of those to wake.
    wakes: Vec<Waker>,
    /// The last read filled its buffer.
    is_hungry: bool,
    /// What of the preface is still to come (bytes).
    preface: usize,
    /// We have ended our direction.
    is_shut: bool,
    pub(super) counts: (u64, u64),
}

/// What the bytes at hand came to.
enum Progress<R> {
    /// More must be read.
    Read,
    /// Nothing more is read for now.
    Pause,
    Found(R),
}

impl<T: Transport> Link<T> {
    pub(super) fn new(stream: T, core: Core, ahead: &[u8]) -> Self {
        let preface = if core.role == Role::Server { PREFACE.len() } else { 0 };
        let mut input = Buffer::default();
        let mut rest = ahead;
        while !rest.is_empty() {
            let room = input.room(ahead.len().max(LARGE));
            let len = room.len().min(rest.len());
            room[..len].copy_from_slice(&rest[..len]);
            input.filled(len);
            rest = &rest[len..];
        }
        Self {
            core: Rc::new(RefCell::new(core)),
            stream,
            input,
            wakes: Vec::new(),
            is_hungry: false,
            preface,
            is_shut: false,
            counts: (ahead.len() as u64, 0),
        }
    }

    /// Reads, deals with what was read, and writes. Ready when `on_block` found what it looks for, or with None when the
    /// connection has ended.
    pub(super) fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut on_block: impl FnMut(&mut Core, &Block<'_>) -> Result<Option<R>, Wrong>,
    ) -> Poll<Result<Option<R>, WireError>> {
        loop {
            let paused = match self.poll_input(cx, &mut on_block) {
                Progress::Found(found) => {
                    self.wake();
                    return Poll::Ready(Ok(Some(found)));
                }
                Progress::Read => false,
                Progress::Pause => true,
            };
            self.poll_output(cx);
            if !paused || !self.may_go_on() {
                break;
            }
        }
        self.wake();
        let ended = self.poll_ended(cx);
        if ended.is_pending() {
            self.wait(cx);
        }
        ended.map_ok(|()| None)
    }

    /// Whether the reason has gone for which reading paused.
    fn may_go_on(&self) -> bool {
        let core = self.core.borrow();
        core.fault.is_none() && !core.is_crowded && core.output.waiting() < PAUSE && !core.holds_too_much()
    }

    /// Takes frames and reads until there is nothing to read, or something was found.
    fn poll_input<R>(
        &mut self,
        cx: &mut Context<'_>,
        on_block: &mut impl FnMut(&mut Core, &Block<'_>) -> Result<Option<R>, Wrong>,
    ) -> Progress<R> {
        for _ in 0..READS {
            match self.take_frames(cx.waker(), on_block) {
                Progress::Read if self.read(cx) => {}
                progress => return progress,
            }
        }
        cx.waker().wake_by_ref();
        Progress::Read
    }

    /// Deals with the frames at hand.
    fn take_frames<R>(
        &mut self,
        waker: &Waker,
        on_block: &mut impl FnMut(&mut Core, &Block<'_>) -> Result<Option<R>, Wrong>,
    ) -> Progress<R> {
        let mut core = self.core.borrow_mut();
        loop {
            if core.fault.is_some() || core.output.waiting() >= PAUSE {
                return Progress::Pause;
            }
            if core.holds_too_much() {
                pressure::wait(waker);
                return Progress::Pause;
            }
            let bytes = self.input.bytes();
            if self.preface > 0 {
                let len = self.preface.min(bytes.len());
                let begun = PREFACE.len() - self.preface;
                if bytes.get(..len) != PREFACE.get(begun..begun + len) {
                    core.wrong(Wrong::protocol("malformed connection preface"));
                    return Progress::Pause;
                }
                self.preface -= len;
                self.input.consume(len);
                if self.preface > 0 {
                    return Progress::Read;
                }
                continue;
            }
            let (size, outcome) = match core.next(bytes) {
                Ok(Next::Incomplete) => return Progress::Read,
                Ok(Next::Wait) => return Progress::Pause,
                Ok(Next::Done(size)) => (size, Ok(None)),
                Ok(Next::Block(block, size)) => (size, on_block(&mut core, &block)),
                Err(wrong) => (FrameHead::read(bytes).map_or(0, |head| HEAD + head.len), Err(wrong)),
            };
            self.input.consume(size);
            match outcome {
                Ok(Some(found)) => return Progress::Found(found),
                Ok(None) => {}
                Err(wrong) => core.wrong(wrong),
            }
        }
    }

    /// Reads once; false if there is nothing to read, or will be.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        let room = if self.is_hungry && self.input.is_empty() {
            self.input.room_for_stream()
        } else {
            self.input.room(LARGE)
        };
        let most = room.len();
        match self.stream.poll_read(cx, room) {
            Poll::Pending => {
                self.input.release();
                self.is_hungry = false;
                false
            }
            Poll::Ready(Ok(len @ 1..)) => {
                self.input.filled(len);
                self.counts.0 += len as u64;
                self.is_hungry = len == most;
                let mut core = self.core.borrow_mut();
                if core.role == Role::Client {
                    core.heard = Instant::now();
                }
                true
            }
            Poll::Ready(Ok(_)) => {
                self.core.borrow_mut().end(Fault::Closed);
                false
            }
            Poll::Ready(Err(error)) => {
                self.core.borrow_mut().end(Fault::Io(error.kind()));
                false
            }
        }
    }

    /// Writes what waits, and gives streams their turn.
    fn poll_output(&mut self, cx: &mut Context<'_>) {
        let mut output = std::mem::take(&mut self.core.borrow_mut().output);
        let mut failed = None;
        while output.waiting() > 0 {
            match self.stream.poll_write(cx, output.bytes()) {
                Poll::Pending => {
                    output.offered();
                    break;
                }
                Poll::Ready(Ok(len @ 1..)) => {
                    output.sent(len);
                    self.counts.1 += len as u64;
                }
                Poll::Ready(Ok(_)) => {
                    failed = Some(std::io::ErrorKind::WriteZero);
                    break;
                }
                Poll::Ready(Err(error)) => {
                    failed = Some(error.kind());
                    break;
                }
            }
        }
        let mut core = self.core.borrow_mut();
        debug_assert_eq!(core.output.end(), 0, "nothing is added while the output is written");
        core.output = output;
        core.output.is_news = false;
        if let Some(kind) = failed {
            core.output.forget();
            core.end(Fault::Io(kind));
        }
        if core.admit() {
            cx.waker().wake_by_ref();
        }
    }

    /// Wakes those for whom something came.
    fn wake(&mut self) {
        std::mem::swap(&mut self.core.borrow_mut().wakes, &mut self.wakes);
        self.wakes.drain(..).for_each(Waker::wake);
    }

    /// Notes who is to be woken, and gives back memory that is not needed meanwhile.
    fn wait(&mut self, cx: &Context<'_>) {
        let mut core = self.core.borrow_mut();
        // While the peer takes nothing, more output is no news.
        let blocked = core.output.waiting() > 0;
        core.driver = (!blocked).then(|| cx.waker().clone());
        core.release();
        if core.streams.held() == 0 {
            self.wakes = Vec::new();
        }
    }

    /// Ready when the connection is over: at once if the peer ended it or broke the protocol, and otherwise after everything
    /// was sent. What a peer is told last goes out with what is thrown away of it ([`Self::poll_last_words`]).
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        let (fault, finished, waiting, held) = {
            let core = self.core.borrow();
            (core.fault, core.is_finished(), core.output.waiting() > 0, core.streams.held())
        };
        match fault {
            Some(Fault::Closed) if held == 0 => return Poll::Ready(Ok(())),
            Some(Fault::Protocol(phrase)) => {
                // A peer that takes nothing shall not keep what is wrong with it to itself.
                if !waiting {
                    let _ = self.poll_shut(cx);
                }
                return Poll::Ready(Err(WireError::Protocol(phrase)));
            }
            Some(fault) => return Poll::Ready(Err(fault.error(true))),
            None => {}
        }
        if finished && !waiting && self.poll_shut(cx).is_ready() {
            self.core.borrow_mut().end(Fault::Closed);
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn poll_shut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_shut {
            // That it fails means that it is shut.
            std::task::ready!(self.stream.poll_shutdown(cx)).ok();
            self.is_shut = true;
        }
        Poll::Ready(())
    }

    /// Sends what waits; then reads what the peer still sends and throws it away, up to a limit: closing earlier would reset
    /// the connection, and that could destroy what the peer was told.
    pub(super) fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_output(cx);
        if self.core.borrow().output.waiting() > 0 || self.poll_shut(cx).is_pending() {
            return Poll::Pending;
        }
        let begun = self.counts.0;
        while self.counts.0.saturating_sub(begun) < LAST_WORDS as u64 {
            self.input.consume(self.input.len());
            match self.stream.poll_read(cx, self.input.room(LARGE)) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(len @ 1..)) => self.counts.0 += len as u64,
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }
}

impl<T> Drop for Link<T> {
    fn drop(&mut self) {
        let wakes = {
            let mut core = self.core.borrow_mut();
            core.end(Fault::Closed);
            core.driver = None;
            std::mem::take(&mut core.wakes)
        };
        wakes.into_iter().for_each(Waker::wake);
    }
}
