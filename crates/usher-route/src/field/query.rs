//! The parameters of a query (WHATWG URL, "application/x-www-form-urlencoded parsing", as browsers send forms).

/// Values up to this many bytes are decoded on the stack.
const STACK_BYTES: usize = 256;

/// Calls `test` with the decoded values of the parameter `name` until it answers `true`; whether it did. A parameter
/// without `=` has an empty value.
pub(super) fn any(query: &str, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let mut rest = query.as_bytes();
    while !rest.is_empty() {
        let end = memchr::memchr(b'&', rest);
        let pair = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or(&[], |at| &rest[at + 1..]);
        let equals = memchr::memchr(b'=', pair);
        let (key, value) = equals.map_or((pair, &[] as &[u8]), |at| (&pair[..at], &pair[at + 1..]));
        if !pair.is_empty() && is_name(key, name.as_bytes()) && passes(value, test) {
            return true;
        }
    }
    false
}

fn is_encoded(text: &[u8]) -> bool {
    memchr::memchr2(b'%', b'+', text).is_some()
}

fn is_name(key: &[u8], name: &[u8]) -> bool {
    if is_encoded(key) { decoded(key).eq(name.iter().copied()) } else { key == name }
}

fn passes(value: &[u8], test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    if is_encoded(value) { decode_and_test(value, test) } else { test(value) }
}

#[cold]
fn decode_and_test(value: &[u8], test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    if value.len() > STACK_BYTES {
        return test(&decoded(value).collect::<Vec<u8>>());
    }
    let mut buffer = [0; STACK_BYTES];
    let mut length = 0;
    for (slot, byte) in buffer.iter_mut().zip(decoded(value)) {
        *slot = byte;
        length += 1;
    }
    test(&buffer[..length])
}

/// The bytes that `text` stands for; an escape without two hexadecimal digits stands for itself.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (byte, taken) = match *rest {
            [] => return None,
            [b'+', ..] => (b' ', 1),
            [b'%', high, low, ..] => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => (b'%', 1),
            },
            [byte, ..] => (byte, 1),
        };
        rest = &rest[taken..];
        Some(byte)
    })
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok())
}
