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
