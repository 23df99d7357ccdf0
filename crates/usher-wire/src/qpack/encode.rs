//! From fields to heads.

use super::fixed::{Found, find};
use super::integer::write;

/// Begins a head: it needs nothing of a table (RFC 9204 section 4.5.1).
pub fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0]);
}

/// Appends a field; the name is in lower case. Strings are quickly written rather than short.
#[inline]
pub fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    // That nobody behind may put it into a table (RFC 9204 section 7.1.3).
    let never = if is_secret(name) { 0x20 } else { 0 };
    match find(name, value) {
        Some(Found::Field(index)) if never == 0 => write(0xc0, 6, index.into(), out),
        Some(Found::Field(index) | Found::Name(index)) => {
            write(0x50 | never, 4, index.into(), out);
            string(value, out);
        }
        None => {
            write(0x20 | never >> 1, 3, name.len() as u64, out);
            out.extend_from_slice(name);
            string(value, out);
        }
    }
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    write(0, 7, text.len() as u64, out);
    out.extend_from_slice(text);
}

fn is_secret(name: &[u8]) -> bool {
    matches!(name, b"authorization" | b"cookie" | b"set-cookie" | b"proxy-authorization")
}
