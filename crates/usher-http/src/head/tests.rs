use super::*;
use crate::parse::{HeadLimits, HeadParser};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn requests_are_written_in_origin_form_with_one_host() {
    let mut request = Request { path: "/a".into(), query: Some("b=c".into()), ..Request::default() };
    for (name, value) in [
        ("A", "1"),
        ("host", "evil"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "x"),
        ("Content-Length", "5"),
    ] {
        request.fields.add(name.as_bytes(), value.as_bytes()).unwrap();
    }
    let head = written(|out| request.encode(b"h:1", out));
    assert_eq!(head, "GET /a?b=c HTTP/1.1\r\nHost: h:1\r\nA: 1\r\nContent-Length: 5\r\n");
    request.clear();
    request.method = Method::Options;
    (request.form, request.path) = (TargetForm::Asterisk, "*".into());
    assert_eq!(written(|out| request.encode(b"h", out)), "OPTIONS * HTTP/1.1\r\nHost: h\r\n");
}

#[test]
fn an_empty_query_is_not_no_query() {
    let mut request = Request { path: "/".into(), query: Some(String::new()), ..Request::default() };
    assert_eq!(written(|out| request.encode(b"h", out)), "GET /? HTTP/1.1\r\nHost: h\r\n");
    request.query = None;
    assert_eq!(written(|out| request.encode(b"h", out)), "GET / HTTP/1.1\r\nHost: h\r\n");
}

#[test]
fn responses_keep_their_reason_and_lose_what_the_driver_decides() {
    for (head, want) in [
        ("HTTP/1.0 200 Fine\r\nA: 1\r\n\r\n", "HTTP/1.1 200 Fine\r\nA: 1\r\n"),
        ("HTTP/1.1 404 \r\n\r\n", "HTTP/1.1 404 Not Found\r\n"),
        ("HTTP/1.1 799 \r\n\r\n", "HTTP/1.1 799 \r\n"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"),
        ("HTTP/1.1 304 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 304 OK\r\nContent-Length: 5\r\n"),
        ("HTTP/1.1 204 OK\r\nContent-Length: 0\r\nA: 1\r\n\r\n", "HTTP/1.1 204 OK\r\nA: 1\r\n"),
        ("HTTP/1.1 103 Early\r\nLink: x\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 103 Early\r\nLink: x\r\n"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nA: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: 1\r\n",
        ),
    ] {
        let mut response = Response::default();
        let read = HeadParser::default().response(head.as_bytes(), &HeadLimits::default(), &mut response);
        assert_eq!(read, Ok(Some(head.len())), "{head:?}");
        assert_eq!(written(|out| response.encode(out)), want, "{head:?}");
    }
}

#[test]
fn clearing_forgets_everything_but_memory() {
    let mut request = Request::default();
    let head = b"POST /x HTTP/1.0\r\nA: b\r\n\r\n";
    assert!(HeadParser::default().request(head, &HeadLimits::default(), &mut request).is_ok());
    request.query = Some("q".repeat(100));
    request.host.push('h');
    request.clear();
    assert_eq!((&request.method, request.version, request.scheme), (&Method::Get, Version::Http11, "http"));
    assert!(request.query.is_none() && request.host.is_empty() && request.fields.is_empty());
    assert!(request.raw_target().is_empty());
    assert!(request.spare_query.capacity() >= 100);
    request.query = Some("q".repeat(KEPT_QUERY + 1));
    request.clear();
    assert!(request.spare_query.capacity() <= KEPT_QUERY);
}

#[test]
fn methods_are_case_sensitive_tokens() {
    for name in
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "get", "BREW"]
    {
        let method = Method::from_token(name.as_bytes());
        assert_eq!(method.as_str(), name);
        assert_eq!(matches!(method, Method::Other(_)), matches!(name, "get" | "BREW"), "{name}");
    }
    for (name, idempotent) in
        [("GET", true), ("PUT", true), ("DELETE", true), ("POST", false), ("PATCH", false), ("get", false)]
    {
        assert_eq!(Method::from_token(name.as_bytes()).is_idempotent(), idempotent, "{name}");
    }
}

#[test]
fn versions_are_named() {
    for (version, name, via) in [
        (Version::Http10, "HTTP/1.0", "1.0"),
        (Version::Http11, "HTTP/1.1", "1.1"),
        (Version::Http2, "HTTP/2.0", "2"),
        (Version::Http3, "HTTP/3.0", "3"),
    ] {
        assert_eq!((version.as_str(), version.via()), (name, via));
    }
}
