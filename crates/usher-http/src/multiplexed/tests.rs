use super::*;
use crate::fields::{FieldId, Fields};
use crate::framing::{self, Framing};
use crate::head::{Request, Response, TargetForm, Version};
use crate::method::Method;
use crate::parse::{HeadLimits, HeadParser};
use crate::sanitize::{Facts, SanitizeError, Scratch, sanitize};

const LIMITS: HeadLimits = HeadLimits { line: 50, head: 500, fields: 10 };

/// `name: value` lines as pairs; a name may begin with a colon.
fn pairs(lines: &str) -> Vec<(&[u8], &[u8])> {
    let pair = |line| -> (&[u8], &[u8]) {
        let line: &str = line;
        let colon = 1 + line[1..].find(':').expect("a colon");
        (&line.as_bytes()[..colon], &line.as_bytes()[colon + 2..])
    };
    lines.split('\n').filter(|line| !line.is_empty()).map(pair).collect()
}

fn built(lines: &str, ends: bool) -> Result<Request, MessageError> {
    let mut request = Request::default();
    let mut builder = RequestBuilder::new(&mut request, Version::Http2, &LIMITS);
    for (name, value) in pairs(lines) {
        builder.field(name, value)?;
    }
    builder.finish(ends)?;
    Ok(request)
}

fn with(more: &str) -> String {
    format!(":method: GET\n:scheme: https\n:path: /a?b\n:authority: h\n{more}")
}

fn understood(lines: &str, ends: bool) -> Result<(Request, Facts, Vec<u8>), SanitizeError> {
    let mut request = built(lines, ends).unwrap_or_else(|error| panic!("{lines:?}: {error:?}"));
    request.scheme = "https";
    let mut upgrade = b"left over".to_vec();
    let facts = sanitize(&mut request, &mut Scratch::default(), &mut upgrade)?;
    Ok((request, facts, upgrade))
}

fn malformed<T: std::fmt::Debug>(outcome: Result<T, MessageError>, what: &str) {
    let outcome = outcome.map(|_| ());
    assert!(matches!(outcome, Err(MessageError::Malformed(_))), "{what:?}: {outcome:?}");
}

#[test]
fn a_request_is_the_same_as_over_http_1() {
    let lines = "user-agent: x\naccept: */*\nx-some: 1\nx-some: 2\nx-empty: \n";
    let (request, facts, _) = understood(&with(lines), true).expect("a request");
    let head = format!("GET /a?b HTTP/1.1\r\nhost: h\r\n{}\r\n", lines.replace('\n', "\r\n"));
    let mut other = Request::default();
    HeadParser::default().request(head.as_bytes(), &LIMITS, &mut other).expect("a head");
    other.scheme = "https";
    sanitize(&mut other, &mut Scratch::default(), &mut Vec::new()).expect("a request");
    let (mut one, mut two) = (Vec::new(), Vec::new());
    request.encode(b"h", &mut one);
    other.encode(b"h", &mut two);
    assert_eq!(one, two);
    assert_eq!((request.version, request.raw_target()), (Version::Http2, &b"/a?b"[..]));
    let want = Facts { framing: Framing::None, persistent: true, takes_trailers: true, ..Facts::default() };
    assert_eq!(facts, want);
}

#[test]
fn refuses_requests_that_are_malformed() {
    let get = ":method: GET\n:scheme: https\n:path: /\n:authority: h\n";
    for lines in [
        "",
        ":scheme: https\n:path: /\n:authority: h",
        ":method: GET\n:path: /\n:authority: h",
        ":method: GET\n:scheme: https\n:authority: h",
        ":method: GET\n:method: GET\n:scheme: https\n:path: /\n:authority: h",
        ":method: GET\n:scheme: https\n:scheme: https\n:path: /\n:authority: h",
        ":method: GET\n:scheme: https\n:path: /\n:path: /\n:authority: h",
        ":method: GET\n:scheme: https\n:path: /\n:authority: h\n:authority: h",
        ":method: G T\n:scheme: https\n:path: /\n:authority: h",
        ":method: \n:scheme: https\n:path: /\n:authority: h",
        ":method: GET\n:scheme: ftp\n:path: /\n:authority: h",
        ":method: GET\n:scheme: https\n:path: \n:authority: h",
        ":method: GET\n:scheme: https\n:path: a\n:authority: h",
        ":method: GET\n:scheme: https\n:path: *\n:authority: h",
        ":method: GET\n:scheme: https\n:path: https://h/\n:authority: h",
        ":method: GET\n:scheme: https\n:path: /a b\n:authority: h",
        ":method: GET\n:scheme: https\n:path: /a\tb\n:authority: h",
        ":method: GET\n:scheme: https\n:path: /\n:authority: ",
        ":method: GET\n:scheme: https\n:path: /\n:authority: user@h",
        ":method: GET\n:scheme: https\n:path: /\n:authority:  h",
        &format!("{get}:status: 200"),
        &format!("{get}:unknown: x"),
        &format!("{get}:Method: GET"),
        &format!("{get}:protocol: websocket"),
        &format!("accept: x\n{get}"),
        &format!("{get}accept: x\n:path: /"),
        &format!("{get}Accept: x"),
        &format!("{get}accept-Language: x"),
        &format!("{get}acc ept: x"),
        &format!("{get}accept\0: x"),
        &format!("{get}accépt: x"),
        &format!("{get}accept: x\0"),
        &format!("{get}accept: x\ry"),
        &format!("{get}accept: \u{1}"),
        &format!("{get}accept: \u{7f}"),
        &format!("{get}accept:  x"),
        &format!("{get}accept: x "),
        &format!("{get}accept: x\t"),
        &format!("{get}connection: close"),
        &format!("{get}keep-alive: 5"),
        &format!("{get}proxy-connection: close"),
        &format!("{get}transfer-encoding: chunked"),
        &format!("{get}upgrade: websocket"),
        &format!("{get}te: gzip"),
        &format!("{get}te: trailers, deflate"),
        &format!("{get}host: other"),
        &format!("{get}host: h:80"),
        &format!("{get}content-length: 1"),
        &format!("{get}content-length: x"),
        &format!("{get}content-length: 0\ncontent-length: 0"),
    ] {
        malformed(built(lines, true), lines);
    }
    let mut request = Request::default();
    let mut builder = RequestBuilder::new(&mut request, Version::Http2, &LIMITS);
    malformed(builder.field(b"a:b", b""), "a colon in a name");
    malformed(RequestBuilder::new(&mut request, Version::Http2, &LIMITS).field(b"", b""), "no name");
    malformed(
        RequestBuilder::new(&mut request, Version::Http2, &LIMITS).field(b"a", b"b\nc"),
        "a line's end",
    );
}

#[test]
fn takes_requests_that_are_unusual() {
    let get = with("");
    for lines in [
        ":path: /\n:authority: h\n:scheme: https\n:method: GET",
        ":method: GET\n:scheme: HTTP\n:path: /\nhost: h",
        ":method: OPTIONS\n:scheme: https\n:path: *\n:authority: h",
        ":method: BREW\n:scheme: https\n:path: /\n:authority: h",
        &format!("{get}host: H"),
        &format!("{get}host: h:443"),
        &format!("{get}te: trailers"),
        &format!("{get}accept: a\tb c\u{e9}"),
        &format!("{get}content-length: 0"),
    ] {
        assert!(built(lines, true).is_ok(), "{lines:?}: {:?}", built(lines, true));
    }
}

#[test]
fn what_is_well_formed_may_still_be_refused() {
    for (lines, want) in [
        (":method: GET\n:scheme: https\n:path: /", SanitizeError::HostMissing),
        (":method: GET\n:scheme: https\n:path: /\n:authority: a,b", SanitizeError::HostInvalid),
        (":method: GET\n:scheme: https\n:path: /\nhost: a\nhost: a", SanitizeError::HostRepeated),
        (
            ":method: GET\n:scheme: https\n:path: /\n:authority: a\nhost: a\nhost: a",
            SanitizeError::HostRepeated,
        ),
        (":method: CONNECT\n:authority: a:443", SanitizeError::Connect),
        (&with("x_forwarded_for: 1.2.3.4"), SanitizeError::Disguise),
        (&with("expect: something"), SanitizeError::Expectation),
    ] {
        assert_eq!(understood(lines, true).map(|_| ()), Err(want), "{lines:?}");
    }
}

#[test]
fn hosts_come_from_the_authority_or_the_field() {
    for (lines, host, authority) in [
        (":authority: Example.COM:8080", "example.com", "example.com:8080"),
        ("host: Example.COM:8080", "example.com", "example.com:8080"),
        (":authority: a\nhost: A.", "a", "a"),
        (":authority: [::1]:443\nhost: [0::1]", "[::1]", "[::1]:443"),
    ] {
        let lines = format!(":method: GET\n:scheme: https\n:path: /\n{lines}");
        let (request, ..) = understood(&lines, true).expect("a request");
        assert_eq!((request.host.as_str(), request.authority.as_str()), (host, authority));
        assert!(!request.fields.may_have(FieldId::Host), "written anew");
    }
}

#[test]
fn limits_hold_for_lists_too() {
    let long = "x".repeat(600);
    let path = format!("/{}", "x".repeat(50));
    let many = "a: b\n".repeat(11);
    for (lines, status) in [
        (with(&format!("a: {long}")), 431),
        (with(&many), 431),
        (format!(":method: GET\n:scheme: https\n:path: {path}\n:authority: h"), 414),
        (format!(":method: GET\n:scheme: https\n:path: /\n:authority: {long}"), 431),
    ] {
        let error = built(&lines, true).expect_err("too large");
        assert!(matches!(error, MessageError::TooLarge(_)), "{error:?}");
        assert_eq!(error.status(), status, "{lines:?}");
    }
    assert!(built(&with(&"a: b\n".repeat(10)), true).is_ok());
}

/// Browsers send a piece for every cookie, and have more of those than a head has fields.
#[test]
fn pieces_of_a_cookie_are_one_field() {
    let cookies = "cookie: a=1\n".repeat(20);
    let others = "x: 1\n".repeat(LIMITS.fields - 1);
    assert!(built(&with(&format!("{cookies}{others}")), true).is_ok());
    assert!(built(&with(&format!("{others}{cookies}")), true).is_ok());
    let more = built(&with(&format!("{cookies}{others}y: 1\n")), true);
    assert!(matches!(more, Err(MessageError::TooLarge(_))), "{more:?}");
}

#[test]
fn cookies_are_put_together() {
    let (request, ..) =
        understood(&with("cookie: a=1\nx: y\ncookie: b=2\ncookie: c=3"), true).expect("a request");
    let cookies: Vec<&[u8]> = request.fields.all(FieldId::Cookie).collect();
    assert_eq!(cookies, [b"a=1; b=2; c=3"]);
    // Empty pieces would leave white space at the ends.
    for (pieces, whole) in
        [("cookie: \ncookie: a=1\ncookie: \ncookie: b=2\ncookie: ", "a=1; b=2"), ("cookie: \ncookie: ", "")]
    {
        let (request, ..) = understood(&with(pieces), true).expect("a request");
        let cookies: Vec<&[u8]> = request.fields.all(FieldId::Cookie).collect();
        assert_eq!(cookies, [whole.as_bytes()], "{pieces:?}");
    }
    let (request, ..) = understood(&with("cookie: a=1"), true).expect("a request");
    assert_eq!(request.fields.get(FieldId::Cookie), Some(&b"a=1"[..]));
}

#[test]
fn framing_is_that_of_the_stream() {
    for (more, ends, want) in [
        ("", true, Framing::None),
        ("", false, Framing::Chunked),
        ("content-length: 0", true, Framing::Length(0)),
        ("content-length: 0", false, Framing::Length(0)),
        ("content-length: 7", false, Framing::Length(7)),
        ("content-length: 007", false, Framing::Length(7)),
    ] {
        let (_, facts, _) = understood(&with(more), ends).expect("a request");
        assert_eq!(facts.framing, want, "{more:?} {ends}");
    }
}

#[test]
fn an_extended_connect_is_an_upgrade() {
    let connect = ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:path: /chat\n:authority: h\n";
    let (request, facts, upgrade) = understood(&format!("{connect}origin: x"), false).expect("a request");
    assert_eq!((request.method, request.form), (Method::Get, TargetForm::Origin));
    assert_eq!((facts.framing, facts.upgrade, upgrade.as_slice()), (Framing::None, true, &b"websocket"[..]));
    assert!(!request.fields.may_have(FieldId::Upgrade), "for one hop only");
    for lines in [
        ":method: CONNECT\n:protocol: websocket\n:path: /\n:authority: h",
        ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: h",
        ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:path: /",
        ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:path: *\n:authority: h",
        ":method: CONNECT\n:protocol: web socket\n:scheme: https\n:path: /\n:authority: h",
        ":method: CONNECT\n:scheme: https\n:path: /\n:authority: h",
        ":method: CONNECT",
        &format!("{connect}content-length: 3"),
    ] {
        malformed(built(lines, false), lines);
    }
}

fn answered(lines: &str, ends: bool) -> Result<Response, MessageError> {
    let mut response = Response::default();
    let mut builder = ResponseBuilder::new(&mut response, Version::Http3, &LIMITS);
    for (name, value) in pairs(lines) {
        builder.field(name, value)?;
    }
    builder.finish(ends)?;
    Ok(response)
}

#[test]
fn reads_responses_and_how_long_they_are() {
    for (lines, ends, method, want) in [
        (":status: 200", false, Method::Get, Framing::Chunked),
        (":status: 200", true, Method::Get, Framing::Length(0)),
        (":status: 200\ncontent-length: 3", false, Method::Get, Framing::Length(3)),
        (":status: 200\ncontent-length: 3", true, Method::Head, Framing::None),
        (":status: 304\ncontent-length: 3", true, Method::Get, Framing::None),
        (":status: 204", true, Method::Get, Framing::None),
        (":status: 103\nlink: x", false, Method::Get, Framing::None),
    ] {
        let mut response = answered(lines, ends).expect("a response");
        assert_eq!(response.version, Version::Http3);
        assert_eq!(framing::of_response(&mut response, &method), Ok(want), "{lines:?} {ends}");
    }
    let mut response = answered(":status: 200\ncontent-length: 3", true).expect("a response");
    assert!(framing::of_response(&mut response, &Method::Get).is_err(), "it ended before its three bytes");
}

#[test]
fn refuses_responses_that_are_malformed() {
    for lines in [
        "",
        "server: x",
        ":status: 200\n:status: 200",
        ":status: 20",
        ":status: 2000",
        ":status: abc",
        ":status: 099",
        ":status: 101",
        ":status: 200\n:path: /",
        "server: x\n:status: 200",
        ":status: 200\nServer: x",
        ":status: 200\nconnection: close",
        ":status: 200\ntransfer-encoding: chunked",
        ":status: 200\na: \u{1}",
    ] {
        malformed(answered(lines, true), lines);
    }
    malformed(answered(":status: 103", true), "ends with an informational response");
}

#[test]
fn reads_trailers() {
    let read = |lines: &str| {
        let mut fields = Fields::default();
        let mut builder = TrailersBuilder::new(&mut fields, &LIMITS);
        pairs(lines).into_iter().try_for_each(|(name, value)| builder.field(name, value)).map(|()| fields)
    };
    let fields = read("grpc-status: 0\nx-sum: 1").expect("trailers");
    assert_eq!(fields.get_named(b"grpc-status"), Some(&b"0"[..]));
    for lines in [":status: 200", ":path: /", "X-Sum: 1", "connection: close", "a: \u{1}"] {
        malformed(read(lines), lines);
    }
}

type Emitted = Vec<(String, String)>;

fn emitted(each: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]))) -> Emitted {
    let mut all = Vec::new();
    each(&mut |name, value| {
        all.push((String::from_utf8_lossy(name).into(), String::from_utf8_lossy(value).into()));
    });
    all
}

fn listed(lines: &str) -> Emitted {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    pairs(lines).into_iter().map(|(name, value)| (text(name), text(value))).collect()
}

#[test]
fn what_a_request_is_on_the_wire() {
    let name = "X-Long".repeat(50);
    let head = format!(
        "POST /a?b HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\nX-Some: z\r\nX_Other: z\r\n{name}: v\r\nSec-WebSocket-Key: k\r\n\
         Connection: close, X-Hop\r\nX-Hop: x\r\nTE: trailers\r\nKeep-Alive: 1\r\nContent-Length: 3\r\n\r\n"
    );
    let mut request = Request::default();
    HeadParser::default().request(head.as_bytes(), &HeadLimits::default(), &mut request).expect("a head");
    request.scheme = "http";
    sanitize(&mut request, &mut Scratch::default(), &mut Vec::new()).expect("a request");
    let fields = format!("user-agent: y\nx-some: z\nx_other: z\n{}: v\n", name.to_lowercase());
    let first = ":scheme: http\n:authority: h:1\n:path: /a?b\n";
    let plain = format!(":method: POST\n{first}{fields}sec-websocket-key: k\ncontent-length: 3");
    assert_eq!(emitted(|emit| each_request_field(&request, b"h:1", None, emit)), listed(&plain));
    let switch = format!(":method: CONNECT\n:protocol: websocket\n{first}{fields}content-length: 3");
    assert_eq!(
        emitted(|emit| each_request_field(&request, b"h:1", Some(b"websocket"), emit)),
        listed(&switch)
    );
    request.method = Method::Options;
    request.form = TargetForm::Asterisk;
    let all = emitted(|emit| each_request_field(&request, b"h", None, emit));
    assert!(all.contains(&(":path".into(), "*".into())), "{all:?}");
}

#[test]
fn what_a_response_is_on_the_wire() {
    let response = |status| {
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\nX-Some: z\r\nSec-WebSocket-Accept: a\r\n\r\n"
        );
        let mut response = Response::default();
        HeadParser::default().response(head.as_bytes(), &LIMITS, &mut response).expect("a head");
        response
    };
    let length = "content-length: 0\n";
    let rest = "x-some: z\n";
    let accept = "sec-websocket-accept: a";
    for (status, want) in [
        (200, format!(":status: 200\n{length}{rest}{accept}")),
        (304, format!(":status: 304\n{length}{rest}{accept}")),
        (204, format!(":status: 204\n{rest}{accept}")),
        (103, format!(":status: 103\n{rest}{accept}")),
        (101, format!(":status: 200\n{rest}")),
    ] {
        assert_eq!(emitted(|emit| each_response_field(&response(status), emit)), listed(&want), "{status}");
    }
}

#[test]
fn trailers_are_passed_on_with_care() {
    let mut fields = Fields::default();
    for (name, value) in [("Grpc-Status", "0"), ("X-Held", "1"), ("Content-Length", "3"), ("Set-Cookie", "a")]
    {
        fields.add(name.as_bytes(), value.as_bytes()).expect("a field");
    }
    let all = emitted(|emit| each_trailer(&fields, &["x-held".into()], emit));
    assert_eq!(all, listed("grpc-status: 0"));
}
