//! A server made by hand, that breaks rules.

use super::*;

/// A client, and the other end of its connection with settings sent.
async fn against(ground: &Ground) -> (Client, Connection, SendStream) {
    let (client, server) = ground.connect().await;
    let client = client_of(client);
    let control = uni(&server, &[0x00, 0x04, 0x00]).await;
    (client, server, control)
}

/// Asks with our client, answers with `bytes`.
async fn answered(
    client: &Client,
    server: &Connection,
    bytes: &[u8],
) -> (ClientStream, Result<Response, WireError>, SendStream, RecvStream) {
    let mut stream = client.open().expect("a stream");
    begin(&mut stream, &request("GET", "/"), Framing::None);
    finish(&mut stream, None).await.expect("sent");
    let (mut to, from) = poll_fn(|cx| server.poll_accept_bi(cx)).await.expect("a stream");
    put(&mut to, bytes).await.expect("put");
    let _ = to.finish();
    let head = response(&mut stream).await;
    (stream, head, to, from)
}

#[test]
fn broken_rules_end_the_connection_with_their_code() {
    run(async {
        let ground = Ground::new();
        for (what, bytes, code) in [
            ("settings twice", vec![0x04, 0x00], 0x105),
            ("MAX_PUSH_ID of a server", vec![0x0d, 0x01, 0x00], 0x105),
            ("PRIORITY_UPDATE of a server", frame_of(0xf_0700, &[0]), 0x105),
            ("GOAWAY of no request", vec![0x07, 0x01, 0x03], 0x108),
            ("raised GOAWAY", vec![0x07, 0x01, 0x04, 0x07, 0x01, 0x08], 0x108),
            ("CANCEL_PUSH", vec![0x03, 0x01, 0x00], 0x108),
        ] {
            let (_client, server, mut control) = against(&ground).await;
            let _ = put(&mut control, &bytes).await;
            assert_eq!(closed(&server).await, ConnectionError::Application(code), "{what}");
        }
        let (_client, server, _control) = against(&ground).await;
        let _push = uni(&server, &[0x01, 0x00]).await;
        assert_eq!(closed(&server).await, ConnectionError::Application(0x108), "push");
        for (what, bytes, code) in [
            ("DATA before HEADERS", vec![0x00, 0x01, 0x61], 0x105),
            ("PUSH_PROMISE", vec![0x05, 0x01, 0x00], 0x108),
            ("head of nonsense", frame_of(0x1, &[0, 0, 0xff, 0xff]), 0x200),
            ("head that is cut", vec![0x01, 0x05, 0x00], 0x106),
        ] {
            let (client, server, _control) = against(&ground).await;
            let (_stream, head, ..) = answered(&client, &server, &bytes).await;
            assert!(matches!(head, Err(WireError::Protocol(_))), "{what}: {head:?}");
            assert_eq!(closed(&server).await, ConnectionError::Application(code), "{what}");
        }
    });
}

#[test]
fn broken_messages_break_their_stream_only() {
    run(async {
        let ground = Ground::new();
        let (client, server, _control) = against(&ground).await;
        for (what, bytes) in [
            ("nothing", vec![]),
            ("no status", headers(&[("a", "b")])),
            ("101", headers(&[(":status", "101")])),
            ("only informational", headers(&[(":status", "103")])),
            ("request fields", headers(&GET)),
        ] {
            let (_stream, head, _to, mut from) = answered(&client, &server, &bytes).await;
            assert!(matches!(head, Err(WireError::Protocol(_))), "{what}: {head:?}");
            // The request was complete already; who goes on reading sees its end, or a reset.
            let _ = take(&mut from).await;
        }
        let ok = [headers(&[(":status", "200")]), frame_of(0, b"hello")].concat();
        let (mut stream, head, ..) = answered(&client, &server, &ok).await;
        assert_eq!(head.expect("a head").status, 200);
        stream.begin_receive(Framing::Length(6));
        let read = receive(&mut stream, 10).await;
        assert!(matches!(read, Err(WireError::Protocol(_))), "shorter than declared: {read:?}");
        let (mut stream, head, ..) = answered(&client, &server, &ok).await;
        head.expect("a head");
        stream.begin_receive(Framing::Length(4));
        let read = receive(&mut stream, 10).await;
        assert!(matches!(read, Err(WireError::Protocol(_))), "longer than declared: {read:?}");
    });
}

#[test]
fn what_was_not_processed_is_told_apart() {
    run(async {
        let ground = Ground::new();
        let (client, server, mut control) = against(&ground).await;
        let mut open = Vec::new();
        for _ in 0..3 {
            let mut stream = client.open().expect("a stream");
            begin(&mut stream, &request("GET", "/"), Framing::None);
            finish(&mut stream, None).await.expect("sent");
            open.push(stream);
        }
        let (mut first, _from) = poll_fn(|cx| server.poll_accept_bi(cx)).await.expect("a stream");
        let (mut second, _from) = poll_fn(|cx| server.poll_accept_bi(cx)).await.expect("a stream");
        // The third is behind the GOAWAY; the second is reset as not processed.
        put(&mut control, &numbered(0x07, 8)).await.expect("put");
        second.reset(0x10b);
        put(&mut first, &headers(&[(":status", "204")])).await.expect("put");
        first.finish().expect("finished");
        let third = response(&mut open[2]).await;
        assert!(matches!(third, Err(WireError::Refused)), "{third:?}");
        let second = response(&mut open[1]).await;
        assert!(matches!(second, Err(WireError::Refused)), "{second:?}");
        assert_eq!(response(&mut open[0]).await.expect("a head").status, 204);
        assert!(!client.is_open() && client.open().is_none());
        open.clear();
        assert_eq!(closed(&server).await, ConnectionError::Application(0x100), "closed after the last one");
    });
}

#[test]
fn waiting_request_learns_of_the_goaway() {
    run(async {
        let ground = Ground::new();
        let (client, _server, mut control) = against(&ground).await;
        let mut stream = client.open().expect("a stream");
        begin(&mut stream, &request("GET", "/"), Framing::None);
        finish(&mut stream, None).await.expect("sent");
        let waiting = tokio::task::spawn_local(async move { response(&mut stream).await });
        settle().await;
        put(&mut control, &numbered(0x07, 0)).await.expect("put");
        let answer = waiting.await.expect("the task");
        assert!(matches!(answer, Err(WireError::Refused)), "{answer:?}");
    });
}

#[test]
fn refused_upgrade_is_an_ordinary_response() {
    run(async {
        let ground = Ground::new();
        let (client, server, _control) = against(&ground).await;
        let mut stream = client.open().expect("a stream");
        let context = RequestContext { upgrade: Some(b"websocket"), ..RequestContext::default() };
        stream.begin_request(&request("GET", "/"), b"localhost", Framing::None, context);
        finish(&mut stream, None).await.expect("sent");
        let (mut to, _from) = poll_fn(|cx| server.poll_accept_bi(cx)).await.expect("a stream");
        put(&mut to, &[headers(&[(":status", "403")]), frame_of(0, b"no")].concat()).await.expect("put");
        to.finish().expect("finished");
        assert_eq!(response(&mut stream).await.expect("a head").status, 403);
        stream.begin_receive(Framing::Close);
        assert_eq!(receive(&mut stream, 10).await.expect("a body"), b"no");
    });
}
