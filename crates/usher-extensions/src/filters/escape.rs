//! Escaping for the places that text ends up in: URLs, queries, HTML.

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn push_escape(byte: u8, out: &mut String) {
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// Whether the byte is `unreserved` (RFC 3986, section 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Whether two hex digits follow.
fn is_escape(rest: &[u8]) -> bool {
    matches!(rest, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Appends `text`; what `keep` refuses is percent-encoded, escapes stay.
fn push_with(text: &str, out: &mut String, keep: impl Fn(u8) -> bool) {
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let whole = byte == b'%' && is_escape(bytes.get(at + 1..).unwrap_or_default());
        if whole || keep(byte) {
            out.push(char::from(byte));
        } else {
            push_escape(byte, out);
        }
    }
}

/// Appends a URL reference: what RFC 3986 does not allow anywhere in one is percent-encoded, escapes stay. A
/// backslash is such a byte: browsers read it as `/`.
pub(super) fn push_url(text: &str, out: &mut String) {
    push_with(text, out, |byte| is_unreserved(byte) || b":/?#[]@!$&'()*+,;=".contains(&byte));
}

/// Appends a whole query (RFC 3986, section 3.4): what may not stand in one is percent-encoded, escapes stay.
pub(super) fn push_query(text: &str, out: &mut String) {
    push_with(text, out, |byte| is_unreserved(byte) || b":/?@!$&'()*+,;=".contains(&byte));
}

/// Appends a name or value of a query: as [`push_query`], and neither `&`, `=` nor `;` separates anything.
pub(super) fn push_query_part(text: &str, out: &mut String) {
    push_with(text, out, |byte| is_unreserved(byte) || b":/?@!$'()*+,".contains(&byte));
}

/// Appends one path segment of raw bytes (a file's name): everything but `unreserved` is percent-encoded.
pub(super) fn push_segment(name: &[u8], out: &mut String) {
    for &byte in name {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            push_escape(byte, out);
        }
    }
}

/// Appends text for HTML, inside of elements and of quoted attributes.
pub(super) fn push_html(text: &str, out: &mut String) {
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char => out.push(char),
        }
    }
}
