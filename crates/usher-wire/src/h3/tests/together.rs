//! Our client with our server.

use std::rc::Rc;

use super::*;

#[test]
fn requests_are_seen_and_answered_as_they_were_made() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let client = client_of(client);
        let mut asked = request("GET", "/a/path");
        asked.query = Some("q=1".to_owned());
        asked.fields.add(b"X-Custom", b"a value").expect("a field");
        asked.fields.add(b"Cookie", b"a=1").expect("a field");
        let mut stream = client.open().expect("a stream");
        begin(&mut stream, &asked, Framing::None);
        finish(&mut stream, None).await.expect("sent");
        let mut server = Server::new(server, Limits::default());
        let mut seen = Request::default();
        let mut served = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
        assert_eq!(seen.method.as_str(), "GET");
        assert_eq!(seen.raw_target(), b"/a/path?q=1");
        assert_eq!(seen.fields.get_named(b"host"), Some(&b"localhost"[..]));
        assert_eq!(seen.fields.get_named(b"x-custom"), Some(&b"a value"[..]));
        assert_eq!(seen.fields.get_named(b"cookie"), Some(&b"a=1"[..]));
        assert_eq!(usher_http::framing::of_request(&mut seen), Ok(Framing::None));
        assert!(!served.is_early());
        assert!(receive(&mut served, 10).await.expect("no body").is_empty());
        assert!(served.is_done());
        let mut early_hints = Response::default();
        early_hints.status = 103;
        served.inform(&early_hints);
        respond(&mut served, 404, Framing::Length(5));
        send(&mut served, b"never").await.expect("sent");
        finish(&mut served, None).await.expect("finished");
        drop(served);
        let serving = async { next(&mut server, &mut seen).await.expect("an orderly end") };
        let asking = async {
            assert_eq!(response(&mut stream).await.expect("hints").status, 103);
            let head = response(&mut stream).await.expect("a head");
            assert_eq!(head.status, 404);
            assert_eq!(head.fields.get_named(b"server"), Some(&b"test"[..]));
            assert!(head.fields.get_named(b"date").is_some());
            stream.begin_receive(Framing::Length(5));
            assert_eq!(receive(&mut stream, 2).await.expect("a body"), b"never");
            drop(stream);
            client.close();
        };
        let (end, ()) = tokio::join!(serving, asking);
        assert!(end.is_none());
    });
}

#[test]
fn bodies_and_trailers_go_both_ways() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let client = client_of(client);
        echo_all(server);
        for size in [0, 1, 1000, 16 << 10, 200_000, 3 << 20] {
            let body = pattern(size);
            let mut stream = client.open().expect("a stream");
            begin(&mut stream, &request("POST", "/"), Framing::Chunked);
            send(&mut stream, &body).await.expect("sent");
            let mut trailers = Fields::default();
            trailers.add(b"Checksum", b"abc").expect("a field");
            finish(&mut stream, Some(&trailers)).await.expect("finished");
            assert_eq!(response(&mut stream).await.expect("a head").status, 200);
            stream.begin_receive(Framing::Close);
            assert!(receive(&mut stream, usize::MAX).await.expect("a body") == body, "{size}");
            let checksum = stream.trailers().and_then(|trailers| trailers.get_named(b"checksum"));
            assert_eq!(checksum, Some(&b"abc"[..]), "{size}");
        }
    });
}

#[test]
fn many_requests_share_a_connection() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let client = Rc::new(client_of(client));
        echo_all(server);
        let mut tasks = Vec::new();
        for number in 0..300_usize {
            let mut stream = loop {
                match client.open() {
                    Some(stream) => break stream,
                    None => tokio::task::yield_now().await,
                }
            };
            tasks.push(tokio::task::spawn_local(async move {
                let body = pattern(number * 37);
                begin(&mut stream, &request("PUT", "/"), Framing::Length(body.len() as u64));
                send(&mut stream, &body).await.expect("sent");
                finish(&mut stream, None).await.expect("finished");
                assert_eq!(response(&mut stream).await.expect("a head").status, 200);
                stream.begin_receive(Framing::Close);
                assert!(receive(&mut stream, usize::MAX).await.expect("a body") == body);
            }));
        }
        for task in tasks {
            task.await.expect("the task");
        }
        assert_eq!(client.streams(), 0);
    });
}

#[test]
fn payload_is_sent_as_long_as_declared() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let client = client_of(client);
        echo_all(server);
        let mut stream = client.open().expect("a stream");
        begin(&mut stream, &request("POST", "/"), Framing::Length(5));
        assert!(matches!(finish(&mut stream, None).await, Err(WireError::Truncated)), "too little");
        send(&mut stream, b"12345").await.expect("sent");
        assert!(send(&mut stream, b"6").await.is_err(), "too much");
        finish(&mut stream, None).await.expect("finished");
    });
}

#[test]
fn tunnel_goes_both_ways_and_ends_by_halves() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let client = client_of(client);
        let mut server = Server::new(server, Limits::default());
        while !client.takes_connect_protocol() {
            // The server's settings go out when it is asked for requests.
            let mut seen = Request::default();
            let _ =
                tokio::time::timeout(std::time::Duration::from_millis(1), next(&mut server, &mut seen)).await;
        }
        let mut stream = client.open().expect("a stream");
        let context = RequestContext { upgrade: Some(b"websocket"), ..RequestContext::default() };
        stream.begin_request(&request("GET", "/chat"), b"localhost", Framing::None, context);
        finish(&mut stream, None).await.expect("sent, but not ended");
        let mut seen = Request::default();
        let mut served = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
        assert_eq!(seen.method.as_str(), "GET");
        assert_eq!(seen.fields.get_named(b"upgrade"), Some(&b"websocket"[..]));
        respond(&mut served, 101, Framing::None);
        finish(&mut served, None).await.expect("sent, but not ended");
        served.begin_tunnel();
        let head = response(&mut stream).await.expect("a head");
        assert_eq!((head.status, head.fields.get_named(b"upgrade")), (101, Some(&b"websocket"[..])));
        stream.begin_receive(Framing::None);
        stream.begin_tunnel();
        for (number, message) in [b"ping".as_slice(), &pattern(100_000)].into_iter().enumerate() {
            send(&mut stream, message).await.expect("sent");
            poll_fn(|cx| stream.poll_flush(cx)).await.expect("flushed");
            let mut got = Vec::new();
            while got.len() < message.len() {
                poll_fn(|cx| served.poll_fill(cx)).await.expect("bytes");
                got.extend_from_slice(served.chunk());
                served.consume(usize::MAX);
            }
            assert!(got == message, "{number}");
        }
        poll_fn(|cx| stream.poll_end(cx)).await.expect("ended");
        assert!(receive(&mut served, 10).await.expect("the end").is_empty());
        send(&mut served, b"last words").await.expect("sent");
        poll_fn(|cx| served.poll_end(cx)).await.expect("ended");
        assert_eq!(receive(&mut stream, 3).await.expect("bytes"), b"last words");
    });
}

#[test]
fn client_that_goes_is_noticed_while_an_endpoint_works() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let client = client_of(client);
        let mut server = Server::new(server, Limits::default());
        let mut seen = Request::default();
        for ends in [true, false] {
            let mut stream = client.open().expect("a stream");
            begin(&mut stream, &request("POST", "/"), if ends { Framing::None } else { Framing::Chunked });
            poll_fn(|cx| stream.poll_flush(cx)).await.expect("sent");
            let mut served = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
            drop(stream);
            let gone = poll_fn(|cx| served.poll_gone(cx)).await;
            assert!(matches!(gone, WireError::Reset(0x10c)), "{gone}");
            if !ends {
                let read = receive(&mut served, 10).await;
                assert!(matches!(read, Err(WireError::Reset(0x10c))), "never taken for an end");
            }
        }
    });
}

#[test]
fn server_that_breaks_off_is_noticed() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let client = client_of(client);
        let mut server = Server::new(server, Limits::default());
        let mut seen = Request::default();
        for aborts in [true, false] {
            let mut stream = client.open().expect("a stream");
            begin(&mut stream, &request("GET", "/"), Framing::None);
            finish(&mut stream, None).await.expect("sent");
            let mut served = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
            respond(&mut served, 200, Framing::Length(100));
            poll_fn(|cx| served.poll_flush(cx)).await.expect("flushed");
            if aborts {
                served.abort();
            }
            drop(served);
            let broken = async {
                response(&mut stream).await?;
                stream.begin_receive(Framing::Length(100));
                receive(&mut stream, 10).await
            };
            let expected = if aborts { 0x102 } else { 0x10c };
            assert!(matches!(broken.await, Err(WireError::Reset(code)) if code == expected));
        }
    });
}

#[test]
fn answer_before_the_end_of_the_request_reaches_the_client() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let client = client_of(client);
        let mut server = Server::new(server, Limits::default());
        let mut seen = Request::default();
        let mut stream = client.open().expect("a stream");
        begin(&mut stream, &request("POST", "/"), Framing::Chunked);
        send(&mut stream, b"some of it").await.expect("sent");
        poll_fn(|cx| stream.poll_flush(cx)).await.expect("sent");
        let mut served = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
        respond(&mut served, 413, Framing::None);
        finish(&mut served, None).await.expect("finished");
        drop(served);
        assert_eq!(response(&mut stream).await.expect("a head").status, 413);
        // Who goes on sending is told to stop, without an error.
        let more = pattern(1 << 20);
        let stopped = async {
            loop {
                send(&mut stream, &more).await?;
            }
        };
        let stopped: Result<(), WireError> = stopped.await;
        assert!(matches!(stopped, Err(WireError::Reset(0x100))));
    });
}

#[test]
fn shutdown_lets_what_has_begun_end_and_takes_nothing_more() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let client = client_of(client);
        let mut server = Server::new(server, Limits::default());
        let mut seen = Request::default();
        let mut stream = client.open().expect("a stream");
        begin(&mut stream, &request("GET", "/"), Framing::None);
        finish(&mut stream, None).await.expect("sent");
        let served = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
        server.shut_down();
        assert!(server.is_ending());
        let serving = tokio::task::spawn_local(async move {
            let mut seen = Request::default();
            assert!(next(&mut server, &mut seen).await.expect("an orderly end").is_none());
        });
        while client.is_open() {
            settle().await;
        }
        assert!(client.open().is_none());
        echo(served).await.expect("answered");
        assert_eq!(response(&mut stream).await.expect("a head").status, 200);
        stream.begin_receive(Framing::Close);
        assert!(receive(&mut stream, 10).await.expect("a body").is_empty());
        let connection = client.connection().clone();
        drop(stream);
        serving.await.expect("the server");
        let end = closed(&connection).await;
        assert!(matches!(end, ConnectionError::Local | ConnectionError::Application(0x100)), "{end}");
    });
}

#[test]
fn client_that_is_dropped_ends_its_connection() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let client = client_of(client);
        let serving = echo_all(server);
        assert_eq!(get(&client).await.expect("an answer"), 200);
        drop(client);
        serving.await.expect("the server").expect("an orderly end");
    });
}
