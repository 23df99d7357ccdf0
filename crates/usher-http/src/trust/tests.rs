use super::*;
use crate::head::Request;
use crate::parse::{HeadLimits, HeadParser};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn request(fields: &[(&str, &str)]) -> Request {
    let mut request = Request::default();
    request.clear();
    request.authority.push_str("example.com:8080");
    for (name, value) in fields {
        request.fields.add(name.as_bytes(), value.as_bytes()).unwrap();
    }
    request
}

fn fields(request: &Request) -> String {
    let mut out = Vec::new();
    request.fields.encode(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_stranger_s_word_is_replaced() {
    let claims = [
        ("X-Forwarded-For", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("X-Real-IP", "1.1.1.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil"),
        ("X-Forwarded-Port", "443"),
        ("Forwarded", "for=1.1.1.1"),
        ("Via", "1.0 other"),
        ("A", "stays"),
    ];
    let client = ClientText::new(Some(ip("::ffff:192.0.2.7")), Some(([192, 0, 2, 1], 80).into()));
    // From the second request on, the lines that are the same for all are kept; other protocols and schemes than the
    // kept ones must not get them.
    for (protocol, scheme) in
        [("1.1", "http"), ("1.1", "http"), ("1.1", "http"), ("2", "http"), ("1.1", "https"), ("1.1", "http")]
    {
        let mut request = request(&claims);
        request.scheme = scheme;
        replace(&mut request, &client, protocol);
        let expected = format!(
            "Via: 1.0 other\r\nA: stays\r\nX-Forwarded-For: 192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\n\
             X-Forwarded-Proto: {scheme}\r\nX-Forwarded-Port: 80\r\nVia: {protocol} usher\r\n\
             X-Forwarded-Host: example.com:8080\r\n"
        );
        assert_eq!(fields(&request), expected);
        let named = [(FieldId::XForwardedFor, "192.0.2.7"), (FieldId::XForwardedProto, scheme)];
        for (id, value) in named {
            assert_eq!(request.fields.get(id), Some(value.as_bytes()));
        }
    }
}

/// Names that the proxy does not write, by which an endpoint might judge where a request came from.
#[test]
fn other_claims_of_strangers_are_taken_away() {
    let head = b"GET / HTTP/1.1\r\nX-Forwarded-Prefix: /evil\r\nA: stays\r\nx_forwarded_ssl: on\r\nFront-End-Https: on\r\n\
        X-Original-URL: /\r\n\r\n";
    let read = || {
        let mut request = Request::default();
        let (mut parser, limits) = (HeadParser::default(), HeadLimits::default());
        assert_eq!(parser.request(head, &limits, &mut request), Ok(Some(head.len())));
        request
    };
    let mut from_stranger = read();
    replace(&mut from_stranger, &ClientText::new(None, None), "1.1");
    assert_eq!(
        fields(&from_stranger),
        "A: stays\r\nX-Original-URL: /\r\nX-Forwarded-Proto: http\r\nVia: 1.1 usher\r\n"
    );
    let mut from_proxy = read();
    append(&mut from_proxy, &ClientText::new(None, None), None, "1.1");
    assert!(
        fields(&from_proxy).starts_with("X-Forwarded-Prefix: /evil\r\nA: stays\r\nx_forwarded_ssl: on\r\n")
    );
}

#[test]
fn what_is_not_known_is_not_claimed() {
    let mut request =
        request(&[("X-Forwarded-For", "1.1.1.1"), ("X-Real-IP", "1.1.1.1"), ("X-Forwarded-Port", "1")]);
    request.authority.clear();
    replace(&mut request, &ClientText::new(None, None), "1.0");
    assert_eq!(fields(&request), "X-Forwarded-Proto: http\r\nVia: 1.0 usher\r\n");
}

#[test]
fn a_trusted_proxy_s_word_is_kept_and_added_to() {
    let client = ClientText::new(Some(ip("10.0.0.1")), Some(([192, 0, 2, 1], 80).into()));
    for (before, real, want) in [
        (
            &[("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")][..],
            "192.0.2.7",
            "X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.7, 10.0.0.1\r\nX-Real-IP: 192.0.2.7\r\n\
             X-Forwarded-Host: example.com:8080\r\nX-Forwarded-Port: 80\r\n",
        ),
        (
            &[("X-Forwarded-For", "a"), ("X-Forwarded-For", ""), ("X-Forwarded-For", "192.0.2.7")],
            "192.0.2.7",
            "X-Forwarded-For: a, 192.0.2.7, 10.0.0.1\r\nX-Real-IP: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n\
             X-Forwarded-Host: example.com:8080\r\nX-Forwarded-Port: 80\r\n",
        ),
        (
            &[("Forwarded", "for=192.0.2.7"), ("X-Forwarded-Host", "h"), ("X-Forwarded-Port", "443")],
            "192.0.2.7",
            "X-Forwarded-Host: h\r\nX-Forwarded-Port: 443\r\nX-Forwarded-For: 192.0.2.7, 10.0.0.1\r\n\
             Forwarded: for=192.0.2.7, for=10.0.0.1;host=\"example.com:8080\";proto=http\r\nX-Real-IP: 192.0.2.7\r\n\
             X-Forwarded-Proto: http\r\n",
        ),
        (
            &[],
            "10.0.0.1",
            "X-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\nX-Forwarded-Proto: http\r\n\
             X-Forwarded-Host: example.com:8080\r\nX-Forwarded-Port: 80\r\n",
        ),
    ] {
        let mut request = request(before);
        append(&mut request, &client, Some(ip(real)), "1.1");
        assert_eq!(fields(&request), format!("{want}Via: 1.1 usher\r\n"), "{before:?}");
    }
}

#[test]
fn the_client_is_the_first_from_the_right_that_is_not_trusted() {
    let trusted = |address: IpAddr| address.to_string().starts_with("10.");
    for (lines, want) in [
        (&[][..], "10.0.0.1"),
        (&[("X-Forwarded-For", "1.1.1.1, 2.2.2.2")], "2.2.2.2"),
        (&[("X-Forwarded-For", "1.1.1.1, 10.0.0.2")], "1.1.1.1"),
        (&[("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "10.0.0.2")], "1.1.1.1"),
        (&[("X-Forwarded-For", "1.1.1.1, garbage, 10.0.0.2")], "10.0.0.2"),
        (&[("Forwarded", "for=1.1.1.1, for=10.0.0.2")], "1.1.1.1"),
        // X-Forwarded-For is what deployed proxies write; Forwarded may be a client's that they passed on.
        (&[("Forwarded", "for=1.1.1.1"), ("X-Forwarded-For", "3.3.3.3")], "3.3.3.3"),
    ] {
        assert_eq!(
            client_address(&request(lines), Some(ip("10.0.0.1")), trusted),
            Some(ip(want)),
            "{lines:?}"
        );
    }
    let lies = request(&[("X-Forwarded-For", "1.1.1.1")]);
    assert_eq!(client_address(&lies, Some(ip("192.0.2.7")), trusted), Some(ip("192.0.2.7")));
}

/// A trusted proxy on a Unix socket has no address to be the client's, nor one to add to what it says.
#[test]
fn a_proxy_on_a_unix_socket_names_the_client_or_nobody() {
    let trusted = |address: IpAddr| address.to_string().starts_with("10.");
    let tail = "X-Forwarded-Proto: http\r\nX-Forwarded-Host: example.com:8080\r\nVia: 1.1 usher\r\n";
    for (before, real, want) in [
        (
            &[("X-Forwarded-For", "1.1.1.1, 2.2.2.2, 10.0.0.2")][..],
            Some("2.2.2.2"),
            "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.0.0.2\r\nX-Real-IP: 2.2.2.2\r\n",
        ),
        (
            &[("Forwarded", "for=1.1.1.1")],
            Some("1.1.1.1"),
            "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1, \
             for=unknown;host=\"example.com:8080\";proto=http\r\nX-Real-IP: 1.1.1.1\r\n",
        ),
        (&[("X-Forwarded-For", "garbage")], None, "X-Forwarded-For: garbage\r\n"),
        (&[], None, ""),
    ] {
        let mut request = request(before);
        let found = client_address(&request, None, trusted);
        assert_eq!(found, real.map(ip), "{before:?}");
        append(&mut request, &ClientText::new(None, None), found, "1.1");
        assert_eq!(fields(&request), format!("{want}{tail}"), "{before:?}");
    }
}

#[test]
fn a_request_without_host_is_for_where_it_arrived() {
    for (local, scheme, want) in [
        (Some("192.0.2.1:80"), "http", ("192.0.2.1", "192.0.2.1")),
        (Some("192.0.2.1:8080"), "http", ("192.0.2.1", "192.0.2.1:8080")),
        (Some("192.0.2.1:443"), "https", ("192.0.2.1", "192.0.2.1")),
        (Some("192.0.2.1:80"), "https", ("192.0.2.1", "192.0.2.1:80")),
        (Some("[::ffff:192.0.2.1]:80"), "http", ("192.0.2.1", "192.0.2.1")),
        (Some("[2001:db8::1]:8080"), "http", ("[2001:db8::1]", "[2001:db8::1]:8080")),
        (None, "http", ("localhost", "localhost")),
    ] {
        let client = ClientText::new(None, local.map(|local| local.parse().unwrap()));
        let mut request = request(&[]);
        request.scheme = scheme;
        request.host.clear();
        request.authority.clear();
        name_host(&mut request, &client);
        assert_eq!((request.host.as_str(), request.authority.as_str()), want, "{local:?} {scheme}");
    }
    let mut named = request(&[]);
    name_host(&mut named, &ClientText::new(None, None));
    assert_eq!(named.authority, "example.com:8080");
}
