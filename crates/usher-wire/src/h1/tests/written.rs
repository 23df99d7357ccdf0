//! How heads are written on the two sides.

use usher_http::{Framing, Request, Response, Version};

use super::*;

fn response(status: u16, fields: &[(&str, &str)]) -> Response {
    let mut response = Response::default();
    response.status = status;
    for (name, value) in fields {
        response.fields.add(name.as_bytes(), value.as_bytes()).unwrap();
    }
    response
}

#[test]
fn responses_are_framed_as_the_client_s_version_allows() {
    let (new, old) = (Version::Http11, Version::Http10);
    let length = ("Content-Length", "5");
    for (version, persistent, framing, fields, want, goes_on) in [
        (new, true, Framing::Length(5), &[length][..], "Content-Length: 5\r\nDate: now\r\n", true),
        (new, true, Framing::Chunked, &[], "Date: now\r\nTransfer-Encoding: chunked\r\n", true),
        (new, true, Framing::Close, &[], "Date: now\r\nTransfer-Encoding: chunked\r\n", true),
        (
            new,
            false,
            Framing::Length(5),
            &[length],
            "Content-Length: 5\r\nDate: now\r\nConnection: close\r\n",
            false,
        ),
        (new, true, Framing::None, &[("Date", "then")], "Date: then\r\n", true),
        (
            old,
            true,
            Framing::Length(5),
            &[length],
            "Content-Length: 5\r\nDate: now\r\nConnection: keep-alive\r\n",
            true,
        ),
        (
            old,
            false,
            Framing::Length(5),
            &[length],
            "Content-Length: 5\r\nDate: now\r\nConnection: close\r\n",
            false,
        ),
        (old, true, Framing::Chunked, &[], "Date: now\r\nConnection: close\r\n", false),
        (old, true, Framing::Close, &[], "Date: now\r\nConnection: close\r\n", false),
    ] {
        let (_peer, stream) = MemoryStream::pair(1);
        let mut connection = Connection::new(stream);
        let context = ReplyContext { version, persistent, date: b"now", trailers: None, switches: false };
        assert_eq!(connection.begin_response(&response(200, fields), framing, context), goes_on);
        let head = String::from_utf8_lossy(connection.output()).into_owned();
        assert_eq!(head, format!("HTTP/1.1 200 OK\r\n{want}\r\n"), "{version:?} {framing:?}");
    }
}

#[test]
fn a_switch_names_the_protocol() {
    let (_peer, stream) = MemoryStream::pair(1);
    let mut connection = Connection::new(stream);
    let context = ReplyContext {
        version: Version::Http11,
        persistent: false,
        date: b"now",
        trailers: None,
        switches: true,
    };
    assert!(!connection.begin_response(
        &response(101, &[("Date", "d"), ("Upgrade", "websocket")]),
        Framing::None,
        context
    ));
    let want =
        "HTTP/1.1 101 Switching Protocols\r\nDate: d\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(connection.output()), want);
}

#[test]
fn interim_responses_have_no_framing() {
    let (_peer, stream) = MemoryStream::pair(1);
    let mut connection = Connection::new(stream);
    connection.inform(&response(103, &[("Link", "x"), ("Content-Length", "5")]));
    assert_eq!(String::from_utf8_lossy(connection.output()), "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
}

#[test]
fn requests_have_one_host_and_one_framing() {
    for (framing, upgrade, takes_trailers, want) in [
        (Framing::None, None, false, ""),
        (Framing::Length(5), None, false, ""),
        (Framing::Chunked, None, false, "Transfer-Encoding: chunked\r\n"),
        (Framing::None, None, true, "TE: trailers\r\nConnection: TE\r\n"),
        (Framing::None, Some(&b"websocket"[..]), true, "Connection: upgrade\r\nUpgrade: websocket\r\n"),
    ] {
        let (_peer, stream) = MemoryStream::pair(1);
        let mut connection = Connection::new(stream);
        let mut request = Request::default();
        request.path.push_str("/p");
        request.fields.add(b"Host", b"other").unwrap();
        request.fields.add(b"Transfer-Encoding", b"gzip").unwrap();
        connection.begin_request(
            &request,
            b"h",
            framing,
            RequestContext { upgrade, takes_trailers, trailers: None },
        );
        let head = String::from_utf8_lossy(connection.output()).into_owned();
        assert_eq!(head, format!("GET /p HTTP/1.1\r\nHost: h\r\n{want}\r\n"), "{framing:?}");
    }
}

/// What HTTP/2 and 3 leave to the end of a stream must be said in HTTP/1.
#[test]
fn messages_of_other_protocols_say_that_they_are_empty() {
    let (_peer, stream) = MemoryStream::pair(1);
    let mut connection = Connection::new(stream);
    let context = ReplyContext {
        version: Version::Http11,
        persistent: true,
        date: b"now",
        trailers: None,
        switches: false,
    };
    connection.begin_response(&response(200, &[("Date", "d")]), Framing::Length(0), context);
    let want = "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(connection.output()), want);
    for (method, version, length, want) in [
        (usher_http::Method::Post, Version::Http2, None, "Content-Length: 0\r\n"),
        (usher_http::Method::Patch, Version::Http3, None, "Content-Length: 0\r\n"),
        (usher_http::Method::Put, Version::Http2, Some("0"), "Content-Length: 0\r\n"),
        (usher_http::Method::Get, Version::Http2, None, ""),
        (usher_http::Method::Post, Version::Http11, None, ""),
    ] {
        let (_peer, stream) = MemoryStream::pair(1);
        let mut connection = Connection::new(stream);
        let mut request = Request::default();
        let name = method.as_str().to_owned();
        (request.method, request.version) = (method, version);
        request.path.push('/');
        if let Some(length) = length {
            request.fields.add(b"Content-Length", length.as_bytes()).unwrap();
        }
        connection.begin_request(&request, b"h", Framing::None, RequestContext::default());
        let head = String::from_utf8_lossy(connection.output()).into_owned();
        assert_eq!(head, format!("{name} / HTTP/1.1\r\nHost: h\r\n{want}\r\n"), "{version:?}");
    }
}

/// RFC 8441 section 5: over HTTP/2 there is no key, which HTTP/1.1 requires.
#[test]
fn a_websocket_of_http_2_gets_a_key() {
    let head = |version, key: Option<&str>| {
        let (_peer, stream) = MemoryStream::pair(1);
        let mut connection = Connection::new(stream);
        let mut request = Request::default();
        request.version = version;
        request.path.push('/');
        if let Some(key) = key {
            request.fields.add(b"Sec-WebSocket-Key", key.as_bytes()).unwrap();
        }
        let context = RequestContext { upgrade: Some(b"WebSocket"), ..RequestContext::default() };
        connection.begin_request(&request, b"h", Framing::None, context);
        String::from_utf8_lossy(connection.output()).into_owned()
    };
    let key = |head: &str| {
        let (_, key) = head.split_once("Sec-WebSocket-Key: ")?;
        key.split_once("\r\n").map(|(key, _)| key.to_owned())
    };
    let (one, two) = (key(&head(Version::Http2, None)).unwrap(), key(&head(Version::Http3, None)).unwrap());
    assert_eq!((one.len(), two.len()), (24, 24));
    assert!(one.ends_with("==") && one != two, "{one} {two}");
    let plain = one[..22].bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    assert!(plain, "{one}");
    // What the last digit stands for are two bits, and four of zero.
    assert!(matches!(one.as_bytes()[21], b'A' | b'Q' | b'g' | b'w'), "{one}");
    assert_eq!(key(&head(Version::Http2, Some("mine"))).as_deref(), Some("mine"));
    assert_eq!(key(&head(Version::Http11, None)), None);
}
