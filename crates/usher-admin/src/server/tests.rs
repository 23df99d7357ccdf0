//! Over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;

use super::*;

/// Answers what it is told to.
struct Fake {
    reload: Mutex<Result<String, String>>,
    ready: Mutex<Result<(), String>>,
}

impl Control for Fake {
    fn reload(&self) -> Result<String, String> {
        self.reload.lock().unwrap().clone()
    }

    fn upgrade(&self) -> Result<String, String> {
        Err("the new process ended".to_owned())
    }

    fn ready(&self) -> Result<(), String> {
        self.ready.lock().unwrap().clone()
    }
}

struct Setup {
    server: AdminServer,
    address: SocketAddr,
    control: Arc<Fake>,
    registry: Arc<Registry>,
}

fn setup() -> Setup {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let control = Arc::new(Fake { reload: Mutex::new(Ok("2 routes".to_owned())), ready: Mutex::new(Ok(())) });
    let registry = Registry::new("1");
    let server = AdminServer::start(Socket::Tcp(listener), registry.clone(), control.clone()).unwrap();
    Setup { server, address, control, registry }
}

/// Sends a head (with Host and Connection added) and gives the status and the whole response.
fn ask(address: SocketAddr, head: &str) -> (u16, String) {
    ask_as(address, &format!("{head}Host: {address}\r\n"))
}

fn ask_as(address: SocketAddr, head: &str) -> (u16, String) {
    exchange(TcpStream::connect(address).unwrap(), head)
}

fn exchange(mut stream: impl Read + Write, head: &str) -> (u16, String) {
    write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
}

#[test]
fn pages_answer() {
    let setup = setup();
    let _held = setup.registry.register_worker().route("api");
    let table = [
        ("GET / HTTP/1.1\r\n", 200, "/metrics"),
        ("GET /healthz HTTP/1.1\r\n", 200, "\r\n\r\nok\n"),
        ("GET /readyz HTTP/1.1\r\n", 200, "\r\n\r\nready\n"),
        ("GET /metrics HTTP/1.1\r\n", 200, "usher_route_sent_bytes_total{route=\"api\"} 0\n"),
        ("GET /metrics HTTP/1.1\r\n", 200, "content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        ("HEAD /metrics HTTP/1.1\r\n", 200, "nosniff"),
        ("GET /nothing HTTP/1.1\r\n", 404, "no such page"),
        ("GET /reload HTTP/1.1\r\n", 405, ""),
        ("POST /reload HTTP/1.1\r\nX-Usher-Admin: 1\r\n", 200, "\r\n\r\n2 routes\n"),
        ("POST /reload HTTP/1.1\r\nContent-Type: application/json\r\n", 200, "\r\n\r\n2 routes\n"),
        ("POST /upgrade HTTP/1.1\r\nX-Usher-Admin: 1\r\n", 422, "\r\n\r\nthe new process ended\n"),
    ];
    for (head, status, part) in table {
        let (got, text) = ask(setup.address, head);
        assert_eq!(got, status, "{head}{text}");
        assert!(text.contains(part), "{head}{text}");
        assert!(!text.to_ascii_lowercase().contains("access-control"), "{text}");
    }
    setup.server.stop();
}

#[test]
fn a_page_in_a_browser_gets_nothing() {
    let setup = setup();
    let table = [
        ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n", 421),
        ("GET /healthz HTTP/1.1\r\nHost: evil.example:9180\r\n", 421),
        ("GET /nothing HTTP/1.1\r\nHost: evil.example\r\n", 421),
        ("GET /metrics HTTP/1.0\r\n", 421),
        ("POST /reload HTTP/1.1\r\nHost: localhost\r\n", 403),
        ("POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n", 403),
        ("OPTIONS /reload HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n", 403),
        ("POST /reload HTTP/1.1\r\nHost: evil.example\r\nX-Usher-Admin: 1\r\n", 421),
    ];
    *setup.control.reload.lock().unwrap() = Err("must not be asked".to_owned());
    for (head, status) in table {
        let (got, text) = ask_as(setup.address, head);
        assert_eq!(got, status, "{head}{text}");
    }
}

#[test]
fn what_is_not_ready_says_why() {
    let setup = setup();
    *setup.control.ready.lock().unwrap() = Err("draining".to_owned());
    let (status, text) = ask(setup.address, "GET /readyz HTTP/1.1\r\n");
    assert_eq!(status, 503);
    assert!(text.ends_with("\r\n\r\ndraining\n"), "{text}");
    assert_eq!(ask(setup.address, "GET /healthz HTTP/1.1\r\n").0, 200);
}

#[test]
fn a_reload_that_fails_says_what_is_wrong() {
    let setup = setup();
    *setup.control.reload.lock().unwrap() = Err("usher.toml:3:1: unknown key `rout`".to_owned());
    let (status, text) = ask(setup.address, "POST /reload HTTP/1.1\r\nX-Usher-Admin: 1\r\n");
    assert_eq!(status, 422);
    assert!(text.ends_with("\r\n\r\nusher.toml:3:1: unknown key `rout`\n"), "{text}");
}

#[test]
fn a_unix_socket_needs_no_name() {
    let path = std::env::temp_dir().join(format!("usher-admin-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let socket = Socket::Unix(UnixListener::bind(&path).unwrap());
    let control = Arc::new(Fake { reload: Mutex::new(Ok(String::new())), ready: Mutex::new(Ok(())) });
    let server = AdminServer::start(socket, Registry::new("1"), control).unwrap();
    let (status, _) =
        exchange(UnixStream::connect(&path).unwrap(), "GET /readyz HTTP/1.1\r\nHost: usher\r\n");
    assert_eq!(status, 200);
    server.stop();
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn after_stop_nobody_listens() {
    let setup = setup();
    assert_eq!(ask(setup.address, "GET /healthz HTTP/1.1\r\n").0, 200);
    setup.server.stop();
    assert!(TcpStream::connect(setup.address).is_err());
}

#[test]
fn a_silent_connection_holds_nobody_up() {
    let setup = setup();
    let _silent: Vec<_> = (0..20).map(|_| TcpStream::connect(setup.address).unwrap()).collect();
    assert_eq!(ask(setup.address, "GET /healthz HTTP/1.1\r\n").0, 200);
}
