//! Early data (0-RTT).

use super::{
    Connection, Pair, QuicOptions, StreamError, Tls, accept, ask, echo, handshake, options, read, run, send,
    write,
};

fn early_tls() -> Tls {
    Tls::with(|server| server.max_early_data_size = u32::MAX, |client| client.enable_early_data = true)
}

/// A connection that leaves a ticket behind.
async fn first(pair: &Pair) {
    let (client, server) = pair.connect().await;
    echo(server);
    ask(&client, b"for the ticket").await.expect("an answer");
    client.close(0, b"");
}

async fn second(pair: &Pair) -> (Connection, Vec<u8>) {
    let client = pair.begin();
    assert!(client.may_send_early(), "a ticket is at hand");
    let (mut to, mut from) = client.open_bi().expect("a stream before the handshake");
    send(&mut to, b"early").await.expect("sent");
    let server = pair.listener.accept().await.expect("an arrival");
    let is_early = server.is_early();
    let (mut answer, mut request) = accept(&server).await;
    assert_eq!(read(&mut request).await.expect("the request"), b"early");
    send(&mut answer, if is_early { b"was early" } else { b"was late" }).await.expect("sent");
    let answer = read(&mut from).await.expect("an answer");
    assert!(server.accepted_early_data());
    assert!(!server.is_early(), "the handshake is complete by now");
    (client, answer)
}

#[test]
fn early_request_is_served_before_the_handshake_and_told() {
    run(async {
        let pair = Pair::with(&options(), early_tls());
        first(&pair).await;
        let (client, answer) = second(&pair).await;
        assert_eq!(answer, b"was early");
        handshake(&client).await.expect("a handshake");
    });
}

#[test]
fn early_request_outlives_a_retry() {
    run(async {
        let pair = Pair::with(&QuicOptions { retry_from: 0, ..options() }, early_tls());
        first(&pair).await;
        let (client, _) = second(&pair).await;
        handshake(&client).await.expect("a handshake");
    });
}

#[test]
fn refused_early_data_fails_its_streams_and_later_ones_work() {
    run(async {
        let tls = early_tls();
        let pair = Pair::with(&options(), tls.clone());
        first(&pair).await;
        // The tickets are of the same key, but early data is not taken any more.
        let mut server = (*tls.server).clone();
        server.max_early_data_size = 0;
        pair.listener.set_tls(server.into()).expect("set");
        let client = pair.begin();
        let (mut to, mut from) = client.open_bi().expect("a stream before the handshake");
        write(&mut to, b"early").await.expect("written");
        let server = pair.listener.accept().await.expect("an arrival");
        handshake(&client).await.expect("a handshake");
        assert!(!server.is_early() && !server.accepted_early_data());
        assert_eq!(read(&mut from).await, Err(StreamError::Ended));
        assert_eq!(write(&mut to, b"more").await, Err(StreamError::Ended));
        echo(server);
        assert_eq!(ask(&client, b"again").await.expect("an answer"), b"again");
    });
}
