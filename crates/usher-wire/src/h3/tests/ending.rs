//! How a server's connection ends, and what becomes of its own control streams.

use usher_net::quic::QuicOptions;

use super::*;

/// The server's control stream, behind its type.
async fn control_of(connection: &Connection) -> RecvStream {
    loop {
        let mut stream = poll_fn(|cx| connection.poll_accept_uni(cx)).await.expect("a stream");
        let mut kind = [9];
        poll_fn(|cx| stream.poll_read(cx, &mut kind)).await.expect("its type");
        if kind == [0x00] {
            return stream;
        }
        stream.keep();
    }
}

/// What comes on a stream until its connection ends.
async fn until_the_end(mut stream: RecvStream) -> Vec<u8> {
    let (mut all, mut buf) = (Vec::new(), [0; 100]);
    while let Ok(len) = poll_fn(|cx| stream.poll_read(cx, &mut buf)).await {
        assert!(len > 0, "a control stream does not end");
        all.extend_from_slice(&buf[..len]);
    }
    all
}

#[test]
fn client_sees_the_farewell_and_then_an_orderly_end() {
    run(async {
        let ground = Ground::new();
        let (client, connection) = ground.connect().await;
        let Raw { connection: client, control } = Raw::new(client).await;
        let mut server = Server::new(connection, Limits::default());
        let raw = Raw { connection: client.clone(), control: uni(&client, &[0x21]).await };
        let (_to, mut from) = raw.ask(&get_with(&[]), true).await;
        let mut seen = Request::default();
        let served = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
        let theirs = control_of(&client).await;
        let said = tokio::task::spawn_local(until_the_end(theirs));
        let left = tokio::task::spawn_local(async move { poll_fn(|cx| control.poll_stopped(cx)).await });
        echo(served).await.expect("answered");
        server.shut_down();
        server.shut_down();
        assert!(next(&mut server, &mut seen).await.expect("an orderly end").is_none());
        drop(server);
        assert_eq!(status(&take(&mut from).await.expect("an answer")), "200");
        let end = ConnectionError::Application(0x100);
        assert_eq!(closed(&client).await, end);
        assert_eq!(
            left.await.expect("watched"),
            StreamError::Connection(end),
            "nobody stops our control stream"
        );
        assert!(said.await.expect("read").ends_with(&numbered(frame::GOAWAY, 4)));
    });
}

#[test]
fn control_streams_must_not_be_stopped() {
    run(async {
        let ground = Ground::new();
        let (client, server) = ground.connect().await;
        let serving = echo_all(server);
        let raw = Raw::new(client).await;
        control_of(&raw.connection).await.stop(0x100);
        assert_eq!(closed(&raw.connection).await, ConnectionError::Application(0x104));
        assert!(matches!(serving.await.expect("the server"), Err(WireError::Protocol(_))));
    });
}

#[test]
fn farewell_goes_out_once_there_is_room_for_it() {
    run(async {
        let mut ground = Ground::new();
        let keys = Arc::new(QuicKeys::random().expect("keys"));
        ground.connector =
            QuicConnector::new(QuicOptions { connection_window: 4000, ..QuicOptions::new(keys) });
        let (client, connection) = ground.connect().await;
        let raw = Raw::new(client).await;
        let mut server = Server::new(connection, Limits::default());
        let (_to, mut from) = raw.ask(&get_with(&[]), true).await;
        let mut seen = Request::default();
        let mut served = next(&mut server, &mut seen).await.expect("a request").expect("a stream");
        let mut theirs = control_of(&raw.connection).await;
        let mut buf = [0; 100];
        poll_fn(|cx| theirs.poll_read(cx, &mut buf)).await.expect("settings");
        respond(&mut served, 200, Framing::Chunked);
        let sent = poll_fn(|cx| {
            let _ = served.poll_send(cx, &[b'x'; 20_000]);
            std::task::Poll::Ready(served.poll_flush(cx).is_ready())
        });
        assert!(!sent.await, "the client's window is full");
        server.shut_down();
        server.shut_down();
        let serving = tokio::task::spawn_local(async move { next(&mut server, &mut seen).await.is_ok() });
        settle().await;
        let waits = poll_fn(|cx| std::task::Poll::Ready(theirs.poll_read(cx, &mut buf).is_pending())).await;
        assert!(waits, "there is no room for a farewell");
        let mut read = [0; 5000];
        poll_fn(|cx| from.poll_read(cx, &mut read)).await.expect("a part of the answer");
        let len = poll_fn(|cx| theirs.poll_read(cx, &mut buf)).await.expect("a farewell");
        assert!(buf[..len].starts_with(&[frame::GOAWAY as u8]));
        drop(served);
        assert!(serving.await.expect("the server"));
    });
}
