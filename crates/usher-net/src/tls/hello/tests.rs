use proptest::prelude::*;

use super::*;

/// An extension.
fn extension(typ: u16, body: &[u8]) -> Vec<u8> {
    [&typ.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn name(name: &str) -> Vec<u8> {
    let len = name.len() as u16;
    extension(0, &[&(len + 3).to_be_bytes()[..], &[0], &len.to_be_bytes(), name.as_bytes()].concat())
}

fn alpn(protocols: &[&str]) -> Vec<u8> {
    let list: Vec<u8> =
        protocols.iter().flat_map(|name| [&[name.len() as u8][..], name.as_bytes()].concat()).collect();
    extension(16, &[&(list.len() as u16).to_be_bytes()[..], &list].concat())
}

/// A message with these extensions; none at all is the form before extensions.
fn message(extensions: Option<&[Vec<u8>]>) -> Vec<u8> {
    let mut body = [&[3, 3][..], &[7; 32], &[2, 9, 9], &[0, 4, 0x13, 1, 0x13, 2], &[1, 0]].concat();
    if let Some(extensions) = extensions {
        let all = extensions.concat();
        body.extend_from_slice(&(all.len() as u16).to_be_bytes());
        body.extend_from_slice(&all);
    }
    [&[1][..], &(body.len() as u32).to_be_bytes()[1..], &body].concat()
}

/// In records of at most `size` bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat();
    message.chunks(size).flat_map(record).collect()
}

fn facts(bytes: &[u8]) -> (Option<String>, Vec<String>) {
    match peek(bytes) {
        Peek::Hello(hello) => (
            hello.server_name().map(str::to_owned),
            hello.alpn().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn reads_names_and_protocols() {
    let key_share = extension(51, &[5; 1300]);
    type Case<'a> = (Option<Vec<Vec<u8>>>, Option<&'a str>, &'a [&'a str]);
    let cases: [Case<'_>; 6] = [
        (None, None, &[]),
        (Some(vec![]), None, &[]),
        (Some(vec![name("Example.COM")]), Some("example.com"), &[]),
        (Some(vec![key_share.clone(), alpn(&["h2", "http/1.1"])]), None, &["h2", "http/1.1"]),
        (
            Some(vec![alpn(&["acme-tls/1"]), name("a.b-c_d.example"), key_share]),
            Some("a.b-c_d.example"),
            &["acme-tls/1"],
        ),
        (Some(vec![name("192.0.2.1")]), None, &[]),
    ];
    for (extensions, expected_name, expected_alpn) in cases {
        let message = message(extensions.as_deref());
        for size in [1, 2, 5, 50, 16_384] {
            let (name, alpn) = facts(&records(&message, size));
            assert_eq!(
                (name.as_deref(), &alpn[..]),
                (expected_name, &expected_alpn.map_strings()[..]),
                "{size}"
            );
        }
    }
}

trait MapStrings {
    fn map_strings(&self) -> Vec<String>;
}

impl MapStrings for &[&str] {
    fn map_strings(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[test]
fn tells_tls_from_the_rest() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"G",
        b"PRI * HTTP/2.0",
        &[0x80, 0x2e, 1],
        &[22, 2],
        &[23, 3, 3],
        &[21, 3],
    ] {
        assert_eq!(peek(bytes), Peek::NotTls, "{}", bytes.escape_ascii());
    }
    for bytes in [&[][..], &[22], &[22, 3], &[22, 3, 1, 0, 1], &[22, 3, 1, 0, 1, 1]] {
        assert_eq!(peek(bytes), Peek::NeedMore, "{}", bytes.escape_ascii());
    }
}

#[test]
fn refuses_what_is_wrong() {
    let long = "a".repeat(255);
    let with = |extensions: &[Vec<u8>]| records(&message(Some(extensions)), 16_384);
    let mut cut = with(&[name("example.com")]);
    cut[8] -= 1;
    let mut odd = with(&[]);
    odd[47] = 3;
    let cases: Vec<Vec<u8>> = vec![
        vec![22, 3, 1, 0, 0],
        vec![22, 3, 1, 0x40, 1],
        vec![22, 3, 1, 0, 4, 2, 0, 0, 0],
        vec![22, 3, 1, 0, 4, 1, 1, 0, 0],
        [&records(&message(None)[..10], 100)[..], &[23, 3, 1, 0, 1, 0]].concat(),
        cut,
        odd,
        with(&[name("a.example"), name("a.example")]),
        with(&[alpn(&["h2"]), alpn(&["h2"])]),
        with(&[name("")]),
        with(&[name("a b")]),
        with(&[name("a\0b")]),
        with(&[name("é.example")]),
        with(&[name(&long)]),
        with(&[extension(0, &[0, 4, 1, 0, 1, b'a'])]),
        with(&[extension(0, &[0, 9, 0, 0, 1, b'a', 0, 0, 1, b'b'])]),
        with(&[extension(16, &[0, 0])]),
        with(&[extension(16, &[0, 2, 0, 0])]),
        with(&[extension(16, &[0, 2, 5, b'h'])]),
        with(&[alpn(&[&"x".repeat(200), &"y".repeat(200), &"z".repeat(200)])]),
        records(&message(Some(&[extension(51, &[0; 33_000])])), 16_384),
        // Too much in heads of records.
        records(&message(Some(&[extension(51, &[0; 8000])])), 1),
    ];
    for (index, bytes) in cases.iter().enumerate() {
        assert!(matches!(peek(bytes), Peek::Malformed(_)), "{index}: {:?}", peek(bytes));
    }
}

fn valid() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop::collection::vec(
        prop_oneof![
            "[a-z]{1,20}\\.example".prop_map(|text| name(&text)),
            prop::collection::vec("[a-z/0-9]{1,9}", 1..4)
                .prop_map(|names| alpn(&names.iter().map(String::as_str).collect::<Vec<_>>())),
            (17..60_000_u16, prop::collection::vec(any::<u8>(), 0..300))
                .prop_map(|(typ, body)| extension(typ, &body)),
        ],
        0..5,
    );
    (parts, 1..400_usize).prop_map(|(parts, size)| {
        let mut seen = Vec::new();
        let mut parts = parts;
        parts.retain(|part| {
            !seen.contains(&part[..2].to_vec()) && {
                seen.push(part[..2].to_vec());
                true
            }
        });
        records(&message(Some(&parts)), size)
    })
}

proptest! {
    #[test]
    fn a_part_of_a_hello_is_not_enough(bytes in valid(), tail in prop::collection::vec(any::<u8>(), 0..10)) {
        for end in 0..bytes.len() {
            prop_assert_eq!(peek(&bytes[..end]), Peek::NeedMore);
        }
        let whole = peek(&bytes);
        prop_assert!(matches!(whole, Peek::Hello(_)));
        prop_assert_eq!(peek(&[bytes, tail].concat()), whole);
    }

    #[test]
    fn more_bytes_change_no_answer(
        bytes in valid(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = bytes;
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = peek(&bytes);
        for end in 0..bytes.len() {
            let part = peek(&bytes[..end]);
            prop_assert!(part == Peek::NeedMore || part == whole);
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = peek(&[&[22, 3, 1, 1, 0, 1, 0, 0][..], &bytes].concat());
    }
}
