//! DNS messages: more bytes never change an answer; what was read, written again without compression, reads the same; every
//! name is one; and nothing is signed by a key that nobody has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_certs::fuzzing::DnsMessage;
use usher_fuzz::cuts;

/// The longest name in text (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

fn is_name(name: &str) -> bool {
    let label =
        |label: &str| (1..=63).contains(&label.len()) && !label.bytes().any(|byte| byte.is_ascii_uppercase());
    name.is_empty() || (name.len() <= MAX_NAME && name.is_ascii() && name.split('.').all(label))
}

fuzz_target!(|data: &[u8]| {
    let Some(message) = DnsMessage::read(data) else { return };
    for cut in cuts(data) {
        if let Some(answer) = DnsMessage::read(&data[..cut]) {
            assert_eq!(answer, message, "after {cut} bytes");
        }
    }
    let starts = message.starts();
    assert!(
        starts.windows(2).all(|two| two[0] < two[1]) && starts.last().is_none_or(|last| *last < data.len())
    );
    message.names().into_iter().for_each(|name| assert!(is_name(name), "{name}"));
    assert!(!message.is_signed(data));
    let written = message.write().expect("what was read can be written");
    let again = DnsMessage::read(&written).expect("what was written can be read");
    assert_eq!(again.without_places(), message.without_places());
});
