//! Blocks of fields: HEADERS and CONTINUATION (RFC 9113 sections 4.3, 6.2 and 6.10).

use usher_http::Fields;
use usher_http::multiplexed::{MessageError, TrailersBuilder};
use usher_http::parse::HeadLimits;

use super::core::Core;
use super::flood::MAX_CONTINUATIONS;
use super::frame::{Code, FrameHead, Wrong, flag, without_padding};
use super::priority::depends_on_itself;
use super::stream::{Direction, Interest};
use crate::hpack::HpackError;

/// Trailers are small: as in HTTP/1.
const TRAILERS: HeadLimits = HeadLimits { line: 0, head: 8 << 10, fields: 32 };

/// A block whose end has not come.
#[derive(Debug)]
pub(super) struct Partial {
    about: About,
    bytes: Vec<u8>,
    continuations: u32,
}

/// What the first frame of a block says.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) stream: u32,
    /// The stream ends with the block.
    pub(super) ends: bool,
    /// Its priority is one that cannot be.
    pub(super) depends_on_itself: bool,
}

/// A whole block, not decoded yet.
pub(super) struct Block<'a> {
    pub(super) about: About,
    pub(super) bytes: Bytes<'a>,
}

/// A block's bytes: where they were read, or put together.
pub(super) enum Bytes<'a> {
    Read(&'a [u8]),
    Joined(Vec<u8>),
}

impl Bytes<'_> {
    pub(super) fn get(&self) -> &[u8] {
        match self {
            Self::Read(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }
}

impl From<HpackError> for Wrong {
    fn from(error: HpackError) -> Self {
        Self::Connection(Code::Compression, error.as_str())
    }
}

impl Core {
    /// The longest block that is put together (bytes). A head that is too large for its limit and no longer than this is
    /// decoded and answered; for more the connection ends.
    fn longest_block(&self) -> usize {
        self.limits.head.head.saturating_mul(2)
    }

    pub(super) fn on_headers<'a>(
        &mut self,
        head: FrameHead,
        payload: &'a [u8],
    ) -> Result<Option<Block<'a>>, Wrong> {
        if head.stream == 0 {
            return Err(Wrong::protocol("HEADERS on no stream"));
        }
        let mut bytes = without_padding(head, payload)?;
        let mut about =
            About { stream: head.stream, ends: head.has(flag::END_STREAM), depends_on_itself: false };
        if head.has(flag::PRIORITY) {
            let (priority, rest) =
                bytes.split_at_checked(5).ok_or(Wrong::size("HEADERS too short for their priority"))?;
            about.depends_on_itself = depends_on_itself(head.stream, priority);
            bytes = rest;
        }
        if head.has(flag::END_HEADERS) {
            return Ok(Some(Block { about, bytes: Bytes::Read(bytes) }));
        }
        self.partial = Some(Partial { about, bytes: bytes.to_vec(), continuations: 0 });
        Ok(None)
    }

    pub(super) fn on_continuation<'a>(
        &mut self,
        head: FrameHead,
        payload: &'a [u8],
    ) -> Result<Option<Block<'a>>, Wrong> {
        let longest = self.longest_block();
        let mut partial = match self.partial.take() {
            Some(partial) if partial.about.stream == head.stream => partial,
            _ => return Err(Wrong::protocol("CONTINUATION of nothing")),
        };
        partial.continuations += 1;
        if partial.continuations > MAX_CONTINUATIONS {
            return Err(Wrong::Connection(Code::EnhanceYourCalm, "flood of CONTINUATION"));
        }
        if partial.bytes.len() + payload.len() > longest {
            return Err(Wrong::Connection(Code::EnhanceYourCalm, "block of fields without end"));
        }
        partial.bytes.extend_from_slice(payload);
        if head.has(flag::END_HEADERS) {
            return Ok(Some(Block { about: partial.about, bytes: Bytes::Joined(partial.bytes) }));
        }
        self.partial = Some(partial);
        Ok(None)
    }

    /// Decodes a block that nobody wants, as the tables depend on it.
    pub(super) fn skip(&mut self, block: &Block<'_>) -> Result<(), Wrong> {
        self.decoder.decode(block.bytes.get(), |_, _| {}).map_err(Wrong::from)
    }

    /// A block for a stream that is not open, and may never have been.
    pub(super) fn stray_block(&mut self, block: &Block<'_>) -> Result<(), Wrong> {
        let id = block.about.stream;
        // RFC 9113 section 5.1.1: streams begin in order.
        let (first, last) = self.skipped;
        if self.is_idle(id) || first <= id && id <= last {
            return Err(Wrong::protocol("HEADERS on a stream that cannot be begun"));
        }
        self.skip(block)?;
        match self.lately.find(id) {
            Some(false) => Ok(()),
            Some(true) => Err(Wrong::Stream(id, Code::StreamClosed, "HEADERS on a stream that was reset")),
            None => Err(Wrong::Connection(Code::StreamClosed, "HEADERS on a stream that has ended")),
        }
    }

    /// The trailers of an open stream. A tunnel has none (RFC 9113 section 8.5).
    pub(super) fn on_trailers(&mut self, slot: u32, block: &Block<'_>) -> Result<(), Wrong> {
        let id = block.about.stream;
        let mut fields = Box::new(Fields::default());
        let mut builder = TrailersBuilder::new(&mut fields, &TRAILERS);
        let mut failed = None;
        self.decoder.decode(block.bytes.get(), |name, value| {
            if failed.is_none() {
                failed = builder.field(name, value).err();
            }
        })?;
        let Some(stream) = self.streams.get_mut(slot) else { return Ok(()) };
        if stream.receiving == Direction::Ended {
            return Err(Wrong::Stream(id, Code::StreamClosed, "HEADERS behind the end of a stream"));
        }
        if stream.is_tunnel {
            return Err(Wrong::Stream(id, Code::Protocol, "HEADERS in a tunnel"));
        }
        if !block.about.ends {
            return Err(Wrong::Stream(id, Code::Protocol, "trailers that do not end their stream"));
        }
        if let Some(error) = failed {
            return Err(refused(id, error));
        }
        stream.trailers = (!fields.is_empty()).then_some(fields);
        self.end_receiving(slot)
    }

    /// The peer's direction of a stream has ended.
    pub(super) fn end_receiving(&mut self, slot: u32) -> Result<(), Wrong> {
        let Some(stream) = self.streams.get_mut(slot) else { return Ok(()) };
        if stream.expected.is_some_and(|left| left > 0) {
            return Err(Wrong::Stream(stream.id, Code::Protocol, "body shorter than its content-length"));
        }
        stream.receiving = Direction::Ended;
        self.close_if_ended(slot);
        self.notify(slot, Interest::READ);
        Ok(())
    }
}

/// A message that cannot be used.
pub(super) fn refused(id: u32, error: MessageError) -> Wrong {
    match error {
        MessageError::Malformed(phrase) => Wrong::Stream(id, Code::Protocol, phrase),
        MessageError::TooLarge(error) => Wrong::Stream(id, Code::EnhanceYourCalm, error.as_str()),
    }
}
