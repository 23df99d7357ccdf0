use std::net::TcpListener;

use super::*;
use crate::address::Peer;
use crate::listen::{ListenOptions, bind};
use crate::testing::{ip, listener, loopback, read_all, run, shutdown, write_all};

#[test]
fn reaches_a_tcp_listener_without_delay_of_small_segments() {
    run(async {
        let listener = listener(&loopback());
        let mut stream = SystemDialer::default().dial(listener.address()).await.expect("dialed");
        let (mut accepted, peer) = listener.accept().await.expect("accepted");

        let Stream::Tcp(socket) = &stream else { panic!("not TCP") };
        assert!(socket.nodelay().expect("an option"));
        assert_eq!(stream.peer().expect("a peer"), Peer::Ip(ip(listener.address())));
        assert_eq!(stream.local().expect("an address").to_string(), peer.to_string());

        write_all(&mut stream, b"hello").await.expect("written");
        shutdown(&mut stream).await.expect("shut down");
        assert_eq!(read_all(&mut accepted).await.expect("read"), b"hello");
    });
}

#[test]
fn says_when_nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let dialer = SystemDialer::default();
        let refused = dialer.dial(&Address::Ip(free)).await.expect_err("refused");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let missing = dialer.dial(&Address::Unix(folder.path().join("none"))).await.expect_err("missing");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn a_full_unix_queue_is_an_error_rather_than_a_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = Address::Unix(folder.path().join("socket"));
    let options = ListenOptions { backlog: 0, ..ListenOptions::default() };
    let _bound = bind(&address, &options, 1).expect("bound");
    run(async {
        let mut open = Vec::new();
        let error = loop {
            match SystemDialer::default().dial(&address).await {
                Ok(stream) => open.push(stream),
                Err(error) => break error,
            }
            assert!(open.len() < 8, "the queue never fills");
        };
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    });
}
