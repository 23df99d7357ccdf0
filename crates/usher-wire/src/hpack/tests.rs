use proptest::prelude::*;

use super::fixed::{ENTRIES, Found, find};
use super::*;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Pairs, HpackError> {
    let mut pairs = Vec::new();
    decoder.decode(block, |name, value| pairs.push((name.to_vec(), value.to_vec())))?;
    Ok(pairs)
}

fn encode(encoder: &mut Encoder, pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    encoder.begin(&mut block);
    pairs.iter().for_each(|(name, value)| encoder.field(name, value, &mut block));
    block
}

fn pairs(text: &str) -> Pairs {
    let pair = |line: &str| {
        let (name, value) = line.rsplit_once(": ").expect("a field");
        (name.trim().as_bytes().to_vec(), value.as_bytes().to_vec())
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(pair).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16);
    digits.chunks(2).map(|pair| byte(pair).expect("a byte")).collect()
}

/// RFC 7541 appendix C.3 and C.4: three requests, plain and in Huffman code.
const REQUESTS: [(&str, &str, &str); 3] = [
    (
        ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com",
        "828684410f7777772e6578616d706c652e636f6d",
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    ),
    (
        ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache",
        "828684be58086e6f2d6361636865",
        "828684be5886a8eb10649cbf",
    ),
    (
        ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ),
];

#[test]
fn decodes_the_requests_of_the_rfc() {
    for column in [1, 2] {
        let mut decoder = Decoder::new(TABLE_SIZE);
        for example in REQUESTS {
            let block = hex(if column == 1 { example.1 } else { example.2 });
            assert_eq!(decode(&mut decoder, &block), Ok(pairs(example.0)));
        }
    }
}

/// RFC 7541 appendix C.5 and C.6: responses through a table of 256 bytes, so that entries are evicted.
#[test]
fn decodes_the_responses_of_the_rfc() {
    let first = ":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\n\
                 location: https://www.example.com";
    let second = ":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\n\
                  location: https://www.example.com";
    let third = ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\n\
                 location: https://www.example.com\ncontent-encoding: gzip\n\
                 set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    let plain = [
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54\
         6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        "4803333037c1c0bf",
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d\
         4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b20766572\
         73696f6e3d31",
    ];
    let coded = [
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8\
         e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b\
         3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ];
    for blocks in [plain, coded] {
        let mut decoder = Decoder::new(256);
        for (block, text) in blocks.iter().zip([first, second, third]) {
            assert_eq!(decode(&mut decoder, &hex(block)), Ok(pairs(text)));
        }
    }
}

#[test]
fn refuses_what_is_no_block() {
    let cases = [
        ("index 0", "80", HpackError::Index),
        ("index behind the tables", "be", HpackError::Index),
        ("name index behind the tables", "7f0000", HpackError::Index),
        ("a resize behind a field", "8220", HpackError::Resize),
        ("a resize above the limit", "3fe21f", HpackError::Resize),
        ("an integer that is cut", "ff", HpackError::Integer),
        ("an integer of more than 32 bits", "ffffffffffff7f", HpackError::Integer),
        ("an integer that never ends", "ff808080808080", HpackError::Integer),
        ("a name that is cut", "400361", HpackError::String),
        ("a value that is missing", "400161", HpackError::Integer),
        ("a value that is cut", "40016103", HpackError::String),
        ("padding of eight bits", "000161821fff", HpackError::Huffman),
        ("EOS in a string", "00016184ffffffff", HpackError::Huffman),
    ];
    for (what, block, error) in cases {
        assert_eq!(decode(&mut Decoder::new(TABLE_SIZE), &hex(block)), Err(error), "{what}");
    }
}

#[test]
fn a_resize_comes_before_the_fields() {
    let mut decoder = Decoder::new(TABLE_SIZE);
    assert_eq!(decode(&mut decoder, &hex("4001610162")), Ok(pairs("a: b")));
    assert_eq!(decode(&mut decoder, &hex("be")), Ok(pairs("a: b")));
    assert_eq!(decode(&mut decoder, &hex("203fe11f")), Ok(vec![]), "to nothing, and back");
    assert_eq!(decode(&mut decoder, &hex("be")), Err(HpackError::Index), "what was in it is gone");
}

/// RFC 7541 section 4.4: the name of an entry that is evicted for the new one.
#[test]
fn an_entry_may_lend_its_name_to_the_one_that_evicts_it() {
    let mut decoder = Decoder::new(64);
    let long = "x".repeat(20);
    let mut block = hex("4001610162");
    block.extend_from_slice(&[0x7e, 20]);
    block.extend_from_slice(long.as_bytes());
    assert_eq!(decode(&mut decoder, &block), Ok(pairs(&format!("a: b\na: {long}"))));
    assert_eq!(decode(&mut decoder, &hex("be")), Ok(pairs(&format!("a: {long}"))));
    assert_eq!(decode(&mut decoder, &hex("bf")), Err(HpackError::Index));
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::new(40);
    let mut block = hex("4001610162");
    block.extend_from_slice(&hex("40016109"));
    block.extend_from_slice(b"012345678");
    assert_eq!(decode(&mut decoder, &block).map(|pairs| pairs.len()), Ok(2));
    assert_eq!(decode(&mut decoder, &hex("be")), Err(HpackError::Index));
}

#[test]
fn every_entry_of_the_static_table_is_found() {
    for (at, (name, value)) in ENTRIES.into_iter().enumerate() {
        assert_eq!(find(name, value), Some(Found::Field(at as u32 + 1)), "{at}");
        assert!(matches!(find(name, b"?"), Some(Found::Name(index)) if index <= at as u32 + 1), "{at}");
    }
    for name in [&b""[..], b"x", b"Date", b"content-lengtx", &[b'a'; 300]] {
        assert_eq!(find(name, b""), None);
    }
}

#[test]
fn a_field_goes_into_the_table_when_it_comes_again() {
    let mut encoder = Encoder::default();
    let field = pairs("server: a-name-of-some-length");
    let lengths: Vec<usize> = (0..4).map(|_| encode(&mut encoder, &field).len()).collect();
    assert!(lengths[0] > 20 && lengths[1] > 15, "{lengths:?}");
    assert_eq!(lengths[2..], [1, 1]);
}

#[test]
fn secrets_are_never_put_into_a_table() {
    for name in ["authorization", "cookie", "proxy-authorization", "set-cookie"] {
        let mut encoder = Encoder::default();
        let field = pairs(&format!("{name}: secret"));
        let blocks: Vec<Vec<u8>> = (0..3).map(|_| encode(&mut encoder, &field)).collect();
        assert_eq!(blocks[0][0] & 0xf0, 0x10, "{name}");
        assert_eq!(blocks[0], blocks[2], "{name}");
    }
}

#[test]
fn announces_the_sizes_of_its_table() {
    let cases: [(&[u32], &str); 6] = [
        (&[4096], ""),
        (&[65536], ""),
        (&[0], "20"),
        (&[100], "3f45"),
        (&[0, 4096], "203fe11f"),
        (&[100, 0, 50, 70_000], "203fe11f"),
    ];
    for (sizes, announced) in cases {
        let mut encoder = Encoder::default();
        sizes.iter().for_each(|size| encoder.set_limit(*size));
        assert_eq!(encode(&mut encoder, &[]), hex(announced), "{sizes:?}");
        assert!(encode(&mut encoder, &[]).is_empty(), "once");
    }
}

#[test]
fn integers_of_the_rfc() {
    let cases =
        [(10, 5, "0a"), (1337, 5, "1f9a0a"), (42, 8, "2a"), (31, 5, "1f00"), (u32::MAX, 7, "7f80ffffff0f")];
    for (value, prefix, bytes) in cases {
        let mut out = Vec::new();
        integer::write(0, prefix, value, &mut out);
        assert_eq!(out, hex(bytes), "{value}");
        assert_eq!(integer::read(&out, prefix), Ok((value, &[][..])), "{value}");
    }
}

fn some_pairs() -> impl Strategy<Value = Vec<Pairs>> {
    let name = prop_oneof!["[a-c]{1,3}", "date|via|server|set-cookie|:path|content-length", "[a-z-]{1,40}"];
    let value = prop_oneof!["[a-c]{0,3}", "[ -~]{0,600}"];
    let field = (name, value).prop_map(|(name, value)| (name.into_bytes(), value.into_bytes()));
    prop::collection::vec(prop::collection::vec(field, 0..12), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_encoded_is_decoded(heads in some_pairs(), sizes: Vec<prop::sample::Index>) {
        let mut encoder = Encoder::default();
        let mut decoder = Decoder::new(TABLE_SIZE);
        for (at, head) in heads.iter().enumerate() {
            if let Some(size) = sizes.get(at) {
                encoder.set_limit(size.index(5000) as u32);
            }
            let block = encode(&mut encoder, head);
            prop_assert_eq!(&decode(&mut decoder, &block), &Ok(head.clone()));
        }
    }

    #[test]
    fn no_block_makes_it_panic_or_grow(blocks: Vec<Vec<u8>>) {
        let mut decoder = Decoder::new(200);
        for block in blocks {
            let _ = decode(&mut decoder, &block);
        }
        prop_assert!(decoder.memory() <= 400);
    }
}
