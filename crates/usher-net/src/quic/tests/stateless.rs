//! What is answered without a connection: Retry, resets, and packets that mean nothing.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{
    ConnectionError, Pair, QuicConnector, QuicKeys, QuicListener, QuicOptions, Tls, UdpOptions, accept, ask,
    bind, bind_udp, closed, echo, echo_all, handshake, open, options, run, settle, write,
};

/// The first datagram of a client.
pub(super) async fn initial(tls: &Tls) -> Vec<u8> {
    let trap = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let connector = QuicConnector::new(options());
    let address = trap.local_addr().expect("an address");
    let _connection = connector.connect(address, "localhost", tls.client.clone()).expect("begun");
    let mut buf = vec![0; 2000];
    let (len, _) = trap.recv_from(&mut buf).await.expect("a datagram");
    buf.truncate(len);
    buf
}

/// Sends a datagram and waits for the answer.
async fn exchange(datagram: &[u8], to: std::net::SocketAddr) -> Vec<u8> {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.send_to(datagram, to).await.expect("sent");
    let mut buf = vec![0; 2000];
    let (len, _) = socket.recv_from(&mut buf).await.expect("an answer");
    buf.truncate(len);
    buf
}

/// The type of a packet with a long header (RFC 9000 section 17.2).
fn packet_type(datagram: &[u8]) -> u8 {
    assert!(datagram[0] & 0x80 != 0, "a long header");
    datagram[0] >> 4 & 3
}

const INITIAL: u8 = 0;
const RETRY: u8 = 3;

#[test]
fn retry_is_asked_from_the_option_on_and_keeps_nothing() {
    run(async {
        let tls = Tls::new();
        for (retry_from, answer) in [(0, RETRY), (1, INITIAL)] {
            let pair = Pair::with(&QuicOptions { retry_from, ..options() }, tls.clone());
            let datagram = initial(&tls).await;
            let answered = exchange(&datagram, pair.listener.address()).await;
            assert_eq!(packet_type(&answered), answer, "from {retry_from}");
            let kept = usize::from(answer == INITIAL);
            assert_eq!((pair.listener.handshakes(), pair.listener.connections()), (kept, kept));
        }
    });
}

#[test]
fn client_that_shows_its_address_gets_in() {
    run(async {
        let (client, server) =
            Pair::with(&QuicOptions { retry_from: 0, ..options() }, Tls::new()).connect().await;
        echo(server);
        assert_eq!(ask(&client, b"hello").await.expect("an answer"), b"hello");
    });
}

#[test]
fn retry_token_of_one_worker_is_good_for_all() {
    run(async {
        let tls = Tls::new();
        let strict = QuicOptions { retry_from: 0, ..options() };
        let bound = bind(4);
        let address = bound[0].address();
        for bound in bound {
            echo_all(QuicListener::new(bound, tls.server.clone(), &strict).expect("a listener"));
        }
        let connector = QuicConnector::new(options());
        for _ in 0..10 {
            let client = connector.connect(address, "localhost", tls.client.clone()).expect("begun");
            handshake(&client).await.expect("a handshake");
        }
    });
}

#[test]
fn unknown_version_is_told_the_known_ones() {
    run(async {
        let tls = Tls::new();
        let pair = Pair::with(&options(), tls.clone());
        let mut datagram = initial(&tls).await;
        datagram[1..5].copy_from_slice(&[0x1a, 0x2a, 0x3a, 0x4a]);
        let answer = exchange(&datagram, pair.listener.address()).await;
        assert_eq!(answer[1..5], [0; 4], "version negotiation");
        assert!(answer.chunks(4).count() > 0 && answer.windows(4).any(|word| word == [0, 0, 0, 1]));
    });
}

/// A server in a thread of its own, whose runtime can be ended as if the process was killed.
fn doomed(
    address: std::net::SocketAddr,
    tls: Tls,
    options: QuicOptions,
) -> (std::net::SocketAddr, tokio::sync::oneshot::Sender<()>, std::thread::JoinHandle<()>) {
    let bound = bind_udp(address, UdpOptions::default(), 1).expect("sockets").remove(0);
    let address = bound.address();
    let (kill, killed) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        run(async {
            echo_all(QuicListener::new(bound, tls.server, &options).expect("a listener"));
            let _ = killed.await;
        });
    });
    (address, kill, thread)
}

#[test]
fn restarted_server_resets_connections_of_the_one_before() {
    let tls = Tls::new();
    let options = || QuicOptions::new(Arc::new(QuicKeys::from_secret(b"kept over restarts")));
    let (address, kill, thread) = doomed(super::loopback(), tls.clone(), options());
    run(async {
        let connector = QuicConnector::new(super::options());
        let client = connector.connect(address, "localhost", tls.client.clone()).expect("begun");
        assert_eq!(ask_once(&client).await, b"hello");
        kill.send(()).expect("running");
        thread.join().expect("ended");
        let (_, kill, thread) = doomed(address, tls.clone(), options());
        let (mut to, _from) = open(&client).await;
        write(&mut to, &[b'x'; 200]).await.expect("written");
        assert_eq!(closed(&client).await, ConnectionError::Reset);
        kill.send(()).expect("running");
        thread.join().expect("ended");
    });
}

async fn ask_once(client: &super::Connection) -> Vec<u8> {
    ask(client, b"hello").await.expect("an answer")
}

#[test]
fn packets_of_unknown_connections_are_not_answered() {
    run(async {
        let pair = Pair::new();
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        // A short header, with an ID that was never ours.
        socket.send_to(&[0x41; 100], pair.listener.address()).await.expect("sent");
        let (client, server) = pair.connect().await;
        echo(server);
        ask(&client, b"the listener is past that packet").await.expect("an answer");
        let mut buf = [0; 100];
        assert!(socket.try_recv(&mut buf).is_err());
    });
}

#[test]
fn garbage_disturbs_nobody() {
    run(async {
        let tls = Tls::new();
        let pair = Pair::with(&options(), tls.clone());
        let (client, server) = pair.connect().await;
        let address = pair.listener.address();
        let first = initial(&tls).await;
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let random = proptest::collection::vec(any::<u8>(), 0..1500);
        let places = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8);
        for _ in 0..200 {
            let bytes = random.new_tree(&mut runner).expect("bytes").current();
            let _ = sender.send_to(&bytes, address);
            let mut bent = first.clone();
            for (place, value) in places.new_tree(&mut runner).expect("places").current() {
                let at = place.index(bent.len());
                bent[at] = value;
            }
            let _ = sender.send_to(&bent, address);
            settle().await;
        }
        echo(server);
        assert_eq!(ask(&client, b"hello").await.expect("an answer"), b"hello");
        let (_other, server) = pair.connect().await;
        drop(server);
    });
}

#[test]
fn reflected_packets_of_a_connection_are_ignored() {
    run(async {
        let pair = Pair::new();
        let (client, server) = pair.connect().await;
        let (mut to, _from) = open(&client).await;
        write(&mut to, b"x").await.expect("written");
        let _streams = accept(&server).await;
        // An empty datagram, and one byte, to both ends.
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        for address in [pair.listener.address(), server.peer()] {
            let _ = sender.send_to(&[], address);
            let _ = sender.send_to(&[0x40], address);
        }
        tokio::time::sleep(Duration::ZERO).await;
        settle().await;
        assert!(!client.is_closed() && !server.is_closed());
    });
}

use proptest::strategy::ValueTree as _;
