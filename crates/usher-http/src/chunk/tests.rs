use super::*;
use proptest::prelude::*;

/// What a body decodes to: payload and the bytes after the last chunk's line.
type Decoded = Result<(Vec<u8>, usize), ChunkError>;

/// Feeds `body` in pieces that end at `cuts`; `None` if the body ends before its last chunk.
fn decode_split(body: &[u8], cuts: &[usize]) -> Option<Decoded> {
    let mut decoder = ChunkDecoder::new();
    let mut payload = Vec::new();
    let mut from = 0;
    for &end in cuts.iter().chain([&body.len()]) {
        while from < end {
            match decoder.step(&body[from..end]) {
                Err(error) => return Some(Err(error)),
                Ok(Step::Last { consumed }) => return Some(Ok((payload, body.len() - from - consumed))),
                Ok(Step::NeedMore { consumed }) => {
                    assert_eq!(from + consumed, end, "need more means all was taken");
                    from = end;
                }
                Ok(Step::Data { skip, len }) => {
                    assert!(len > 0);
                    payload.extend_from_slice(&body[from + skip..from + skip + len]);
                    from += skip + len;
                }
            }
        }
    }
    None
}

fn decode(body: &[u8]) -> Option<Decoded> {
    decode_split(body, &[])
}

#[test]
fn reads_what_the_grammar_allows() {
    for (body, payload, rest) in [
        ("0\r\n\r\n", "", 2),
        ("5\r\nhello\r\n0\r\n\r\n", "hello", 2),
        ("1\r\na\r\n2\r\nbc\r\n0\r\nx: y\r\n\r\n", "abc", 8),
        ("A\r\n0123456789\r\n0\r\n", "0123456789", 0),
        ("a\r\n0123456789\r\n0\r\n", "0123456789", 0),
        ("0000000000000003\r\nabc\r\n000\r\n", "abc", 0),
        ("3;a\r\nabc\r\n0;b=c\r\n", "abc", 0),
        ("3;a=b;c;d=\"e;\\\"\"\r\nabc\r\n0\r\n", "abc", 0),
        ("3;a=\"\"\r\nabc\r\n0\r\n", "abc", 0),
        ("3;a=\" \t;=\\\\\\\" \";b\r\nabc\r\n0\r\n", "abc", 0),
        ("2\r\n\r\n\r\n0\r\n", "\r\n", 0),
    ] {
        assert_eq!(decode(body.as_bytes()), Some(Ok((payload.into(), rest))), "{body:?}");
    }
}

#[test]
fn refuses_what_servers_disagree_about() {
    use ChunkError::*;
    for (body, want) in [
        ("\r\n", BadSize),
        ("\n", BadSize),
        (";a\r\n", BadSize),
        (" 5\r\nhello", BadSize),
        ("5 \r\nhello", BadSize),
        ("5\t;a\r\nhello", BadSize),
        ("+5\r\nhello", BadSize),
        ("-1\r\n", BadSize),
        ("0x5\r\nhello", BadSize),
        ("5_0\r\n", BadSize),
        ("g\r\n", BadSize),
        ("5,\r\n", BadSize),
        ("00000000000000005\r\nhello", BadSize),
        ("10000000000000000\r\n", BadSize),
        ("8000000000000000\r\n", TooLarge),
        ("ffffffffffffffff\r\n", TooLarge),
        ("5\nhello", BadLineEnd),
        ("5\r\r\nhello", BadLineEnd),
        ("5\rhello", BadLineEnd),
        ("5\r\nhello0\r\n", BadLineEnd),
        ("5\r\nhello\n0\r\n", BadLineEnd),
        ("5\r\nhellox\n0\r\n", BadLineEnd),
        ("5\r\nhello\r0\r\n", BadLineEnd),
        ("5\r\nhello\r\r\n", BadLineEnd),
        ("5;\r\nhello", BadLineEnd),
        ("5;a=\r\nhello", BadLineEnd),
        ("5;a\nhello", BadLineEnd),
        ("5;a=\"\nx\"\r\nhello", BadLineEnd),
        ("5;a=\"\r\"\r\nhello", BadLineEnd),
        ("5;a=\"\\\r\n\"\r\n", BadLineEnd),
        ("5; a\r\nhello", BadExtension),
        ("5;a =b\r\nhello", BadExtension),
        ("5;a= b\r\nhello", BadExtension),
        ("5;a;;b\r\nhello", BadExtension),
        ("5;=b\r\nhello", BadExtension),
        ("5;a=b=c\r\nhello", BadExtension),
        ("5;a=\"b\"c\r\nhello", BadExtension),
        ("5;a=\"\0\"\r\nhello", BadExtension),
        ("5;a=b\"c\"\r\nhello", BadExtension),
        ("5;é\r\nhello", BadExtension),
    ] {
        assert_eq!(decode(body.as_bytes()), Some(Err(want)), "{body:?}");
    }
}

#[test]
fn largest_size_is_63_bits() {
    let mut decoder = ChunkDecoder::new();
    assert_eq!(decoder.step(b"7fffffffffffffff\r\nx"), Ok(Step::Data { skip: 18, len: 1 }));
    assert_eq!(decoder.remaining(), i64::MAX as u64 - 1);
}

#[test]
fn lines_and_extensions_are_bounded() {
    let line = |name: usize| format!("1;{}\r\nx\r\n", "a".repeat(name));
    let end = "0\r\n";
    assert!(matches!(decode((line(252) + end).as_bytes()), Some(Ok(_))), "256 bytes are a line");
    assert_eq!(decode((line(253) + end).as_bytes()), Some(Err(ChunkError::LineTooLong)));
    // 64 lines of 256 bytes of extensions could be 16,384; each of these has 253.
    let many = |lines: usize| line(252).repeat(lines) + end;
    let fit = usize::from(MAX_EXTENSION_BYTES) / 253;
    assert!(matches!(decode(many(fit).as_bytes()), Some(Ok(_))));
    assert_eq!(decode(many(fit + 1).as_bytes()), Some(Err(ChunkError::TooManyExtensions)));
}

#[test]
fn stays_done_and_stays_small() {
    let mut decoder = ChunkDecoder::new();
    assert_eq!(decoder.step(b""), Ok(Step::NeedMore { consumed: 0 }));
    assert_eq!(decoder.step(b"0\r\n\r\n"), Ok(Step::Last { consumed: 3 }));
    assert!(decoder.is_done());
    assert_eq!(decoder.step(b"\r\n"), Ok(Step::Last { consumed: 0 }));
    assert_eq!(decoder.step(b""), Ok(Step::Last { consumed: 0 }));
    assert!(size_of::<ChunkDecoder>() <= 16);
}

#[test]
fn encodes_sizes() {
    for (size, want) in [(0, "0\r\n"), (1, "1\r\n"), (255, "ff\r\n"), (4096, "1000\r\n")] {
        assert_eq!(encode_size(size, &mut [0; 18]), want.as_bytes());
    }
    assert_eq!(encode_size(usize::MAX, &mut [0; 18]), b"ffffffffffffffff\r\n");
}

/// Bodies that are nearly right: pieces of the grammar in any order.
fn bodylike() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "0",
        "5",
        "a",
        "\r\n",
        "\r",
        "\n",
        ";",
        "=",
        "\"",
        "\\",
        "x=y",
        "hello",
        "1\r\nx\r\n",
        " ",
        "3;q\r\nabc\r\n",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..16).prop_map(|p| p.concat().into_bytes())
}

fn cuts(len: usize, seeds: &[usize]) -> Vec<usize> {
    let mut cuts: Vec<usize> = seeds.iter().map(|seed| seed % (len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_split_reads_the_same(body in bodylike(), seeds in prop::collection::vec(any::<usize>(), 0..8)) {
        let each: Vec<usize> = (0..body.len()).collect();
        let whole = decode(&body);
        prop_assert_eq!(&decode_split(&body, &cuts(body.len(), &seeds)), &whole);
        prop_assert_eq!(&decode_split(&body, &each), &whole);
    }

    #[test]
    fn never_panics(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode(&body);
    }

    #[test]
    fn decoding_undoes_encoding(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
        seeds in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut body = Vec::new();
        for chunk in &chunks {
            body.extend_from_slice(encode_size(chunk.len(), &mut [0; 18]));
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(encode_size(0, &mut [0; 18]));
        prop_assert_eq!(decode_split(&body, &cuts(body.len(), &seeds)), Some(Ok((chunks.concat(), 0))));
    }
}
