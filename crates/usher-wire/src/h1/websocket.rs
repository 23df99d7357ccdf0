//! The opening handshake of WebSocket over HTTP/1.1 (RFC 6455 section 4.1), for clients that opened theirs over HTTP/2 or 3,
//! where it has no key (RFC 8441 section 5).

use std::hash::{BuildHasher, RandomState};

use usher_http::Fields;

/// Appends a key, unless the client sent one: 16 bytes at random, in base64. It guards against nothing here but an
/// endpoint that answers without reading; so no better randomness is needed than hash tables have.
pub(super) fn push_key(fields: &Fields, out: &mut Vec<u8>) {
    if fields.get_named(b"sec-websocket-key").is_some() {
        return;
    }
    let random = [RandomState::new().hash_one(0u8), RandomState::new().hash_one(1u8)];
    let bits = u128::from(random[0]) << 64 | u128::from(random[1]);
    out.extend_from_slice(b"Sec-WebSocket-Key: ");
    // 21 digits of six bits, and one of the last two.
    out.extend((0..22).map(|digit| DIGITS[(bits.checked_shl(digit * 6).unwrap_or(0) >> 122) as usize]));
    out.extend_from_slice(b"==\r\n");
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
