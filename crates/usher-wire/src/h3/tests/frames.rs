//! Integers, frames and settings.

use proptest::prelude::*;

use super::super::code::Wrong;
use super::super::frame::{self, integer, write_headers, write_integer};
use super::super::settings::Settings;

#[test]
fn integers_of_the_rfc() {
    // RFC 9000 appendix A.1
    for (bytes, value) in [
        (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
        (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
        (&[0x7b, 0xbd], 15_293),
        (&[0x25], 37),
        (&[0x40, 0x25], 37),
    ] {
        assert_eq!(integer(bytes), Some((value, &[][..])));
        for end in 0..bytes.len() {
            assert_eq!(integer(&bytes[..end]), None);
        }
    }
}

#[test]
fn sections_of_every_size_get_their_length() {
    for len in [0, 1, 63, 64, 16_383, 16_384, 70_000] {
        let mut out = b"before".to_vec();
        write_headers(&mut out, |out| out.resize(out.len() + len, b'x'));
        let head = frame::head(&out[6..]).expect("a frame");
        assert_eq!((head.kind, head.len as usize), (frame::HEADERS, len));
        assert_eq!(out.len(), 6 + head.taken + len);
    }
}

#[test]
fn settings_are_read_strictly() {
    let read = |bytes: &[u8]| Settings::read(bytes);
    let known = Settings { max_field_section: 100, connect_protocol: true };
    assert_eq!(read(&[0x06, 0x40, 100, 0x08, 1]), Ok(known));
    assert_eq!(read(&[0x21, 0x05]), Ok(Settings::default()), "an unknown one");
    for (bytes, code) in [
        (&[0x06][..], 0x106),
        (&[0x06, 0x40], 0x106),
        (&[0x06, 1, 0x06, 1], 0x109),
        (&[0x21, 1, 0x21, 2], 0x109),
        (&[0x02, 0], 0x109),
        (&[0x03, 0], 0x109),
        (&[0x04, 0], 0x109),
        (&[0x05, 0], 0x109),
        (&[0x08, 2], 0x109),
    ] {
        assert!(matches!(read(bytes), Err(Wrong::Connection(found, _)) if found == code), "{bytes:?}");
    }
    let many: Vec<u8> = (0x21..0x7f_u8).flat_map(|id| [0x40, id, 0]).collect();
    assert!(read(&many).is_err(), "without end");
}

proptest! {
    #[test]
    fn integers_are_read_as_written(value in 0..=frame::MAX_INTEGER, rest: Vec<u8>) {
        let mut out = Vec::new();
        write_integer(value, &mut out);
        out.extend_from_slice(&rest);
        prop_assert_eq!(integer(&out), Some((value, &rest[..])));
    }

    #[test]
    fn nothing_makes_settings_panic(bytes: Vec<u8>) {
        let _ = Settings::read(&bytes);
        let _ = frame::head(&bytes);
    }
}
