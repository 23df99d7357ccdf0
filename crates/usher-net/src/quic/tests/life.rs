//! Handshakes, and how connections end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::{
    ConnectionError, Pair, QuicConnector, QuicListener, QuicOptions, Tls, accept, ask, bind, closed, echo,
    echo_all, handshake, once, open, options, pattern, read, run, send, write,
};

#[test]
fn handshake_tells_who_and_what() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let session = server.session().expect("what was agreed on");
        assert_eq!(session.server_name.as_deref(), Some("localhost"));
        assert_eq!(session.alpn.as_deref(), Some(&b"h3"[..]));
        assert_eq!((session.version, session.resumed), ("TLSv1.3", false));
        assert!(session.cipher.starts_with("TLS_") && !session.group.is_empty(), "{session:?}");
        assert_eq!(session.client, None);
        assert_eq!(server.alpn().as_deref(), Some(&b"h3"[..]));
        assert_eq!(client.alpn().as_deref(), Some(&b"h3"[..]));
        assert_eq!(server.local(), Some(pair.listener.address()));
        assert_eq!(client.peer(), pair.listener.address());
        assert!(server.peer().ip().is_loopback());
        assert!(server.is_server() && !client.is_server());
        assert!(server.peer_certificates().is_empty());
        assert_eq!(client.peer_certificates().len(), 1);
        assert!(!server.is_early() && !server.accepted_early_data());
    });
}

#[test]
fn works_over_ipv6_and_both_in_one() {
    run(async {
        let tls = Tls::new();
        for (address, target) in
            [("[::1]:0", "::1"), ("[::]:0", "::1"), ("[::]:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.1")]
        {
            let Ok(mut bound) = super::bind_udp(address.parse().expect("an address"), Default::default(), 1)
            else {
                // A system without IPv6.
                continue;
            };
            let listener =
                QuicListener::new(bound.remove(0), tls.server.clone(), &options()).expect("a listener");
            let to = (target.parse::<std::net::IpAddr>().expect("an IP"), listener.address().port()).into();
            let connector = QuicConnector::new(options());
            let client = connector.connect(to, "localhost", tls.client.clone()).expect("a connection");
            let server = listener.accept().await.expect("an arrival");
            assert_eq!(server.local(), Some(to), "the address that the client talks to, in its own family");
            assert_eq!(server.peer().ip(), to.ip());
            echo(server);
            assert_eq!(ask(&client, b"hello").await.expect("an answer"), b"hello");
        }
    });
}

#[test]
fn close_carries_its_code() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        server.close(0x100, b"bye");
        assert_eq!(closed(&client).await, ConnectionError::Application(0x100));
        assert_eq!(server.error(), Some(ConnectionError::Local));
        let (client, server) = pair.connect().await;
        client.close(0x10e, b"");
        assert_eq!(closed(&server).await, ConnectionError::Application(0x10e));
    });
}

#[test]
fn close_goes_out_where_the_path_is_full() {
    run(async {
        let (client, server) = Pair::new().connect().await;
        let (mut to, mut from) = open(&client).await;
        write(&mut to, b"?").await.expect("written");
        let (mut answer, _request) = accept(&server).await;
        // More than the first window of a path lets out.
        write(&mut answer, &pattern(200_000)).await.expect("written");
        // Time for sending it, and none for confirming it.
        tokio::task::yield_now().await;
        server.close(0x107, b"");
        assert_eq!(closed(&client).await, ConnectionError::Application(0x107));
        assert!(read(&mut from).await.is_err());
    });
}

#[test]
fn last_handle_closes_once_everything_has_arrived() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let (mut to, mut from) = open(&client).await;
        write(&mut to, b"?").await.expect("written");
        let body = pattern(60_000);
        let over = server.over();
        {
            let server = server;
            server.close_on_drop(0x100);
            // Like the control stream of HTTP/3: open as long as the connection, and no reason to wait.
            let mut control = server.open_uni().expect("a stream");
            control.keep();
            assert!(control.write_now(&mut bytes::Bytes::from_static(b"settings")));
            let (mut answer, _request) = accept(&server).await;
            send(&mut answer, &body).await.expect("sent");
        }
        let mut over = std::pin::pin!(over);
        assert!(once(|cx| over.as_mut().poll(cx)).await.is_pending(), "nothing has arrived");
        assert!(read(&mut from).await.expect("all of it") == body);
        assert_eq!(over.await, ConnectionError::Local);
        drop((to, from));
        assert_eq!(closed(&client).await, ConnectionError::Application(0x100));
    });
}

#[test]
fn connection_outlives_its_listener() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let Pair { listener, connector, .. } = pair;
        drop(listener);
        drop(connector);
        echo(server);
        assert_eq!(ask(&client, b"still there").await.expect("an answer"), b"still there");
    });
}

#[test]
fn port_is_free_after_listener_and_connections_are_gone() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let address = pair.listener.address();
        assert!(super::bind_udp(address, Default::default(), 1).is_err(), "somebody listens");
        drop(pair);
        client.close(0, b"");
        closed(&server).await;
        drop((client, server));
        loop {
            match super::bind_udp(address, Default::default(), 1) {
                Ok(_) => return,
                Err(error) => assert!(error.to_string().contains("in use"), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn refusal_is_told_and_spares_open_connections() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        echo(server);
        pair.listener.refuse_new();
        let refused = handshake(&pair.begin()).await.expect_err("refused");
        assert!(refused.is_refused(), "{refused}");
        assert_eq!(ask(&client, b"on").await.expect("an answer"), b"on");
    });
}

#[test]
fn handshakes_in_flight_are_bounded() {
    run(async {
        let pair = Pair::with(&QuicOptions { max_handshakes: 2, ..options() }, Tls::new());
        // Arrivals that nobody accepts count too.
        let _first = (pair.begin(), pair.begin());
        while pair.listener.hub.gate.arrivals.borrow().len() < 2 {
            tokio::task::yield_now().await;
        }
        let refused = handshake(&pair.begin()).await.expect_err("refused");
        assert!(refused.is_refused(), "{refused}");
        pair.listener.accept().await.expect("one");
        handshake(&pair.begin()).await.expect("a place is free again");
    });
}

#[test]
fn handshake_that_takes_too_long_ends() {
    run(async {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let hasty = QuicOptions { handshake_timeout: Duration::from_millis(50), ..options() };
        let connector = QuicConnector::new(hasty);
        let address = silent.local_addr().expect("an address");
        let connection = connector.connect(address, "localhost", Tls::new().client).expect("begun");
        assert_eq!(handshake(&connection).await, Err(ConnectionError::TimedOut));
    });
}

#[test]
fn silence_ends_a_connection() {
    run(async {
        let brief = QuicOptions { idle_timeout: Duration::from_millis(100), ..options() };
        let (client, server) = Pair::with(&brief, Tls::new()).connect().await;
        assert_eq!(closed(&server).await, ConnectionError::TimedOut);
        assert_eq!(closed(&client).await, ConnectionError::TimedOut);
    });
}

#[test]
fn tls_alerts_are_told() {
    run(async {
        let pair = Pair::new();
        let stranger = Tls::new().client;
        let client = pair.connector.connect(pair.listener.address(), "localhost", stranger).expect("begun");
        let error = handshake(&client).await.expect_err("an unknown certificate");
        assert!(error.alert().is_some(), "{error}");
    });
}

#[test]
fn failed_handshakes_are_told_to_the_server() {
    run(async {
        let other_protocol = |client: &mut rustls::ClientConfig| client.alpn_protocols = vec![b"hq".to_vec()];
        let trusted = Tls::new();
        let (server, mut wrong) = (trusted.server.clone(), (*trusted.client).clone());
        other_protocol(&mut wrong);
        let wrong = Tls { server: server.clone(), client: Arc::new(wrong) };
        let stranger = Tls { server, client: Tls::new().client };
        for (tls, reason, text) in
            [(wrong, "no_common_protocol", "protocol"), (stranger, "refused", "the peer sent the alert `")]
        {
            let pair = Pair::with(&options(), tls);
            let client = pair.begin();
            let failed = pair.listener.failed().await.expect("a failure");
            assert_eq!(failed.reason(), reason, "{failed:?}");
            assert!(failed.text().contains(text), "{}", failed.text());
            assert_eq!((failed.local, failed.peer.ip()), (pair.listener.address(), client.peer().ip()));
            assert_eq!(pair.listener.handshakes(), 0);
        }
        let hasty = QuicOptions { handshake_timeout: Duration::from_millis(1), ..options() };
        let pair = Pair::with(&hasty, Tls::new());
        let first = super::stateless::initial(&pair.tls).await;
        let sender = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        sender.send_to(&first, pair.listener.address()).await.expect("sent");
        assert_eq!(pair.listener.failed().await.expect("a failure").reason(), "timeout");
    });
}

#[test]
fn tls_that_does_not_do_is_refused() {
    run(async {
        let limited = Tls::with(|server| server.max_early_data_size = 1000, |_| {});
        let bound = bind(1).remove(0);
        assert!(QuicListener::new(bound, limited.server, &options()).is_err());
    });
}

#[test]
fn new_tls_holds_for_new_connections() {
    run(async {
        let pair = Pair::new();
        let (old, server) = pair.connect().await;
        echo(server);
        let fresh = Tls::new();
        pair.listener.set_tls(fresh.server.clone()).expect("set");
        let address = pair.listener.address();
        let client = pair.connector.connect(address, "localhost", fresh.client).expect("begun");
        handshake(&client).await.expect("the new certificate");
        assert_eq!(ask(&old, b"old").await.expect("an answer"), b"old");
    });
}

#[test]
fn end_of_the_runtime_ends_everything() {
    let held = run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let streams = open(&client).await;
        (pair, client, server, streams)
    });
    let (pair, client, ..) = &held;
    assert_eq!(client.error(), Some(ConnectionError::Ended));
    assert_eq!(pair.listener.connections(), 0);
}

#[test]
fn many_connections_share_one_socket() {
    run(async {
        let tls = Tls::new();
        let listener =
            QuicListener::new(bind(1).remove(0), tls.server.clone(), &options()).expect("a listener");
        let address = listener.address();
        echo_all(listener);
        let connector = QuicConnector::new(options());
        let connections: Vec<_> = (0..50)
            .map(|_| connector.connect(address, "localhost", tls.client.clone()).expect("begun"))
            .collect();
        for (number, connection) in connections.iter().enumerate() {
            let body = pattern(number * 500);
            assert!(ask(connection, &body).await.expect("an answer") == body, "{number}");
        }
    });
}
