//! HTTP/3 while another process takes over: what is under way ends in the old one, whatever begins is the new one's.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use usher_http::parse::HeadLimits;
use usher_http::{Framing, Method, Request, Response, framing};
use usher_net::quic::{QuicConnector, QuicKeys, QuicOptions};
use usher_net::tls::{ConnectorOptions, TlsConnector};
use usher_testkit::{Authority, Endpoint, Reply};
use usher_wire::{NotTrailers, RequestContext, Sink as _, Source as _, Upstream as _, h3};

use crate::harness::{PATIENCE, reload, udp_sockets, usher};
use crate::upgrade::{Line, has_ended};

const CONFIG: &str = "
workers = 2
admin = \"$ADMIN\"
access_log = \"off\"
automatic_https = false
[[certificate]]
cert = \"cert.pem\"
key = \"key.pem\"
default = true
[[listener]]
bind = \"$LISTEN\"
tls = true
[[route]]
to = \"$ENDPOINT\"
";

const LIMITS: HeadLimits = HeadLimits { line: 8 << 10, head: 64 << 10, fields: 200 };
/// How often it is looked again whether there is room for a stream.
const LOOK: Duration = Duration::from_millis(2);

/// A connection of HTTP/3.
pub(crate) struct Visitor {
    h3: h3::Client,
    _quic: QuicConnector,
}

impl Visitor {
    pub(crate) async fn connect(address: SocketAddr, ca: &str) -> Self {
        let options = ConnectorOptions {
            roots: Some(ca.into()),
            alpn: vec!["h3".into()],
            ..ConnectorOptions::default()
        };
        let tls = TlsConnector::new(options).unwrap();
        let quic = QuicConnector::new(QuicOptions::new(QuicKeys::random().unwrap().into()));
        let connection = quic.connect(address, "localhost", tls.client_config()).unwrap();
        poll_fn(|cx| connection.poll_handshake(cx)).await.unwrap();
        let limits = h3::Limits { head: LIMITS, ..h3::Limits::default() };
        let (h3, driver) = h3::Client::new(connection, limits);
        tokio::task::spawn_local(driver);
        Self { h3, _quic: quic }
    }

    /// Asks, and waits for the head of the answer.
    pub(crate) async fn ask(&self, path: &str) -> h3::ClientStream {
        let mut stream = loop {
            match self.h3.open() {
                Some(stream) => break stream,
                None => tokio::time::sleep(LOOK).await,
            }
        };
        let mut request = Request::default();
        request.method = Method::from_token(b"GET");
        request.scheme = "https";
        request.path = path.into();
        let trailers: NotTrailers = [].into();
        let context = RequestContext { upgrade: None, takes_trailers: false, trailers: Some(&trailers) };
        stream.begin_request(&request, b"localhost", Framing::None, context);
        poll_fn(|cx| stream.poll_finish(cx, None)).await.unwrap();
        let mut response = Response::default();
        poll_fn(|cx| stream.poll_response(cx, &LIMITS, &mut response)).await.unwrap();
        assert_eq!(response.status, 200);
        stream.begin_receive(framing::of_response(&mut response, &request.method).unwrap());
        stream
    }
}

pub(crate) async fn body(mut stream: h3::ClientStream) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let length = poll_fn(|cx| stream.poll_fill(cx)).await.expect("not broken off");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(stream.chunk());
        stream.consume(length);
    }
}

pub(crate) fn local<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
    runtime.unwrap().block_on(future)
}

/// An endpoint whose answers to `/slow` stop in the middle until it is told to go on.
fn gated() -> (Sender<()>, Endpoint) {
    let (answer, told) = channel::<()>();
    let told = Mutex::new(told);
    let endpoint = Endpoint::raw(move |connection, _| {
        connection.set_timeout(PATIENCE);
        while let Ok(request) = connection.read_request() {
            let slow = request.line.contains("slow");
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")?;
            if slow {
                let _ = told.lock().unwrap().recv_timeout(PATIENCE);
            }
            connection.send("-last")?;
        }
        Ok(())
    });
    (answer, endpoint.unwrap())
}

#[test]
fn connections_of_http3_end_where_they_began() {
    let (answer, endpoint) = gated();
    let authority = Authority::new("upgrades").unwrap();
    let leaf = authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let builder = usher(CONFIG).endpoint(&endpoint).file("cert.pem", leaf.cert).file("key.pem", leaf.key);
    let line = Line::start(builder);
    let (address, ca) = (line.listen(), authority.pem());
    local(async {
        for turn in 0..3 {
            let before = line.pid();
            let old = Visitor::connect(address, &ca).await;
            assert_eq!(body(old.ask("/").await).await, b"first-last");
            let slow = old.ask("/slow").await;
            let done = line.upgrade();
            assert_eq!(done.code, Some(0), "{done:?}");
            // Several, so that each worker has one.
            let mut new = Vec::new();
            for _ in 0..6 {
                new.push(Visitor::connect(address, &ca).await);
            }
            for visitor in &new {
                assert_eq!(body(visitor.ask("/").await).await, b"first-last", "turn {turn}");
            }
            assert!(!has_ended(before), "it serves the slow one");
            answer.send(()).unwrap();
            assert_eq!(body(slow).await, b"first-last", "turn {turn}");
            // Not by blocking: the clients say good-bye meanwhile.
            while !has_ended(before) {
                tokio::time::sleep(LOOK).await;
            }
            // Its sockets are gone; nobody else's packets go astray by that.
            for visitor in &new {
                assert_eq!(body(visitor.ask("/").await).await, b"first-last", "turn {turn}");
            }
        }
    });
    assert_eq!(line.output().matches("ended; every connection was finished").count(), 3, "{}", line.output());
}

/// QUIC passes a listener of UDP as any other protocol does, also while another process takes over there.
#[test]
fn http3_passes_through_udp() {
    let endpoint = Endpoint::start(|_| Reply::ok("hello ".repeat(100_000))).unwrap();
    let authority = Authority::new("passes").unwrap();
    let leaf = authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let builder = usher(CONFIG).endpoint(&endpoint).file("cert.pem", leaf.cert).file("key.pem", leaf.key);
    let far = builder.start().unwrap();
    let port = usher_testkit::Port::reserve().unwrap();
    let config = format!(
        "workers = 2\nadmin = \"$ADMIN\"\n[[listener]]\nbind = \"{}\"\nprotocol = \"udp\"\nto = \"{}\"\n",
        port.address(),
        far.listen().unwrap()
    );
    let line = Line::start(usher(&config));
    local(async {
        let visitor = Visitor::connect(port.address(), &authority.pem()).await;
        for _ in 0..3 {
            assert_eq!(body(visitor.ask("/").await).await.len(), 600_000);
            let done = line.upgrade();
            assert_eq!(done.code, Some(0), "{done:?}");
        }
        assert_eq!(body(visitor.ask("/").await).await.len(), 600_000, "the same connection");
    });
    assert_eq!(far.metric("usher_tls_handshakes_total").unwrap(), Some(1.0));
}

#[test]
fn the_eldest_of_three_generations_is_served_to_the_end() {
    // Too long to be sent without hearing from the client.
    const LENGTH: usize = 4 << 20;
    let (answer, told) = channel::<()>();
    let told = Mutex::new(told);
    let endpoint = Endpoint::raw(move |connection, _| {
        connection.set_timeout(PATIENCE);
        connection.read_request()?;
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"))?;
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        connection.send("x".repeat(LENGTH))
    });
    let endpoint = endpoint.unwrap();
    let authority = Authority::new("generations").unwrap();
    let leaf = authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let builder = usher(CONFIG).endpoint(&endpoint).file("cert.pem", leaf.cert).file("key.pem", leaf.key);
    let line = Line::start(builder);
    let (address, ca, eldest) = (line.listen(), authority.pem(), line.pid());
    local(async {
        let old = Visitor::connect(address, &ca).await;
        let slow = old.ask("/slow").await;
        assert_eq!(line.upgrade().code, Some(0));
        let second = line.pid();
        assert_eq!(line.upgrade().code, Some(0));
        // It has nothing to do, and would end.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!has_ended(eldest) && !has_ended(second));
        answer.send(()).unwrap();
        assert_eq!(body(slow).await.len(), LENGTH);
        drop(old);
        while !has_ended(eldest) || !has_ended(second) {
            tokio::time::sleep(LOOK).await;
        }
    });
}

#[test]
fn a_reload_that_opens_sockets_anew_loses_nobody_either() {
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let authority = Authority::new("reloads").unwrap();
    let leaf = authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let builder = usher(CONFIG).endpoint(&endpoint).file("cert.pem", leaf.cert).file("key.pem", leaf.key);
    let mut usher = builder.start().unwrap();
    let (address, ca) = (usher.listen().unwrap(), authority.pem());
    local(async {
        for backlog in [100, 200] {
            let old = Visitor::connect(address, &ca).await;
            assert_eq!(body(old.ask("/").await).await, b"hello");
            reload(&mut usher, &CONFIG.replace("tls = true", &format!("tls = true\nbacklog = {backlog}")));
            assert_eq!(usher.output().matches(" reloaded ").count(), backlog / 100);
            // Several, so that each worker has one.
            let mut new = Vec::new();
            for _ in 0..6 {
                new.push(Visitor::connect(address, &ca).await);
            }
            drop(old);
            for visitor in new.iter().chain(&new).chain(&new) {
                assert_eq!(body(visitor.ask("/").await).await, b"hello", "{backlog}");
            }
        }
    });
}

#[test]
fn http3_that_is_switched_off_and_on_again_loses_nobody() {
    let (answer, endpoint) = gated();
    let authority = Authority::new("switches").unwrap();
    let leaf = authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let builder = usher(CONFIG).endpoint(&endpoint).file("cert.pem", leaf.cert).file("key.pem", leaf.key);
    let mut usher = builder.start().unwrap();
    let (address, ca) = (usher.listen().unwrap(), authority.pem());
    local(async {
        let old = Visitor::connect(address, &ca).await;
        let slow = old.ask("/slow").await;
        reload(&mut usher, &CONFIG.replace("tls = true", "tls = true\nprotocols = [\"h1\", \"h2\"]"));
        reload(&mut usher, CONFIG);
        assert_eq!(usher.output().matches(" reloaded ").count(), 2);
        for _ in 0..6 {
            let new = Visitor::connect(address, &ca).await;
            assert_eq!(body(new.ask("/").await).await, b"first-last");
        }
        answer.send(()).unwrap();
        assert_eq!(body(slow).await, b"first-last");
    });
}

#[test]
fn sockets_of_http3_that_is_switched_off_are_closed_with_the_last_connection() {
    let (answer, endpoint) = gated();
    let authority = Authority::new("switches").unwrap();
    let leaf = authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let builder = usher(CONFIG).endpoint(&endpoint).file("cert.pem", leaf.cert).file("key.pem", leaf.key);
    let mut usher = builder.start().unwrap();
    let (address, ca) = (usher.listen().unwrap(), authority.pem());
    local(async {
        let visitor = Visitor::connect(address, &ca).await;
        let slow = visitor.ask("/slow").await;
        let off = CONFIG.replace("tls = true", "tls = true\nprotocols = [\"h1\", \"h2\"]");
        reload(&mut usher, &off);
        assert_eq!(udp_sockets(address), 2, "one for each worker");
        answer.send(()).unwrap();
        assert_eq!(body(slow).await, b"first-last");
        drop(visitor);
        let closed = async {
            while udp_sockets(address) > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, closed).await.expect("no socket is left");
        reload(&mut usher, CONFIG);
        let again = Visitor::connect(address, &ca).await;
        assert_eq!(body(again.ask("/").await).await, b"first-last");
    });
}
