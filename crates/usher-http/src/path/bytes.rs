//! What one byte, or one escape, is to the scans of a path.

// The bits are combined branch-free in `is_plain`.
/// Neither allowed raw in a path (RFC 3986 `pchar` or `/`) nor readable without a closer look: `%` and the forbidden.
pub(super) const ODD: u8 = 1;
/// Worth a closer look when it follows a `/`: `/` and `.`.
const AFTER_SLASH: u8 = 2;
/// `/` itself; shifted right by one it becomes the mask of what may not follow.
pub(super) const SLASH: u8 = 4;
/// RFC 3986 section 2.3 `unreserved`: decoded where it is encoded.
pub(super) const UNRESERVED: u8 = 8;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [ODD; 256];
    let mut b = 0;
    while b < 128 {
        let byte = b as u8;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            table[b] = UNRESERVED;
        } else if matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@'
        ) {
            table[b] = 0;
        }
        b += 1;
    }
    table[b'.' as usize] = UNRESERVED | AFTER_SLASH;
    table[b'/' as usize] = SLASH | AFTER_SLASH;
    table
}

pub(super) fn class(byte: u8) -> u8 {
    CLASS[usize::from(byte)]
}

pub(super) fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7F
}

/// The value of an escape whose `%` was taken, and what follows it.
pub(super) fn escape(tail: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], after) = tail.split_first_chunk()?;
    Some((hex(high)? << 4 | hex(low)?, after))
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

pub(super) fn push_escape(value: u8, out: &mut Vec<u8>) {
    const UPPER: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', UPPER[usize::from(value >> 4)], UPPER[usize::from(value & 15)]]);
}
