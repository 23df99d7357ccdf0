//! Where a run of allowed bytes ends: sixteen bytes at a time, and singly where one of them may be the end.

use wide::u8x16;

use crate::fields::is_token_byte;

/// The length of the token at the beginning.
#[inline]
pub(super) fn name_end(bytes: &[u8]) -> usize {
    run(bytes, is_token_byte, |chunk| {
        // Letters and `-` are nearly all that names are made of.
        let letter = (chunk | u8x16::splat(0x20)) - u8x16::splat(b'a');
        let is_letter = letter.min(u8x16::splat(b'z' - b'a')).simd_eq(letter);
        !(is_letter | chunk.simd_eq(u8x16::splat(b'-')))
    })
}

/// The length of the run that may stand in a field value: visible bytes, space, tab and 0x80 to 0xFF.
#[inline]
pub(crate) fn value_end(bytes: &[u8]) -> usize {
    run(bytes, |byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f), |chunk| controls(chunk, 0x20))
}

/// The length of the run that may stand in a request target: visible bytes, and 0x80 to 0xFF, which some clients
/// send unencoded (normalizing encodes them).
#[inline]
pub(crate) fn target_end(bytes: &[u8]) -> usize {
    run(bytes, |byte| byte > 0x20 && byte != 0x7f, |chunk| controls(chunk, 0x21))
}

/// Marks bytes below `limit`, and DEL.
#[inline]
fn controls(chunk: u8x16, limit: u8) -> u8x16 {
    !chunk.max(u8x16::splat(limit)).simd_eq(chunk) | chunk.simd_eq(u8x16::splat(0x7f))
}

/// Walks over bytes that `allowed` accepts; `suspects` marks those of sixteen that have to be looked at singly.
#[inline]
fn run(bytes: &[u8], allowed: impl Fn(u8) -> bool, suspects: impl Fn(u8x16) -> u8x16) -> usize {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = suspects(u8x16::new(*chunk)).to_bitmask();
        if marks == 0 {
            at += 16;
            continue;
        }
        at += marks.trailing_zeros() as usize;
        if !bytes.get(at).is_some_and(|byte| allowed(*byte)) {
            return at;
        }
        at += 1;
    }
    // The last ones with those before them, which are known.
    let left = bytes.len() - at;
    if let Some(chunk) = bytes.last_chunk().filter(|_| left > 0) {
        let marks = suspects(u8x16::new(*chunk)).to_bitmask() >> (16 - left);
        at += if marks == 0 { left } else { marks.trailing_zeros() as usize };
    }
    at + bytes[at..].iter().position(|&byte| !allowed(byte)).unwrap_or(bytes.len() - at)
}
