//! Numbers, addresses and escaped texts, appended to a line.

use std::io::Write as _;
use std::net::IpAddr;

/// Values of clients are cut after so many bytes.
const MAX_VALUE: usize = 8192;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// A whole number.
pub(super) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The last two digits.
pub(super) fn push_two(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
}

/// The last three digits.
pub(super) fn push_three(out: &mut Vec<u8>, number: u32) {
    out.push(b'0' + (number / 100 % 10) as u8);
    push_two(out, number);
}

/// Microseconds as milliseconds: `1.250`.
pub(super) fn push_millis(out: &mut Vec<u8>, micros: u64) {
    push_number(out, micros / 1_000);
    out.push(b'.');
    push_three(out, (micros % 1_000) as u32);
}

/// An address.
pub(super) fn push_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            push_number(out, a.into());
            for part in [b, c, d] {
                out.push(b'.');
                push_number(out, part.into());
            }
        }
        // Writing to a Vec cannot fail.
        IpAddr::V6(ip) => drop(write!(out, "{ip}")),
    }
}

/// Printable ASCII without quotes and backslashes: stands for itself everywhere. Without an early end, so that the
/// compiler makes vectors of it.
#[inline]
fn is_plain(value: &[u8]) -> bool {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\');
    value.iter().fold(true, |all, byte| all & plain(*byte))
}

/// The inside of a JSON string (RFC 8259, section 7). Bytes that are not UTF-8 become U+FFFD.
pub(super) fn push_json(out: &mut Vec<u8>, value: &[u8]) {
    let value = &value[..value.len().min(MAX_VALUE)];
    if is_plain(value) {
        return out.extend_from_slice(value);
    }
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_json_char(out, c);
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

/// Control characters are escaped, also those that JSON allows, and so are those that end lines or turn the direction
/// of writing: a log is looked at in terminals.
fn push_json_char(out: &mut Vec<u8>, c: char) {
    match c {
        '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
        '\t' => out.extend_from_slice(b"\\t"),
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
            let low = c as usize;
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[low >> 4 & 15], HEX[low & 15]]);
        }
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "\\u{:04x}", c as u32);
        }
        _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// A value as nginx and Apache escape it: all but printable ASCII, and quotes and backslashes, as `\xNN`. `-` if it is
/// empty.
pub(super) fn push_escaped(out: &mut Vec<u8>, value: &[u8]) {
    let value = &value[..value.len().min(MAX_VALUE)];
    match value {
        b"" => out.push(b'-'),
        _ if is_plain(value) => out.extend_from_slice(value),
        _ => value.iter().for_each(|byte| push_escaped_byte(out, *byte, b' ')),
    }
}

/// The same for a value that stands without quotes: blanks are escaped too.
pub(super) fn push_word(out: &mut Vec<u8>, value: &[u8]) {
    let value = &value[..value.len().min(MAX_VALUE)];
    if value.is_empty() {
        out.push(b'-');
    }
    value.iter().for_each(|byte| push_escaped_byte(out, *byte, b'!'));
}

/// A byte, escaped unless it is printable, beginning with `first`.
fn push_escaped_byte(out: &mut Vec<u8>, byte: u8, first: u8) {
    if (first..=b'~').contains(&byte) && byte != b'"' && byte != b'\\' {
        return out.push(byte);
    }
    out.extend_from_slice(&[b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}
