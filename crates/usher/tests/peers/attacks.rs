//! Attacks on HTTP/2, frame by frame, through the whole proxy: they end, others are served meanwhile, memory stays
//! bounded, and the log says why.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use usher_testkit::{Endpoint, Reply};

use crate::peer::{PATIENCE, Peer, noise, wheels};
use crate::secure::{Pki, log, memory_kib, says};

const SCRIPT: &str = concat!(include_str!("frames.py"), include_str!("attacks.py"));

/// One worker: whoever is served meanwhile is served by the one that is attacked.
const CONFIG: &str = r#"
workers = 1
access_log = "access.log"
[timeouts]
write_stall = "2s"
body_idle = "5s"
[[listener]]
bind = "$LISTEN"
tls = true
[[route]]
to = "$ENDPOINT"
"#;

/// What an attack may cost (KiB). What it asks for would be many times as much.
const MAX_GROWTH_KIB: u64 = 48 << 10;

const BROKEN: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

/// Lets the attack run, which must end so, and be logged so, on this number of lines. Gives the number of its requests that
/// the endpoint has seen.
fn attack(name: &str, end: &str, (lines, is_why): (usize, impl Fn(&Value) -> bool)) -> Option<usize> {
    let (Some(python), pki) = (wheels("hyperframe, hpack"), Pki::new()) else { return None };
    let large = noise(1 << 20);
    let endpoint = Endpoint::start(move |request| match request.target.as_str() {
        "/large" => Reply::ok(&large),
        "/broken" => Reply::bytes(BROKEN).then_close(),
        _ => Reply::ok("hello"),
    })
    .unwrap();
    let usher = pki.usher(CONFIG).endpoint(&endpoint).start().unwrap();
    let before = memory_kib(&usher);
    let port = usher.listen().unwrap().port().to_string();
    let mut command = Command::new(python);
    command.args(["-u", "-c", SCRIPT, name, &port]).arg(pki.path("ca.pem"));
    // It ends well only if the other client was served.
    assert_eq!(Peer::start(&mut command).finish().trim(), format!("ended {end}"), "{name}");
    let grown = memory_kib(&usher).saturating_sub(before);
    assert!(grown < MAX_GROWTH_KIB, "{name}: {grown} KiB more than before");
    let deadline = Instant::now() + PATIENCE;
    let count = || log(&usher).iter().filter(|line| is_why(line)).count();
    while count() < lines && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(count(), lines, "{name}: lines that say why, among {:#?}", log(&usher).iter().take(20));
    Some(endpoint.requests().iter().filter(|request| request.target == "/large").count())
}

/// A line about the connection: none of a request.
fn is_of_the_connection(line: &Value) -> bool {
    line["method"].is_null() && line["status"] == 0
}

/// An attack that ends with GOAWAY(ENHANCE_YOUR_CALM).
fn ends(name: &str, phrase: &str) -> Option<usize> {
    let is_why = |line: &Value| {
        is_of_the_connection(line) && line["reason"] == "client_malformed" && says(line, "detail", phrase)
    };
    attack(name, "11", (1, is_why))
}

/// What is reset together with its request costs no endpoint anything: but for pairs that a read happens to part.
const MAX_PARTED: usize = 50;

#[test]
fn streams_that_are_reset_at_once() {
    let seen = ends("rapid_reset", "flood of reset streams");
    assert!(seen.is_none_or(|seen| seen < MAX_PARTED), "{seen:?} requests reached the endpoint");
}

#[test]
fn streams_that_the_server_must_reset() {
    let seen = ends("made_you_reset", "flood of malformed streams");
    assert!(seen.is_none_or(|seen| seen < MAX_PARTED), "{seen:?} requests reached the endpoint");
}

#[test]
fn a_head_without_end() {
    ends("continuation", "CONTINUATION");
}

#[test]
fn settings_without_end() {
    ends("settings", "flood of SETTINGS");
}

#[test]
fn pings_without_end() {
    ends("ping", "flood of PING");
}

#[test]
fn data_without_data() {
    ends("empty_data", "flood of empty frames");
}

#[test]
fn priorities_without_end() {
    ends("priority", "flood of PRIORITY");
}

#[test]
fn windows_that_grow_by_nothing() {
    ends("window_update", "flood of WINDOW_UPDATE");
}

#[test]
fn a_head_that_unpacks_to_megabytes() {
    let is_refused = |line: &Value| {
        line["status"] == 431
            && line["reason"] == "client_malformed"
            && says(line, "detail", "head too large")
    };
    attack("hpack_bomb", "bounded", (89, is_refused));
}

#[test]
fn windows_that_stay_shut() {
    attack("zero_window", "bounded", (100, |line: &Value| line["reason"] == "write_stall"));
}

/// INTERNAL_ERROR, and not CANCEL: gRPC would take that for its own doing.
#[test]
fn a_response_that_breaks_off() {
    attack("broken_off", "2", (1, |line: &Value| line["reason"] == "endpoint_disconnected"));
}
