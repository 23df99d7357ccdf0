use super::*;
use proptest::prelude::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn reads_nodes() {
    for (text, want) in [
        ("192.0.2.1", Some(Node::Ip(ip("192.0.2.1"), None))),
        ("192.0.2.1:80", Some(Node::Ip(ip("192.0.2.1"), Some(80)))),
        ("192.0.2.1:_hidden", Some(Node::Ip(ip("192.0.2.1"), None))),
        ("[2001:db8::1]", Some(Node::Ip(ip("2001:db8::1"), None))),
        ("[2001:DB8::1]:47011", Some(Node::Ip(ip("2001:db8::1"), Some(47011)))),
        ("[::ffff:192.0.2.1]", Some(Node::Ip(ip("192.0.2.1"), None))),
        ("unknown", Some(Node::Unknown)),
        ("Unknown:80", Some(Node::Unknown)),
        ("_SEVKISEK", Some(Node::Obfuscated("_SEVKISEK"))),
        ("_a.b-c_:80", Some(Node::Obfuscated("_a.b-c_"))),
        ("2001:db8::1", None),
        ("[192.0.2.1]", None),
        ("[::1", None),
        ("[::1]80", None),
        ("192.0.2.1:", None),
        ("192.0.2.1:99999", None),
        ("192.0.2.1:000080", None),
        ("192.0.2.1:+80", None),
        ("192.0.2", None),
        ("192.0.2.01", None),
        ("_", None),
        ("_a b", None),
        ("example.com", None),
        ("", None),
    ] {
        assert_eq!(Node::parse(text), want, "{text}");
    }
}

type Row<'a> = [Option<&'a str>; 4];

#[test]
fn reads_elements() {
    let none: Row<'_> = [None; 4];
    let rows: [(&str, &[Row<'_>]); 10] = [
        ("for=192.0.2.43", &[[Some("192.0.2.43"), None, None, None]]),
        (
            "for=192.0.2.60;proto=http;by=203.0.113.43",
            &[[Some("192.0.2.60"), Some("203.0.113.43"), None, Some("http")]],
        ),
        ("For=\"[2001:db8:cafe::17]:4711\"", &[[Some("[2001:db8:cafe::17]:4711"), None, None, None]]),
        (
            "for=a, FOR=b ,, for=c",
            &[[Some("a"), None, None, None], [Some("b"), None, None, None], [Some("c"), None, None, None]],
        ),
        ("host=\"a, b;c=d\"", &[[None, None, Some("a, b;c=d"), None]]),
        ("host=\"a\\\"b\\\\\"", &[[None, None, Some("a\"b\\"), None]]),
        ("for=a ; proto=b;", &[[Some("a"), None, None, Some("b")]]),
        ("secret=x", &[none]),
        ("host=\"\"", &[[None, None, Some(""), None]]),
        (" , ", &[]),
    ];
    for (line, want) in rows {
        let got: Vec<_> = elements(line.as_bytes()).map(Result::unwrap).collect();
        let got: Vec<Row<'_>> = got
            .iter()
            .map(|e| [e.client.as_deref(), e.by.as_deref(), e.host.as_deref(), e.proto.as_deref()])
            .collect();
        assert_eq!(got, want, "{line}");
    }
}

#[test]
fn refuses_malformed_elements() {
    for line in [
        "for",
        "for=",
        "for =a",
        "for= a",
        "=a",
        ";for=a",
        "for=a;;proto=b",
        "for=a b",
        "for=\"a",
        "for=\"a\"b",
        "for=\"a\\",
        "for=[::1]",
        "for=a:80",
        "for=a;for=b",
        "host=\"\0\"",
        "host=\"é\"",
        "host=\"\\\0\"",
    ] {
        let items: Vec<_> = elements(line.as_bytes()).collect();
        assert_eq!(items.last(), Some(&Err(Malformed)), "{line:?}");
    }
    assert_eq!(elements(b"for=a, for=\"b, for=c").count(), 2, "it ends at the first error");
}

/// 10.0.0.0/8 and loopback are our proxies.
fn ours(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(a) if a.octets()[0] == 10 || a.is_loopback())
}

#[test]
fn finds_the_first_untrusted_from_the_right() {
    for (peer, lines, want) in [
        ("198.51.100.1", vec!["1.1.1.1"], "198.51.100.1"),
        ("10.0.0.1", vec![], "10.0.0.1"),
        ("10.0.0.1", vec!["1.1.1.1"], "1.1.1.1"),
        ("::ffff:10.0.0.1", vec!["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", vec!["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", vec!["6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", vec!["6.6.6.6", "1.1.1.1, 10.0.0.3", "10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", vec!["10.9.9.9, 10.0.0.2"], "10.9.9.9"),
        ("10.0.0.1", vec!["1.1.1.1, junk, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", vec!["1.1.1.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", vec!["1.1.1.1,, ,10.0.0.2,"], "1.1.1.1"),
        ("10.0.0.1", vec!["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", vec!["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", vec!["1.1.1.1:5050"], "1.1.1.1"),
        ("10.0.0.1", vec!["::ffff:10.0.0.2"], "10.0.0.2"),
    ] {
        let right_to_left = lines.iter().rev().map(|line| line.as_bytes());
        assert_eq!(client_address(Some(ip(peer)), right_to_left, ours), Some(ip(want)), "{peer} {lines:?}");
    }
}

#[test]
fn finds_it_in_forwarded_too() {
    for (lines, want) in [
        (vec!["for=1.1.1.1"], "1.1.1.1"),
        (vec!["for=6.6.6.6, for=1.1.1.1;proto=https, for=10.0.0.2"], "1.1.1.1"),
        (vec!["for=6.6.6.6", "for=1.1.1.1", "for=10.0.0.2"], "1.1.1.1"),
        (vec!["for=\"[2001:db8::1]:4711\""], "2001:db8::1"),
        (vec!["for=1.1.1.1, for=_hidden"], "10.0.0.1"),
        (vec!["for=1.1.1.1, proto=http"], "10.0.0.1"),
        (vec!["for=\"6.6.6.6, for=1.1.1.1"], "10.0.0.1"),
        (vec!["for=6.6.6.6", "junk", "for=10.0.0.2"], "10.0.0.2"),
        (vec![""], "10.0.0.1"),
    ] {
        let right_to_left = lines.iter().rev().map(|line| line.as_bytes());
        assert_eq!(
            client_address_forwarded(Some(ip("10.0.0.1")), right_to_left, ours),
            Some(ip(want)),
            "{lines:?}"
        );
    }
}

#[test]
fn walks_a_bounded_way() {
    let way = |hops: usize| format!("1.1.1.1{}", ",10.0.0.2".repeat(hops));
    let find = |line: &str| client_address(Some(ip("10.0.0.1")), [line.as_bytes()], ours);
    assert_eq!(find(&way(MAX_HOPS - 1)), Some(ip("1.1.1.1")));
    assert_eq!(find(&way(MAX_HOPS)), Some(ip("10.0.0.2")));
    let way = |hops: usize| format!("for=1.1.1.1{}", ",for=10.0.0.2".repeat(hops));
    let find = |line: &str| client_address_forwarded(Some(ip("10.0.0.1")), [line.as_bytes()], ours);
    assert_eq!(find(&way(MAX_HOPS - 1)), Some(ip("1.1.1.1")));
    assert_eq!(find(&way(MAX_HOPS)), Some(ip("10.0.0.1")));
}

#[test]
fn writes_an_element_with_the_quotes_it_needs() {
    let v4 = Node::Ip(ip("192.0.2.1"), None);
    let v6 = Node::Ip(ip("2001:db8::1"), Some(80));
    for (client, host, proto, want) in [
        (v4, Some("example.com"), Some("https"), "for=192.0.2.1;host=example.com;proto=https"),
        (v6, Some("a.b:80"), None, "for=\"[2001:db8::1]:80\";host=\"a.b:80\""),
        (Node::Ip(ip("192.0.2.1"), Some(8)), None, None, "for=\"192.0.2.1:8\""),
        (Node::Ip(ip("::1"), None), None, None, "for=\"[::1]\""),
        (Node::Unknown, Some("a\"b\\"), Some("http"), "for=unknown;host=\"a\\\"b\\\\\";proto=http"),
        (Node::Obfuscated("_x"), Some("a\r\nb"), Some("é"), "for=_x"),
        (Node::Obfuscated("x;y"), Some(""), None, "for=unknown;host=\"\""),
    ] {
        let mut out = Vec::new();
        Hop { client, host, proto }.write_to(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}

#[test]
fn writes_addresses_bare() {
    for (address, want) in
        [("192.0.2.1", "192.0.2.1"), ("2001:DB8::1", "2001:db8::1"), ("::ffff:10.0.0.1", "10.0.0.1")]
    {
        let mut out = Vec::new();
        write_ip(ip(address), &mut out);
        assert_eq!(out, want.as_bytes());
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(octets in any::<u128>(), port in any::<Option<u16>>(), host in "[ -~]{0,20}") {
        let client = Node::Ip(IpAddr::from(octets.to_be_bytes()).to_canonical(), port);
        let mut line = b"for=x, ".to_vec();
        Hop { client, host: Some(&host), proto: Some("https") }.write_to(&mut line);
        let read = elements(&line).last().unwrap().unwrap();
        prop_assert_eq!(read.client.as_deref().and_then(Node::parse), Some(client));
        prop_assert_eq!((read.host.as_deref(), read.proto.as_deref()), (Some(&*host), Some("https")));
    }

    #[test]
    fn never_panics(
        wild in prop::collection::vec(any::<u8>(), 0..40),
        near in "((for|host)=[\"\\\\]?[a1.:;,\\[\\]\"\\\\_]{0,5}[;, ]?){0,5}",
    ) {
        for line in [&wild[..], near.as_bytes()] {
            prop_assert!(elements(line).count() <= line.len());
            let _ = client_address(Some(ip("10.0.0.1")), [line], |_| true);
            let _ = client_address_forwarded(Some(ip("10.0.0.1")), [line], |_| true);
        }
    }
}

#[test]
fn writes_addresses_as_the_standard_library_does() {
    let mut texts: Vec<String> = (0..=255).map(|part| format!("{part}.0.{part}.9")).collect();
    texts.extend(["::1".to_owned(), "2001:db8::7".to_owned()]);
    for text in texts {
        let mut out = Vec::new();
        write_ip(text.parse().unwrap(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
    let mut out = Vec::new();
    write_ip("::ffff:192.0.2.7".parse().unwrap(), &mut out);
    assert_eq!(out, b"192.0.2.7", "IPv4 that came in through an IPv6 socket");
}
