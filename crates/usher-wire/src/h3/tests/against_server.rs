//! A client made by hand, that breaks rules.

use super::*;

/// Where the bytes go.
#[derive(Clone, Copy, Debug)]
enum On {
    /// The control stream, behind empty settings.
    Control,
    /// A unidirectional stream of their own, type included.
    Uni,
    /// A unidirectional stream that ends with them.
    UniEnded,
    /// A request.
    Request,
    /// A request that ends with them.
    RequestEnded,
}

fn connection_errors() -> Vec<(&'static str, On, Vec<u8>, u64)> {
    let mut cases = vec![
        ("settings twice", On::Control, vec![0x04, 0x00], 0x105),
        ("DATA on control", On::Control, vec![0x00, 0x00], 0x105),
        ("HEADERS on control", On::Control, vec![0x01, 0x00], 0x105),
        ("PUSH_PROMISE on control", On::Control, vec![0x05, 0x01, 0x00], 0x105),
        ("CANCEL_PUSH of no push", On::Control, vec![0x03, 0x01, 0x00], 0x108),
        ("lowered MAX_PUSH_ID", On::Control, vec![0x0d, 0x01, 0x05, 0x0d, 0x01, 0x04], 0x108),
        ("raised GOAWAY", On::Control, vec![0x07, 0x01, 0x04, 0x07, 0x01, 0x08], 0x108),
        ("GOAWAY without number", On::Control, vec![0x07, 0x00], 0x106),
        ("GOAWAY with more", On::Control, vec![0x07, 0x02, 0x00, 0x00], 0x106),
        ("GOAWAY too long", On::Control, vec![0x07, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0x106),
        ("second control stream", On::Uni, vec![0x00, 0x04, 0x00], 0x103),
        ("push stream of a client", On::Uni, vec![0x01, 0x00], 0x103),
        ("closed encoder stream", On::UniEnded, vec![0x02], 0x104),
        ("closed decoder stream", On::UniEnded, vec![0x03], 0x104),
        ("nonsense for the table", On::Uni, vec![0x02, 0x00], 0x201),
        ("acknowledgement of nothing", On::Uni, vec![0x03, 0x80], 0x202),
        ("increment of nothing", On::Uni, vec![0x03, 0x01], 0x202),
        ("DATA before HEADERS", On::Request, vec![0x00, 0x01, 0x61], 0x105),
        ("SETTINGS on a request", On::Request, vec![0x04, 0x00], 0x105),
        ("PRIORITY_UPDATE of no request", On::Control, frame_of(0xf_0700, &[1]), 0x108),
        ("PRIORITY_UPDATE of nothing", On::Control, frame_of(0xf_0700, &[]), 0x106),
        ("GOAWAY on a request", On::Request, vec![0x07, 0x01, 0x00], 0x105),
        ("MAX_PUSH_ID on a request", On::Request, vec![0x0d, 0x01, 0x00], 0x105),
        ("CANCEL_PUSH on a request", On::Request, vec![0x03, 0x01, 0x00], 0x105),
        ("PUSH_PROMISE on a request", On::Request, vec![0x05, 0x01, 0x00], 0x105),
        ("PRIORITY_UPDATE on a request", On::Request, frame_of(0xf_0700, &[0]), 0x105),
        ("head that is cut", On::RequestEnded, vec![0x01, 0x05, 0x00], 0x106),
        ("frame that is cut", On::RequestEnded, vec![0x01], 0x106),
        ("unknown frame that is cut", On::RequestEnded, vec![0x21, 0x05, 0x00], 0x106),
        ("DATA that is cut", On::RequestEnded, [get_with(&[]), vec![0x00, 0x05, 0x61]].concat(), 0x106),
        ("head of nonsense", On::Request, frame_of(0x1, &[0, 0, 0xff, 0xff]), 0x200),
        (
            "trailers of nonsense",
            On::Request,
            [get_with(&[]), frame_of(0x1, &[0, 0, 0xff, 0xff])].concat(),
            0x200,
        ),
        (
            "DATA after trailers",
            On::Request,
            [get_with(&[]), headers(&[("a", "b")]), vec![0, 0]].concat(),
            0x105,
        ),
        (
            "HEADERS after trailers",
            On::Request,
            [get_with(&[]), headers(&[("a", "b")]), headers(&[("a", "b")])].concat(),
            0x105,
        ),
    ];
    for kind in [0x02, 0x06, 0x08, 0x09] {
        cases.push(("frame of HTTP/2 on control", On::Control, vec![kind, 0x00], 0x105));
        cases.push(("frame of HTTP/2 on a request", On::Request, vec![kind, 0x00], 0x105));
        cases.push((
            "frame of HTTP/2 in a body",
            On::Request,
            [get_with(&[]), vec![kind, 0]].concat(),
            0x105,
        ));
    }
    cases
}

#[test]
fn broken_rules_end_the_connection_with_their_code() {
    run(async {
        let ground = Ground::new();
        for (what, on, bytes, code) in connection_errors() {
            let (client, server) = ground.connect().await;
            let serving = echo_all(server);
            let mut raw = Raw::new(client).await;
            let (mut held, mut unis) = (Vec::new(), Vec::new());
            match on {
                On::Control => {
                    let _ = put(&mut raw.control, &bytes).await;
                }
                On::Uni => unis.push(uni(&raw.connection, &bytes).await),
                On::UniEnded => {
                    let mut stream = uni(&raw.connection, &bytes).await;
                    stream.finish().expect("finished");
                    unis.push(stream);
                }
                On::Request => held.push(raw.ask(&bytes, false).await),
                On::RequestEnded => held.push(raw.ask(&bytes, true).await),
            }
            assert_eq!(closed(&raw.connection).await, ConnectionError::Application(code), "{what}");
            let end = serving.await.expect("the server");
            assert!(matches!(end, Err(WireError::Protocol(_))), "{what}: {end:?}");
        }
    });
}

#[test]
fn first_frames_of_the_control_stream_are_checked() {
    run(async {
        let ground = Ground::new();
        for (what, bytes, code) in [
            ("no settings first", vec![0x00, 0x07, 0x01, 0x00], 0x10a),
            ("an unknown frame first", vec![0x00, 0x21, 0x00], 0x10a),
            ("setting of HTTP/2", vec![0x00, 0x04, 0x02, 0x02, 0x00], 0x109),
            ("setting twice", vec![0x00, 0x04, 0x04, 0x21, 0x00, 0x21, 0x00], 0x109),
            ("malformed settings", vec![0x00, 0x04, 0x01, 0x06], 0x106),
            ("settings without end", vec![0x00, 0x04, 0x60, 0x00], 0x107),
        ] {
            let (client, server) = ground.connect().await;
            echo_all(server);
            let _control = uni(&client, &bytes).await;
            assert_eq!(closed(&client).await, ConnectionError::Application(code), "{what}");
        }
        let (client, server) = ground.connect().await;
        echo_all(server);
        let mut control = uni(&client, &[0x00, 0x04, 0x00]).await;
        control.finish().expect("finished");
        assert_eq!(closed(&client).await, ConnectionError::Application(0x104), "closed control stream");
        let (client, server) = ground.connect().await;
        echo_all(server);
        let mut control = uni(&client, &[0x00, 0x04, 0x00]).await;
        settle().await;
        control.reset(0);
        assert_eq!(closed(&client).await, ConnectionError::Application(0x104), "reset control stream");
    });
}

#[test]
fn broken_messages_reset_their_stream_only() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        echo_all(server);
        let raw = Raw::new(client).await;
        let data = |payload: &[u8]| frame_of(0x0, payload);
        for (what, bytes, code) in [
            ("no request", vec![], 0x10d),
            ("no :method", headers(&GET[1..]), 0x10e),
            ("upper case", get_with(&[("Upper", "x")]), 0x10e),
            ("connection field", get_with(&[("connection", "close")]), 0x10e),
            ("pseudo-field after a field", headers(&[("a", "b"), GET[0], GET[1], GET[2], GET[3]]), 0x10e),
            ("unknown pseudo-field", get_with(&[(":other", "x")]), 0x10e),
            ("length without body", get_with(&[("content-length", "5")]), 0x10e),
            ("body too short", [get_with(&[("content-length", "5")]), data(b"1234")].concat(), 0x10e),
            ("body too long", [get_with(&[("content-length", "5")]), data(b"123456")].concat(), 0x10e),
            (
                "body in parts too long",
                [get_with(&[("content-length", "5")]), data(b"123"), data(b"456")].concat(),
                0x10e,
            ),
            ("pseudo-field in trailers", [get_with(&[]), headers(&[(":status", "200")])].concat(), 0x10e),
        ] {
            let (_to, mut from) = raw.ask(&bytes, true).await;
            assert_eq!(take(&mut from).await, Err(StreamError::Reset(code)), "{what}");
        }
        let (_to, mut from) = raw.ask(&get_with(&[]), true).await;
        assert_eq!(status(&take(&mut from).await.expect("an answer")), "200", "the connection lives on");
    });
}

#[test]
fn what_is_unknown_is_ignored() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        echo_all(server);
        let mut raw = Raw::new(client).await;
        let _streams =
            (uni(&raw.connection, &[0x21, 1, 2, 3]).await, uni(&raw.connection, &[0x40, 0x54]).await);
        let unknown = frame_of(0x21, &[9; 5000]);
        put(&mut raw.control, &[&unknown[..], &frame_of(0xf_0700, &[0, b'u', b'=', b'1'])].concat())
            .await
            .expect("put");
        put(&mut raw.control, &numbered(0x0d, 7)).await.expect("put");
        put(&mut raw.control, &numbered(0x07, 0)).await.expect("put");
        let body = frame_of(0x0, b"hello");
        let trailers = headers(&[("a", "b")]);
        let all = [&unknown[..], &get_with(&[]), &unknown, &body, &unknown, &trailers, &unknown].concat();
        // In every possible pair of parts.
        for cut in [1, 2, 5003, 5004, 5006, all.len() - 5000, all.len() - 1] {
            let (mut to, mut from) = raw.ask(&all[..cut], false).await;
            settle().await;
            put(&mut to, &all[cut..]).await.expect("put");
            to.finish().expect("finished");
            let answer = take(&mut from).await.expect("an answer");
            assert_eq!(status(&answer), "200");
            assert!(answer.windows(5).any(|window| window == b"hello"));
        }
    });
}

#[test]
fn head_beyond_the_limits_is_answered() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        echo_all(server);
        let raw = Raw::new(client).await;
        let (large, many) = ("x".repeat(40 << 10), vec![("a", "b"); 200]);
        let larger = "x".repeat(100 << 10);
        for (what, head, expected) in [
            ("large", get_with(&[("a", &large)]), "431"),
            ("not even read", get_with(&[("a", &larger)]), "431"),
            ("many", get_with(&many), "431"),
            (
                "long path",
                headers(&[GET[0], GET[1], GET[2], (":path", &format!("/{}", &large[..9000]))]),
                "414",
            ),
        ] {
            let (_to, mut from) = raw.ask(&head, true).await;
            let answer = take(&mut from).await.expect("an answer");
            assert_eq!(status(&answer), expected, "{what}");
        }
        let (_to, mut from) = raw.ask(&get_with(&[]), true).await;
        assert_eq!(status(&take(&mut from).await.expect("an answer")), "200", "the connection lives on");
    });
}

#[test]
fn requests_behind_the_last_goaway_are_rejected() {
    run(async {
        let ground = Ground::new();
        let (client, connection) = ground.connect().await;
        let raw = Raw::new(client).await;
        let mut server = Server::new(connection, Limits::default());
        let mut seen = Request::default();
        let (_to, mut first) = raw.ask(&get_with(&[]), true).await;
        let served = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
        server.shut_down();
        // On its way when the announcement was made.
        let (_to, mut second) = raw.ask(&get_with(&[]), true).await;
        let late = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
        server.shut_down();
        let serving = tokio::task::spawn_local(async move {
            let mut seen = Request::default();
            next(&mut server, &mut seen).await.expect("an orderly end").is_none()
        });
        let (_to, mut third) = raw.ask(&get_with(&[]), true).await;
        assert_eq!(take(&mut third).await, Err(StreamError::Reset(0x10b)));
        for (served, asked) in [(served, &mut first), (late, &mut second)] {
            echo(served).await.expect("answered");
            assert_eq!(status(&take(asked).await.expect("an answer")), "200");
        }
        assert!(serving.await.expect("the server"), "ended");
        assert_eq!(closed(&raw.connection).await, ConnectionError::Application(0x100));
    });
}

#[test]
fn heads_that_cannot_be_served_are_handed_over_as_such() {
    run(async {
        let ground = Ground::new();
        let (client, connection) = ground.connect().await;
        let raw = Raw::new(client).await;
        let mut server = Server::new(connection, Limits::default());
        let large = "x".repeat(40 << 10);
        let mut seen = Request::default();
        for (head, expected) in [(headers(&[("A", "b")]), 400), (get_with(&[("a", &large)]), 431)] {
            let (_to, mut from) = raw.ask(&head, true).await;
            let mut stream = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
            let error = stream.refused().expect("a head that cannot be served");
            assert_eq!((error.status(), seen.raw_target()), (expected, &b""[..]));
            respond(&mut stream, expected, Framing::None);
            let sent = finish(&mut stream, None).await;
            assert_eq!(sent.is_ok(), expected == 431, "{sent:?}");
            if let Err(error) = sent {
                assert!(matches!(error, WireError::Protocol(_)), "{error:?}");
            }
            let answer = take(&mut from).await;
            assert_eq!(answer.is_ok(), expected == 431, "{answer:?}");
            assert!(stream.is_answered());
        }
    });
}

/// Polls a server until so many heads of requests are incomplete.
async fn until_incomplete(server: &mut Server, number: usize) {
    let mut seen = Request::default();
    while server.incomplete() < number {
        let polled =
            poll_fn(|cx| std::task::Poll::Ready(server.poll_request(cx, &mut seen).is_pending())).await;
        assert!(polled);
        tokio::task::yield_now().await;
    }
}

#[test]
fn heads_that_never_come_can_be_given_up() {
    run(async {
        let ground = Ground::new();
        let (client, connection) = ground.connect().await;
        let raw = Raw::new(client).await;
        let mut server = Server::new(connection, Limits::default());
        let (_to, mut from) = raw.ask(&get_with(&[])[..5], false).await;
        until_incomplete(&mut server, 1).await;
        let (_to, mut later) = raw.ask(&get_with(&[])[..5], false).await;
        until_incomplete(&mut server, 2).await;
        server.drop_incomplete();
        assert_eq!((server.incomplete(), server.streams()), (1, 1), "the second one has just begun");
        assert_eq!(take(&mut from).await, Err(StreamError::Reset(0x10c)));
        server.drop_incomplete();
        assert_eq!((server.incomplete(), server.streams()), (0, 0));
        assert_eq!(take(&mut later).await, Err(StreamError::Reset(0x10c)));
    });
}
