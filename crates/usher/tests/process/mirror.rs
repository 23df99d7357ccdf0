//! Copies of requests: what they say, what becomes of them, and that visitors see nothing of it.

use std::sync::Mutex;
use std::sync::mpsc;

use usher_testkit::{Endpoint, Reply, Request, Signal, Usher};

use crate::harness::{PATIENCE, until, usher};

fn config(mirror: &str) -> String {
    format!(
        "workers = 2\nadmin = \"$ADMIN\"\n[timeouts]\ndrain = \"1h\"\n[[listener]]\nbind = \"$LISTEN\"\n\
         [[route]]\ncluster = \"app\"\n{mirror}\n\
         [cluster.app]\nendpoints = [\"$ENDPOINT[app]\"]\n[cluster.shadow]\nendpoints = [\"$ENDPOINT[shadow]\"]\n"
    )
}

fn start(mirror: &str, shadow: Reply) -> (Usher, Endpoint, Endpoint) {
    let app = Endpoint::start(|request| Reply::ok(request.message.body.clone())).unwrap();
    let shadow = Endpoint::start(move |_| shadow.clone()).unwrap();
    let config = config(mirror);
    let usher = usher(&config).endpoint_named("app", &app).endpoint_named("shadow", &shadow).start().unwrap();
    (usher, app, shadow)
}

fn ask(usher: &Usher, method: &str, body: &str) -> (u16, String) {
    let mut client = usher.client().unwrap();
    client.set_timeout(PATIENCE);
    let length = body.len();
    let sent = format!(
        "{method} /x?y=z HTTP/1.1\r\nHost: shop.example.com:81\r\nCookie: a=b\r\nX-Usher-Mirror: forged\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    client.send(sent).unwrap();
    let response = client.read_response_to(method).unwrap();
    (response.status, response.message.text())
}

/// How many copies ended so.
fn ended(usher: &Usher, outcome: &str) -> u64 {
    let metrics = usher::metrics(usher);
    let label = format!("outcome=\"{outcome}\"");
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("usher_mirror_requests_total{") && line.contains(&label));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// The numbers of the process.
mod usher {
    use usher_testkit::{Client, Usher};

    pub(super) fn metrics(usher: &Usher) -> String {
        let mut client = Client::connect(usher.admin().unwrap()).unwrap();
        client.request("GET", "/metrics", &[("Host", "localhost")], b"").unwrap().text()
    }
}

fn fields(request: &Request, name: &str) -> Vec<String> {
    request.message.fields.all(name).map(str::to_owned).collect()
}

#[test]
fn a_copy_says_what_the_request_says() {
    for (mirror, host) in [
        ("mirror = \"shadow\"", "shop.example.com:81"),
        ("mirror = { cluster = \"shadow\", host = \"shadow\" }", "shop.example.com-shadow:81"),
    ] {
        let (usher, app, shadow) = start(mirror, Reply::ok("not for you").field("Set-Cookie", "x=y"));
        let body = "0123456789".repeat(10_000);
        for (method, body) in [("POST", body.as_str()), ("GET", ""), ("DELETE", "")] {
            assert_eq!(ask(&usher, method, body), (200, body.to_owned()));
        }
        let copies = shadow.wait_for_requests(3, PATIENCE).unwrap();
        for original in app.requests() {
            let copy = copies.iter().find(|copy| copy.method == original.method).unwrap();
            assert_eq!((&copy.target, &copy.message.body), (&original.target, &original.message.body));
            assert_eq!(fields(copy, "Cookie"), ["a=b"]);
            assert_eq!(fields(copy, "X-Forwarded-For"), fields(&original, "X-Forwarded-For"));
            assert_eq!(fields(copy, "X-Usher-Mirror"), ["1"], "and not what the visitor says");
            assert_eq!(fields(copy, "Host"), [host]);
        }
        until("the copies to end", || ended(&usher, "answered") == 3);
        assert!(
            usher::metrics(&usher).contains("usher_mirror_in_flight{route=\"*\",cluster=\"shadow\"} 0\n")
        );
    }
}

#[test]
fn visitors_see_nothing_of_what_becomes_of_copies() {
    let body = "0123456789".repeat(1_000);
    for (reply, outcome) in [
        (Reply::status(503, "no"), "answered_5xx"),
        (Reply::close(), "failed"),
        (Reply::reset(), "failed"),
        (Reply::bytes("no HTTP\r\n\r\n"), "failed"),
        (Reply::never(), "timeout"),
    ] {
        let (usher, _app, shadow) = start("mirror = { cluster = \"shadow\", timeout = \"1s\" }", reply);
        for method in ["POST", "GET"] {
            assert_eq!(ask(&usher, method, &body), (200, body.clone()), "{outcome}");
        }
        until(outcome, || ended(&usher, outcome) == 2);
        assert_eq!(shadow.requests().len(), 2, "{outcome}: a copy is sent once");
        assert_eq!(usher.metric("usher_upstream_retries_total").unwrap(), Some(0.0));
    }
}

#[test]
fn so_many_copies_are_under_way_at_once() {
    let (usher, app, shadow) =
        start("mirror = { cluster = \"shadow\", max_in_flight = 3, timeout = \"1h\" }", Reply::never());
    for _ in 0..20 {
        assert_eq!(ask(&usher, "GET", "").0, 200);
    }
    assert_eq!((app.requests().len(), ended(&usher, "too_many")), (20, 17));
    assert_eq!(shadow.wait_for_requests(3, PATIENCE).unwrap().len(), 3);
}

#[test]
fn the_end_does_not_wait_for_copies() {
    let (mut usher, _app, shadow) =
        start("mirror = { cluster = \"shadow\", timeout = \"1h\" }", Reply::never());
    assert_eq!(ask(&usher, "POST", "body"), (200, "body".to_owned()));
    shadow.wait_for_requests(1, PATIENCE).unwrap();
    // A reload leaves it alone, and a mirror that is gone is copied to no more.
    usher.reload(&config("")).unwrap();
    assert_eq!(ask(&usher, "GET", ""), (200, String::new()));
    assert_eq!(shadow.requests().len(), 1);
    usher.signal(Signal::Term).unwrap();
    assert!(usher.wait_exit(PATIENCE).unwrap().success(), "{}", usher.output());
}

#[test]
fn a_share_of_requests_is_copied() {
    let mirrors =
        "mirror = [{ cluster = \"shadow\", share = \"10%\" }, { to = \"$ENDPOINT[app]\", share = \"0%\" }]";
    let (usher, app, shadow) = start(mirrors, Reply::ok(""));
    let mut client = usher.client().unwrap();
    for _ in 0..1000 {
        assert_eq!(client.get("/").unwrap().status, 200);
    }
    assert_eq!(app.requests().len(), 1000);
    until("all copies to end", || ended(&usher, "answered") == shadow.requests().len() as u64);
    // Five standard deviations.
    let copies = shadow.requests().len();
    assert!((53..=147).contains(&copies), "{copies}");
}

#[test]
fn a_tunnel_has_no_copy() {
    let app = Endpoint::start(|request| match request.message.fields.has("Upgrade") {
        true => Reply::upgrade_echo("websocket"),
        false => Reply::ok(""),
    });
    let app = app.unwrap();
    let (told, copies) = mpsc::channel();
    let told = Mutex::new(told);
    let shadow = Endpoint::start(move |_| {
        let _ = told.lock().unwrap().send(());
        Reply::ok("")
    });
    let shadow = shadow.unwrap();
    let config = config("mirror = \"shadow\"");
    let usher = crate::harness::usher(&config).endpoint_named("app", &app);
    let usher = usher.endpoint_named("shadow", &shadow).start().unwrap();
    let mut client = usher.client().unwrap();
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        .unwrap();
    assert_eq!(client.read_response_to("GET").unwrap().status, 101);
    // What follows on another connection is copied; what went before would have come first.
    assert_eq!(usher.client().unwrap().get("/").unwrap().status, 200);
    assert!(copies.recv_timeout(PATIENCE).is_ok(), "a request that asks for nothing is copied");
    until("the copy to end", || ended(&usher, "answered") == 1);
    assert!(copies.try_recv().is_err());
}

#[test]
fn whoever_takes_nothing_is_given_up() {
    // It takes connections, and nothing of what comes on them.
    let shadow = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = shadow.local_addr().unwrap().to_string();
    let app = Endpoint::start(|request| Reply::ok(request.message.body.len().to_string())).unwrap();
    let config = config(
        "mirror = { cluster = \"shadow\", timeout = \"1h\", buffer = \"64KiB\" }\nlimits = { body = \"64MiB\" }",
    );
    let usher = crate::harness::usher(&config).endpoint_named("app", &app);
    let usher = usher.endpoint_address("shadow", &address).start().unwrap();
    // More than sockets take by themselves.
    let body = "x".repeat(32 << 20);
    assert_eq!(ask(&usher, "PUT", &body), (200, body.len().to_string()));
    until("the copy to be given up", || ended(&usher, "slow") == 1);
    drop(shadow);
}
