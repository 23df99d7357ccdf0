//! What the access log says of whole requests.

use std::fs;

use usher_testkit::{Endpoint, Reply, Usher};

use crate::harness::{PATIENCE, until, usher};

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
