//! The first bytes of a TLS connection: more bytes never change an answer, how the message is spread over records does
//! not matter, and an answer comes within the limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_net::tls::{MAX_CLIENT_HELLO, Peek, peek};

/// The handshake messages in the records at the front, of which the last may not be complete: an answer does not wait
/// for what comes behind the message.
fn payload(mut records: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [22, 3, _, high, low, rest @ ..] = records {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (part, behind) = rest.split_at(len.min(rest.len()));
        out.extend_from_slice(part);
        records = behind;
    }
    out
}

/// The same in records of `size` bytes.
fn respread(message: &[u8], size: usize) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 3][..], &(part.len() as u16).to_be_bytes(), part].concat();
    message.chunks(size).flat_map(record).collect()
}

fuzz_target!(|data: &[u8]| {
    let whole = peek(data);
    for cut in 0..data.len().min(2000) {
        match peek(&data[..cut]) {
            Peek::NeedMore => assert!(cut < MAX_CLIENT_HELLO),
            answer => return assert_eq!(answer, whole, "after {cut} bytes"),
        }
    }
    if data.len() >= MAX_CLIENT_HELLO {
        assert_ne!(whole, Peek::NeedMore);
    }
    let Peek::Hello(hello) = whole else { return };
    if let Some(name) = hello.server_name() {
        assert!(name.len() < 255 && !name.contains(|letter: char| letter.is_ascii_uppercase() || !letter.is_ascii()));
    }
    assert!(hello.alpn().all(|protocol| !protocol.is_empty()));
    let size = data.len() % 700 + 60;
    let spread = respread(&payload(data), size);
    // The heads of smaller records count towards the limit.
    if spread.len() <= MAX_CLIENT_HELLO {
        assert_eq!(peek(&spread), Peek::Hello(hello), "in records of {size}");
    }
});
