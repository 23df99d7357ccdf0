//! SIGTERM and its like.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use usher_testkit::{Endpoint, Signal, Usher};

use crate::harness::{PATIENCE, until, usher};

const CONFIG: &str = "admin = \"$ADMIN\"\naccess_log = \"off\"\n\
    [[listener]]\nbind = \"$LISTEN\"\n[[route]]\nto = \"$ENDPOINT\"\n";

/// An endpoint that tells when it has a request, and answers when it is told to.
struct Slow {
    // Dropped first: the endpoint waits for it.
    answer: Sender<()>,
    asked: Receiver<()>,
    endpoint: Endpoint,
}

fn slow() -> Slow {
    let ((tell, asked), (answer, told)) = (channel(), channel());
    let (tell, told) = (Mutex::new(tell), Mutex::new(told));
    let endpoint = Endpoint::raw(move |connection, _| {
        connection.set_timeout(PATIENCE);
        connection.read_request()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")?;
        let _ = tell.lock().unwrap().send(());
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        connection.send("-last")
    });
    Slow { answer, asked, endpoint: endpoint.unwrap() }
}

/// A proxy with a response under way.
fn busy(slow: &Slow, config: &str) -> (Usher, usher_testkit::Client) {
    let usher = usher(config).endpoint(&slow.endpoint).start().unwrap();
    let mut client = usher.client().unwrap();
    client.set_timeout(PATIENCE);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    slow.asked.recv_timeout(PATIENCE).expect("the endpoint is asked");
    (usher, client)
}

#[test]
fn a_response_under_way_is_finished() {
    for signal in [Signal::Term, Signal::Int] {
        let slow = slow();
        let (mut usher, mut client) = busy(&slow, CONFIG);
        let address = usher.listen().unwrap();
        usher.signal(signal).unwrap();
        usher.wait_for_output("finishing what is under way", PATIENCE).unwrap();
        until("new connections to be refused", || TcpStream::connect(address).is_err());
        let readiness = usher_testkit::Client::connect(usher.admin().unwrap()).unwrap().request(
            "GET",
            "/readyz",
            &[("Host", "localhost")],
            b"",
        );
        assert_eq!(readiness.unwrap().status, 503);
        slow.answer.send(()).unwrap();
        let response = client.read_response().unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, "first-last"));
        let status = usher.wait_exit(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(0), "{}", usher.output());
    }
}

#[test]
fn idle_connections_hold_nobody_up() {
    let slow = slow();
    // Longer than anybody may be silent, so that only the end can be what closes the connections.
    let config = format!("{CONFIG}[timeouts]\ndrain = \"10s\"\nhead = \"60s\"\n");
    let mut usher = usher(&config).endpoint(&slow.endpoint).start().unwrap();
    let mut idle = usher.client().unwrap();
    idle.send("GET / HT").unwrap();
    let mut silent = usher.client().unwrap();
    idle.close();
    usher.signal(Signal::Term).unwrap();
    assert_eq!(usher.wait_exit(PATIENCE).unwrap().code(), Some(0), "{}", usher.output());
    silent.expect_close().unwrap();
}

#[test]
fn a_second_signal_ends_at_once() {
    let slow = slow();
    let (mut usher, _client) = busy(&slow, CONFIG);
    usher.signal(Signal::Term).unwrap();
    usher.wait_for_output("finishing what is under way", PATIENCE).unwrap();
    usher.signal(Signal::Term).unwrap();
    assert_eq!(usher.wait_exit(PATIENCE).unwrap().code(), Some(1), "{}", usher.output());
    assert!(usher.output().contains("1 connection is cut off"), "{}", usher.output());
}

#[test]
fn the_time_to_finish_is_limited() {
    let slow = slow();
    let (mut usher, _client) = busy(&slow, &format!("{CONFIG}[timeouts]\ndrain = \"100ms\"\n"));
    usher.signal(Signal::Term).unwrap();
    assert_eq!(usher.wait_exit(PATIENCE).unwrap().code(), Some(1), "{}", usher.output());
    assert!(usher.output().contains("cut off"), "{}", usher.output());
}

#[test]
fn a_unix_socket_is_removed() {
    let slow = slow();
    let config = format!("{CONFIG}[[listener]]\nname = \"unix\"\nbind = \"unix:$DIR/door.sock\"\n");
    for signals in [&[Signal::Term][..], &[Signal::Term, Signal::Term]] {
        let (mut usher, _client) = busy(&slow, &config);
        let path = usher.dir().join("door.sock");
        assert!(path.exists());
        let cut = signals.len() > 1;
        for signal in signals {
            usher.signal(*signal).unwrap();
            usher.wait_for_output("finishing what is under way", PATIENCE).unwrap();
        }
        if !cut {
            slow.answer.send(()).unwrap();
        }
        assert_eq!(usher.wait_exit(PATIENCE).unwrap().code(), Some(i32::from(cut)));
        assert!(!path.exists());
    }
}
