//! One direction of a WebSocket: what its sender says, and then perhaps a Close of Usher's own.

use std::task::{Context, Poll, ready};

use usher_wire::pump::{Pump, PumpError};
use usher_wire::websocket::{CloseFrame, Followed, Frames};
use usher_wire::{Sink, Source, WireError};

use super::plan::{STALL, Talk};

/// Reads of what is thrown away before other connections of the thread get a turn.
const ROUNDS: usize = 32;

/// One direction.
pub(super) struct Way {
    pump: Pump,
    frames: Frames,
    stage: Stage,
    /// The receiver was offered something, and may have taken some of it without saying so: a TLS record is made of it, for
    /// which there is no room yet. Nothing else can be sent before.
    offered: bool,
    /// That was before it was held, and perhaps more than what passes now: the same is offered until some of it is taken.
    owed: bool,
    /// What the receiver is told, now that Usher closes: also if the sender goes without a word.
    close: Option<CloseFrame>,
    /// It has gone without a word.
    gone: bool,
    /// Messages that had begun when Usher closed: more than these are lost.
    passed: Option<u64>,
    /// A message was passed on in part, and its rest never will be.
    broken: bool,
    /// When something of a message last passed, if ever, and how long after the time before (milliseconds of the worker's
    /// clock).
    spoke: Option<u64>,
    pause: u64,
    /// When something last went on, since Usher closes.
    stirred: u64,
}

enum Stage {
    /// Everything passes.
    Passing,
    /// Until the message that is under way ends.
    Held,
    /// The Close is being sent, from this byte on.
    Telling(CloseFrame, usize),
    /// It was, or cannot be any more. What its sender still says is thrown away, up to its own Close.
    Told,
    /// The sender's end is passed on.
    Ending,
    Over,
}

impl Way {
    pub(super) fn new() -> Self {
        Self {
            // A tunnel lives long and says little, and must be followed: it is never spliced.
            pump: Pump::without_splice(),
            frames: Frames::default(),
            stage: Stage::Passing,
            offered: false,
            owed: false,
            close: None,
            gone: false,
            passed: None,
            broken: false,
            spoke: None,
            pause: 0,
            stirred: 0,
        }
    }

    /// Moves what can be moved. Ready when there is nothing more to do, or it failed.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (source, sink): (&mut impl Source, &mut impl Sink),
        now: u64,
    ) -> Poll<Result<(), ()>> {
        loop {
            self.stage = match &mut self.stage {
                Stage::Passing | Stage::Held => {
                    let passed = self.pass(cx, (source, sink), now);
                    let next = ready!(self.after(passed))?;
                    self.stirred = now;
                    next
                }
                Stage::Telling(close, sent) => {
                    let told = ready!(tell(cx, sink, (close, sent)));
                    self.stirred = now;
                    // Whoever cannot be told is gone, which its own direction shows.
                    if told.is_err() || !self.gone { Stage::Told } else { Stage::Over }
                }
                Stage::Told if self.gone => Stage::Over,
                Stage::Told => {
                    // What the sender closed with may still be on its way.
                    let flushed = sink.poll_flush(cx);
                    ready!(self.throw_away(cx, source));
                    // Whoever cannot be told is gone.
                    _ = ready!(flushed);
                    Stage::Over
                }
                Stage::Ending => {
                    let ended = ready!(end(cx, sink));
                    if self.close.is_none() {
                        ended.map_err(|_| ())?;
                    }
                    Stage::Over
                }
                Stage::Over => return Poll::Ready(Ok(())),
            }
        }
    }

    fn pass(
        &mut self,
        cx: &mut Context<'_>,
        (source, sink): (&mut impl Source, &mut impl Sink),
        now: u64,
    ) -> Poll<Result<(), PumpError>> {
        let held = matches!(self.stage, Stage::Held);
        let before = (self.pump.moved(), self.frames);
        let ended = self.close.is_some().then_some(&mut self.gone);
        let mut source = Followed { source, frames: &mut self.frames, held, owed: &mut self.owed, ended };
        let polled = self.pump.poll(cx, &mut source, sink);
        self.offered = polled.is_pending() && self.pump.waits_for_sink() && !source.chunk().is_empty();
        if !held {
            *source.owed = self.offered;
        }
        if self.pump.moved() == before.0 {
            return polled;
        }
        self.stirred = now;
        if !before.1.is_between() || self.frames.messages() != before.1.messages() {
            let before = self.spoke.replace(now).unwrap_or(0);
            if now > before {
                self.pause = now - before;
            }
        }
        polled
    }

    /// What follows, after all that could pass has passed.
    fn after(&mut self, passed: Poll<Result<(), PumpError>>) -> Poll<Result<Stage, ()>> {
        let next = match (passed, self.close) {
            (Poll::Ready(Ok(())), _) => Stage::Ending,
            // The receiver is gone: nobody is left to pass anything on to.
            (Poll::Ready(Err(PumpError::Sink(_))), Some(_)) => {
                self.stop();
                Stage::Told
            }
            (Poll::Ready(Err(_)), _) => return Poll::Ready(Err(())),
            (Poll::Pending, Some(close)) if self.gone => {
                // Within a frame nothing else can be said; whoever has closed needs no other Close.
                if self.frames.is_closed() || !self.frames.is_at_border() {
                    Stage::Ending
                } else {
                    self.stop();
                    Stage::Telling(close, 0)
                }
            }
            (Poll::Pending, Some(close)) if self.is_at_an_end() => {
                self.stop();
                if self.frames.is_closed() { Stage::Told } else { Stage::Telling(close, 0) }
            }
            (Poll::Pending, _) => return Poll::Pending,
        };
        Poll::Ready(Ok(next))
    }

    /// Whether the message that was waited for has ended.
    fn is_at_an_end(&self) -> bool {
        matches!(self.stage, Stage::Held) && self.frames.is_between() && !self.owed
    }

    /// Nothing more is passed on.
    fn stop(&mut self) {
        self.passed = Some(self.frames.messages());
        self.broken = !self.frames.is_between();
    }

    /// Ready when the sender has closed, or is gone: either is what was waited for.
    fn throw_away(&mut self, cx: &mut Context<'_>, source: &mut impl Source) -> Poll<()> {
        for _ in 0..ROUNDS {
            if self.frames.is_closed() {
                return Poll::Ready(());
            }
            let Ok(len @ 1..) = ready!(source.poll_fill(cx)) else { return Poll::Ready(()) };
            self.frames.follow(source.chunk().get(..len).unwrap_or_default());
            source.consume(len);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Puts a Close where the message that is under way ends.
    pub(super) fn close(&mut self, close: CloseFrame, now: u64) {
        if matches!(self.stage, Stage::Passing) {
            (self.stage, self.close, self.stirred) = (Stage::Held, Some(close), now);
        }
    }

    /// Usher closes, and waits for what the sender answers: if it goes without a word, its receiver is told this.
    pub(super) fn answer_for_sender(&mut self, close: CloseFrame) {
        self.close = Some(close);
    }

    /// Puts the Close between two frames of a message that is under way, of which nothing more comes. False where that is not
    /// possible.
    pub(super) fn interrupt(&mut self, now: u64) -> bool {
        let Some(close) = self.close.filter(|_| matches!(self.stage, Stage::Held)) else { return false };
        if self.offered || !self.frames.is_at_border() {
            return false;
        }
        self.stop();
        (self.stage, self.stirred) = (Stage::Telling(close, 0), now);
        true
    }

    /// When its Close, or its end, is waited for no more, if nothing goes on until then.
    pub(super) fn stalls_at(&self) -> Option<u64> {
        let waits = matches!(self.stage, Stage::Held | Stage::Telling(..) | Stage::Ending);
        waits.then(|| self.stirred.saturating_add(STALL))
    }

    pub(super) fn is_stalled(&self, now: u64) -> bool {
        self.stalls_at().is_some_and(|at| now >= at)
    }

    /// Payload bytes moved.
    pub(super) fn moved(&self) -> u64 {
        self.pump.moved()
    }

    /// What is known of its sender.
    pub(super) fn talk(&self) -> Talk {
        Talk { spoke: self.spoke, pause: self.pause, between: self.frames.is_between() }
    }

    /// Whether its sender has closed, or ended without.
    pub(super) fn has_ended(&self) -> bool {
        self.frames.is_closed() || matches!(self.stage, Stage::Ending | Stage::Over)
    }

    /// Whether its receiver was sent a Close of Usher's.
    pub(super) fn is_told(&self) -> bool {
        matches!(self.stage, Stage::Told | Stage::Over)
    }

    /// Whether every message of which something was passed on was passed on to its end.
    pub(super) fn is_whole(&self) -> bool {
        !self.broken && (self.passed.is_some() || self.frames.is_between())
    }

    /// Whether its sender said something more when its receiver was told already.
    pub(super) fn is_late(&self) -> bool {
        self.passed.is_some_and(|passed| self.frames.messages() > passed)
    }
}

fn tell(
    cx: &mut Context<'_>,
    sink: &mut impl Sink,
    (close, sent): (&CloseFrame, &mut usize),
) -> Poll<Result<(), WireError>> {
    while let Some(rest @ [_, ..]) = close.bytes().get(*sent..) {
        *sent += ready!(sink.poll_send(cx, rest))?;
    }
    sink.poll_flush(cx)
}

/// Ends a direction for good.
pub(super) fn end(cx: &mut Context<'_>, sink: &mut impl Sink) -> Poll<Result<(), WireError>> {
    ready!(sink.poll_finish(cx, None))?;
    sink.poll_end(cx)
}
