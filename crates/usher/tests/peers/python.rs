//! Server and client of Python's standard library.

use std::path::Path;
use std::process::Command;

use crate::peer::{Peer, python, usher};

const SCRIPT: &str = include_str!("python.py");

const CONFIG: &str = "
workers = 1
access_log = \"off\"
[[listener]]
bind = \"$LISTEN\"
[[route]]
to = \"$ENDPOINT[python]\"
";

fn run(python: &Path, arguments: &[&str]) -> Peer {
    Peer::start(Command::new(python).args(["-u", "-c", SCRIPT]).args(arguments))
}

fn check(version: &str) {
    let Some(python) = python("http.client, http.server", "python3") else { return };
    let mut server = run(&python, &["serve", version]);
    let address = format!("127.0.0.1:{}", server.line_after("port "));
    let usher = usher(CONFIG).endpoint_address("python", &address).start().unwrap();
    let host = usher.listen().unwrap().to_string();
    assert_eq!(run(&python, &["client", &host, version]).finish(), "done\n");
}

#[test]
fn a_server_of_http10_that_ends_bodies_by_closing() {
    check("1.0");
}

#[test]
fn a_server_of_http11_that_reads_chunks() {
    check("1.1");
}
