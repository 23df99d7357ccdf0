//! aioquic, a client of HTTP/3 that others have written: bodies, moves, early data.

use std::path::{Path, PathBuf};
use std::process::Command;

use usher_testkit::{Endpoint, Reply, Request, Usher};

use crate::peer::{Peer, noise, wheels};
use crate::secure::{Pki, WITH_TRAILERS, log, logged};

const SCRIPT: &str = include_str!("quic.py");

pub(crate) const CONFIG: &str = r#"
workers = 2
access_log = "access.log"
[[listener]]
bind = "$LISTEN"
tls = { early_data = true }
[[listener]]
name = "careful"
bind = "$LISTEN[careful]"
tls = true
[[route]]
to = "$ENDPOINT"
"#;

/// Runs a part of the script against a listener.
pub(crate) fn run(python: &Path, pki: &Pki, usher: &Usher, part: &str, listener: &str) -> Peer {
    let port = usher.listener(listener).unwrap().port().to_string();
    Peer::start(Command::new(python).args(["-u", "-c", SCRIPT, part, &port]).arg(pki.path("ca.pem")))
}

/// Says what came, as the path asks.
pub(crate) fn answer(request: &Request) -> Reply {
    match request.target.split('?').next().unwrap_or_default() {
        "/echo" => Reply::ok(&request.body),
        "/large" => Reply::ok(noise(5 << 20)),
        "/seen" => Reply::ok(format!("early={}", request.fields.get("early-data").unwrap_or_default())),
        "/trailers" => Reply::bytes(WITH_TRAILERS),
        _ => Reply::status(404, "nothing here"),
    }
}

/// Python with aioquic, an endpoint, and Usher between them.
pub(crate) fn start() -> Option<(PathBuf, Pki, Endpoint, Usher)> {
    let (python, pki) = (wheels("aioquic")?, Pki::new());
    let endpoint = Endpoint::start(answer).unwrap();
    let usher = pki.usher(CONFIG).endpoint(&endpoint).start().unwrap();
    Some((python, pki, endpoint, usher))
}

#[test]
fn bodies_arrive_whole_on_many_streams_and_connections() {
    let Some((python, pki, _endpoint, usher)) = start() else { return };
    assert_eq!(run(&python, &pki, &usher, "bodies", "").finish(), "done\n");
    let line = logged(&usher, "a request", |line| line["target"] == "/missing");
    assert_eq!(line["version"], "HTTP/3.0");
    let broken =
        log(&usher).into_iter().find(|line| line["version"] == "HTTP/3.0" && line["reason"].is_string());
    assert!(broken.is_none(), "{broken:?}");
}

#[test]
fn clients_that_move_keep_their_connection() {
    let Some((python, pki, _endpoint, usher)) = start() else { return };
    assert_eq!(run(&python, &pki, &usher, "move", "").finish(), "done\n");
    logged(&usher, "the other address", |line| line["client"] == "127.0.0.4" && line["status"] == 200);
}

#[test]
fn early_data_is_for_safe_requests() {
    let Some((python, pki, endpoint, usher)) = start() else { return };
    assert_eq!(run(&python, &pki, &usher, "early", "").finish(), "done\n");
    let early = |request: &&Request| request.fields.has("early-data");
    let requests = endpoint.requests();
    assert_eq!(
        requests.iter().filter(early).map(|request| request.method.clone()).collect::<Vec<_>>(),
        ["GET"]
    );
    assert_eq!(run(&python, &pki, &usher, "refused", "careful").finish(), "done\n");
}
