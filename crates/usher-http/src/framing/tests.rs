use super::*;
use crate::parse::{HeadLimits, HeadParser};

fn request(version: &str, lines: &str) -> Request {
    let head = format!("POST / HTTP/{version}\r\n{lines}\r\n");
    let mut request = Request::default();
    let read = HeadParser::default().request(head.as_bytes(), &HeadLimits::default(), &mut request);
    assert_eq!(read, Ok(Some(head.len())), "{head:?}");
    request
}

fn response(version: &str, status: u16, lines: &str) -> Response {
    let head = format!("HTTP/{version} {status} X\r\n{lines}\r\n");
    let mut response = Response::default();
    let read = HeadParser::default().response(head.as_bytes(), &HeadLimits::default(), &mut response);
    assert_eq!(read, Ok(Some(head.len())), "{head:?}");
    response
}

#[test]
fn of_requests() {
    use FramingError::*;
    for (lines, want) in [
        ("", Ok(Framing::None)),
        ("Content-Length: 0\r\n", Ok(Framing::Length(0))),
        ("Content-Length: 5\r\n", Ok(Framing::Length(5))),
        ("content-length:5\r\n", Ok(Framing::Length(5))),
        ("Content-Length: \t 5 \t\r\n", Ok(Framing::Length(5))),
        ("Content-Length: 0005\r\n", Ok(Framing::Length(5))),
        ("Content-Length: 999999999999999999\r\n", Ok(Framing::Length(999_999_999_999_999_999))),
        ("Content-Length: 1000000000000000000\r\n", Err(ContentLength)),
        ("Content-Length: 0000000000000000005\r\n", Err(ContentLength)),
        ("Content-Length: 18446744073709551621\r\n", Err(ContentLength)),
        ("Content-Length:\r\n", Err(ContentLength)),
        ("Content-Length: +5\r\n", Err(ContentLength)),
        ("Content-Length: -5\r\n", Err(ContentLength)),
        ("Content-Length: 5,5\r\n", Err(ContentLength)),
        ("Content-Length: 5, 5\r\n", Err(ContentLength)),
        ("Content-Length: 5;\r\n", Err(ContentLength)),
        ("Content-Length: 5 5\r\n", Err(ContentLength)),
        ("Content-Length: 0x5\r\n", Err(ContentLength)),
        ("Content-Length: 5.0\r\n", Err(ContentLength)),
        ("Content-Length: 5_0\r\n", Err(ContentLength)),
        ("Content-Length: \"5\"\r\n", Err(ContentLength)),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", Err(ContentLength)),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", Err(ContentLength)),
        ("Content-Length: 5\r\ncontent-length:\r\n", Err(ContentLength)),
        ("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked)),
        ("transfer-encoding:CHUNKED\r\n", Ok(Framing::Chunked)),
        ("Transfer-Encoding: \tchunked\t\r\n", Ok(Framing::Chunked)),
        ("Transfer-Encoding: gzip, chunked\r\n", Err(Coding)),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Err(Coding)),
        ("Transfer-Encoding: identity, chunked\r\n", Err(Coding)),
        ("Transfer-Encoding: gzip\r\n", Err(NotChunked)),
        ("Transfer-Encoding: identity\r\n", Err(NotChunked)),
        ("Transfer-Encoding:\r\n", Err(NotChunked)),
        ("Transfer-Encoding: ,\r\n", Err(NotChunked)),
        ("Transfer-Encoding: chunked, gzip\r\n", Err(NotChunked)),
        ("Transfer-Encoding: chunked, chunked\r\n", Err(NotChunked)),
        ("Transfer-Encoding: gzip, chunked, chunked\r\n", Err(NotChunked)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(NotChunked)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", Err(NotChunked)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", Err(NotChunked)),
        ("Transfer-Encoding: chunked,\r\n", Err(NotChunked)),
        ("Transfer-Encoding: ,chunked\r\n", Err(NotChunked)),
        ("Transfer-Encoding: chunked;q=1\r\n", Err(NotChunked)),
        ("Transfer-Encoding: \"chunked\"\r\n", Err(NotChunked)),
        ("Transfer-Encoding: xchunked\r\n", Err(NotChunked)),
        ("Transfer-Encoding: chun ked\r\n", Err(NotChunked)),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Err(Both)),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", Err(Both)),
        ("Content-Length: 5\r\nTransfer-Encoding: gzip\r\n", Err(Both)),
        ("Content-Length: x\r\nTransfer-Encoding: chunked\r\n", Err(ContentLength)),
    ] {
        assert_eq!(of_request(&mut request("1.1", lines)), want, "{lines:?}");
    }
    for (lines, want) in [
        ("", Ok(Framing::None)),
        ("Content-Length: 5\r\n", Ok(Framing::Length(5))),
        ("Transfer-Encoding: chunked\r\n", Err(OldVersion)),
        ("Transfer-Encoding: identity\r\n", Err(OldVersion)),
    ] {
        assert_eq!(of_request(&mut request("1.0", lines)), want, "{lines:?}");
    }
}

#[test]
fn of_responses() {
    use FramingError::*;
    let (length, chunked) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    for (version, status, method, lines, want) in [
        ("1.1", 200, Method::Get, "", Ok(Framing::Close)),
        ("1.1", 200, Method::Get, length, Ok(Framing::Length(5))),
        ("1.1", 200, Method::Get, chunked, Ok(Framing::Chunked)),
        ("1.1", 205, Method::Get, "", Ok(Framing::Close)),
        ("1.1", 500, Method::Post, "Content-Length: 0\r\n", Ok(Framing::Length(0))),
        ("1.0", 200, Method::Get, "", Ok(Framing::Close)),
        ("1.0", 200, Method::Get, length, Ok(Framing::Length(5))),
        ("1.0", 200, Method::Get, chunked, Err(OldVersion)),
        ("1.1", 200, Method::Get, "Transfer-Encoding: gzip, chunked\r\n", Err(Coding)),
        ("1.1", 200, Method::Get, "Transfer-Encoding: gzip\r\n", Err(NotChunked)),
        ("1.1", 200, Method::Get, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(Both)),
        ("1.1", 200, Method::Get, "Content-Length: 5, 5\r\n", Err(ContentLength)),
        ("1.1", 200, Method::Head, "", Ok(Framing::None)),
        ("1.1", 200, Method::Head, length, Ok(Framing::None)),
        ("1.1", 200, Method::Head, chunked, Ok(Framing::None)),
        ("1.1", 200, Method::Head, "Content-Length: x\r\n", Err(ContentLength)),
        ("1.1", 304, Method::Get, "", Ok(Framing::None)),
        ("1.1", 304, Method::Get, length, Ok(Framing::None)),
        ("1.1", 304, Method::Get, chunked, Ok(Framing::None)),
        ("1.1", 204, Method::Get, "", Ok(Framing::None)),
        ("1.1", 204, Method::Get, "Content-Length: 0\r\n", Ok(Framing::None)),
        ("1.1", 204, Method::Get, length, Err(Forbidden)),
        ("1.1", 204, Method::Head, length, Err(Forbidden)),
        ("1.1", 204, Method::Get, chunked, Err(Forbidden)),
        ("1.1", 101, Method::Get, "", Ok(Framing::None)),
        ("1.1", 101, Method::Get, length, Err(Forbidden)),
        ("1.1", 101, Method::Get, chunked, Err(Forbidden)),
        ("1.1", 103, Method::Get, "", Ok(Framing::None)),
    ] {
        let got = of_response(&mut response(version, status, lines), &method);
        assert_eq!(got, want, "HTTP/{version} {status} {method:?} {lines:?}");
    }
}

#[test]
fn errors_have_their_status() {
    use FramingError::*;
    for (error, status) in [
        (ContentLength, 400),
        (Both, 400),
        (Coding, 501),
        (NotChunked, 400),
        (OldVersion, 400),
        (Forbidden, 400),
    ] {
        assert_eq!(error.status(), status, "{}", error.as_str());
    }
}

#[test]
fn persistence() {
    for (version, lines, want) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.1", "Connection: X-Foo, close\r\n", false),
        ("1.1", "Connection: X-Foo\r\nConnection: ,close ,\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Proxy-Connection: close\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Keep-Alive: 300\r\n", false),
    ] {
        let request = request(version, lines);
        let options = connection_options(&request.fields);
        assert_eq!(is_persistent(request.version, options), want, "HTTP/{version} {lines:?}");
    }
}

/// What is left of `lines` after hop-by-hop fields were removed.
fn stripped(lines: &str) -> String {
    let mut request = request("1.1", lines);
    let options = connection_options(&request.fields);
    strip_hop_by_hop(&mut request.fields, options);
    let mut out = Vec::new();
    request.fields.encode(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn hop_by_hop_fields_go() {
    for (lines, want) in [
        ("A: 1\r\nConnection: close\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n"),
        ("Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nTransfer-Encoding: chunked\r\n", ""),
        ("Upgrade: h2c\r\nHTTP2-Settings: AAM\r\nConnection: Upgrade, HTTP2-Settings\r\n", ""),
        ("X-Hop: 1\r\nConnection: x-hop\r\nX-Hop: 2\r\nX-Stay: 3\r\n", "X-Stay: 3\r\n"),
        ("X-Hop: 1\r\nX-Hip: 2\r\nConnection: close, X-Hop\r\nConnection: ,, X-Hip\r\n", ""),
        ("Proxy-Authorization: a\r\nConnection: Proxy-Authorization\r\n", ""),
        ("Trailer: a\r\nContent-Length: 5\r\nVia: x\r\n", "Trailer: a\r\nContent-Length: 5\r\nVia: x\r\n"),
    ] {
        assert_eq!(stripped(lines), want, "{lines:?}");
    }
}

#[test]
fn nobody_names_away_what_is_for_the_far_end() {
    for name in [
        "Host",
        "content-length",
        "Content-Type",
        "Content-Encoding",
        "Content-Security-Policy",
        "Cookie",
        "Set-Cookie",
        "Authorization",
        "Location",
        "Cache-Control",
        "Vary",
        "Via",
        "Expect",
        "X-Forwarded-For",
        "X-Request-Id",
        "If-None-Match",
        "Sec-Fetch-Site",
        "Strict-Transport-Security",
    ] {
        assert_eq!(
            stripped(&format!("Connection: close, {name}\r\n{name}: 1\r\n")),
            format!("{name}: 1\r\n")
        );
    }
}

#[test]
fn named_fields_are_bounded() {
    let names: Vec<String> = (0..MAX_NAMED + 1).map(|n| format!("X-{n}")).collect();
    let lines: String = names.iter().map(|name| format!("{name}: 1\r\n")).collect();
    let left = stripped(&format!("Connection: {}\r\n{lines}", names.join(",")));
    assert_eq!(left, format!("X-{MAX_NAMED}: 1\r\n"));
}

#[test]
fn a_length_is_passed_on_without_leading_zeros() {
    for (written, want) in [("5", "5"), ("0", "0"), ("05", "5"), ("000", "0"), ("000000000000000012", "12")] {
        let line = format!("A: 1\r\nContent-Length: {written}\r\n");
        let number = want.parse().unwrap();
        let mut asked = request("1.1", &line);
        assert_eq!(of_request(&mut asked), Ok(Framing::Length(number)), "{written}");
        assert_eq!(asked.fields.all(FieldId::ContentLength).collect::<Vec<_>>(), [want.as_bytes()]);
        let mut answered = response("1.1", 200, &line);
        assert_eq!(of_response(&mut answered, &Method::Head), Ok(Framing::None), "{written}");
        assert_eq!(answered.fields.all(FieldId::ContentLength).collect::<Vec<_>>(), [want.as_bytes()]);
    }
}
