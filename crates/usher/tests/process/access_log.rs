//! What the access log says of whole requests.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use usher_testkit::{Endpoint, Reply, Signal, Usher};

use crate::harness::{PATIENCE, reload, until, usher};

fn config(top: &str, routes: &str) -> String {
    format!("workers = 1\nadmin = \"off\"\n{top}\n[[listener]]\nbind = \"$LISTEN\"\n{routes}")
}

/// The lines of `access.log` once there are so many, at the least.
fn lines(usher: &Usher, name: &str, count: usize) -> Vec<String> {
    let read = || fs::read_to_string(usher.dir().join(name)).unwrap_or_default();
    until("lines in the log", || read().lines().count() >= count);
    read().lines().map(str::to_owned).collect()
}

fn ask(usher: &Usher, path: &str) -> u16 {
    let mut client = usher.client().unwrap();
    client.set_timeout(PATIENCE);
    client.get(path).unwrap().status
}

#[test]
fn routes_and_places_are_chosen() {
    let logs = "access_log = [{ path = \"access.log\", query = false, format = \"{request.target}\" }, \
                { path = \"all.log\", format = \"{request.line}\" }]";
    let usher = usher(&config(
        logs,
        "[[route]]\nrespond = \"ok\"\n[[route]]\npath = \"/healthz\"\naccess_log = \"off\"\nrespond = \"ok\"\n",
    ));
    let usher = usher.start().unwrap();
    for path in ["/1?secret", "/healthz", "/2"] {
        assert_eq!(ask(&usher, path), 200);
    }
    assert_eq!(lines(&usher, "access.log", 2), ["/1", "/2"]);
    assert_eq!(lines(&usher, "all.log", 2), ["GET /1?secret HTTP/1.1", "GET /2 HTTP/1.1"]);
}

/// Also where another endpoint answered then.
#[test]
fn endpoints_that_failed_are_named_with_the_reason() {
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let log =
        "access_log = { path = \"access.log\", format = '{status} {retries} \"{reason}\" \"{detail}\"' }";
    let routes = "[[route]]\nto = [\"127.0.0.1:9\", \"$ENDPOINT\"]\n[[route]]\npath = \"/dead\"\nto = \"127.0.0.1:9\"\n";
    let usher = usher(&config(log, routes)).endpoint(&endpoint).start().unwrap();
    assert_eq!(ask(&usher, "/dead"), 502);
    assert_eq!((ask(&usher, "/"), ask(&usher, "/")), (200, 200));
    let mut lines = lines(&usher, "access.log", 3);
    lines.sort();
    let refused = "\"127.0.0.1:9: connection refused\"";
    assert_eq!(lines[0], "200 0 \"-\" \"-\"");
    assert_eq!(lines[1..], [format!("200 1 \"-\" {refused}"), format!("502 0 \"connect_failed\" {refused}")]);
}

/// A request that began before a reload is logged as the config said then.
#[test]
fn a_log_of_a_former_config_is_opened_again_too() {
    let gate = Arc::new(AtomicBool::new(false));
    let (is_open, waits) = (gate.clone(), Arc::new(AtomicBool::new(false)));
    let arrived = waits.clone();
    let endpoint = Endpoint::start(move |_| {
        arrived.store(true, SeqCst);
        until("the gate", || is_open.load(SeqCst));
        Reply::ok("hello")
    });
    let endpoint = endpoint.unwrap();
    let config = |log: &str| {
        let top = format!("access_log = {{ path = \"{log}\", format = \"{{request.target}}\" }}");
        config(&top, "[[route]]\nto = \"$ENDPOINT\"\n")
    };
    let mut usher = usher(&config("one.log")).endpoint(&endpoint).start().unwrap();
    let mut client = usher.client().unwrap();
    client.set_timeout(PATIENCE);
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    until("the request", || waits.load(SeqCst));
    reload(&mut usher, &config("two.log"));
    let (log, moved) = (usher.dir().join("one.log"), usher.dir().join("one.log.1"));
    fs::rename(&log, &moved).unwrap();
    usher.signal(Signal::Usr1).unwrap();
    until("the log to be there again", || log.exists());
    gate.store(true, SeqCst);
    assert_eq!(lines(&usher, "one.log", 1), ["/slow"]);
    assert_eq!(fs::read_to_string(moved).unwrap(), "");
}
