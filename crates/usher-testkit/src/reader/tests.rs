use crate::{Client, Endpoint, Framing, Kind};

/// Serves `bytes`, then closes; reads them as one response to `method`.
fn read(method: &str, bytes: &'static str) -> (crate::Response, crate::Result<()>) {
    let endpoint = Endpoint::raw(move |connection, _| connection.send(bytes)).unwrap();
    Client::connect(endpoint.address()).unwrap().read_partial_response(method)
}

#[test]
fn reads_each_framing() {
    let cases = [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabxx", Framing::Length, "ab"),
        (
            "GET",
            "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\n\r\n",
            Framing::Chunked,
            "ab",
        ),
        ("GET", "HTTP/1.0 200 OK\r\n\r\nabc", Framing::Close, "abc"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Framing::None, ""),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", Framing::None, ""),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", Framing::None, ""),
        ("CONNECT", "HTTP/1.1 200 OK\r\n\r\n", Framing::None, ""),
    ];
    for (method, bytes, framing, body) in cases {
        let (response, outcome) = read(method, bytes);
        outcome.unwrap();
        assert_eq!((response.framing, response.text().as_str()), (framing, body), "{bytes}");
    }
}

#[test]
fn refuses_what_is_not_http() {
    let cases = [
        "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\n\r\n",
    ];
    for bytes in cases {
        let outcome = read("GET", bytes).1;
        assert_eq!(outcome.map_err(|error| error.kind), Err(Kind::Malformed), "{bytes}");
    }
}

#[test]
fn tells_a_cut_body_from_a_whole_one() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
    ] {
        let (response, outcome) = read("GET", bytes);
        let error = outcome.unwrap_err();
        assert_eq!((error.kind, response.status, response.text().as_str()), (Kind::Closed, 200, "ab"));
        assert_eq!(error.received, bytes.as_bytes());
    }
}

#[test]
fn keeps_fields_in_order_and_trailers_apart() {
    let (response, outcome) = read(
        "GET",
        "HTTP/1.1 200 OK\r\nB: 1\r\nA:  x y \r\nb: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: 3\r\n\r\n",
    );
    outcome.unwrap();
    assert_eq!(response.fields.all("b").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((response.fields.get("a"), response.trailers.get("t")), (Some("x y"), Some("3")));
}
