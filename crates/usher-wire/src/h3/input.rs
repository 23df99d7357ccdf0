//! What comes on a request's stream: frames, and in them heads and a body (RFC 9114 section 4.1).

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use usher_http::Fields;
use usher_http::multiplexed::{MessageError, TrailersBuilder};
use usher_net::quic::{RecvStream, StreamError};

use super::code::{FRAME_ERROR, FRAME_UNEXPECTED, ID_ERROR, MESSAGE_ERROR, Wrong};
use super::flood::{Kind, UNKNOWN_PIECE};
use super::frame;
use super::limits::{TRAILERS, largest_section};
use super::shared::Shared;
use crate::buffer::{Buffer, LARGE};

/// A request's stream, as it is read.
pub(super) struct Input {
    pub(super) stream: RecvStream,
    shared: Rc<Shared>,
    buffer: Buffer,
    phase: Phase,
    part: Part,
    /// Payload at the beginning of the buffer.
    at_hand: usize,
    /// Payload that must still come, if that was declared.
    expected: Option<u64>,
    trailers: Option<Box<Fields>>,
    /// The end of the stream was read.
    ended: bool,
    received: u64,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Head,
    Body,
    /// DATA only (RFC 9114 section 4.4).
    Tunnel,
    /// After the trailers.
    Tail,
    Done,
}

/// Where in the frames the buffer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Between,
    /// In a frame of payload, of which so much is left.
    Data(u64),
    /// In a frame that nobody reads.
    Skip(u64),
    /// Before the section of a HEADERS frame.
    Section(usize),
}

/// What the buffer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing whole.
    Nothing,
    /// A section of so many bytes.
    Section(usize),
    /// A section larger than any that is taken.
    TooLarge,
    /// So much payload.
    Payload(usize),
    /// The end of the stream.
    End,
}

/// Why reading cannot go on.
#[derive(Debug)]
pub(super) enum Stop {
    Wrong(Wrong),
    Broken(StreamError),
    Message(MessageError),
}

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

fn unexpected<T>(phrase: &'static str) -> Result<T, Stop> {
    Err(Stop::Wrong(Wrong::Connection(FRAME_UNEXPECTED, phrase)))
}

impl Input {
    pub(super) fn new(stream: RecvStream, shared: &Rc<Shared>) -> Self {
        Self {
            stream,
            shared: Rc::clone(shared),
            buffer: Buffer::default(),
            phase: Phase::Head,
            part: Part::Between,
            at_hand: 0,
            expected: None,
            trailers: None,
            ended: false,
            received: 0,
        }
    }

    /// Reads frames until there is something whole.
    pub(super) fn poll_found(&mut self, cx: &mut Context<'_>) -> Poll<Result<Found, Stop>> {
        loop {
            match self.find()? {
                Found::Nothing => ready!(self.poll_read(cx)).map_err(Stop::Broken)?,
                found => return Poll::Ready(Ok(found)),
            }
        }
    }

    /// Reads what is there into the buffer.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let room = match self.part {
            Part::Data(_) if self.buffer.is_empty() && self.received > 0 => self.buffer.room_for_stream(),
            Part::Section(len) => self.buffer.room(len.max(LARGE)),
            _ => self.buffer.room(LARGE),
        };
        match self.stream.poll_read(cx, room) {
            Poll::Pending => {
                self.buffer.release();
                Poll::Pending
            }
            Poll::Ready(Ok(len)) => {
                self.buffer.filled(len);
                self.received += len as u64;
                self.ended = len == 0;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }

    /// Looks what the buffer has, over frames that nobody reads.
    fn find(&mut self) -> Result<Found, Stop> {
        loop {
            let held = self.buffer.len();
            match self.part {
                Part::Data(0) | Part::Skip(0) => self.part = Part::Between,
                Part::Data(left) if held > 0 => {
                    return Ok(Found::Payload(usize::try_from(left).unwrap_or(usize::MAX).min(held)));
                }
                Part::Skip(left) if held > 0 => {
                    let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(held);
                    self.buffer.consume(skipped);
                    self.part = Part::Skip(left - skipped as u64);
                }
                Part::Section(len) if held >= len => return Ok(Found::Section(len)),
                Part::Between => match frame::head(self.buffer.bytes()) {
                    Some(head) => {
                        self.buffer.consume(head.taken);
                        if self.begin(head.kind, head.len)? {
                            return Ok(Found::TooLarge);
                        }
                    }
                    None if self.ended && held == 0 => return Ok(Found::End),
                    None => return self.nothing(),
                },
                _ => return self.nothing(),
            }
        }
    }

    /// RFC 9114 section 7.1: a stream does not end within a frame.
    fn nothing(&self) -> Result<Found, Stop> {
        if self.ended {
            return Err(Stop::Wrong(Wrong::Connection(FRAME_ERROR, "stream that ends within a frame")));
        }
        Ok(Found::Nothing)
    }

    /// Begins a frame; true if its section is too large.
    fn begin(&mut self, kind: u64, len: u64) -> Result<bool, Stop> {
        match kind {
            frame::DATA => {
                match self.phase {
                    Phase::Head => return unexpected("DATA before HEADERS"),
                    Phase::Body | Phase::Tunnel => {}
                    Phase::Tail | Phase::Done => return unexpected("DATA after trailers"),
                }
                if len == 0 {
                    self.shared.floods.count(Kind::Empty, 1)?;
                }
                self.part = Part::Data(len);
                self.expect(len)?;
            }
            frame::HEADERS => {
                let limits = match self.phase {
                    Phase::Head => &self.shared.limits.head,
                    Phase::Body => &TRAILERS,
                    Phase::Tunnel => return unexpected("HEADERS in a tunnel"),
                    Phase::Tail | Phase::Done => return unexpected("HEADERS after trailers"),
                };
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                self.part = Part::Section(len);
                return Ok(len > largest_section(limits));
            }
            frame::PUSH_PROMISE if !self.shared.is_server => {
                return Err(Stop::Wrong(Wrong::Connection(ID_ERROR, "push that was not allowed")));
            }
            kind if is_unexpected(kind) => return unexpected("unexpected frame on a request"),
            _ => {
                self.shared.floods.count(Kind::Unknown, 1 + len / UNKNOWN_PIECE)?;
                self.part = Part::Skip(len);
            }
        }
        Ok(false)
    }

    /// RFC 9114 section 4.1.2: the payload is as long as was declared.
    fn expect(&mut self, len: u64) -> Result<(), Stop> {
        if let Some(left) = &mut self.expected {
            *left = left
                .checked_sub(len)
                .ok_or(Wrong::Stream(MESSAGE_ERROR, "body longer than its content-length"))?;
        }
        Ok(())
    }

    /// The section that was found.
    pub(super) fn section(&self, len: usize) -> &[u8] {
        self.buffer.bytes().get(..len).unwrap_or_default()
    }

    /// A section waits for the table; what else can happen is that the peer gives it up.
    pub(super) fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        let error = ready!(self.stream.poll_reset(cx));
        Poll::Ready(Err(Stop::Broken(error)))
    }

    /// The section was read.
    pub(super) fn take_section(&mut self, len: usize) {
        self.buffer.consume(len);
        self.part = Part::Between;
    }

    /// The head is not taken: what is left of it is thrown away, and the body follows.
    pub(super) fn pass_over_head(&mut self) {
        if let Part::Section(len) = self.part {
            self.part = Part::Skip(len as u64);
        }
        self.phase = Phase::Body;
    }

    /// Looks whether the end of the stream is there already, right behind a head.
    pub(super) fn is_at_end(&mut self, cx: &mut Context<'_>) -> bool {
        if self.buffer.is_empty() && !self.ended {
            // An error comes again when the body is read.
            let _ = self.poll_read(cx);
        }
        self.ended && self.buffer.is_empty() && self.part == Part::Between
    }

    /// The head is read: a body follows, of this length if that was declared.
    pub(super) fn begin_body(&mut self, expected: Option<u64>) {
        self.phase = Phase::Body;
        self.expected = expected;
    }

    /// There is no body to be read.
    pub(super) fn end_body(&mut self) {
        self.phase = Phase::Done;
    }

    /// What follows is a tunnel.
    pub(super) fn begin_tunnel(&mut self) {
        self.phase = Phase::Tunnel;
        self.expected = None;
    }

    /// The payload at hand; 0 at the end of the body.
    pub(super) fn poll_payload(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Stop>> {
        loop {
            if self.at_hand > 0 || self.phase == Phase::Done {
                return Poll::Ready(Ok(self.at_hand));
            }
            match ready!(self.poll_found(cx))? {
                Found::Payload(len) => self.at_hand = len,
                Found::Section(len) => ready!(self.poll_trailers(cx, len))?,
                Found::TooLarge => {
                    let error = usher_http::parse::ParseError::HeadTooLarge;
                    return Poll::Ready(Err(Stop::Message(MessageError::TooLarge(error))));
                }
                Found::End => {
                    if self.expected.is_some_and(|left| left > 0) {
                        let wrong = Wrong::Stream(MESSAGE_ERROR, "body shorter than its content-length");
                        return Poll::Ready(Err(Stop::Wrong(wrong)));
                    }
                    self.phase = Phase::Done;
                    self.buffer.release();
                }
                Found::Nothing => {}
            }
        }
    }

    fn poll_trailers(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<Result<(), Stop>> {
        let fields = self.trailers.get_or_insert_default();
        let mut builder = TrailersBuilder::new(fields, &TRAILERS);
        let section = self.buffer.bytes().get(..len).unwrap_or_default();
        let decoded =
            self.shared.poll_decode(cx, self.stream.id(), section, |name, value| builder.field(name, value));
        let Poll::Ready(decoded) = decoded else { return self.poll_given_up(cx) };
        decoded?.map_err(Stop::Message)?;
        self.take_section(len);
        self.phase = Phase::Tail;
        Poll::Ready(Ok(()))
    }

    pub(super) fn chunk(&self) -> &[u8] {
        self.buffer.bytes().get(..self.at_hand).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, len: usize) {
        let len = len.min(self.at_hand);
        self.at_hand -= len;
        self.buffer.consume(len);
        if let Part::Data(left) = &mut self.part {
            *left = left.saturating_sub(len as u64);
        }
    }

    pub(super) fn trailers(&self) -> Option<&Fields> {
        self.trailers.as_deref().filter(|fields| !fields.is_empty() && self.phase == Phase::Done)
    }

    /// Whether the body was read to its end.
    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    pub(super) fn has_input(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Bytes received since the last call.
    pub(super) fn take_received(&mut self) -> u64 {
        std::mem::take(&mut self.received)
    }

    /// Nothing more is wanted.
    pub(super) fn stop(&mut self, code: u64) {
        if !self.ended {
            self.stream.stop(code);
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.forget(self.stream.id());
        }
    }
}

/// Frames of the control stream, and of HTTP/2 (RFC 9114 section 7.2, RFC 9218 section 7.2).
fn is_unexpected(kind: u64) -> bool {
    matches!(
        kind,
        frame::SETTINGS | frame::GOAWAY | frame::CANCEL_PUSH | frame::MAX_PUSH_ID | frame::PUSH_PROMISE
    ) || frame::PRIORITY_UPDATE.contains(&kind)
        || frame::is_of_http2(kind)
}
