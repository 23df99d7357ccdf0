//! One direction of a WebSocket: what its sender says, and then perhaps a Close of Usher's own.

use std::task::{Context, Poll, ready};

use usher_wire::pump::Pump;
use usher_wire::websocket::{CloseFrame, Followed, Frames};
use usher_wire::{Sink, Source, WireError};

use super::plan::Talk;

/// Reads of what is thrown away before other connections of the thread get a turn.
const ROUNDS: usize = 32;

/// One direction.
pub(super) struct Way {
    pump: Pump,
    frames: Frames,
    stage: Stage,
    /// The receiver was offered something, and may have taken some of it without saying so: a TLS record is made of it, for
    /// which there is no room yet. Nothing else can be sent before.
    owed: bool,
    /// Messages that had begun when Usher closed: more than these are lost.
    passed: Option<u64>,
    /// When something of a message last passed, if ever, and how long after the time before (milliseconds of the worker's
    /// clock).
    spoke: Option<u64>,
    pause: u64,
}

enum Stage {
    /// Everything passes.
    Passing,
    /// Until the message that is under way ends.
    Held(CloseFrame),
    /// The Close is being sent, from this byte on.
    Telling(CloseFrame, usize),
    /// It was. What its sender still says is thrown away, up to its own Close.
    Told,
    /// The sender's end is passed on.
    Ending,
    Over,
}

impl Way {
    pub(super) fn new() -> Self {
        // A tunnel lives long and says little, and must be followed: it is never spliced.
        let pump = Pump::without_splice();
        let (frames, stage) = (Frames::default(), Stage::Passing);
        Self { pump, frames, stage, owed: false, passed: None, spoke: None, pause: 0 }
    }

    /// Moves what can be moved. Ready when there is nothing more to do, or it failed.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (source, sink): (&mut impl Source, &mut impl Sink),
        now: u64,
    ) -> Poll<Result<(), ()>> {
        loop {
            match &mut self.stage {
                Stage::Passing => {
                    ready!(self.pass(cx, (source, sink), now)).map_err(|_| ())?;
                    self.stage = Stage::Ending;
                }
                Stage::Held(close) => {
                    let close = *close;
                    let passed = self.pass(cx, (source, sink), now);
                    if passed.is_pending() && self.frames.is_between() && !self.owed {
                        self.passed = Some(self.frames.messages());
                        // Whoever has closed needs no other Close.
                        let said = self.frames.is_closed();
                        self.stage = if said { Stage::Told } else { Stage::Telling(close, 0) };
                        continue;
                    }
                    ready!(passed).map_err(|_| ())?;
                    self.stage = Stage::Ending;
                }
                Stage::Telling(close, sent) => {
                    ready!(tell(cx, sink, (close, sent))).map_err(|_| ())?;
                    self.stage = Stage::Told;
                }
                Stage::Told => {
                    ready!(self.throw_away(cx, source));
                    self.stage = Stage::Over;
                }
                Stage::Ending => {
                    ready!(sink.poll_end(cx)).map_err(|_| ())?;
                    self.stage = Stage::Over;
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
    ) -> Poll<Result<(), usher_wire::pump::PumpError>> {
        let held = matches!(self.stage, Stage::Held(_));
        let before = (self.pump.moved(), self.frames);
        let mut source = Followed { source, frames: &mut self.frames, held, owed: &mut self.owed };
        let polled = self.pump.poll(cx, &mut source, sink);
        if !held {
            *source.owed =
                polled.is_pending() && self.pump.waits_for_sink() && !source.source.chunk().is_empty();
        }
        let of_messages = !before.1.is_between() || self.frames.messages() != before.1.messages();
        if self.pump.moved() != before.0 && of_messages {
            let before = self.spoke.replace(now).unwrap_or(0);
            if now > before {
                self.pause = now - before;
            }
        }
        polled
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
    pub(super) fn close(&mut self, close: CloseFrame) {
        if matches!(self.stage, Stage::Passing) {
            self.stage = Stage::Held(close);
        }
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
        self.passed.is_some() || self.frames.is_between()
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
