use proptest::prelude::*;

use super::*;

fn decoded(code: &[u8]) -> Result<Vec<u8>, HuffmanError> {
    let mut out = Vec::new();
    decode(code, &mut out).map(|()| out)
}

fn encoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(text, &mut out);
    assert_eq!(out.len(), encoded_len(text));
    out
}

/// RFC 7541 appendix C.4 and C.6.
const EXAMPLES: [(&[u8], &[u8]); 6] = [
    (b"www.example.com", &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff]),
    (b"no-cache", &[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]),
    (b"custom-key", &[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f]),
    (b"302", &[0x64, 0x02]),
    (b"private", &[0xae, 0xc3, 0x77, 0x1a, 0x4b]),
    (b"gzip", &[0x9b, 0xd9, 0xab]),
];

#[test]
fn reads_and_writes_the_examples_of_the_rfc() {
    for (text, code) in EXAMPLES {
        assert_eq!(encoded(text), code);
        assert_eq!(decoded(code).as_deref(), Ok(text));
    }
}

#[test]
fn codes_are_those_of_the_appendix() {
    let known = [
        (b'0', 0x0, 5),
        (b' ', 0x14, 6),
        (b'&', 0xf8, 8),
        (b'!', 0x3f8, 10),
        (b'\\', 0x7fff0, 19),
        (0, 0x1ff8, 13),
        (10, 0x3fff_fffc, 30),
        (255, 0x3ff_ffee, 26),
    ];
    for (symbol, code, length) in known {
        let symbol = usize::from(symbol);
        assert_eq!((CODES[symbol], LENGTHS[symbol]), (code, length), "{symbol}");
    }
    assert_eq!((CODES[256], LENGTHS[256]), (0x3fff_ffff, 30));
}

#[test]
fn refuses_what_is_no_code() {
    let bad: [(&str, &[u8]); 6] = [
        ("padding of eight bits", &[0xff]),
        ("padding of zeros", &[0x18]),
        ("padding with a zero", &[0b0001_1101]),
        ("eight bits behind a symbol", &[0x64, 0x02, 0xff]),
        ("EOS", &[0xff, 0xff, 0xff, 0xff]),
        ("a long code that is cut", &[0xff, 0xfe]),
    ];
    for (what, code) in bad {
        assert_eq!(decoded(code), Err(HuffmanError), "{what}");
    }
    assert_eq!(decoded(&[0b0001_1111]).as_deref(), Ok(&b"a"[..]), "three ones behind a symbol");
    assert_eq!(decoded(&[]).as_deref(), Ok(&b""[..]));
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(text: Vec<u8>) {
        prop_assert_eq!(decoded(&encoded(&text)), Ok(text));
    }

    /// One text has one code: what can be decoded is what encoding gives.
    #[test]
    fn what_is_decoded_is_encoded_alike(code: Vec<u8>) {
        if let Ok(text) = decoded(&code) {
            prop_assert_eq!(encoded(&text), code);
        }
    }
}
