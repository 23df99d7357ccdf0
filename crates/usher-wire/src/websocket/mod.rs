//! Where the messages of a WebSocket begin and end (RFC 6455 section 5), without a look into them: first bytes and lengths of
//! frames are counted, payload is not, so that extensions (compression, RFC 7692) make no difference.

#[cfg(test)]
mod tests;

use std::task::{Context, Poll, ready};

use usher_http::Fields;

use crate::body::{Plain, Source};
use crate::error::WireError;

/// In the first byte of a frame: it is the last one of its message (RFC 6455 section 5.2).
const FIN: u8 = 0x80;
/// In the second byte: a mask of four bytes stands before the payload.
const MASKED: u8 = 0x80;
/// Opcodes from here on are of control frames, which may stand between the fragments of a message.
const CONTROL: u8 = 8;
const CLOSE: u8 = 8;
const PING: u8 = 9;
/// Bytes of a mask.
const MASK: u8 = 4;
/// The longest payload that can be written, and that of a frame of control (bytes).
const LONGEST: u64 = i64::MAX as u64;
const LONGEST_CONTROL: u8 = 125;

/// How far one direction of a WebSocket is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frames {
    /// The frame's first byte.
    first: u8,
    /// Bytes of the frame's head so far; 0 between heads.
    head: u8,
    /// Where in it the length ends and where the head does; known from the second byte on.
    length_end: u8,
    head_end: u8,
    /// The length of its payload as far as it is known, and how much of it is still to come (bytes).
    length: u64,
    left: u64,
    state: State,
    /// Messages that began.
    messages: u64,
    /// Pings that came to their end.
    pings: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// No message is under way.
    #[default]
    Between,
    /// A message has begun, and its last frame did not end yet.
    Within,
    /// A Close frame ended: nothing follows (section 5.5.1).
    Closed,
    /// What came is not in frames; nothing more is known.
    Lost,
}

impl Frames {
    /// Counts bytes that went by.
    pub fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.step(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// How many of these bytes there are up to the next place where no message is under way; all, if there is none.
    pub fn until_border(&self, bytes: &[u8]) -> usize {
        let mut ahead = *self;
        let mut taken = 0;
        while taken < bytes.len() && !ahead.is_between() {
            taken += ahead.step(bytes.get(taken..).unwrap_or_default());
        }
        taken
    }

    /// Whether no frame and no message is under way.
    pub fn is_between(&self) -> bool {
        matches!(self.state, State::Between | State::Closed) && self.head == 0 && self.left == 0
    }

    /// Whether no frame is under way. Within a message, frames of control may stand there, and so may a Close (section 5.4).
    pub fn is_at_border(&self) -> bool {
        self.state != State::Lost && self.head == 0 && self.left == 0
    }

    /// Whether a Close frame went by.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Messages that began so far.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Pings so far.
    pub fn pings(&self) -> u64 {
        self.pings
    }

    /// Takes a byte of a head, or what is there of a payload; how many bytes those were, at least 1.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if matches!(self.state, State::Closed | State::Lost) {
            return bytes.len().max(1);
        }
        if self.left > 0 {
            let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.left -= taken as u64;
            if self.left == 0 {
                self.frame_ended();
            }
            return taken.max(1);
        }
        if let Some(byte) = bytes.first() {
            self.head_byte(*byte);
        }
        1
    }

    fn head_byte(&mut self, byte: u8) {
        self.head += 1;
        match self.head {
            1 => {
                self.first = byte;
                return;
            }
            2 => {
                let short = byte & !MASKED;
                // Frames of control are short (section 5.5).
                if self.is_control() && short > LONGEST_CONTROL {
                    self.state = State::Lost;
                    return;
                }
                (self.length_end, self.length) = match short {
                    126 => (4, 0),
                    127 => (10, 0),
                    _ => (2, u64::from(short)),
                };
                self.head_end = self.length_end + if byte & MASKED == 0 { 0 } else { MASK };
            }
            at if at <= self.length_end => self.length = (self.length << 8) | u64::from(byte),
            _ => {}
        }
        if self.head == self.head_end {
            self.head_ended();
        }
    }

    fn head_ended(&mut self) {
        self.head = 0;
        // The highest bit is 0 (section 5.2).
        if self.length > LONGEST {
            self.state = State::Lost;
            return;
        }
        if !self.is_control() {
            self.messages += u64::from(self.state == State::Between);
            self.state = State::Within;
        }
        self.left = self.length;
        if self.left == 0 {
            self.frame_ended();
        }
    }

    fn frame_ended(&mut self) {
        match self.opcode() {
            CLOSE => self.state = State::Closed,
            PING => self.pings += 1,
            _ if !self.is_control() && self.first & FIN != 0 => self.state = State::Between,
            _ => {}
        }
    }

    fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    fn is_control(&self) -> bool {
        self.opcode() >= CONTROL
    }
}

/// A source whose messages are followed as they are taken from it.
pub struct Followed<'a, S> {
    /// The source.
    pub source: &'a mut S,
    /// How far it is.
    pub frames: &'a mut Frames,
    /// Nothing is given behind the message that is under way: between two, it waits.
    pub held: bool,
    /// The sink was offered what is at hand, and may have taken some of it without saying so: until it says that it took
    /// some, it is offered the same, held or not.
    pub owed: &'a mut bool,
    /// That the source has ended, or failed, is noted here, where it is to be known before the sink hears of it: nothing more
    /// is given then.
    pub ended: Option<&'a mut bool>,
}

impl<S: Source> Followed<'_, S> {
    /// How much of what is at hand may be taken.
    fn limit(&self) -> usize {
        let chunk = self.source.chunk();
        if self.is_held() { self.frames.until_border(chunk) } else { chunk.len() }
    }

    fn is_held(&self) -> bool {
        self.held && !*self.owed
    }
}

impl<S: Source> Source for Followed<'_, S> {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        // Whoever holds it back looks at it again.
        if self.is_held() && self.frames.is_between() {
            return Poll::Pending;
        }
        let filled = ready!(self.source.poll_fill(cx));
        if let (Ok(0) | Err(_), Some(ended)) = (&filled, &mut self.ended) {
            **ended = true;
            return Poll::Pending;
        }
        Poll::Ready(Ok(filled?.min(self.limit())))
    }

    fn chunk(&self) -> &[u8] {
        let limit = self.limit();
        self.source.chunk().get(..limit).unwrap_or_default()
    }

    fn consume(&mut self, len: usize) {
        *self.owed = false;
        self.frames.follow(self.source.chunk().get(..len).unwrap_or_default());
        self.source.consume(len);
    }

    fn trailers(&self) -> Option<&Fields> {
        self.source.trailers()
    }

    fn is_done(&self) -> bool {
        self.source.is_done()
    }

    fn plain(&mut self) -> Option<Plain<'_>> {
        // What goes through the kernel cannot be followed.
        None
    }

    fn took_plain(&mut self, len: u64) -> Result<(), WireError> {
        self.source.took_plain(len)
    }
}

/// A Close frame (section 5.5.1): the bytes, and how many they are.
#[derive(Clone, Copy, Debug)]
pub struct CloseFrame {
    bytes: [u8; 8],
    len: u8,
}

impl CloseFrame {
    /// To a client, with a status code (section 7.4).
    pub fn to_client(code: u16) -> Self {
        let [high, low] = code.to_be_bytes();
        Self { bytes: [FIN | CLOSE, 2, high, low, 0, 0, 0, 0], len: 4 }
    }

    /// To an endpoint: what a client sends is masked (section 5.3).
    pub fn to_endpoint(code: u16, mask: [u8; 4]) -> Self {
        let ([high, low], [a, b, c, d]) = (code.to_be_bytes(), mask);
        Self { bytes: [FIN | CLOSE, MASKED | 2, a, b, c, d, high ^ a, low ^ b], len: 8 }
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}
