//! Extended CONNECT (RFC 8441), on both sides.

use std::task::Poll;

use super::super::frame::Code;
use super::client_rules::{ask, connected, status};
use super::stage::{Stage, pull, push};
use super::*;
use crate::body::Sink;
use crate::h1::RequestContext;
use crate::testing::once;
use crate::upstream::Upstream;

const TAKEN: [u8; 6] = [0, 8, 0, 0, 0, 1];

fn chat(client: &Client) -> ClientStream {
    let mut stream = client.open().expect("a stream");
    let mut request = Request::default();
    request.scheme = "https";
    request.path.push_str("/chat");
    let context = RequestContext { upgrade: Some(b"websocket"), ..RequestContext::default() };
    stream.begin_request(&request, b"a.test", Framing::None, context);
    stream
}

#[test]
fn an_extended_connect_looks_like_an_upgrade() {
    local(async {
        let (client, mut wire, _driven) = connected(limits()).await;
        assert!(!client.takes_connect_protocol());
        wire.write(&one(kind::SETTINGS, 0, 0, &[0, 8, 0, 0, 0, 1])).await;
        wire.settled().await;
        assert!(client.takes_connect_protocol());
        let mut stream = chat(&client);
        poll_fn(|cx| stream.poll_finish(cx, None)).await.expect("the tunnel stays open");
        let head = wire.until(kind::HEADERS, 1).await;
        assert_eq!(head.flags, flag::END_HEADERS);
        wire.write(&headers(1, false, &status("200"))).await;
        let mut response = Response::default();
        poll_fn(|cx| stream.poll_response(cx, &HeadLimits::default(), &mut response)).await.expect("a head");
        assert_eq!(response.status, 101);
        assert_eq!(response.fields.get(usher_http::FieldId::Upgrade), Some(&b"websocket"[..]));
        stream.begin_receive(Framing::None);
        stream.begin_tunnel();
        send(&mut stream, b"hello").await.expect("sent");
        assert_eq!(wire.until(kind::DATA, 1).await.payload, b"hello");
        wire.write(&data(1, true, b"bye")).await;
        assert_eq!(receive(&mut stream, 10).await.expect("received"), b"bye");
        finish(&mut stream, None).await.expect("sent");
        let end = wire.until(kind::DATA, 1).await;
        assert_eq!((end.flags, end.payload.len()), (flag::END_STREAM, 0));
        drop(stream);
        assert!(wire.settled().await.iter().all(|frame| frame.kind != kind::RST_STREAM));
    });
}

/// RFC 8441 section 3: only who was told that it is taken may send it. The first requests of a connection wait for that.
#[test]
fn a_client_waits_for_the_settings() {
    for (settings, is_taken) in [(&TAKEN[..], true), (&[], false)] {
        local(async {
            let (near, far) = MemoryStream::pair(CAPACITY);
            let (client, driver) = Client::new(near, limits());
            tokio::task::spawn_local(driver);
            let given_up = chat(&client);
            let mut stream = chat(&client);
            drop(given_up);
            assert_eq!(stream.id(), 0, "nothing is known yet");
            let mut wire = Wire::new(far);
            wire.skip_preface().await;
            wire.write(&one(kind::SETTINGS, 0, 0, settings)).await;
            let sent = wire.settled().await;
            let heads: Vec<u32> =
                sent.iter().filter(|frame| frame.kind == kind::HEADERS).map(|frame| frame.stream).collect();
            assert_eq!(heads, if is_taken { vec![1] } else { vec![] });
            let mut response = Response::default();
            let polled = once(|cx| stream.poll_response(cx, &HeadLimits::default(), &mut response));
            match is_taken {
                true => assert!(polled.is_pending() && stream.id() == 1),
                false => assert!(matches!(polled, Poll::Ready(Err(WireError::Protocol(_)))), "{polled:?}"),
            }
        });
    }
}

/// RFC 9113 section 8.5: only DATA is sent in a tunnel.
#[test]
fn a_tunnel_has_no_trailers() {
    let mut stage = Stage::new(limits());
    let head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat")];
    let head = block(&[&head[..], &[(":authority", "a.test")]].concat());
    let mut stream = stage.request(&headers(3, false, &head));
    stage.frames();
    let trailers = all_trailers();
    let switch = ReplyContext { switches: true, ..reply(&trailers) };
    stream.begin_response(&response(101, &[("upgrade", "websocket")]), Framing::None, switch);
    stream.begin_tunnel();
    stage.write(&data(3, false, b"hello"));
    stage.turn();
    assert_eq!((pull(&mut stream, 10), push(&mut stream, b"hello")), (5, 5));
    stage.write(&headers(3, true, &block(&[("a", "b")])));
    stage.turn();
    let reset = stage.frames().into_iter().find(|frame| frame.is(kind::RST_STREAM, 3)).expect("a reset");
    assert_eq!(reset.number(0), Code::Protocol as u32);
}

/// RFC 9113 section 8.5: what happens behind the tunnel is an error of the connection behind it.
#[test]
fn a_tunnel_that_breaks_is_an_error_of_its_own() {
    let mut stage = Stage::new(limits());
    let mut stream = stage.request(&get(1, "/"));
    stream.begin_tunnel();
    stream.abort();
    drop(stream);
    stage.turn();
    let reset = stage.frames().into_iter().find(|frame| frame.is(kind::RST_STREAM, 1)).expect("a reset");
    assert_eq!(reset.number(0), Code::Connect as u32);
}

/// A server that was asked and is silent for long gets no further requests; one that speaks does.
#[test]
fn a_server_that_is_silent_is_given_up() {
    for (silent, is_open) in [(true, false), (false, true)] {
        local(async {
            let (client, mut wire, _driven) = connected(limits()).await;
            wire.settled().await;
            if silent {
                client.hear_nothing_for(std::time::Duration::from_secs(60));
            }
            drop(ask(&client, usher_http::Method::Get, Framing::None));
            assert_eq!(client.is_open(), is_open);
        });
    }
}
