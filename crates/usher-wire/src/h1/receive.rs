//! The body that is being received.

use std::task::{Context, Poll, ready};

use usher_http::chunk::{ChunkDecoder, Step};
use usher_http::parse::HeadParser;
use usher_http::{Fields, Framing};
use usher_net::Transport;

use super::connection::{Connection, Peer};
use crate::body::{Plain, Source};
use crate::error::WireError;

/// How far a body was received.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    state: State,
    /// Payload bytes at the beginning of the buffer.
    at_hand: usize,
    trailers: Option<Box<Fields>>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Done,
    Length(u64),
    UntilEnd,
    Chunks(ChunkDecoder),
    Trailers(HeadParser),
}

impl Receiving {
    pub(super) fn begin(&mut self, framing: Framing) {
        self.at_hand = 0;
        self.trailers = None;
        self.state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(len) => State::Length(len),
            Framing::Chunked => State::Chunks(ChunkDecoder::default()),
            Framing::Close => State::UntilEnd,
        };
    }

    pub(super) fn trailers(&self) -> Option<&Fields> {
        self.trailers.as_deref().filter(|fields| !fields.is_empty())
    }

    pub(super) fn release(&mut self) {
        self.trailers = None;
    }
}

impl<T: Transport> Connection<T> {
    /// Finds payload in what the buffer holds; `None` if more must be read, 0 at the end of the body.
    fn payload(&mut self) -> Result<Option<usize>, WireError> {
        loop {
            let held = self.input.len();
            match &mut self.receiving.state {
                State::Done => return Ok(Some(0)),
                State::Length(left) => return Ok((held > 0).then(|| (*left).min(held as u64) as usize)),
                State::UntilEnd => return Ok((held > 0).then_some(held)),
                State::Chunks(decoder) => {
                    if held == 0 {
                        return Ok(None);
                    }
                    match decoder.step(self.input.bytes())? {
                        Step::NeedMore { consumed } => {
                            self.input.consume(consumed);
                            return Ok(None);
                        }
                        Step::Data { skip, len } => {
                            self.input.consume(skip);
                            return Ok(Some(len));
                        }
                        Step::Last { consumed } => {
                            self.input.consume(consumed);
                            self.receiving.state = State::Trailers(HeadParser::default());
                        }
                    }
                }
                State::Trailers(parser) => {
                    let fields = self.receiving.trailers.get_or_insert_default();
                    let Some(len) = parser.trailers(self.input.bytes(), &self.trailer_limits, fields)? else {
                        return Ok(None);
                    };
                    self.input.consume(len);
                    self.receiving.state = State::Done;
                }
            }
        }
    }

    fn poll_more_payload(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        let in_pieces = matches!(self.receiving.state, State::Trailers(_)) || !self.input.is_empty();
        if in_pieces {
            self.poll_read_more(cx, crate::buffer::LARGE, Peer::Other)
        } else {
            self.poll_read_stream(cx)
        }
    }
}

impl<T: Transport> Source for Connection<T> {
    #[inline]
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        loop {
            if self.receiving.at_hand > 0 {
                return Poll::Ready(Ok(self.receiving.at_hand));
            }
            if let Some(len) = self.payload()? {
                self.receiving.at_hand = len;
                return Poll::Ready(Ok(len));
            }
            if ready!(self.poll_more_payload(cx))? > 0 {
                continue;
            }
            if !matches!(self.receiving.state, State::UntilEnd) {
                return Poll::Ready(Err(WireError::Truncated));
            }
            self.receiving.state = State::Done;
        }
    }

    fn chunk(&self) -> &[u8] {
        self.input.bytes().get(..self.receiving.at_hand).unwrap_or_default()
    }

    fn consume(&mut self, len: usize) {
        let len = len.min(self.receiving.at_hand);
        self.receiving.at_hand -= len;
        self.input.consume(len);
        if let State::Length(left) = &mut self.receiving.state {
            *left -= len as u64;
            if *left == 0 {
                self.receiving.state = State::Done;
            }
        }
    }

    fn trailers(&self) -> Option<&Fields> {
        self.receiving.trailers()
    }

    fn is_done(&self) -> bool {
        matches!(self.receiving.state, State::Done)
    }

    fn plain(&mut self) -> Option<Plain<'_>> {
        let left = match self.receiving.state {
            State::Length(left) => left,
            State::UntilEnd => u64::MAX,
            _ => return None,
        };
        let usable = self.input.is_empty() && !self.ended && self.stream.can_splice();
        usable.then_some(Plain { stream: &mut self.stream, left })
    }

    fn took_plain(&mut self, len: u64) -> Result<(), WireError> {
        self.note_plain_received(len);
        match &mut self.receiving.state {
            State::Length(left) if len > 0 => {
                *left = left.saturating_sub(len);
                if *left == 0 {
                    self.receiving.state = State::Done;
                }
            }
            State::UntilEnd if len > 0 => {}
            State::UntilEnd => {
                self.ended = true;
                self.receiving.state = State::Done;
            }
            _ => {
                self.ended = true;
                return Err(WireError::Truncated);
            }
        }
        Ok(())
    }
}
