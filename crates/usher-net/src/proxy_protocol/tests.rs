use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::address::canonical;

fn tcp(source: &str, destination: &str) -> Endpoints {
    let end = |text: &str| text.parse().expect("an address");
    Endpoints::Tcp { source: end(source), destination: end(destination) }
}

fn header(bytes: &[u8]) -> Header {
    match parse(bytes) {
        Ok(Parsed::Header(header)) => header,
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

/// A version 2 header with the given bytes after the signature.
fn v2(version_command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = v2::SIGNATURE.to_vec();
    bytes.extend([version_command, family]);
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend(payload);
    bytes
}

const TCP4: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 2, 0x30, 0x39, 0x01, 0xbb];

fn v2_tcp4(tlvs: &[u8]) -> Vec<u8> {
    v2(0x21, 0x11, &[&TCP4, tlvs].concat())
}

#[test]
fn reads_the_line_of_version_1() {
    let longest_unknown = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(longest_unknown.len(), MAX_V1_BYTES);
    let cases = [
        ("PROXY TCP4 192.0.2.1 192.0.2.2 12345 443\r\n", tcp("192.0.2.1:12345", "192.0.2.2:443")),
        ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", tcp("0.0.0.0:0", "255.255.255.255:65535")),
        ("PROXY TCP6 2001:db8::1 2001:DB8:0:0::2 1 2\r\n", tcp("[2001:db8::1]:1", "[2001:db8::2]:2")),
        ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", tcp("192.0.2.1:1", "[::1]:2")),
        ("PROXY UNKNOWN\r\n", Endpoints::Own),
        ("PROXY UNKNOWN ffff:f...f:ffff what ever\r\n", Endpoints::Own),
        (&longest_unknown, Endpoints::Own),
    ];
    for (line, expected) in cases {
        let found = header(format!("{line}GET / HTTP/1.1\r\n").as_bytes());
        assert_eq!((found.consumed, found.version, found.endpoints), (line.len(), Version::V1, expected));
    }
}

#[test]
fn refuses_any_other_line() {
    let too_long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    let cases = [
        (too_long.as_str(), Error::TooLong),
        ("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", Error::UnknownProtocol),
        ("PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", Error::UnknownProtocol),
        ("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", Error::UnknownProtocol),
        ("PROXY \r\n", Error::UnknownProtocol),
        ("PROXY UNKNOWNS\r\n", Error::UnknownProtocol),
        ("PROXY TCP4\r\n", Error::MalformedLine),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", Error::MalformedLine),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", Error::MalformedLine),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", Error::MalformedLine),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", Error::MalformedLine),
        ("PROXY TCP4 192.0.2.1\r192.0.2.2 1 2\r\n", Error::MalformedLine),
        ("PROXY UNKNOWN a\nb\r\n", Error::MalformedLine),
        ("PROXY TCP4  192.0.2.1 192.0.2.2 1\r\n", Error::BadAddress),
        ("PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", Error::BadAddress),
        ("PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", Error::BadAddress),
        ("PROXY TCP4 ::1 ::1 1 2\r\n", Error::BadAddress),
        ("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", Error::BadAddress),
        ("PROXY TCP6 fe80::1%lo ::1 1 2\r\n", Error::BadAddress),
        ("PROXY TCP4 \u{661}.0.2.1 192.0.2.2 1 2\r\n", Error::BadAddress),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", Error::BadPort),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 00 2\r\n", Error::BadPort),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", Error::BadPort),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", Error::BadPort),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n", Error::BadPort),
    ];
    for (line, expected) in cases {
        assert_eq!(parse(line.as_bytes()), Err(expected), "{}", line.escape_debug());
    }
}

#[test]
fn tells_other_protocols_from_the_start_of_a_header() {
    let absent = ["GET / HTTP/1.1\r\n", "POST /", "PROXYING", "proxy TCP4", "\r\n\r\nGET", "\x16\x03\x01"];
    for bytes in absent {
        assert_eq!(parse(bytes.as_bytes()), Ok(Parsed::Absent), "{}", bytes.escape_debug());
    }
    for bytes in ["", "P", "PROXY", "PROXY ", "\r", "\r\n\r\n\0\r\nQUIT\n", "PROXY UNKNOWN\r"] {
        assert_eq!(parse(bytes.as_bytes()), Ok(Parsed::NeedMore), "{}", bytes.escape_debug());
    }
}

#[test]
fn reads_the_families_of_version_2() {
    let tcp6 = [[0x20; 16], [0x30; 16]].concat();
    let tcp6 = [&tcp6[..], &[0, 1, 0, 2]].concat();
    let mut unix = [0; 216];
    unix[..4].copy_from_slice(b"/a/b");
    unix[108..].fill(b'x');
    let (v4, v6) = (
        ("192.0.2.1:12345", "192.0.2.2:443"),
        ("[2020:2020:2020:2020:2020:2020:2020:2020]:1", "[3030:3030:3030:3030:3030:3030:3030:3030]:2"),
    );
    let udp = |(source, destination)| match tcp(source, destination) {
        Endpoints::Tcp { source, destination } => Endpoints::Udp { source, destination },
        other => other,
    };
    let paths = || Endpoints::Unix { source: "/a/b".into(), destination: "x".repeat(108).into() };
    let cases: [(u8, u8, &[u8], Endpoints); 9] = [
        (0x21, 0x11, &TCP4, tcp(v4.0, v4.1)),
        (0x21, 0x12, &TCP4, udp(v4)),
        (0x21, 0x21, &tcp6, tcp(v6.0, v6.1)),
        (0x21, 0x22, &tcp6, udp(v6)),
        (0x21, 0x31, &unix, paths()),
        (0x21, 0x32, &unix, paths()),
        (0x21, 0x00, b"anything", Endpoints::Own),
        (0x20, 0x00, b"", Endpoints::Own),
        // LOCAL: the block is skipped whatever it says.
        (0x20, 0xff, b"anything", Endpoints::Own),
    ];
    for (version_command, family, payload, expected) in cases {
        let mut bytes = v2(version_command, family, payload);
        let length = bytes.len();
        bytes.extend(b"data");
        let found = header(&bytes);
        assert_eq!((found.consumed, found.version, found.endpoints), (length, Version::V2, expected));
    }
}

#[test]
fn refuses_what_version_2_does_not_define() {
    let mut too_long = v2(0x21, 0x11, &[]);
    too_long.splice(14.., 4097_u16.to_be_bytes());
    let cases = [
        (v2(0x11, 0x11, &TCP4), Error::UnknownVersion(1)),
        (v2(0x31, 0x11, &TCP4), Error::UnknownVersion(3)),
        (v2(0x22, 0x11, &TCP4), Error::UnknownCommand(2)),
        (v2(0x21, 0x10, &TCP4), Error::UnknownFamily(0x10)),
        (v2(0x21, 0x01, &TCP4), Error::UnknownFamily(0x01)),
        (v2(0x21, 0x13, &TCP4), Error::UnknownFamily(0x13)),
        (v2(0x21, 0x41, &TCP4), Error::UnknownFamily(0x41)),
        (v2(0x21, 0x11, &TCP4[..11]), Error::Truncated),
        (v2(0x21, 0x21, &TCP4), Error::Truncated),
        (v2(0x21, 0x31, &[0; 215]), Error::Truncated),
        (too_long, Error::TooLong),
        (v2_tcp4(&[4]), Error::BadTlv(4)),
        (v2_tcp4(&[4, 0]), Error::BadTlv(4)),
        (v2_tcp4(&[4, 0, 2, 0]), Error::BadTlv(4)),
        (v2_tcp4(&[2, 0, 0]), Error::BadTlv(2)),
        (v2_tcp4(&[2, 0, 1, 0xff]), Error::BadTlv(2)),
        (v2_tcp4(&[2, 0, 3, b'a', b'\n', b'b']), Error::BadTlv(2)),
        (v2_tcp4(&[2, 0, 1, b'a', 2, 0, 1, b'a']), Error::RepeatedTlv(2)),
        (v2_tcp4(&[3, 0, 3, 0, 0, 0]), Error::BadTlv(3)),
        (v2_tcp4(&[3, 0, 4, 0, 0, 0, 0]), Error::BadChecksum),
        (v2_tcp4(&[&[5, 0, 129][..], &[0; 129]].concat()), Error::BadTlv(5)),
        (v2_tcp4(&[0x20, 0, 4, 1, 0, 0, 0]), Error::BadTlv(0x20)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(parse(&bytes), Err(expected), "{}", bytes.escape_ascii());
    }
}

#[test]
fn reads_what_it_knows_and_skips_the_rest() {
    let tlvs = [
        &b"\x04\0\x02\0\0"[..],
        b"\x02\0\x0bexample.com",
        b"\x01\0\x02h2",
        b"\x05\0\x03id!",
        b"\x30\0\x02ns",
        b"\x20\0\x05\x01\0\0\0\x01",
        b"\xee\0\0",
        b"\xee\0\0",
    ];
    let details = Details {
        authority: Some("example.com".into()),
        alpn: Some(b"h2".to_vec()),
        unique_id: Some(b"id!".to_vec()),
        over_tls: true,
        certificate: None,
    };
    assert_eq!(header(&v2_tcp4(&tlvs.concat())).details, details);
    assert!(!header(&v2_tcp4(b"\x20\0\x05\0\0\0\0\0")).details.over_tls);
}

#[test]
fn only_a_verified_certificate_is_told_of() {
    let cases: [(Option<Shown>, &[u8]); 3] = [
        (None, b"\x20\0\x05\x01\0\0\0\x01"),
        (Some(Shown::Now), b"\x20\0\x05\x07\0\0\0\0"),
        (Some(Shown::Before), b"\x20\0\x05\x05\0\0\0\0"),
    ];
    for (certificate, tlv) in cases {
        let details = Details { over_tls: true, certificate, ..Details::default() };
        let mut out = Vec::new();
        encode_v2(&tcp("192.0.2.1:1", "192.0.2.2:2"), &details, false, &mut out).expect("encoded");
        assert!(out.ends_with(tlv), "{certificate:?}: {out:?}");
        assert_eq!(header(&out).details, details);
    }
    let failed = header(&v2_tcp4(b"\x20\0\x05\x07\0\0\0\x12")).details;
    assert!(failed.over_tls && failed.certificate.is_none());
}

#[test]
fn the_checksum_is_crc32c() {
    // RFC 3720 appendix B.4, and the check value of the CRC catalogues.
    let cases =
        [(vec![0; 32], 0x8a91_36aa), (vec![0xff; 32], 0x62a8_ab43), (b"123456789".to_vec(), 0xe306_9283)];
    for (bytes, expected) in cases {
        let mut sum = crc32c::Crc32c::new();
        bytes.chunks(7).for_each(|part| sum.update(part));
        assert_eq!(sum.finish(), expected);
    }
}

#[test]
fn one_flipped_bit_breaks_the_checksum() {
    let details = Details { authority: Some("example.com".into()), ..Details::default() };
    let mut bytes = Vec::new();
    encode_v2(&tcp("192.0.2.1:1", "192.0.2.2:2"), &details, true, &mut bytes).expect("encoded");
    header(&bytes);
    // Addresses, the authority and the sum itself.
    for at in [16, 20, 27, 31, bytes.len() - 1] {
        let mut broken = bytes.clone();
        broken[at] ^= 1;
        assert_eq!(parse(&broken), Err(Error::BadChecksum), "bit in byte {at}");
    }
}

#[test]
fn writes_no_header_that_it_would_refuse() {
    let own = Details::default();
    let endpoints = tcp("192.0.2.1:1", "192.0.2.2:2");
    let long_path = Endpoints::Unix { source: "x".repeat(109).into(), destination: "".into() };
    let nul = Endpoints::Unix { source: "a\0b".into(), destination: "".into() };
    let cases = [
        (&long_path, own.clone(), Error::BadAddress),
        (&nul, own.clone(), Error::BadAddress),
        (&endpoints, Details { authority: Some("a b".into()), ..own.clone() }, Error::BadTlv(2)),
        (&endpoints, Details { authority: Some("a".repeat(4096)), ..own.clone() }, Error::TooLong),
        (&endpoints, Details { alpn: Some(vec![0; 70_000]), ..own.clone() }, Error::TooLong),
        (&endpoints, Details { unique_id: Some(vec![0; 129]), ..own }, Error::BadTlv(5)),
    ];
    for (endpoints, details, expected) in cases {
        let mut out = Vec::new();
        assert_eq!(encode_v2(endpoints, &details, true, &mut out), Err(expected));
        assert!(out.is_empty());
    }
}

#[test]
fn writes_mixed_families_as_ipv6_and_unknown_for_the_rest() {
    let encode = |endpoints: &Endpoints| {
        let mut out = Vec::new();
        encode_v1(endpoints, &mut out);
        String::from_utf8(out).expect("text")
    };
    let mixed = tcp("192.0.2.1:1", "[2001:db8::1]:2");
    assert_eq!(encode(&mixed), "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n");
    assert_eq!(header(encode(&mixed).as_bytes()).endpoints, mixed);
    assert_eq!(encode(&Endpoints::Own), "PROXY UNKNOWN\r\n");
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<(u32, u16)>().prop_map(|(ip, port)| SocketAddr::from((Ipv4Addr::from(ip), port)));
    let v6 = any::<(u128, u16)>().prop_map(|(ip, port)| SocketAddr::from((Ipv6Addr::from(ip), port)));
    prop_oneof![v4, v6.prop_map(canonical)]
}

fn endpoints() -> impl Strategy<Value = Endpoints> {
    let path = || "[/a-z]{0,108}".prop_map(PathBuf::from);
    prop_oneof![
        Just(Endpoints::Own),
        (address(), address()).prop_map(|(source, destination)| Endpoints::Tcp { source, destination }),
        (address(), address()).prop_map(|(source, destination)| Endpoints::Udp { source, destination }),
        (path(), path()).prop_map(|(source, destination)| Endpoints::Unix { source, destination }),
    ]
}

fn details() -> impl Strategy<Value = Details> {
    let authority = option::of("[a-z.é]{1,40}");
    let (alpn, id) = (option::of(vec(any::<u8>(), 0..9)), option::of(vec(any::<u8>(), 0..=128)));
    let shown = prop_oneof![Just(None), Just(Some(Shown::Now)), Just(Some(Shown::Before))];
    (authority, alpn, id, any::<bool>(), shown).prop_map(
        |(authority, alpn, unique_id, over_tls, certificate)| Details {
            authority,
            alpn,
            unique_id,
            over_tls,
            certificate: certificate.filter(|_| over_tls),
        },
    )
}

/// Nearly headers: one valid, with some bytes replaced, cut or appended.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>());
    (endpoints(), details(), any::<[bool; 2]>(), vec(change, 0..4), vec(any::<u8>(), 0..20)).prop_map(
        |(endpoints, details, [text, checksum], changes, tail)| {
            let mut bytes = Vec::new();
            if text {
                encode_v1(&endpoints, &mut bytes);
            } else {
                encode_v2(&endpoints, &details, checksum, &mut bytes).expect("encoded");
            }
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.extend(tail);
            bytes
        },
    )
}

proptest! {
    #[test]
    fn version_1_reads_what_it_writes(source in address(), destination in address(), tail in vec(any::<u8>(), 0..20)) {
        let endpoints = Endpoints::Tcp { source, destination };
        let mut bytes = Vec::new();
        encode_v1(&endpoints, &mut bytes);
        let length = bytes.len();
        bytes.extend(tail);
        let found = header(&bytes);
        prop_assert_eq!((found.consumed, found.endpoints), (length, endpoints));
    }

    #[test]
    fn version_2_reads_what_it_writes(endpoints in endpoints(), details in details(), checksum: bool, tail in vec(any::<u8>(), 0..20)) {
        let mut bytes = Vec::new();
        encode_v2(&endpoints, &details, checksum, &mut bytes).expect("encoded");
        let length = bytes.len();
        bytes.extend(tail);
        let found = header(&bytes);
        let told = if endpoints == Endpoints::Own { Details::default() } else { details };
        prop_assert_eq!((found.consumed, found.endpoints, found.details), (length, endpoints, told));
    }

    #[test]
    fn more_bytes_change_no_answer(bytes in damaged()) {
        let whole = parse(&bytes);
        for end in 0..bytes.len() {
            let part = parse(&bytes[..end]);
            prop_assert!(part == Ok(Parsed::NeedMore) || part == whole, "{} bytes: {:?}, all: {:?}", end, part, whole);
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..300), signature in 0..3_usize) {
        let signature = [&b""[..], v1::SIGNATURE, v2::SIGNATURE][signature];
        let bytes = [signature, &bytes].concat();
        if let Ok(Parsed::Header(header)) = parse(&bytes) {
            prop_assert!(header.consumed <= bytes.len());
        }
    }
}

#[test]
fn an_endless_header_is_refused_within_its_limit() {
    let line = [v1::SIGNATURE, &[b'x'; MAX_V1_BYTES]].concat();
    assert_eq!(parse(&line), Err(Error::TooLong));
    assert_eq!(parse(&line[..MAX_V1_BYTES - 1]), Err(Error::TooLong));
    assert_eq!(parse(&line[..MAX_V1_BYTES - 2]), Ok(Parsed::NeedMore));
    let block = v2(0x20, 0, &[0; 4096]);
    assert_eq!(block.len(), MAX_V2_BYTES);
    assert_eq!(header(&block).consumed, MAX_V2_BYTES);
}
