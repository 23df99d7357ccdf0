use super::*;
use proptest::prelude::*;

mod limits;

/// What was understood of a head: its length, its first line, its fields.
type Parsed = (usize, String, Vec<(String, String)>);
type Outcome = Result<Option<Parsed>, ParseError>;

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn pairs(fields: &Fields) -> Vec<(String, String)> {
    fields.iter().map(|field| (text(field.name), text(field.value))).collect()
}

/// Which parser.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Request,
    Response,
    Trailers,
}

/// Calls the parser after every one of `cuts` and at the end; stops at the first answer.
fn read(kind: Kind, buf: &[u8], cuts: &[usize], limits: &HeadLimits) -> Outcome {
    let mut parser = HeadParser::default();
    let (mut request, mut response, mut fields) =
        (Request::default(), Response::default(), Fields::default());
    for &cut in cuts.iter().chain([&buf.len()]) {
        let part = &buf[..cut];
        let len = match kind {
            Kind::Request => parser.request(part, limits, &mut request)?,
            Kind::Response => parser.response(part, limits, &mut response)?,
            Kind::Trailers => parser.trailers(part, limits, &mut fields)?,
        };
        let Some(len) = len else { continue };
        let (line, fields) = match kind {
            Kind::Request => {
                let Request { method, version, form, fields, .. } = &request;
                (format!("{} {} {version:?} {form:?}", method.as_str(), text(request.raw_target())), fields)
            }
            Kind::Response => {
                let Response { version, status, fields, .. } = &response;
                (format!("{version:?} {status} {}", text(response.reason())), fields)
            }
            Kind::Trailers => (String::new(), &fields),
        };
        return Ok(Some((len, line, pairs(fields))));
    }
    Ok(None)
}

/// Reads at once, byte by byte, and in halves; all must agree.
fn agreed(kind: Kind, buf: &[u8], limits: &HeadLimits) -> Outcome {
    let whole = read(kind, buf, &[], limits);
    let every: Vec<usize> = (0..buf.len()).collect();
    assert_eq!(read(kind, buf, &every, limits), whole, "byte by byte: {:?}", text(buf));
    for cut in every {
        assert_eq!(read(kind, buf, &[cut], limits), whole, "cut at {cut}: {:?}", text(buf));
    }
    whole
}

fn request(head: &[u8]) -> Outcome {
    agreed(Kind::Request, head, &HeadLimits::default())
}

fn first_line(outcome: Outcome) -> Result<String, ParseError> {
    outcome.map(|parsed| parsed.map_or("incomplete".into(), |(_, line, _)| line))
}

#[test]
fn reads_request_lines() {
    for (line, want) in [
        ("GET / HTTP/1.1", "GET / Http11 Origin"),
        ("GET / HTTP/1.0", "GET / Http10 Origin"),
        ("get /a?b HTTP/1.1", "get /a?b Http11 Origin"),
        ("BREW /pot HTTP/1.1", "BREW /pot Http11 Origin"),
        ("M!#$%&'*+-.^_`|~ / HTTP/1.1", "M!#$%&'*+-.^_`|~ / Http11 Origin"),
        ("GET //a/../b HTTP/1.1", "GET //a/../b Http11 Origin"),
        ("GET /\u{e9} HTTP/1.1", "GET /Ã© Http11 Origin"),
        ("GET /#f HTTP/1.1", "GET /#f Http11 Origin"),
        ("GET http://h/p HTTP/1.1", "GET http://h/p Http11 Absolute"),
        ("GET HTTPS://h HTTP/1.1", "GET HTTPS://h Http11 Absolute"),
        ("GET http:///p HTTP/1.1", "GET http:///p Http11 Absolute"),
        ("OPTIONS * HTTP/1.1", "OPTIONS * Http11 Asterisk"),
        ("CONNECT h:1 HTTP/1.1", "CONNECT h:1 Http11 Authority"),
    ] {
        let head = format!("{line}\r\nHost: h\r\n\r\n");
        assert_eq!(first_line(request(head.as_bytes())), Ok(want.into()), "{line}");
    }
}

#[test]
fn refuses_request_lines() {
    use ParseError::*;
    for (line, want) in [
        ("", RequestLine),
        (" GET / HTTP/1.1", RequestLine),
        ("\tGET / HTTP/1.1", RequestLine),
        ("\rGET / HTTP/1.1", RequestLine),
        ("\nGET / HTTP/1.1", RequestLine),
        ("\r\n\r\nGET / HTTP/1.1", RequestLine),
        ("GET", RequestLine),
        ("GET /", RequestLine),
        ("GET / ", RequestLine),
        ("GET  / HTTP/1.1", RequestLine),
        ("GET\t/ HTTP/1.1", RequestLine),
        ("GET /  HTTP/1.1", RequestLine),
        ("GET / HTTP/1.1 ", RequestLine),
        ("GET / HTTP/1.1\t", RequestLine),
        ("GET / HTTP/1.1\r", RequestLine),
        ("GET / HTTP/1.12", RequestLine),
        ("GET / http/1.1", RequestLine),
        ("GET / HTTP/1,1", RequestLine),
        ("GET / HTTP/1", RequestLine),
        ("GET / HTTP 1.1", RequestLine),
        ("GET / HTTPS/1.1", RequestLine),
        ("GET /a b HTTP/1.1", RequestLine),
        ("G@T / HTTP/1.1", RequestLine),
        ("G\u{e9}T / HTTP/1.1", RequestLine),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456 / HTTP/1.1", RequestLine),
        ("GET / HTTP/1.2", Version),
        ("GET / HTTP/0.9", Version),
        ("GET / HTTP/2.0", Version),
        ("PRI * HTTP/2.0", Version),
        ("GET /\0 HTTP/1.1", Target),
        ("GET /\x7f HTTP/1.1", Target),
        ("GET /a\tb HTTP/1.1", Target),
        ("GET /\rx HTTP/1.1", RequestLine),
        ("GET index.html HTTP/1.1", Target),
        ("GET h:80 HTTP/1.1", Target),
        ("GET * HTTP/1.1", Target),
        ("OPTIONS *?q HTTP/1.1", Target),
        ("OPTIONS ** HTTP/1.1", Target),
        ("GET ?q HTTP/1.1", Target),
        ("GET http:// HTTP/1.1", Target),
        ("GET http:/h HTTP/1.1", Target),
        ("GET ftp://h/ HTTP/1.1", Target),
    ] {
        // An empty first line would be skipped once; two are refused.
        let head = if line.is_empty() { "\r\n\r\n".into() } else { format!("{line}\r\nHost: h\r\n\r\n") };
        assert_eq!(request(head.as_bytes()), Err(want), "{line:?}");
    }
    assert_eq!(request(b"GET / HTTP/1.1\nHost: h\n\n"), Err(BareLf));
    assert_eq!(request(b"\x16\x03\x01\x02\x00\x01"), Err(RequestLine));
}

#[test]
fn one_empty_line_may_come_first() {
    let parsed = request(b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\nrest").unwrap().unwrap();
    assert_eq!(parsed, (29, "GET / Http11 Origin".into(), vec![("Host".into(), "h".into())]));
    assert_eq!(
        agreed(Kind::Response, b"\r\nHTTP/1.1 200 OK\r\n\r\n", &HeadLimits::default()),
        Err(ParseError::StatusLine)
    );
}

#[test]
fn reads_field_lines() {
    for (line, name, value) in [
        ("A: b", "A", "b"),
        ("A:b", "A", "b"),
        ("A:", "A", ""),
        ("A: ", "A", ""),
        ("A: \t \t", "A", ""),
        ("A:\t b c\t d \t", "A", "b c\t d"),
        ("A: :b:", "A", ":b:"),
        ("A: b: c", "A", "b: c"),
        ("A: \u{e9}", "A", "Ã©"),
        ("1!#$%&'*+-.^_`|~: x", "1!#$%&'*+-.^_`|~", "x"),
        (
            "Long-Enough-For-Words: 0123456789abcdef0123456789",
            "Long-Enough-For-Words",
            "0123456789abcdef0123456789",
        ),
    ] {
        let head = format!("GET / HTTP/1.1\r\n{line}\r\n\r\n");
        let parsed = request(head.as_bytes()).unwrap().unwrap();
        assert_eq!(
            parsed,
            (head.len(), "GET / Http11 Origin".into(), vec![(name.into(), value.into())]),
            "{line}"
        );
        let trailers = agreed(Kind::Trailers, &head.as_bytes()[16..], &HeadLimits::default());
        assert_eq!(trailers.unwrap().unwrap().2, [(name.into(), value.into())], "{line}");
    }
}

#[test]
fn refuses_field_lines() {
    use ParseError::*;
    for (line, want) in [
        ("A : b", FieldName),
        ("A\t: b", FieldName),
        (": b", FieldName),
        (":", FieldName),
        ("A", FieldName),
        ("A b: c", FieldName),
        ("A\0: b", FieldName),
        ("A(: b", FieldName),
        ("\u{e9}: b", FieldName),
        ("\rA: b", FieldName),
        ("A\r: b", FieldName),
        (" A: b", Folded),
        ("\tA: b", Folded),
        ("A: b\r\n c", Folded),
        ("A: b\r\n\t", Folded),
        ("A: b\rc", FieldValue),
        ("A: b\r", FieldValue),
        ("A: b\0", FieldValue),
        ("A: \x01", FieldValue),
        ("A: 01234567\x0b", FieldValue),
        ("A: 0123456789\x7f", FieldValue),
        ("A: b\nc: d", BareLf),
        ("A: b\n", BareLf),
        ("\nA: b", BareLf),
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n");
        assert_eq!(request(head.as_bytes()), Err(want), "{line:?}");
        let head = format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
        assert_eq!(agreed(Kind::Response, head.as_bytes(), &HeadLimits::default()), Err(want), "{line:?}");
        let section = format!("{line}\r\n\r\n");
        assert_eq!(agreed(Kind::Trailers, section.as_bytes(), &HeadLimits::default()), Err(want), "{line:?}");
    }
    assert_eq!(request(b"GET / HTTP/1.1\r\nA: b\r\n\n"), Err(BareLf));
    assert_eq!(request(b"GET / HTTP/1.1\r\nA: b\r\n\rX"), Err(FieldName));
}

#[test]
fn reads_status_lines() {
    for (line, want) in [
        ("HTTP/1.1 200 OK", Ok("Http11 200 OK")),
        ("HTTP/1.0 404 Not Found", Ok("Http10 404 Not Found")),
        ("HTTP/1.1 200 ", Ok("Http11 200 ")),
        ("HTTP/1.1 200", Ok("Http11 200 ")),
        ("HTTP/1.1 999 \u{e9}\t", Ok("Http11 999 Ã©")),
        ("HTTP/1.1  200 OK", Err(())),
        ("HTTP/1.1 20 OK", Err(())),
        ("HTTP/1.1 2000 OK", Err(())),
        ("HTTP/1.1 099 OK", Err(())),
        ("HTTP/1.1 +20 OK", Err(())),
        ("HTTP/1.1 200OK", Err(())),
        ("HTTP/1.1 200\tOK", Err(())),
        ("HTTP/1.1 200 O\0K", Err(())),
        ("HTTP/1.1 200 O\rK", Err(())),
        ("HTTP/1.1 200 OK\n", Err(())),
        ("HTTP/1.2 200 OK", Err(())),
        ("HTTP/2.0 200 OK", Err(())),
        ("http/1.1 200 OK", Err(())),
        ("ICY 200 OK", Err(())),
        ("<html>", Err(())),
        (" HTTP/1.1 200 OK", Err(())),
    ] {
        let head = format!("{line}\r\nA: b\r\n\r\nbody");
        let got = first_line(agreed(Kind::Response, head.as_bytes(), &HeadLimits::default()));
        assert_eq!(got, want.map(str::to_owned).map_err(|()| ParseError::StatusLine), "{line:?}");
    }
}

#[test]
fn nothing_of_the_message_before_is_left() {
    let limits = HeadLimits::default();
    let mut request = Request::default();
    let half = b"GET /a HTTP/1.1\r\nHost: old\r\nX-Old: 1\r\n";
    assert_eq!(HeadParser::default().request(half, &limits, &mut request), Ok(None));
    request.host.push_str("old");
    let head = b"GET /b HTTP/1.1\r\nHost: new\r\n\r\n";
    assert_eq!(HeadParser::default().request(head, &limits, &mut request), Ok(Some(head.len())));
    assert_eq!(pairs(&request.fields), [("Host".into(), "new".into())]);
    assert_eq!((request.host.as_str(), request.raw_target()), ("", &b"/b"[..]));

    let mut response = Response::default();
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n";
    assert_eq!(HeadParser::default().response(half, &limits, &mut response), Ok(None));
    let head = b"HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(HeadParser::default().response(head, &limits, &mut response), Ok(Some(head.len())));
    assert_eq!(pairs(&response.fields), [("Content-Length".into(), "3".into())]);
}

#[test]
fn a_refused_head_leaves_no_fields() {
    let mut request = Request::default();
    let head = b"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n";
    let refused = HeadParser::default().request(head, &HeadLimits::default(), &mut request);
    assert_eq!(refused, Err(ParseError::FieldName));
    assert!(request.fields.is_empty());
}

#[test]
fn errors_have_their_status() {
    use ParseError::*;
    for (error, status) in [
        (RequestLine, 400),
        (Target, 400),
        (FieldName, 400),
        (FieldValue, 400),
        (Folded, 400),
        (BareLf, 400),
        (Version, 505),
        (LineTooLong, 414),
        (HeadTooLarge, 431),
        (TooManyFields, 431),
    ] {
        assert_eq!(error.status(), status, "{}", error.as_str());
    }
}

/// Heads, and heads with a byte changed.
fn nearly_a_head() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "HTTP/1.1 200 OK\r\n",
        "POST http://h/p?q HTTP/1.0\r\n",
    ]);
    let lines = prop::collection::vec("[A-Za-z_-]{1,12}:[ \t]{0,2}[ -~\u{e9}]{0,24}\r\n", 0..6);
    let change = prop::option::weighted(
        0.7,
        (any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b' ')]),
    );
    (start, lines, change).prop_map(|(start, lines, change)| {
        let mut head = format!("{start}{}\r\n{start}", lines.concat()).into_bytes();
        if let Some((at, byte)) = change {
            let at = at.index(head.len());
            head[at] = byte;
        }
        head
    })
}

proptest! {
    /// Any split of the bytes gives the same parse or the same error, under any limits.
    #[test]
    fn splits_do_not_matter(
        head in nearly_a_head(),
        line in 1..60_usize,
        size in 1..200_usize,
        fields in 0..6_usize,
    ) {
        for limits in [HeadLimits::default(), HeadLimits { line, head: size, fields }] {
            for kind in [Kind::Request, Kind::Response, Kind::Trailers] {
                let _ = agreed(kind, &head, &limits);
            }
        }
    }

    /// No bytes make it panic, and what it reads are its own bytes.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for kind in [Kind::Request, Kind::Response, Kind::Trailers] {
            let _ = agreed(kind, &bytes, &HeadLimits::default());
        }
    }

    /// The word-wise scans find what a byte-wise scan finds.
    #[test]
    fn scans_are_exact(bytes in prop::collection::vec(prop_oneof![8 => b' '..=b'~', 1 => any::<u8>()], 0..40)) {
        let end = |allowed: fn(u8) -> bool| bytes.iter().position(|&b| !allowed(b)).unwrap_or(bytes.len());
        prop_assert_eq!(value_end(&bytes), end(|b| b == b'\t' || (b >= 0x20 && b != 0x7f)));
        prop_assert_eq!(target_end(&bytes), end(|b| b > 0x20 && b != 0x7f));
        prop_assert_eq!(name_end(&bytes), end(crate::fields::is_token_byte));
    }
}
