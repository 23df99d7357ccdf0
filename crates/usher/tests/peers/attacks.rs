//! Attacks on HTTP/2, frame by frame, through the whole proxy: they end, others are served meanwhile, memory stays
//! bounded, and the log says why.

use std::process::Command;

use serde_json::Value;
use usher_testkit::{Endpoint, Reply};

use crate::peer::{Peer, noise, wheels};
use crate::secure::{Pki, log, logged, memory_kib, says};

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

/// Lets the attack run, which must end so, and be logged so.
fn attack(name: &str, end: &str, is_why: impl Fn(&Value) -> bool) {
    let (Some(python), pki) = (wheels("hyperframe, hpack"), Pki::new()) else { return };
    let large = noise(1 << 20);
    let endpoint = Endpoint::start(move |request| match request.target.as_str() {
        "/large" => Reply::ok(&large),
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
    logged(&usher, "the reason", &is_why);
    // A request that was under way has its own line.
    let of_the_connection = |line: &&Value| is_why(line) && line["method"].is_null();
    assert!(log(&usher).iter().filter(of_the_connection).count() <= 1, "one line for one connection");
}

/// An attack that ends with GOAWAY(ENHANCE_YOUR_CALM).
fn ends(name: &str, phrase: &str) {
    attack(name, "11", |line| line["reason"] == "client_malformed" && says(line, "detail", phrase));
}

#[test]
fn streams_that_are_reset_at_once() {
    ends("rapid_reset", "flood of reset streams");
}

#[test]
fn streams_that_the_server_must_reset() {
    ends("made_you_reset", "flood of malformed streams");
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
    // Heads over the limit are answered by the connection itself, which writes no line of them.
    attack("hpack_bomb", "bounded", |line| line["status"] == 200);
}

#[test]
fn windows_that_stay_shut() {
    attack("zero_window", "bounded", |line| line["reason"] == "write_stall");
}
