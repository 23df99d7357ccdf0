//! Bytes as a person can read them: every byte that is not plain text is an escape, and lines end where LF is.

/// More than this is cut in the middle: a failure is read by a person.
const SHOWN_BYTES: usize = 4096;

/// Bytes with escapes visible (`\r`, `\n`, `\t`, `\\`, `\xNN`) and a line break after each `\n`.
pub fn visible(bytes: &[u8]) -> String {
    if bytes.len() <= SHOWN_BYTES {
        return escape(bytes);
    }
    let (head, rest) = bytes.split_at(SHOWN_BYTES / 2);
    let (cut, tail) = rest.split_at(rest.len() - SHOWN_BYTES / 2);
    format!("{}\n… {} bytes left out …\n{}", escape(head), cut.len(), escape(tail))
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' if at + 1 == bytes.len() => text.push_str("\\n"),
            b'\n' => text.push_str("\\n\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            0x20..=0x7e => text.push(char::from(byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_every_byte_that_is_not_plain_text() {
        assert_eq!(visible(b"a\r\nb\x00\t\\\xff\n"), "a\\r\\n\nb\\x00\\t\\\\\\xff\\n");
    }

    #[test]
    fn cuts_the_middle_of_what_is_long() {
        let shown = visible(&vec![b'x'; SHOWN_BYTES * 3]);
        assert!(shown.contains(&format!("{} bytes left out", SHOWN_BYTES * 2)), "{shown}");
    }
}
