//! Calls, and what is made of answers. Against real servers of gRPC: `usher/tests/peers/`.

use std::future::poll_fn;
use std::sync::Arc;

use usher_config::config::UpstreamProtocol;
use usher_http::{Fields, Framing, Request, Response, Version};
use usher_net::Stream;
use usher_wire::{Downstream as _, ReplyContext, Sink as _, Source as _, h2};

use super::FACTORY;
use super::message::{call, state};
use crate::probes::testing::{asked, build, runtime, target};

#[test]
fn messages_as_protocol_buffers_have_them() {
    assert_eq!(call(""), b"\0\0\0\0\0");
    assert_eq!(call("app.Api"), b"\0\0\0\0\x09\x0a\x07app.Api");
    let long = call(&"x".repeat(300));
    assert_eq!((&long[..8], long.len()), (&b"\0\0\0\x01\x2f\x0a\xac\x02"[..], 308));
    let cases: [(&[u8], Option<u64>); 12] = [
        (b"\0\0\0\0\x02\x08\x01", Some(1)),
        (b"\0\0\0\0\x02\x08\x02", Some(2)),
        (b"\0\0\0\0\0", Some(0)),
        // Fields that are not known, of each kind, and the state behind them.
        (b"\0\0\0\0\x07\x10\x96\x01\x1a\0\x08\x01", Some(1)),
        (b"\0\0\0\0\x10\x11\0\0\0\0\0\0\0\0\x1d\0\0\0\0\x08\x01", Some(1)),
        (b"\0\0\0\0\x03\x08\x81\x01", Some(129)),
        (b"", None),
        (b"\0\0\0\0\x05\x08\x01", None),
        (b"\x01\0\0\0\x02\x08\x01", None),
        (b"\0\0\0\0\x02\x0b\x01", None),
        (b"\0\0\0\0\x03\x12\x7f\x01", None),
        (b"\0\0\0\0\x0c\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
    ];
    for (message, expected) in cases {
        assert_eq!(state(message), expected, "{message:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_message_or_none(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
        let _ = state(&bytes);
        let mut framed = vec![0, 0, 0, 0, bytes.len() as u8];
        framed.extend(&bytes);
        let _ = state(&framed);
    }
}

/// An answer: fields of the head, the body, trailers.
type Canned =
    (&'static [(&'static str, &'static str)], &'static [u8], &'static [(&'static str, &'static str)]);

/// Answers one call over HTTP/2 without TLS; gives its path, its type and its message.
async fn answer(listener: tokio::net::TcpListener, canned: Canned) -> (String, String, Vec<u8>) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut server = h2::Server::new(Stream::Tcp(stream), &[], h2::Limits::default());
    let mut request = Request::default();
    let mut stream = poll_fn(|cx| server.poll_request(cx, &mut request)).await.unwrap().unwrap();
    let path = String::from_utf8(request.raw_target().to_vec()).unwrap();
    let kind =
        request.fields.get_named(b"content-type").map(|kind| String::from_utf8_lossy(kind).into_owned());
    let work = async {
        let mut body = Vec::new();
        while poll_fn(|cx| stream.poll_fill(cx)).await.unwrap() > 0 {
            body.extend_from_slice(stream.chunk());
            stream.consume(stream.chunk().len());
        }
        let (head, message, trailers) = canned;
        let mut response = Response::default();
        response.status = 200;
        response.fields = fields(head);
        let none: Arc<[Box<str>]> = Arc::from([]);
        let context = ReplyContext {
            version: Version::Http2,
            persistent: true,
            date: b"Sat, 01 Jan 2000 00:00:00 GMT",
            trailers: Some(&none),
            switches: false,
        };
        stream.begin_response(&response, Framing::Chunked, context);
        let mut left = message;
        while !left.is_empty() {
            let sent = poll_fn(|cx| stream.poll_send(cx, left)).await.unwrap();
            left = &left[sent..];
        }
        let trailers = fields(trailers);
        // Who has heard enough may be gone.
        let _ = poll_fn(|cx| stream.poll_finish(cx, Some(&trailers))).await;
        drop(stream);
        body
    };
    let mut work = std::pin::pin!(work);
    let mut body = None;
    // The connection is driven until the client leaves.
    poll_fn(|cx| {
        if body.is_none()
            && let std::task::Poll::Ready(done) = work.as_mut().poll(cx)
        {
            body = Some(done);
        }
        let mut more = Request::default();
        match server.poll_request(cx, &mut more) {
            std::task::Poll::Ready(_) => std::task::Poll::Ready(()),
            std::task::Poll::Pending => std::task::Poll::Pending,
        }
    })
    .await;
    (path, kind.unwrap_or_default(), body.unwrap_or_default())
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::default();
    pairs.iter().for_each(|(name, value)| fields.add(name.as_bytes(), value.as_bytes()).unwrap());
    fields
}

#[test]
fn judges_answers() {
    let cases: [(Canned, &str); 8] = [
        ((&[], b"\0\0\0\0\x02\x08\x01", &[("grpc-status", "0")]), ""),
        ((&[], b"\0\0\0\0\x02\x08\x02", &[("grpc-status", "0")]), "its state is NOT_SERVING"),
        ((&[], b"\0\0\0\0\0", &[("grpc-status", "0")]), "its state is UNKNOWN"),
        ((&[], b"", &[("grpc-status", "5")]), "it does not know the service (grpc-status 5)"),
        ((&[("grpc-status", "12")], b"", &[]), "it has no health service (grpc-status 12)"),
        (
            (&[], b"", &[("grpc-status", "14"), ("grpc-message", "in the cellar")]),
            "grpc-status 14: in the cellar",
        ),
        ((&[], b"\0\0\0\0\x02\x08\x01", &[]), "an answer without grpc-status"),
        (
            (&[], b"<html>", &[("grpc-status", "0")]),
            "its answer is malformed: no message of the health service",
        ),
    ];
    for (canned, expected) in cases {
        for protocol in [UpstreamProtocol::H1, UpstreamProtocol::H2] {
            runtime().block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let mut target = target(listener.local_addr().unwrap());
                target.protocol = protocol;
                let probe = build(&FACTORY, "service = 'app.Api'");
                let (said, (path, kind, body)) =
                    tokio::join!(asked(&*probe, &target), answer(listener, canned));
                assert_eq!(said, expected, "{canned:?}");
                assert_eq!((&*path, &*kind), (super::PATH, "application/grpc"));
                assert_eq!(body, call("app.Api"));
            });
        }
    }
}
