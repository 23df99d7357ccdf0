//! The chunked transfer coding (RFC 9112 section 7.1), both ways, without I/O.
//!
//! Chunk lines are where two servers are most easily made to disagree about the length of a body, so the grammar is
//! taken literally: hex digits only, CRLF only, no white space, extensions only as the grammar writes them. They are
//! read over, counted and dropped; the trailer section is another parser's.

use crate::fields::is_token_byte;
use std::fmt;

/// The longest chunk line, in bytes, CRLF included.
pub const MAX_LINE_BYTES: u16 = 256;
/// The most bytes of extensions in one body: they carry nothing, so a peer could keep a worker busy with them.
pub const MAX_EXTENSION_BYTES: u16 = 16 * 1024;
/// The most hex digits in a size, leading zeros included.
pub const MAX_SIZE_DIGITS: u8 = 16;

/// Why a body is not read further. The connection is of no use after it; a request is answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// A chunk size with no digit, another byte than a hex digit, or more than [`MAX_SIZE_DIGITS`].
    BadSize,
    /// A chunk size that does not fit a signed 64-bit number.
    TooLarge,
    /// An extension that the grammar does not allow, white space around it included.
    BadExtension,
    /// A CR without LF, an LF without CR, or something else where CRLF is due.
    BadLineEnd,
    /// A chunk line longer than [`MAX_LINE_BYTES`].
    LineTooLong,
    /// More than [`MAX_EXTENSION_BYTES`] of extensions in one body.
    TooManyExtensions,
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadSize => "chunk size is not a hex number",
            Self::TooLarge => "chunk size is over 63 bits",
            Self::BadExtension => "chunk extension is malformed",
            Self::BadLineEnd => "chunk line does not end with CRLF",
            Self::LineTooLong => "chunk line is longer than 256 bytes",
            Self::TooManyExtensions => "chunk extensions of one body exceed 16 KiB",
        })
    }
}

impl std::error::Error for ChunkError {}

/// What one call of [`ChunkDecoder::step`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing but framing was there: consume it and come back with more bytes.
    NeedMore {
        /// Bytes that are done with.
        consumed: usize,
    },
    /// `buf[skip..skip + len]` is payload (`len` is at least 1): consume `skip + len` bytes.
    Data {
        /// Bytes of framing before the payload.
        skip: usize,
        /// Bytes of payload.
        len: usize,
    },
    /// The line of the last chunk was read; the trailer section follows.
    Last {
        /// Bytes that are done with.
        consumed: usize,
    },
}

/// Where the decoder is in the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the hex digits of a size.
    Size,
    /// After `;` (name due), in the name, after `=`, in a token value.
    NameStart,
    Name,
    ValueStart,
    Token,
    /// In a quoted value, after its backslash, after its closing quote.
    Quoted,
    Escaped,
    QuotedEnd,
    /// After the CR of a chunk line.
    LineLf,
    /// In the payload, after it, after the CR that follows it.
    Data,
    DataCr,
    DataLf,
    /// After the line of the last chunk.
    Done,
}

/// Reads a chunked body, however its bytes are split into buffers.
///
/// ```
/// use usher_http::chunk::{ChunkDecoder, Step};
/// let body = b"5\r\nhello\r\n0\r\n\r\n";
/// let mut decoder = ChunkDecoder::new();
/// assert_eq!(decoder.step(body), Ok(Step::Data { skip: 3, len: 5 }));
/// assert_eq!(decoder.step(&body[8..]), Ok(Step::Last { consumed: 5 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkDecoder {
    /// The size read so far; in `Data`, what is left of the payload.
    size: u64,
    /// Bytes of extensions in the body so far.
    extensions: u16,
    /// Bytes of the current chunk line so far.
    line: u16,
    digits: u8,
    state: State,
}

impl Default for ChunkDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkDecoder {
    /// A decoder at the beginning of a body.
    pub const fn new() -> Self {
        Self { size: 0, extensions: 0, line: 0, digits: 0, state: State::Size }
    }

    /// Reads up to and including the next payload in `buf`, or all of `buf` if it holds none.
    ///
    /// After an error the decoder has no meaning. After [`Step::Last`] it answers `Last { consumed: 0 }`.
    pub fn step(&mut self, buf: &[u8]) -> Result<Step, ChunkError> {
        for (at, &byte) in buf.iter().enumerate() {
            match self.state {
                State::Data => return Ok(self.payload(at, buf.len() - at)),
                State::Done => return Ok(Step::Last { consumed: at }),
                _ => self.state = self.next(byte)?,
            }
        }
        let consumed = buf.len();
        Ok(if self.is_done() { Step::Last { consumed } } else { Step::NeedMore { consumed } })
    }

    /// Bytes of payload that are still to come in the chunk that is being read; 0 between chunks.
    pub fn remaining(&self) -> u64 {
        if self.state == State::Data { self.size } else { 0 }
    }

    /// Whether the line of the last chunk was read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes up to `available` bytes of payload that begin at `skip`.
    fn payload(&mut self, skip: usize, available: usize) -> Step {
        let len = usize::try_from(self.size).unwrap_or(usize::MAX).min(available);
        self.size -= len as u64;
        if self.size == 0 {
            self.state = State::DataCr;
        }
        Step::Data { skip, len }
    }

    /// The state after one byte of framing.
    fn next(&mut self, byte: u8) -> Result<State, ChunkError> {
        match self.state {
            State::DataCr if byte == b'\r' => Ok(State::DataLf),
            State::DataLf if byte == b'\n' => {
                *self = Self { extensions: self.extensions, ..Self::new() };
                Ok(State::Size)
            }
            State::DataCr | State::DataLf => Err(ChunkError::BadLineEnd),
            state => self.next_in_line(state, byte),
        }
    }

    /// The state after one byte of a chunk line.
    fn next_in_line(&mut self, state: State, byte: u8) -> Result<State, ChunkError> {
        self.line += 1;
        if self.line > MAX_LINE_BYTES {
            return Err(ChunkError::LineTooLong);
        }
        match (state, byte) {
            (State::Size, _) => self.next_in_size(byte),
            (State::LineLf, b'\n') if self.size == 0 => Ok(State::Done),
            (State::LineLf, b'\n') => Ok(State::Data),
            (State::LineLf, _) => Err(ChunkError::BadLineEnd),
            _ => self.next_in_extension(state, byte),
        }
    }

    fn next_in_size(&mut self, byte: u8) -> Result<State, ChunkError> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ if self.digits == 0 => return Err(ChunkError::BadSize),
            b'\r' => return Ok(State::LineLf),
            b'\n' => return Err(ChunkError::BadLineEnd),
            b';' => return self.count_extension(State::NameStart),
            _ => return Err(ChunkError::BadSize),
        };
        self.digits += 1;
        if self.digits > MAX_SIZE_DIGITS {
            return Err(ChunkError::BadSize);
        }
        self.size = self.size << 4 | u64::from(digit);
        if self.size > i64::MAX as u64 { Err(ChunkError::TooLarge) } else { Ok(State::Size) }
    }

    /// `chunk-ext = *( ";" name [ "=" ( token / quoted-string ) ] )`, without the white space that RFC 9112 section
    /// 7.1.1 calls bad.
    fn next_in_extension(&mut self, state: State, byte: u8) -> Result<State, ChunkError> {
        use State::{Escaped, LineLf, Name, NameStart, Quoted, QuotedEnd, Token, ValueStart};
        let next = match (state, byte) {
            (NameStart | Name, _) if is_token_byte(byte) => Name,
            (ValueStart | Token, _) if is_token_byte(byte) => Token,
            (Name, b'=') => ValueStart,
            (ValueStart, b'"') => Quoted,
            (Quoted, b'"') => QuotedEnd,
            (Quoted, b'\\') => Escaped,
            (Quoted | Escaped, b'\t' | b' '..=b'~' | 0x80..) => Quoted,
            (Name | Token | QuotedEnd, b';') => NameStart,
            (Name | Token | QuotedEnd, b'\r') => return Ok(LineLf),
            (_, b'\r' | b'\n') => return Err(ChunkError::BadLineEnd),
            _ => return Err(ChunkError::BadExtension),
        };
        self.count_extension(next)
    }

    /// Counts one byte of an extension.
    fn count_extension(&mut self, next: State) -> Result<State, ChunkError> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSION_BYTES { Err(ChunkError::TooManyExtensions) } else { Ok(next) }
    }
}

/// The chunk line for `size` bytes of payload: hex digits and CRLF, written to the end of `out`.
pub fn encode_size(size: usize, out: &mut [u8; 18]) -> &[u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut rest = size;
    let mut at = out.len() - 2;
    out[at] = b'\r';
    out[at + 1] = b'\n';
    loop {
        at -= 1;
        out[at] = DIGITS[rest & 15];
        rest >>= 4;
        if rest == 0 {
            return &out[at..];
        }
    }
}

#[cfg(test)]
mod tests;
