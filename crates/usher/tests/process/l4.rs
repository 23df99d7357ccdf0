//! Listeners that carry TCP.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use usher_testkit::{Client, Endpoint, Port, Signal, Usher};

use crate::harness::{PATIENCE, reload, until, usher};

/// A server that leaves all it accepts to the test.
struct Far {
    address: SocketAddr,
    accepted: Receiver<TcpStream>,
}

impl Far {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, accepted) = channel();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                if tell.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { address, accepted }
    }

    /// The connection that begins with this. Others come from whoever looked whether the listener is there.
    fn take(&self, begins: &[u8]) -> TcpStream {
        loop {
            let mut stream = self.accepted.recv_timeout(PATIENCE).expect("a connection");
            let mut first = vec![0; begins.len()];
            match stream.read_exact(&mut first) {
                Ok(()) => assert_eq!(String::from_utf8_lossy(&first), String::from_utf8_lossy(begins)),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => continue,
                Err(error) => panic!("{error}"),
            }
            return stream;
        }
    }
}

fn start(far: &Far, config: &str) -> Usher {
    let config = format!("workers = 1\nadmin = \"$ADMIN\"\n{config}");
    usher(&config).endpoint_address("far", &far.address.to_string()).start().unwrap()
}

fn listener(more: &str) -> String {
    format!("[[listener]]\nname = \"l\"\nbind = \"$LISTEN\"\nprotocol = \"tcp\"\n{more}\n")
}

fn connect(usher: &Usher, say: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(usher.listen().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(say).unwrap();
    stream
}

fn metric(usher: &Usher, name: &str) -> u64 {
    usher.metric(name).unwrap().unwrap_or_default() as u64
}

/// No power of two, so that pieces begin anywhere in it.
const BLOCK: usize = 65_521;
/// Together a little over 100 MiB.
const BLOCKS: usize = 1601;

fn block(seed: usize) -> Vec<u8> {
    (0..BLOCK).map(|at| (at * seed + at / 253) as u8).collect()
}

/// Sends blocks and ends the direction.
fn send_blocks(stream: &TcpStream, seed: usize) {
    let (mut stream, block) = (stream, block(seed));
    for _ in 0..BLOCKS {
        stream.write_all(&block).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
}

/// Receives them, each byte as it was sent, and the end.
fn receive_blocks(stream: &TcpStream, seed: usize) {
    let (mut stream, block, mut came) = (stream, block(seed), vec![0; BLOCK]);
    for number in 0..BLOCKS {
        stream.read_exact(&mut came).unwrap();
        assert!(came == block, "block {number}");
    }
    assert_eq!(stream.read(&mut came).unwrap(), 0, "the end");
}

#[test]
fn much_in_both_directions_at_once() {
    let far = Far::start();
    let usher = start(&far, &format!("access_log = \"access.log\"\n{}", listener("to = \"$ENDPOINT[far]\"")));
    let client = connect(&usher, b"!");
    let endpoint = far.take(b"!");
    thread::scope(|scope| {
        scope.spawn(|| send_blocks(&client, 3));
        scope.spawn(|| receive_blocks(&endpoint, 3));
        scope.spawn(|| send_blocks(&endpoint, 5));
        scope.spawn(|| receive_blocks(&client, 5));
    });
    let log = || fs::read_to_string(usher.dir().join("access.log")).unwrap_or_default();
    let bytes = BLOCK * BLOCKS;
    let said = format!("\"received\":{},\"sent\":{bytes}", bytes + 1);
    until("the line of the access log", || log().contains(&said));
    let line = log().lines().find(|line| line.contains(&said)).unwrap().to_owned();
    let (cluster, endpoint) =
        (format!("\"cluster\":\"{}\"", far.address), format!("\"endpoint\":\"{}\"", far.address));
    for part in ["\"client\":\"127.0.0.1\"", "\"version\":\"TCP\"", &cluster, &endpoint, "\"retries\":0"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains("reason"), "both sides ended it: {line}");
    assert_eq!(metric(&usher, "usher_tcp_sent_bytes_total"), bytes as u64);
    assert_eq!(metric(&usher, "usher_tcp_received_bytes_total"), bytes as u64 + 1);
    until("nothing to be open", || metric(&usher, "usher_tcp_connections_active") == 0);
}

#[test]
fn whoever_is_cut_off_is_told_so() {
    let far = Far::start();
    let usher = start(&far, &listener("to = \"$ENDPOINT[far]\""));
    // A reset by either side is one for the other: not an end that looks like a whole.
    let mut client = Client::connect(usher.listen().unwrap()).unwrap();
    client.send("1").unwrap();
    let mut endpoint = far.take(b"1");
    client.reset().unwrap();
    assert_eq!(endpoint.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut client = connect(&usher, b"2");
    let endpoint = far.take(b"2");
    // Closed with bytes unread, it is reset.
    client.write_all(b"unread").unwrap();
    endpoint.peek(&mut [0]).unwrap();
    drop(endpoint);
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let broken = "usher_tcp_connections_broken_total{reason=\"disconnected\"}";
    until("two that broke off", || metric(&usher, broken) == 2);
}

#[test]
fn an_endpoint_that_is_down_is_passed_over() {
    let (far, down) = (Far::start(), Port::reserve().unwrap());
    let targets = format!("to = [\"{}\", \"$ENDPOINT[far]\"]", down.address());
    let mut usher = start(&far, &format!("access_log = \"access.log\"\n{}", listener(&targets)));
    for _ in 0..3 {
        let mut client = connect(&usher, b"hello");
        far.take(b"hello").write_all(b"welcome").unwrap();
        let mut answer = String::new();
        client.shutdown(Shutdown::Write).unwrap();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "welcome");
    }
    // With nobody left, the client is let go.
    let config = format!("admin = \"$ADMIN\"\n{}", listener(&format!("to = \"{}\"", down.address())));
    reload(&mut usher, &format!("workers = 1\naccess_log = \"access.log\"\n{config}"));
    let mut client = connect(&usher, b"");
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    let log = || fs::read_to_string(usher.dir().join("access.log")).unwrap_or_default();
    let detail =
        format!("\"reason\":\"connect_failed\",\"detail\":\"{}: connection refused\"", down.address());
    until("the line of the access log", || log().contains(&detail));
}

#[test]
fn requests_of_one_client_only_follow_a_proxy_header() {
    for version in ["v1", "v2"] {
        let endpoint = Endpoint::raw(move |connection, _| {
            if version == "v1" {
                let line = String::from_utf8(connection.read_line()?).unwrap();
                assert!(line.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "), "{line}");
            } else {
                let header = connection.read_exact(28)?;
                assert!(header.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01"));
            }
            loop {
                let request = connection.read_request()?;
                let body = request.target.clone();
                connection
                    .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))?;
            }
        });
        let endpoint = endpoint.unwrap();
        let config = format!(
            "workers = 1\n[[listener]]\nbind = \"$LISTEN\"\n[[route]]\ncluster = \"c\"\n\
             [cluster.c]\nendpoints = \"$ENDPOINT\"\nproxy_protocol = \"{version}\"\n"
        );
        let usher = usher(&config).endpoint(&endpoint).start().unwrap();
        let (mut one, mut other) = (usher.client().unwrap(), usher.client().unwrap());
        for target in ["/1", "/2"] {
            assert_eq!(one.get(target).unwrap().text(), target, "{version}");
            assert_eq!(other.get(target).unwrap().text(), target, "{version}");
        }
        assert_eq!(endpoint.connections(), 4, "{version}: none is used again");
    }
}

/// A listener on all addresses knows only when a client comes which of them it was.
#[test]
fn the_address_that_the_client_connected_to_is_told() {
    let far = Far::start();
    let cluster = "[cluster.c]\nendpoints = \"$ENDPOINT[far]\"\nproxy_protocol = \"v1\"\n";
    for bind in ["0.0.0.0:$PORT[all]", ":$PORT[all]"] {
        let listener = format!("[[listener]]\nbind = \"{bind}\"\nprotocol = \"tcp\"\ncluster = \"c\"\n");
        let usher = start(&far, &format!("{listener}{cluster}"));
        let port = usher.listener("all").unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let own = client.local_addr().unwrap().port();
        let header = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {own} {port}\r\n");
        // Whoever looked whether the listener is there has another port.
        until("the header", || {
            let mut came = vec![0; header.len()];
            let mut stream = far.accepted.recv_timeout(PATIENCE).expect("a connection");
            stream.read_exact(&mut came).is_ok_and(|()| came == header.as_bytes())
        });
    }
}

/// A connection that was kept before would begin without a header.
#[test]
fn from_a_reload_on_each_connection_begins_with_the_header() {
    let far = Far::start();
    let config = |more: &str| {
        format!(
            "workers = 1\nadmin = \"off\"\n[[listener]]\nbind = \"$LISTEN\"\n[[route]]\ncluster = \"c\"\n\
             [cluster.c]\nendpoints = \"{}\"\n{more}\n",
            far.address
        )
    };
    let mut usher = usher(&config("")).start().unwrap();
    let mut client = usher.client().unwrap();
    let (ask, mut open) = ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Vec::new());
    for (more, begins) in [("", "GET / "), ("proxy_protocol = \"v1\"", "PROXY TCP4 "), ("", "GET / ")] {
        reload(&mut usher, &config(more));
        client.send(ask).unwrap();
        let mut endpoint = far.take(begins.as_bytes());
        endpoint.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        assert_eq!(client.read_response().unwrap().status, 204, "{begins}");
        open.push(endpoint);
    }
}

#[test]
fn a_listener_is_limited() {
    let far = Far::start();
    let limited = "to = \"$ENDPOINT[far]\"\nlimits = { connections_per_client = 1 }";
    let usher = start(&far, &listener(limited));
    let refused = "usher_connections_refused_total{reason=\"client_limit\"}";
    // Whoever looked whether the listener is there may still be counted.
    while far.accepted.try_recv().is_ok() {}
    let mut inside = None;
    until("a place", || {
        let mut client = connect(&usher, b"");
        let _ = client.write_all(b"in");
        let (found, mut first) = (far.accepted.recv_timeout(PATIENCE / 20), [0; 2]);
        let found = found.ok().filter(|stream| (&mut &*stream).read_exact(&mut first).is_ok());
        inside = found.map(|endpoint| (client, endpoint));
        inside.is_some()
    });
    let before = metric(&usher, refused);
    let mut second = connect(&usher, b"");
    assert_eq!(second.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(metric(&usher, refused), before + 1);
}

#[test]
fn what_is_open_outlives_a_reload_and_has_time_at_the_end() {
    let (far, other) = (Far::start(), Far::start());
    let top = "workers = 1\nadmin = \"$ADMIN\"\n[timeouts]\ndrain = \"20s\"\n";
    let mut usher =
        start(&far, &format!("[timeouts]\ndrain = \"20s\"\n{}", listener("to = \"$ENDPOINT[far]\"")));
    let mut client = connect(&usher, b"one");
    let mut endpoint = far.take(b"one");
    reload(&mut usher, &format!("{top}{}", listener(&format!("to = \"{}\"", other.address))));
    connect(&usher, b"two").shutdown(Shutdown::Both).unwrap();
    drop(other.take(b"two"));
    client.write_all(b"still here").unwrap();
    let mut came = [0; 10];
    endpoint.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"still here");
    // Connections of whoever looked whether the listener is there hold nobody up.
    while far.accepted.try_recv().is_ok() || other.accepted.try_recv().is_ok() {}
    usher.signal(Signal::Term).unwrap();
    usher.wait_for_output("finishing what is under way", PATIENCE).unwrap();
    endpoint.write_all(b"so am I").unwrap();
    let mut came = [0; 7];
    client.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"so am I");
    drop((client, endpoint));
    assert_eq!(usher.wait_exit(PATIENCE).unwrap().code(), Some(0), "{}", usher.output());
}

#[test]
fn the_end_waits_only_so_long() {
    let far = Far::start();
    let head = "access_log = \"access.log\"\n[timeouts]\ndrain = \"100ms\"";
    let config = format!("{head}\n{}", listener("to = \"$ENDPOINT[far]\""));
    let mut usher = start(&far, &config);
    let _client = connect(&usher, b"one");
    let _endpoint = far.take(b"one");
    usher.signal(Signal::Term).unwrap();
    assert_eq!(usher.wait_exit(PATIENCE).unwrap().code(), Some(1), "{}", usher.output());
    let told = "0 tunnels and 1 TCP connections were cut off";
    assert!(usher.output().contains(told), "{}", usher.output());
    let log = std::fs::read_to_string(usher.dir().join("access.log")).unwrap();
    assert!(log.contains("\"reason\":\"draining\""), "{log}");
}

#[test]
fn the_listener_is_shown_as_what_it_is() {
    let far = Far::start();
    let mut usher = start(&far, &listener("to = \"$ENDPOINT[far]\""));
    let shown = format!("tcp://{}", usher.listen().unwrap());
    usher.wait_for_output(&shown, PATIENCE).unwrap();
}
