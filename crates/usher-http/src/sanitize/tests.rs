use super::*;
use crate::parse::{HeadLimits, HeadParser};
use proptest::prelude::*;

mod forwarded;

/// Parses and sanitizes a head that came over `scheme`; also what was asked to upgrade to.
fn understood(head: &str, scheme: &'static str) -> Result<(Request, Facts, Vec<u8>), SanitizeError> {
    let mut request = Request::default();
    let read = HeadParser::default().request(head.as_bytes(), &HeadLimits::default(), &mut request);
    assert_eq!(read, Ok(Some(head.len())), "{head:?}");
    request.scheme = scheme;
    let mut upgrade = b"left over".to_vec();
    let facts = sanitize(&mut request, &mut Scratch::default(), &mut upgrade)?;
    Ok((request, facts, upgrade))
}

/// Host, authority, path and query.
fn target(head: &str) -> Result<(String, String, String, Option<String>), SanitizeError> {
    let (request, ..) = understood(head, "http")?;
    Ok((request.host, request.authority, request.path, request.query))
}

fn facts(lines: &str) -> Result<Facts, SanitizeError> {
    understood(&format!("POST / HTTP/1.1\r\nHost: h\r\n{lines}\r\n"), "http").map(|(_, facts, _)| facts)
}

#[test]
fn finds_host_path_and_query() {
    for (line, host, want) in [
        ("GET / HTTP/1.1", Some("example.com"), ("example.com", "example.com", "/", None)),
        (
            "GET /a?b=c HTTP/1.1",
            Some("EXAMPLE.com.:8080"),
            ("example.com", "example.com:8080", "/a", Some("b=c")),
        ),
        ("GET / HTTP/1.1", Some("h:"), ("h", "h", "/", None)),
        ("GET / HTTP/1.1", Some("h:0080"), ("h", "h:80", "/", None)),
        ("GET / HTTP/1.1", Some("[2001:DB8::0:1]:81"), ("[2001:db8::1]", "[2001:db8::1]:81", "/", None)),
        ("GET /? HTTP/1.1", Some("h"), ("h", "h", "/", Some(""))),
        ("GET /a?b?c HTTP/1.1", Some("h"), ("h", "h", "/a", Some("b?c"))),
        ("GET /%61//b/../c?%61//../ HTTP/1.1", Some("h"), ("h", "h", "/a/c", Some("%61//../"))),
        ("GET /é?é HTTP/1.1", Some("h"), ("h", "h", "/%C3%A9", Some("%C3%A9"))),
        ("GET / HTTP/1.0", None, ("", "", "/", None)),
        ("GET / HTTP/1.0", Some("h"), ("h", "h", "/", None)),
        ("GET http://A.example/x?y HTTP/1.1", Some("other"), ("a.example", "a.example", "/x", Some("y"))),
        ("GET http://a.example HTTP/1.1", Some("a.example"), ("a.example", "a.example", "/", None)),
        ("GET http://a.example?q HTTP/1.1", Some("a.example"), ("a.example", "a.example", "/", Some("q"))),
        ("GET HTTP://a.example:81/ HTTP/1.0", None, ("a.example", "a.example:81", "/", None)),
        ("OPTIONS * HTTP/1.1", Some("h"), ("h", "h", "*", None)),
        ("OPTIONS http://a.example HTTP/1.1", Some("h"), ("a.example", "a.example", "*", None)),
        ("OPTIONS http://a.example/ HTTP/1.1", Some("h"), ("a.example", "a.example", "/", None)),
    ] {
        let host = host.map(|host| format!("Host: {host}\r\n")).unwrap_or_default();
        let got = target(&format!("{line}\r\n{host}\r\n"));
        let want = (want.0.into(), want.1.into(), want.2.into(), want.3.map(str::to_owned));
        assert_eq!(got, Ok(want), "{line} {host}");
    }
}

#[test]
fn refuses_what_has_no_one_host() {
    use SanitizeError::*;
    for (line, fields, want) in [
        ("GET / HTTP/1.1", "", HostMissing),
        ("GET http://h/ HTTP/1.1", "", HostMissing),
        ("GET / HTTP/1.1", "Host: a\r\nHost: a\r\n", HostRepeated),
        ("GET / HTTP/1.0", "Host: a\r\nhost: b\r\n", HostRepeated),
        ("GET http://h/ HTTP/1.1", "Host: a\r\nhost: b\r\n", HostRepeated),
        ("GET / HTTP/1.1", "Host:\r\n", HostInvalid),
        ("GET / HTTP/1.0", "Host:\r\n", HostInvalid),
        ("GET / HTTP/1.1", "Host: a, b\r\n", HostInvalid),
        ("GET / HTTP/1.1", "Host: u@a\r\n", HostInvalid),
        ("GET / HTTP/1.1", "Host: a/b\r\n", HostInvalid),
        ("GET / HTTP/1.1", "Host: a?b\r\n", HostInvalid),
        ("GET / HTTP/1.1", "Host: a b\r\n", HostInvalid),
        ("GET / HTTP/1.1", "Host: a:b\r\n", HostInvalid),
        ("GET / HTTP/1.1", "Host: a:0\r\n", HostInvalid),
        ("GET / HTTP/1.1", "Host: a:65536\r\n", HostInvalid),
        ("GET / HTTP/1.1", "Host: http://a\r\n", HostInvalid),
        ("GET / HTTP/1.1", "Host: é\r\n", HostInvalid),
        ("GET / HTTP/1.1", "Host: [::1\r\n", HostInvalid),
        ("GET http:///p HTTP/1.1", "Host: a\r\n", HostInvalid),
        ("GET http:///p HTTP/1.0", "", HostInvalid),
        ("GET http://?q HTTP/1.0", "", HostInvalid),
        ("GET http://u@a/ HTTP/1.1", "Host: a\r\n", HostInvalid),
        ("GET http://u:p@a/ HTTP/1.0", "", HostInvalid),
        ("GET http://a\\b/ HTTP/1.1", "Host: a\r\n", HostInvalid),
        ("GET http://a:x/ HTTP/1.1", "Host: a\r\n", HostInvalid),
        ("GET http://a/ HTTP/1.1", "Host:\r\n", HostInvalid),
        ("GET http://a/ HTTP/1.1", "Host: u@a\r\n", HostInvalid),
        ("GET https://a/ HTTP/1.1", "Host: a\r\n", Scheme),
    ] {
        assert_eq!(target(&format!("{line}\r\n{fields}\r\n")), Err(want), "{line} {fields:?}");
    }
}

#[test]
fn the_target_s_scheme_is_the_connection_s() {
    for (target, scheme, fits) in [
        ("http://h/", "http", true),
        ("HTTPS://h/", "https", true),
        ("http://h/", "https", false),
        ("https://h/", "http", false),
    ] {
        let got = understood(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"), scheme).map(|_| ());
        assert_eq!(got, if fits { Ok(()) } else { Err(SanitizeError::Scheme) }, "{target} over {scheme}");
    }
}

#[test]
fn refuses_targets_with_two_readings() {
    for raw in [
        "/a#b",
        "/a?b#c",
        "/../a",
        "/%2e%2e/",
        "/a\\b",
        "/a%00",
        "/a%0d%0a",
        "/%zz",
        "/a%",
        "/..;/a",
        "http://h#f",
    ] {
        let got = target(&format!("GET {raw} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert!(matches!(got, Err(SanitizeError::Path(_))), "{raw}: {got:?}");
    }
}

#[test]
fn connect_is_refused() {
    for head in ["CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n"] {
        assert_eq!(target(head), Err(SanitizeError::Connect));
    }
}

#[test]
fn refuses_disguised_names() {
    for (line, refused) in [
        ("X_Forwarded_For: 1.1.1.1", true),
        ("x-forwarded_proto: https", true),
        ("Content_Length: 5", true),
        ("Transfer_Encoding: chunked", true),
        ("my_field: 1", false),
        ("X_Forwarded: 1", false),
    ] {
        let got = facts(&format!("{line}\r\n"));
        assert_eq!(got.is_err_and(|error| error == SanitizeError::Disguise), refused, "{line}");
    }
}

#[test]
fn finds_expectations() {
    for (line, body, want) in [
        ("", 5, Ok(false)),
        ("Expect: 100-continue\r\n", 5, Ok(true)),
        ("Expect: 100-Continue\r\n", 5, Ok(true)),
        ("Expect: 100-continue\r\n", 0, Ok(false)),
        ("Expect: 100-continue, x\r\n", 5, Err(SanitizeError::Expectation)),
        ("Expect: 100-continue\r\nExpect: x\r\n", 5, Err(SanitizeError::Expectation)),
        ("Expect:\r\n", 5, Err(SanitizeError::Expectation)),
        ("Expect: 200-ok\r\n", 0, Err(SanitizeError::Expectation)),
    ] {
        let got = facts(&format!("{line}Content-Length: {body}\r\n"));
        assert_eq!(got.map(|facts| facts.expects_continue), want, "{line:?}");
    }
    let old = "POST / HTTP/1.0\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let (request, facts, _) = understood(old, "http").unwrap();
    assert!(!facts.expects_continue && request.fields.get(FieldId::Expect).is_none());
}

#[test]
fn finds_upgrades() {
    let asked = "Connection: Upgrade\r\n";
    for (lines, want) in [
        ("Connection: Upgrade\r\nUpgrade: websocket\r\n".to_owned(), "websocket"),
        ("Connection: keep-alive, upgrade\r\nUpgrade: a/1, b\r\n".to_owned(), "a/1, b"),
        (format!("{asked}Upgrade: websocket\r\nContent-Length: 0\r\n"), "websocket"),
        (format!("{asked}Upgrade: websocket\r\nContent-Length: 5\r\n"), ""),
        (format!("{asked}Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n"), ""),
        (format!("{asked}Upgrade: websocket\r\nUpgrade: b\r\n"), ""),
        (format!("{asked}Upgrade: h2c\r\n"), ""),
        (format!("{asked}Upgrade: websocket, H2C\r\n"), ""),
        (format!("{asked}Upgrade:\r\n"), ""),
        (asked.to_owned(), ""),
        ("Upgrade: websocket\r\n".to_owned(), ""),
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let (request, facts, upgrade) = understood(&head, "http").unwrap();
        assert_eq!((facts.upgrade, upgrade.as_slice()), (!want.is_empty(), want.as_bytes()), "{lines:?}");
        assert!(
            request.fields.get(FieldId::Upgrade).is_none()
                && request.fields.get(FieldId::Connection).is_none()
        );
    }
    let old = "GET / HTTP/1.0\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert!(!understood(old, "http").unwrap().1.upgrade);
}

#[test]
fn finds_who_takes_trailers() {
    for (lines, want) in [
        ("", false),
        ("TE: trailers\r\nConnection: TE\r\n", true),
        ("TE: gzip;q=0.5, Trailers\r\n", true),
        ("TE: gzip\r\nTE: trailers\r\n", true),
        ("TE: trailersx\r\n", false),
        ("TE: trailers;q=0\r\n", false),
    ] {
        assert_eq!(facts(lines).unwrap().takes_trailers, want, "{lines:?}");
    }
    let old = "GET / HTTP/1.0\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
    assert!(!understood(old, "http").unwrap().1.takes_trailers, "HTTP/1.0 has no trailers");
}

#[test]
fn counts_hops_of_trace_and_options() {
    for (method, lines, want) in [
        ("OPTIONS", "", Ok((false, None))),
        ("OPTIONS", "Max-Forwards: 0\r\n", Ok((true, Some("0")))),
        ("TRACE", "Max-Forwards: 000\r\n", Ok((true, Some("000")))),
        ("TRACE", "max-forwards: 1\r\n", Ok((false, Some("0")))),
        ("OPTIONS", "Max-Forwards: 10\r\n", Ok((false, Some("9")))),
        ("OPTIONS", "Max-Forwards: 1\r\nConnection: Max-Forwards\r\n", Ok((false, Some("0")))),
        ("OPTIONS", "Max-Forwards: 1\r\nMax-Forwards: 1\r\n", Err(SanitizeError::MaxForwards)),
        ("OPTIONS", "Max-Forwards: -1\r\n", Err(SanitizeError::MaxForwards)),
        ("OPTIONS", "Max-Forwards: 1, 2\r\n", Err(SanitizeError::MaxForwards)),
        ("TRACE", "Max-Forwards:\r\n", Err(SanitizeError::MaxForwards)),
        ("GET", "Max-Forwards: 0\r\n", Ok((false, Some("0")))),
        ("GET", "Max-Forwards: x\r\n", Ok((false, Some("x")))),
        ("TRACE", "Content-Length: 1\r\n", Err(SanitizeError::TraceBody)),
        ("TRACE", "Transfer-Encoding: chunked\r\n", Err(SanitizeError::TraceBody)),
        ("TRACE", "Content-Length: 0\r\n", Ok((false, None))),
    ] {
        let got = understood(&format!("{method} / HTTP/1.1\r\nHost: h\r\n{lines}\r\n"), "http");
        let got = got.map(|(request, facts, _)| {
            let left = request.fields.get(FieldId::MaxForwards).map(|left| left.to_vec());
            (facts.last_hop, left)
        });
        assert_eq!(got, want.map(|(last, left)| (last, left.map(|left| left.into()))), "{method} {lines:?}");
    }
}

#[test]
fn drops_what_cgi_takes_for_the_address_of_a_proxy() {
    for line in ["Proxy: http://evil/", "PROXY: http://evil/", "proxy:", "Proxy: a\r\npRoxy: b"] {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{line}\r\nA: stays\r\n\r\n");
        let (request, ..) = understood(&head, "http").unwrap();
        let names: Vec<_> = request.fields.iter().map(|field| field.name.to_vec()).collect();
        assert_eq!(names, [b"A"], "{line}");
    }
}

#[test]
fn errors_have_their_status() {
    use SanitizeError::*;
    for (error, status) in [
        (Framing(FramingError::Both), 400),
        (Framing(FramingError::Coding), 501),
        (HostMissing, 400),
        (HostRepeated, 400),
        (HostInvalid, 400),
        (Path(path::PathError::AboveRoot), 400),
        (Scheme, 421),
        (Disguise, 400),
        (MaxForwards, 400),
        (TraceBody, 400),
        (Connect, 405),
        (Expectation, 417),
    ] {
        assert_eq!(error.status(), status, "{}", error.as_str());
    }
}

#[test]
fn memory_of_a_query_is_used_again() {
    let head = "GET /?abcdefgh HTTP/1.1\r\nHost: h\r\n\r\n";
    let (mut request, ..) = understood(head, "http").unwrap();
    let first = request.query.as_ref().map(|query| query.as_ptr());
    let (mut scratch, mut upgrade) = (Scratch::default(), Vec::new());
    assert!(HeadParser::default().request(head.as_bytes(), &HeadLimits::default(), &mut request).is_ok());
    assert!(sanitize(&mut request, &mut scratch, &mut upgrade).is_ok());
    assert_eq!(request.query.as_deref(), Some("abcdefgh"));
    assert_eq!(request.query.as_ref().map(|query| query.as_ptr()), first);
}

#[test]
fn the_host_of_the_last_request_is_not_that_of_the_next() {
    let mut scratch = Scratch::default();
    let mut read = |host: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let mut request = Request::default();
        let end = HeadParser::default().request(head.as_bytes(), &HeadLimits::default(), &mut request);
        assert_eq!(end, Ok(Some(head.len())));
        request.scheme = "http";
        sanitize(&mut request, &mut scratch, &mut Vec::new())?;
        Ok::<_, SanitizeError>((request.host, request.authority))
    };
    let is = |host: &str, authority: &str| Ok((host.to_owned(), authority.to_owned()));
    for _ in 0..2 {
        assert_eq!(read("A.example:81"), is("a.example", "a.example:81"));
        assert_eq!(read("A.example:81"), is("a.example", "a.example:81"));
        assert_eq!(read("a b"), Err(SanitizeError::HostInvalid));
        assert_eq!(read("a.example"), is("a.example", "a.example"));
        assert_eq!(read(""), Err(SanitizeError::HostInvalid));
        assert_eq!(read("A.example:8"), is("a.example", "a.example:8"));
    }
}
