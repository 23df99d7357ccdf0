//! Which bytes names and values are made of (RFC 9110 section 5).

/// Whether the bytes are a token (RFC 9110 section 5.6.2).
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Whether one byte may stand in a token.
#[inline]
pub const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether the bytes are a token without letters in upper case: a name in HTTP/2 and 3 (RFC 9113 section 8.2.1).
#[inline]
pub(crate) fn is_lower_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| TOKEN[byte as usize] && !byte.is_ascii_uppercase())
}

static TOKEN: [bool; 256] = token_table();

const fn token_table() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let mark = matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        table[byte] = b.is_ascii_alphanumeric() || mark;
        byte += 1;
    }
    table
}

/// Whether the bytes may be a field value: no control bytes but tab (RFC 9110 section 5.5), no space at the ends.
pub fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
        && !matches!(bytes.first(), Some(b' ' | b'\t'))
        && !matches!(bytes.last(), Some(b' ' | b'\t'))
}
