//! Frames: their nine bytes of head, their kinds and flags, and the codes of errors (RFC 9113 sections 4, 6 and 7).

/// What a client sends first (RFC 9113 section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The head of a frame (bytes).
pub(super) const HEAD: usize = 9;
/// The largest payload that is sent and, as SETTINGS_MAX_FRAME_SIZE stays what it is at first, received (bytes).
pub(super) const MAX_PAYLOAD: usize = 16_384;
/// The highest stream, and the largest window (bytes).
pub(super) const MAX_31: u32 = 0x7fff_ffff;

/// Kinds of frames.
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
    /// RFC 9218 section 7.1.
    pub(crate) const PRIORITY_UPDATE: u8 = 16;
}

/// Flags of frames.
pub(super) mod flag {
    pub(crate) const ACK: u8 = 1;
    pub(crate) const END_STREAM: u8 = 1;
    pub(crate) const END_HEADERS: u8 = 4;
    pub(crate) const PADDED: u8 = 8;
    pub(crate) const PRIORITY: u8 = 32;
}

/// Why a stream or connection ends (RFC 9113 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Code {
    NoError = 0,
    Protocol = 1,
    Internal = 2,
    FlowControl = 3,
    StreamClosed = 5,
    FrameSize = 6,
    RefusedStream = 7,
    Cancel = 8,
    Compression = 9,
    Connect = 10,
    EnhanceYourCalm = 11,
}

/// What is wrong with something that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The connection cannot go on (RFC 9113 section 5.4.1).
    Connection(Code, &'static str),
    /// A stream cannot (RFC 9113 section 5.4.2).
    Stream(u32, Code, &'static str),
}

impl Wrong {
    /// An error of the connection of the most usual code.
    pub(super) fn protocol(phrase: &'static str) -> Self {
        Self::Connection(Code::Protocol, phrase)
    }

    pub(super) fn size(phrase: &'static str) -> Self {
        Self::Connection(Code::FrameSize, phrase)
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) len: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl FrameHead {
    /// Reads a head; none if it is not complete.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, s1, s2, s3, s4] = bytes.first_chunk::<HEAD>()?;
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        // The reserved bit is ignored.
        let stream = u32::from_be_bytes([s1, s2, s3, s4]) & MAX_31;
        Some(Self { len, kind, flags, stream })
    }

    /// The head's bytes.
    #[inline]
    pub(super) fn bytes(self) -> [u8; HEAD] {
        let [_, a, b, c] = (self.len as u32).to_be_bytes();
        let [s1, s2, s3, s4] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, s1, s2, s3, s4]
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends a whole frame.
pub(super) fn push(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&FrameHead { len: payload.len(), kind, flags, stream }.bytes());
    out.extend_from_slice(payload);
}

/// The first four bytes as a number.
pub(super) fn number(payload: &[u8]) -> Option<u32> {
    payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// The payload without its padding, if it has any; the first byte is the padding's length (RFC 9113 section 6.1).
pub(super) fn without_padding(head: FrameHead, payload: &[u8]) -> Result<&[u8], Wrong> {
    if !head.has(flag::PADDED) {
        return Ok(payload);
    }
    let (&padding, rest) =
        payload.split_first().ok_or(Wrong::size("padded frame without a length of padding"))?;
    rest.len()
        .checked_sub(padding.into())
        .and_then(|len| rest.get(..len))
        .ok_or(Wrong::protocol("more padding than payload"))
}
