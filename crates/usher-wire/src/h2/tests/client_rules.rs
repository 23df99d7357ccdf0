//! The rules for what servers send.

use tokio::task::{JoinHandle, spawn_local};

use super::super::frame::Code;
use super::*;
use crate::body::Sink;
use crate::h1::RequestContext;
use crate::upstream::Upstream;

pub(super) type Driven = JoinHandle<Result<(), WireError>>;

/// A client, and the server's end of its connection, by hand; both have greeted.
pub(super) async fn connected(limits: Limits) -> (Client, Wire, Driven) {
    let (near, far) = MemoryStream::pair(CAPACITY);
    let (client, driver) = Client::new(near, limits);
    let driven = spawn_local(driver);
    let mut wire = Wire::new(far);
    wire.skip_preface().await;
    assert_eq!(wire.frame().await.map(|frame| frame.kind), Some(kind::SETTINGS));
    wire.write(&one(kind::SETTINGS, 0, 0, &[])).await;
    (client, wire, driven)
}

pub(super) fn ask(client: &Client, method: usher_http::Method, framing: Framing) -> ClientStream {
    let mut stream = client.open().expect("a stream");
    let mut request = Request::default();
    request.method = method;
    request.scheme = "https";
    request.path.push('/');
    stream.begin_request(&request, b"a.test", framing, RequestContext::default());
    stream
}

pub(super) fn status(code: &str) -> Vec<u8> {
    block(&[(":status", code)])
}

/// What becomes of a response: its statuses, its body and its trailers, or the first error.
async fn received(
    stream: &mut ClientStream,
    method: &usher_http::Method,
) -> Result<(Vec<u16>, Vec<u8>, usize), WireError> {
    let mut response = Response::default();
    let mut statuses = Vec::new();
    loop {
        poll_fn(|cx| stream.poll_response(cx, &HeadLimits::default(), &mut response)).await?;
        statuses.push(response.status);
        if !response.is_informational() {
            break;
        }
    }
    let framing = usher_http::framing::of_response(&mut response, method).map_err(WireError::Framing)?;
    stream.begin_receive(framing);
    let body = receive(stream, 7).await?;
    Ok((statuses, body, Source::trailers(stream).map_or(0, Fields::len)))
}

/// How an exchange ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// With this many heads, bytes of body, and trailers.
    Complete(usize, usize, usize),
    /// The stream is reset by us with this code.
    Resets(Code),
    /// The connection ends with this code.
    Ends(Code),
    /// The response is of no use; both sides had ended.
    Fails,
    /// The server reset the stream.
    Reset,
    Refused,
}

#[test]
fn responses() {
    use Then::*;
    let malformed = Resets(Code::Protocol);
    let head = |fields: &[(&str, &str)], ends| headers(1, ends, &block(fields));
    let length = |length, ends| head(&[(":status", "200"), ("content-length", length)], ends);
    let trailers = |ends| head(&[("x-sum", "1")], ends);
    let reset = |code: u32| one(kind::RST_STREAM, 0, 1, &code.to_be_bytes());
    let cases: Vec<(&str, Vec<Vec<u8>>, Then)> = vec![
        ("a head alone", vec![headers(1, true, &status("200"))], Complete(1, 0, 0)),
        ("a body", vec![headers(1, false, &status("200")), data(1, true, b"body")], Complete(1, 4, 0)),
        (
            "a body and trailers",
            vec![headers(1, false, &status("200")), data(1, false, b"body"), trailers(true)],
            Complete(1, 4, 1),
        ),
        ("trailers alone", vec![headers(1, false, &status("200")), trailers(true)], Complete(1, 0, 1)),
        (
            "informational heads",
            vec![
                headers(1, false, &status("100")),
                headers(1, false, &status("103")),
                headers(1, true, &status("200")),
            ],
            Complete(3, 0, 0),
        ),
        (
            "a length that is kept",
            vec![length("4", false), data(1, false, b"bo"), data(1, true, b"dy")],
            Complete(1, 4, 0),
        ),
        ("a length that is not reached", vec![length("5", false), data(1, true, b"body")], Fails),
        ("a length that is exceeded", vec![length("3", false), data(1, true, b"body")], Fails),
        ("a length and no body", vec![length("3", true)], Fails),
        ("no status", vec![head(&[("a", "b")], true)], malformed),
        ("101", vec![headers(1, false, &status("101"))], malformed),
        ("an informational head that ends", vec![headers(1, true, &status("103"))], malformed),
        ("a pseudo-field of requests", vec![head(&[(":status", "200"), (":path", "/")], true)], malformed),
        (
            "a field that only HTTP/1 has",
            vec![head(&[(":status", "200"), ("connection", "close")], true)],
            malformed,
        ),
        ("DATA before the head", vec![data(1, false, b"x")], malformed),
        ("trailers that do not end", vec![headers(1, false, &status("200")), trailers(false)], malformed),
        (
            "a second head",
            vec![headers(1, false, &status("200")), headers(1, true, &status("200"))],
            malformed,
        ),
        (
            "too many informational heads",
            vec![headers(1, false, &status("103")); 20],
            Resets(Code::EnhanceYourCalm),
        ),
        (
            "a head that is too large",
            vec![head(&[(":status", "200"), ("a", &"x".repeat(5000))], true)],
            Resets(Code::EnhanceYourCalm),
        ),
        ("a reset", vec![headers(1, false, &status("200")), reset(8)], Reset),
        ("a refusal", vec![reset(7)], Refused),
        ("GOAWAY before the stream", vec![one(kind::GOAWAY, 0, 0, &[0; 8])], Refused),
        (
            "GOAWAY behind the stream",
            vec![one(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]), headers(1, true, &status("200"))],
            Complete(1, 0, 0),
        ),
        ("DATA on a stream that never began", vec![data(3, false, b"x")], Ends(Code::Protocol)),
        (
            "HEADERS on a stream that never began",
            vec![headers(3, true, &status("200"))],
            Ends(Code::Protocol),
        ),
        ("HEADERS on an even stream", vec![headers(2, true, &status("200"))], Ends(Code::Protocol)),
        ("PUSH_PROMISE", vec![one(kind::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])], Ends(Code::Protocol)),
        ("PRIORITY_UPDATE", vec![one(16, 0, 0, b"\0\0\0\x01u=1")], Ends(Code::Protocol)),
        ("ENABLE_PUSH", vec![one(kind::SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 1])], Ends(Code::Protocol)),
        ("a block that cannot be decoded", vec![headers(1, true, &[0xff])], Ends(Code::Compression)),
        ("a frame that is too large", vec![one(0x77, 0, 0, &[0; 16385])], Ends(Code::FrameSize)),
    ];
    for (what, frames, then) in cases {
        local(async {
            let (client, mut wire, driven) = connected(limits()).await;
            let mut stream = ask(&client, usher_http::Method::Get, Framing::None);
            wire.until(kind::HEADERS, 1).await;
            wire.write(&frames.concat()).await;
            let outcome = received(&mut stream, &usher_http::Method::Get).await;
            match then {
                Complete(heads, len, trailers) => {
                    let got =
                        outcome.map(|(statuses, body, trailers)| (statuses.len(), body.len(), trailers));
                    assert!(matches!(got, Ok(got) if got == (heads, len, trailers)), "{what}: {got:?}");
                    drop(stream);
                    assert!(
                        wire.settled().await.iter().all(|frame| frame.kind != kind::RST_STREAM),
                        "{what}"
                    );
                }
                Resets(code) => {
                    assert!(outcome.is_err(), "{what}");
                    drop(stream);
                    let frames = wire.settled().await;
                    let reset = frames.iter().find(|frame| frame.is(kind::RST_STREAM, 1));
                    assert_eq!(reset.map(|frame| frame.number(0)), Some(code as u32), "{what}");
                    assert!(client.is_open(), "{what}");
                }
                Ends(code) => {
                    assert!(matches!(outcome, Err(WireError::Protocol(_))), "{what}: {outcome:?}");
                    assert_eq!(wire.until(kind::GOAWAY, 0).await.number(4), code as u32, "{what}");
                    assert!(!client.is_open() && client.open().is_none(), "{what}");
                    assert!(matches!(driven.await.expect("no panic"), Err(WireError::Protocol(_))), "{what}");
                }
                Fails => assert!(outcome.is_err() && client.is_open(), "{what}"),
                Reset => assert!(matches!(outcome, Err(WireError::Reset(8))), "{what}: {outcome:?}"),
                Refused => assert!(matches!(outcome, Err(WireError::Refused)), "{what}: {outcome:?}"),
            }
        });
    }
}

#[test]
fn head_and_bodies() {
    for (payload, is_right) in [(&b""[..], true), (b"x", false)] {
        local(async {
            let (client, mut wire, _driven) = connected(limits()).await;
            let mut stream = ask(&client, usher_http::Method::Head, Framing::None);
            wire.until(kind::HEADERS, 1).await;
            let head = block(&[(":status", "200"), ("content-length", "5")]);
            wire.write(&[headers(1, false, &head), data(1, true, payload)].concat()).await;
            let outcome = received(&mut stream, &usher_http::Method::Head).await;
            assert_eq!(outcome.is_ok(), is_right, "{outcome:?}");
        });
    }
}

/// RFC 9113 section 8.1: a response that is complete is good, whatever becomes of the rest of the request.
#[test]
fn a_reset_behind_the_response_is_no_loss() {
    local(async {
        let (client, mut wire, _driven) = connected(limits()).await;
        let mut stream = ask(&client, usher_http::Method::Post, Framing::Chunked);
        wire.until(kind::HEADERS, 1).await;
        let reset = one(kind::RST_STREAM, 0, 1, &0u32.to_be_bytes());
        wire.write(&[headers(1, false, &status("413")), data(1, true, b"no"), reset].concat()).await;
        wire.settled().await;
        assert!(poll_fn(|cx| stream.poll_send(cx, b"more")).await.is_err());
        let (statuses, body, _) = received(&mut stream, &usher_http::Method::Post).await.expect("a response");
        assert_eq!((statuses.as_slice(), body.as_slice()), (&[413][..], &b"no"[..]));
    });
}

/// Who refuses a request of which a part of the body was sent already gets it no second time: the part is gone.
#[test]
fn a_refusal_behind_a_part_of_the_body_is_a_reset() {
    let ways = [one(kind::RST_STREAM, 0, 1, &7u32.to_be_bytes()), one(kind::GOAWAY, 0, 0, &[0; 8])];
    for (body, refused) in [(&b""[..], true), (b"begun", false)] {
        for way in &ways {
            local(async {
                let (client, mut wire, _driven) = connected(limits()).await;
                let mut stream = ask(&client, usher_http::Method::Post, Framing::Chunked);
                wire.until(kind::HEADERS, 1).await;
                send(&mut stream, body).await.expect("sent");
                wire.write(way).await;
                wire.settled().await;
                let outcome = received(&mut stream, &usher_http::Method::Post).await;
                match refused {
                    true => assert!(matches!(outcome, Err(WireError::Refused)), "{outcome:?}"),
                    false => assert!(matches!(outcome, Err(WireError::Reset(7))), "{outcome:?}"),
                }
            });
        }
    }
}

#[test]
fn what_a_request_is() {
    local(async {
        let (client, mut wire, _driven) = connected(limits()).await;
        let mut stream = ask(&client, usher_http::Method::Get, Framing::None);
        let head = wire.until(kind::HEADERS, 1).await;
        assert_eq!(head.flags, flag::END_HEADERS | flag::END_STREAM);
        assert!(stream.is_send_done());
        poll_fn(|cx| stream.poll_finish(cx, None)).await.expect("nothing to do");
        let mut fields = Vec::new();
        let mut decoder = crate::hpack::Decoder::new(4096);
        decoder
            .decode(&head.payload, |name, value| fields.push((name.to_vec(), value.to_vec())))
            .expect("a block");
        let want = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")];
        let want: Vec<_> =
            want.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).into();
        assert_eq!(fields, want);
        // Dropped before its response came.
        drop(stream);
        assert_eq!(wire.until(kind::RST_STREAM, 1).await.number(0), Code::Cancel as u32);
    });
}

#[test]
fn streams_are_bounded_by_the_server() {
    local(async {
        let (client, mut wire, _driven) = connected(limits()).await;
        assert_eq!(client.max_streams(), 100);
        wire.write(&one(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 2])).await;
        wire.settled().await;
        let streams = [client.open(), client.open(), client.open()];
        assert_eq!(streams.iter().flatten().count(), 2);
        assert_eq!((client.streams(), client.max_streams()), (2, 2));
        drop(streams);
        assert!(wire.settled().await.is_empty(), "streams that never began need no reset");
    });
}

#[test]
fn a_connection_that_breaks_tells_its_streams() {
    local(async {
        let (client, mut wire, driven) = connected(limits()).await;
        let mut silent = ask(&client, usher_http::Method::Get, Framing::None);
        let mut begun = ask(&client, usher_http::Method::Get, Framing::None);
        let mut complete = ask(&client, usher_http::Method::Get, Framing::None);
        wire.until(kind::HEADERS, 5).await;
        wire.write(&headers(3, false, &status("200"))).await;
        wire.write(&[headers(5, false, &status("200")), data(5, true, b"all")].concat()).await;
        wire.settled().await;
        drop(wire);
        let method = usher_http::Method::Get;
        assert!(matches!(received(&mut silent, &method).await, Err(WireError::Closed)), "nothing came");
        assert!(matches!(received(&mut begun, &method).await, Err(WireError::Truncated)), "not all came");
        assert_eq!(received(&mut complete, &method).await.expect("all came").1, b"all");
        assert!(driven.await.expect("no panic").is_err());
        assert!(!client.is_open());
    });
}
