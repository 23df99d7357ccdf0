//! Where a run of allowed bytes ends: eight bytes at a time, and singly where one of them may be the end.

use crate::fields::is_token_byte;

/// The length of the token at the beginning.
#[inline]
pub(super) fn name_end(bytes: &[u8]) -> usize {
    run(bytes, is_token_byte, unusual_in_names)
}

/// The length of the run that may stand in a field value: visible bytes, space, tab and 0x80 to 0xFF.
#[inline]
pub(crate) fn value_end(bytes: &[u8]) -> usize {
    run(bytes, |byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f), |word| controls(word, 0x20))
}

/// The length of the run that may stand in a request target: visible bytes, and 0x80 to 0xFF, which some clients
/// send unencoded (normalizing encodes them).
#[inline]
pub(crate) fn target_end(bytes: &[u8]) -> usize {
    run(bytes, |byte| byte > 0x20 && byte != 0x7f, |word| controls(word, 0x21))
}

/// Walks over bytes that `allowed` accepts; `suspects` marks, in the high bits of a word, bytes to look at singly.
#[inline]
fn run(bytes: &[u8], allowed: impl Fn(u8) -> bool, suspects: impl Fn(u64) -> u64) -> usize {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes([
            chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
        ]);
        let marks = suspects(word);
        if marks == 0 {
            at += 8;
            continue;
        }
        // The lowest mark is exact; higher ones may come from its borrow.
        at += (marks.trailing_zeros() / 8) as usize;
        if !allowed(bytes[at]) {
            return at;
        }
        at += 1;
    }
    at + bytes[at..].iter().position(|&byte| !allowed(byte)).unwrap_or(bytes.len() - at)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks all bytes but letters and `-`, which are nearly all that names are made of; exact for every mark.
#[inline]
fn unusual_in_names(word: u64) -> u64 {
    let low = word & !HIGHS;
    let lower_case = low | (ONES * 0x20);
    // The high bits of sums of seven bits: none carries into the next byte.
    let from_a = lower_case + ONES * u64::from(0x80 - b'a');
    let beyond_z = lower_case + ONES * u64::from(0x7f - b'z');
    let no_dash = (low ^ (ONES * u64::from(b'-'))) + ONES * 0x7f;
    ((!from_a | beyond_z) & no_dash | word) & HIGHS
}

/// Marks bytes below `limit` (at most 0x80), and DEL; exact for the lowest mark.
#[inline]
fn controls(word: u64, limit: u8) -> u64 {
    let low = word.wrapping_sub(ONES * u64::from(limit));
    let delete = (word ^ (ONES * 0x7f)).wrapping_sub(ONES);
    (low | delete) & !word & HIGHS
}
