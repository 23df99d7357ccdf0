//! What a peer must not do.

use super::*;

/// Sends `wire` to a server behind the handshake; the error that reading gives, and the alert that is sent.
fn answer_to(suite: &str, wire: impl Fn(&mut TlsStream<MemoryStream>) -> Vec<u8>) -> (io::ErrorKind, String) {
    let (acceptor, connector, _) = with_suite(suite);
    run(async {
        let (mut server, mut client) = shaken(&acceptor, &connector, "example.com").await;
        let wire = wire(&mut client);
        write_all(&mut client.stream, &wire).await.expect("sent");
        let mut buf = [0; 20_000];
        let error = loop {
            match read(&mut server, &mut buf).await {
                Ok(1..) => {}
                Ok(0) => return (io::ErrorKind::Other, "the end".to_owned()),
                Err(error) => break error,
            }
        };
        drop(server);
        let alert = read(&mut client, &mut buf).await.expect_err("an alert");
        (error.kind(), alert.to_string())
    })
}

#[test]
fn what_breaks_the_protocol_ends_in_its_alert() {
    fn sealed(client: &mut TlsStream<MemoryStream>, typ: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![0; content.len() + 100];
        let len = client.sealer.seal(typ, keys::Plain::Elsewhere(content), &mut out).expect("sealed");
        out.truncate(len);
        out
    }
    type Wire = fn(&mut TlsStream<MemoryStream>) -> Vec<u8>;
    let both: [(Wire, &str); 9] = [
        (
            |client| {
                let mut wire = sealed(client, 23, b"abc");
                wire[9] ^= 1;
                wire
            },
            "bad_record_mac",
        ),
        (|_| [&[23, 3, 3, 0, 40][..], &[0; 40]].concat(), "bad_record_mac"),
        (|_| vec![23, 3, 3, 0xff, 0xff], "record_overflow"),
        (|_| vec![23, 3, 3, 0, 3, 1, 2, 3], "bad_record_mac"),
        (|_| b"GET / HTTP/1.1\r\n".to_vec(), "decode_error"),
        (|client| sealed(client, 24, b"heartbeat"), "unexpected_message"),
        (|client| sealed(client, 20, &[1]), "unexpected_message"),
        (|client| sealed(client, 21, &[1]), "decode_error"),
        (|client| (0..33).flat_map(|_| sealed(client, 23, b"")).collect(), "unexpected_message"),
    ];
    for suite in [SUITES[0], SUITES[3], SUITES[5]] {
        for (index, (wire, alert)) in both.iter().enumerate() {
            let found = answer_to(suite, wire);
            let expected = (io::ErrorKind::InvalidData, format!("the peer sent the TLS alert `{alert}`"));
            assert_eq!(found, expected, "{suite} {index}");
        }
    }
    let tls13: [(Wire, &str); 10] = [
        (|client| client.sealer.seal_padded(23, b"abc", MAX_PLAIN - 2), "record_overflow"),
        (|client| client.sealer.seal_padded(0, b"", 100), "unexpected_message"),
        (|_| vec![20, 3, 3, 0, 1, 1], "unexpected_message"),
        (|_| vec![21, 3, 3, 0, 2, 2, 40], "unexpected_message"),
        (|client| sealed(client, 22, b""), "unexpected_message"),
        (|client| sealed(client, 22, &[1, 0, 0, 0]), "unexpected_message"),
        (|client| sealed(client, 22, &[24, 0, 0, 1, 2]), "illegal_parameter"),
        (|client| sealed(client, 22, &[24, 0, 0, 2, 0, 0]), "decode_error"),
        (|client| sealed(client, 22, &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0]), "unexpected_message"),
        (|client| [sealed(client, 22, &[24, 0, 0]), sealed(client, 23, b"a")].concat(), "unexpected_message"),
    ];
    for (index, (wire, alert)) in tls13.iter().enumerate() {
        let found = answer_to(SUITES[0], wire);
        assert_eq!(found.1, format!("the peer sent the TLS alert `{alert}`"), "{index}");
    }
    // A second hello of the client: renegotiation.
    let found = answer_to(SUITES[3], |client| sealed(client, 22, &[1, 0, 0, 0]));
    assert_eq!(found.1, "the peer sent the TLS alert `handshake_failure`");
}

#[test]
fn a_fatal_alert_of_the_peer_is_an_error() {
    let (acceptor, connector) = usual();
    run(async {
        let (mut server, client) = shaken(&acceptor, &connector, "example.com").await;
        client.refuse(AlertDescription::AccessDenied).await;
        let error = read_all(&mut server).await.expect_err("an alert");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::ConnectionAborted, "the peer sent the TLS alert `access_denied`")
        );
        assert!(write_all(&mut server, b"x").await.is_err());
    });
}

#[test]
fn padding_up_to_the_limit_is_taken_off() {
    let (acceptor, connector) = usual();
    run(async {
        let (mut server, mut client) = shaken(&acceptor, &connector, "example.com").await;
        for (content, padding) in [(&b"abc"[..], MAX_PLAIN - 3), (b"", MAX_PLAIN), (b"defg", 0)] {
            let record = client.sealer.seal_padded(23, content, padding);
            write_all(&mut client.stream, &record).await.expect("sent");
        }
        client.announce_end();
        assert_eq!(read_all(&mut server).await.expect("read"), b"abcdefg");
    });
}

#[test]
fn a_peer_that_takes_nothing_gets_one_answer_for_all_its_requests_for_keys() {
    let (acceptor, connector) = usual();
    run(async {
        let (mut server, mut client) = shaken(&acceptor, &connector, "example.com").await;
        while once(|cx| server.stream.poll_write(cx, &[0; 1000])).await.is_ready() {}
        let mut buf = [0; 100];
        for _ in 0..3000 {
            assert!(client.output.message(&mut client.sealer, HANDSHAKE, &[24, 0, 0, 1, 1]));
            client.sealer = client.messages.next_key().expect("a key");
            write_all(&mut client, b"x").await.expect("sent");
            assert_eq!(read(&mut server, &mut buf).await.expect("read"), 1);
            assert!(once(|cx| server.poll_read(cx, &mut buf)).await.is_pending());
        }
        assert!(server.output.waiting() < 100, "{}", server.output.waiting());
    });
}
