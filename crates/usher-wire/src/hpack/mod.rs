//! HPACK, the compression of heads in HTTP/2 (RFC 7541).
//!
//! Both sides keep a table of the fields that came lately and send a number in place of a field that is in it. The
//! table is one ring of bytes, taken when the first field is put into it.

mod decoder;
mod encoder;
mod fixed;
pub mod integer;
mod table;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, HpackError};
pub use encoder::Encoder;

/// The size of a table that holds without an agreement (SETTINGS_HEADER_TABLE_SIZE, RFC 9113 section 6.5.2), and the
/// largest that is used here (bytes).
pub const TABLE_SIZE: u32 = 4096;
