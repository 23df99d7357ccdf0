//! Integers and frames (RFC 9000 section 16, RFC 9114 section 7).

/// Frame types. Those of HTTP/2 that mean nothing here are reserved (RFC 9114 section 7.2.8).
pub(super) const DATA: u64 = 0x0;
pub(super) const HEADERS: u64 = 0x1;
pub(super) const CANCEL_PUSH: u64 = 0x3;
pub(super) const SETTINGS: u64 = 0x4;
pub(super) const PUSH_PROMISE: u64 = 0x5;
pub(super) const GOAWAY: u64 = 0x7;
pub(super) const MAX_PUSH_ID: u64 = 0xd;
/// RFC 9218 section 7.2.
pub(super) const PRIORITY_UPDATE_OF_REQUEST: u64 = 0xf_0700;
/// The same, of requests and pushes.
pub(super) const PRIORITY_UPDATE: [u64; 2] = [PRIORITY_UPDATE_OF_REQUEST, 0xf_0701];

/// Whether a type is one that HTTP/2 had and HTTP/3 forbids: PRIORITY, PING, WINDOW_UPDATE, CONTINUATION.
pub(super) fn is_of_http2(kind: u64) -> bool {
    matches!(kind, 0x2 | 0x6 | 0x8 | 0x9)
}

/// The largest integer.
pub(super) const MAX_INTEGER: u64 = (1 << 62) - 1;

/// Reads an integer from the beginning; gives what follows it too. None if its end is not there.
#[inline]
pub fn integer(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let &first = bytes.first()?;
    if first < 0x40 {
        return Some((first.into(), bytes.get(1..)?));
    }
    let (encoded, rest) = bytes.split_at_checked(1 << (first >> 6))?;
    let value = encoded.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    // Without the two bits of the length.
    let bits = encoded.len() * 8 - 2;
    Some((value & ((1 << bits) - 1), rest))
}

/// Appends an integer, at most [`MAX_INTEGER`].
pub(super) fn write_integer(value: u64, out: &mut Vec<u8>) {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..0x4000_0000 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value.min(MAX_INTEGER) | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// The beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Its type.
    pub kind: u64,
    /// The bytes of its payload.
    pub len: u64,
    /// The bytes that type and length took.
    pub taken: usize,
}

/// Reads the beginning of a frame; None if its end is not there.
#[inline]
pub fn head(bytes: &[u8]) -> Option<FrameHead> {
    let (kind, rest) = integer(bytes)?;
    let (len, rest) = integer(rest)?;
    Some(FrameHead { kind, len, taken: bytes.len() - rest.len() })
}

/// Appends the beginning of a frame.
pub(super) fn write_head(kind: u64, len: usize, out: &mut Vec<u8>) {
    write_integer(kind, out);
    write_integer(len as u64, out);
}

/// Appends a HEADERS frame whose section `write` appends.
pub(super) fn write_headers(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    /// Bytes that are kept for the length.
    const LENGTH: usize = 2;
    out.push(HEADERS as u8);
    let at = out.len();
    out.extend_from_slice(&[0; LENGTH]);
    write(out);
    let len = out.len() - at - LENGTH;
    if let (Ok(short @ 0..0x4000), Some(place)) = (u16::try_from(len), out.get_mut(at..at + LENGTH)) {
        place.copy_from_slice(&(short | 0x4000).to_be_bytes());
    } else {
        let mut long = Vec::new();
        write_integer(len as u64, &mut long);
        out.splice(at..at + LENGTH, long);
    }
}
