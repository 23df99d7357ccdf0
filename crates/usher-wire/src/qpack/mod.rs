//! QPACK, the compression of heads in HTTP/3 (RFC 9204).
//!
//! Streams arrive in any order, so a table that both sides share is changed on a stream of its own, and a head says how
//! far that must have come before it can be read. [`Decoder`] keeps such a table for what a peer sends. [`encode`] needs
//! none: it uses the static table only, so what it makes can always be read at once.

mod decoder;
pub mod encode;
mod fixed;
mod integer;
mod table;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, Section};

/// The size of the table that a peer is offered (SETTINGS_QPACK_MAX_TABLE_CAPACITY, bytes).
pub const TABLE_CAPACITY: u32 = 4096;
/// Streams whose heads may wait for the table at a time (SETTINGS_QPACK_BLOCKED_STREAMS).
pub const BLOCKED_STREAMS: usize = 16;
/// What the peer may put into the table between two heads (bytes, as the table counts them): one byte sent can copy an
/// entry of the table's size.
pub const INSERTED_PER_HEAD: u64 = 16 * TABLE_CAPACITY as u64;

/// Why the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QpackError {
    /// A head that cannot be decoded (QPACK_DECOMPRESSION_FAILED); one phrase for logs.
    Decompression(&'static str),
    /// What came on the encoder stream has no meaning (QPACK_ENCODER_STREAM_ERROR); one phrase for logs.
    EncoderStream(&'static str),
    /// The table was changed again and again and not used (H3_EXCESSIVE_LOAD).
    Flood,
}
