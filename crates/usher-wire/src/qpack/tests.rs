//! The examples of RFC 9204 appendix B, and what must be refused.

use proptest::prelude::*;

use super::fixed::{ENTRIES, Found, find};
use super::integer::{self, Read};
use super::{Decoder, INSERTED_PER_HEAD, QpackError, Section, TABLE_CAPACITY, encode};

type Head = Vec<(String, String)>;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a digit") as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Decodes a head that nothing blocks.
fn head(decoder: &mut Decoder, stream: u64, bytes: &[u8]) -> Result<Head, QpackError> {
    let mut fields = Vec::new();
    let done = decoder.section(stream, bytes, |name, value| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        fields.push((text(name), text(value)));
        Ok::<_, ()>(())
    })?;
    assert_eq!(done, Section::Done);
    Ok(fields)
}

fn fields(list: &[(&str, &str)]) -> Head {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn told(decoder: &mut Decoder) -> Vec<u8> {
    std::mem::take(decoder.output())
}

/// The size that the RFC's examples offer is 220; here it is set by what the encoder asks for.
#[test]
fn examples_of_the_rfc() {
    let mut decoder = Decoder::new(220);
    // B.1
    let bytes = hex("0000 510b 2f69 6e64 6578 2e68 746d 6c");
    assert_eq!(head(&mut decoder, 0, &bytes), Ok(fields(&[(":path", "/index.html")])));
    assert_eq!(told(&mut decoder), b"");
    // B.2
    let changes = hex("3fbd01 c00f 7777772e6578616d706c652e636f6d c10c 2f73616d706c652f70617468");
    assert_eq!(decoder.instructions(&changes), Ok(changes.len()));
    assert_eq!(decoder.inserted(), 2);
    assert_eq!(told(&mut decoder), hex("02"));
    let expected = fields(&[(":authority", "www.example.com"), (":path", "/sample/path")]);
    assert_eq!(head(&mut decoder, 4, &hex("0381 10 11")), Ok(expected));
    assert_eq!(told(&mut decoder), hex("84"));
    // B.3
    let changes = hex("4a63 7573 746f 6d2d 6b65 790c 6375 7374 6f6d 2d76 616c 7565");
    assert_eq!(decoder.instructions(&changes), Ok(changes.len()));
    assert_eq!(told(&mut decoder), hex("01"));
    // B.4
    assert_eq!(decoder.instructions(&hex("02")), Ok(1));
    assert_eq!(told(&mut decoder), hex("01"));
    let expected =
        fields(&[(":authority", "www.example.com"), (":path", "/"), ("custom-key", "custom-value")]);
    assert_eq!(head(&mut decoder, 8, &hex("0500 80 c1 81")), Ok(expected));
    assert_eq!(told(&mut decoder), hex("88"));
    decoder.cancel(8);
    assert_eq!(told(&mut decoder), hex("48"));
    // B.5
    let changes = hex("810d 6375 7374 6f6d 2d76 616c 7565 32");
    assert_eq!(decoder.instructions(&changes), Ok(changes.len()));
    assert_eq!((decoder.inserted(), told(&mut decoder)), (5, hex("01")));
    // The first entry had to go: a head that needs it cannot be read any more.
    assert!(matches!(head(&mut decoder, 12, &hex("0200 80")), Err(QpackError::Decompression(_))));
}

#[test]
fn head_waits_for_what_it_needs() {
    let mut decoder = Decoder::new(TABLE_CAPACITY);
    let later = hex("0381 10 11");
    let never = |_: &[u8], _: &[u8]| -> Result<(), ()> { panic!("nothing to give yet") };
    assert_eq!(decoder.section(4, &later, never), Ok(Section::Blocked(2)));
    let changes = hex("3fbd01 c00f 7777772e6578616d706c652e636f6d c10c 2f73616d706c652f70617468");
    for end in 0..changes.len() {
        // Whatever has arrived of an instruction, it is used when it is whole.
        let mut one = Decoder::new(TABLE_CAPACITY);
        let used = one.instructions(&changes[..end]).expect("a part");
        assert_eq!(one.instructions(&changes[used..]), Ok(changes.len() - used), "{end}");
        assert_eq!(one.inserted(), 2);
        assert!(head(&mut one, 4, &later).is_ok());
    }
    assert_eq!(decoder.instructions(&changes), Ok(changes.len()));
    assert_eq!(head(&mut decoder, 4, &later).expect("a head").len(), 2);
}

#[test]
fn refuses_heads_that_cannot_be() {
    for (bytes, why) in [
        ("", "nothing at all"),
        ("00", "no base"),
        ("00 00 ff 24", "static index 99"),
        ("00 00 80", "dynamic without a table"),
        ("00 00 10", "post-base without a table"),
        ("00 00 00 00", "post-base name without a table"),
        ("00 00 40 00", "dynamic name without a table"),
        ("00 00 51 05 61", "cut value"),
        ("00 00 27", "cut name length"),
        ("00 00 51 7f ff ff ff ff ff 01", "length beyond 32 bits"),
        ("00 00 51 81 00", "huffman code that ends wrongly"),
        ("00 80", "negative base"),
        ("ff ff 7f 00", "insert count out of range"),
    ] {
        let answer = Decoder::new(TABLE_CAPACITY).section(0, &hex(bytes), |_, _| Ok::<_, ()>(()));
        assert!(matches!(answer, Err(QpackError::Decompression(_))), "{why}: {answer:?}");
    }
    let answer = Decoder::new(0).section(0, &hex("02 00 80"), |_, _| Ok::<_, ()>(()));
    assert!(matches!(answer, Err(QpackError::Decompression(_))), "a table that was not offered");
}

#[test]
fn refuses_instructions_that_cannot_be() {
    for (bytes, why) in [
        ("3f e2 1f", "larger than offered"),
        ("00", "duplicate of nothing"),
        ("80 00", "dynamic name of nothing"),
        ("ff 24 00", "static index 99"),
        ("c0 01 61", "entry without a table"),
        ("3f ff ff ff ff ff 01", "number beyond 32 bits"),
        ("5f ff ff 7f", "name beyond any table"),
    ] {
        let answer = Decoder::new(TABLE_CAPACITY).instructions(&hex(bytes));
        assert!(matches!(answer, Err(QpackError::EncoderStream(_))), "{why}: {answer:?}");
    }
}

#[test]
fn flood_of_changes_without_heads_ends() {
    let mut decoder = Decoder::new(TABLE_CAPACITY);
    let mut changes = hex("3fe11f");
    changes.push(0x41);
    changes.push(b'a');
    changes.extend([0x7f, 0x80 | ((3900 - 127) & 0x7f) as u8, ((3900 - 127) >> 7) as u8]);
    changes.resize(changes.len() + 3900, b'v');
    assert_eq!(decoder.instructions(&changes), Ok(changes.len()));
    assert_eq!(decoder.inserted(), 1);
    // A byte each, and each copies the entry.
    assert_eq!(decoder.instructions(&[0; 100]), Err(QpackError::Flood));
    assert!(decoder.inserted() as usize * 3900 < INSERTED_PER_HEAD as usize + 2 * TABLE_CAPACITY as usize);
}

#[test]
fn heads_between_changes_make_room_for_more() {
    let mut decoder = Decoder::new(TABLE_CAPACITY);
    let mut changes = hex("3fe11f");
    changes.extend(hex("c00f 7777772e6578616d706c652e636f6d"));
    decoder.instructions(&changes).expect("an entry");
    for stream in 0..2000 {
        decoder.instructions(&[0; 100]).expect("duplicates");
        head(&mut decoder, stream, &hex("0000 d1")).expect("a head");
    }
}

#[test]
fn stops_when_the_receiver_has_enough() {
    let mut left = 3;
    let answer = Decoder::new(0).section(0, &hex("0000 d1d1d1d1d1d1"), |_, _| {
        left -= 1;
        if left > 0 { Ok(()) } else { Err("enough") }
    });
    assert_eq!(answer, Ok(Section::Refused("enough")));
}

#[test]
fn static_table_is_found_again() {
    for (index, (name, value)) in ENTRIES.iter().enumerate() {
        assert_eq!(find(name, value), Some(Found::Field(index as u8)));
        let first = ENTRIES.iter().position(|entry| entry.0 == *name).expect("itself");
        assert_eq!(find(name, b"something else"), Some(Found::Name(first as u8)));
    }
    assert_eq!(find(b"x-unknown", b""), None);
    assert_eq!(find(b"", b""), None);
}

#[test]
fn secrets_are_never_to_be_kept() {
    for name in ["authorization", "cookie", "set-cookie", "proxy-authorization"] {
        let mut out = Vec::new();
        encode::field(name.as_bytes(), b"", &mut out);
        let never = if out[0] & 0x40 != 0 { 0x20 } else { 0x10 };
        assert!(out[0] & 0x80 == 0 && out[0] & never != 0, "{name}: {out:x?}");
    }
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(ENTRIES.to_vec())
            .prop_map(|(name, _)| String::from_utf8_lossy(name).into_owned()),
        "[a-z][a-z0-9-]{0,40}",
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(list in proptest::collection::vec((any_name(), "[ -~]{0,300}"), 0..20)) {
        let mut out = Vec::new();
        encode::begin(&mut out);
        list.iter().for_each(|(name, value)| encode::field(name.as_bytes(), value.as_bytes(), &mut out));
        prop_assert_eq!(head(&mut Decoder::new(0), 0, &out), Ok(list));
    }

    #[test]
    fn numbers_are_read_as_written(value: u32, prefix in 1_u32..=8, cut in 0_usize..6) {
        let mut out = Vec::new();
        integer::write(0, prefix, value.into(), &mut out);
        prop_assert_eq!(integer::read(&out, prefix), Read::Value(value, out.len()));
        if cut < out.len() {
            prop_assert_eq!(integer::read(&out[..cut], prefix), Read::Cut);
        }
    }

    #[test]
    fn nothing_makes_it_panic_or_grow(
        changes in proptest::collection::vec(any::<u8>(), 0..300),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut decoder = Decoder::new(TABLE_CAPACITY);
        let _ = decoder.instructions(&hex("3fe11f"));
        let _ = decoder.instructions(&changes);
        let _ = decoder.section(0, &bytes, |_, _| Ok::<_, ()>(()));
        prop_assert!(decoder.table_size() <= TABLE_CAPACITY as usize);
    }
}
