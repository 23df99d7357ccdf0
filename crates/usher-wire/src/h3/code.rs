//! Error codes (RFC 9114 section 8.1, RFC 9204 section 6).

pub(super) const NO_ERROR: u64 = 0x100;
pub(super) const INTERNAL_ERROR: u64 = 0x102;
pub(super) const STREAM_CREATION_ERROR: u64 = 0x103;
pub(super) const CLOSED_CRITICAL_STREAM: u64 = 0x104;
pub(super) const FRAME_UNEXPECTED: u64 = 0x105;
pub(super) const FRAME_ERROR: u64 = 0x106;
pub(super) const EXCESSIVE_LOAD: u64 = 0x107;
pub(super) const ID_ERROR: u64 = 0x108;
pub(super) const SETTINGS_ERROR: u64 = 0x109;
pub(super) const MISSING_SETTINGS: u64 = 0x10a;
pub(super) const REQUEST_REJECTED: u64 = 0x10b;
pub(super) const REQUEST_CANCELLED: u64 = 0x10c;
pub(super) const REQUEST_INCOMPLETE: u64 = 0x10d;
pub(super) const MESSAGE_ERROR: u64 = 0x10e;
pub(super) const QPACK_DECOMPRESSION_FAILED: u64 = 0x200;
pub(super) const QPACK_ENCODER_STREAM_ERROR: u64 = 0x201;
pub(super) const QPACK_DECODER_STREAM_ERROR: u64 = 0x202;

/// What the peer did wrong, and so what becomes of the connection or the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The connection ends, with this code; one phrase for logs.
    Connection(u64, &'static str),
    /// The stream is reset, with this code; one phrase for logs.
    Stream(u64, &'static str),
}
