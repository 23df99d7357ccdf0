//! `usher proxy`

use std::collections::HashSet;

use tempfile::tempdir;
use usher_testkit::{Client, Endpoint, Port, Reply};

use crate::harness::{Running, until};

#[test]
fn serves_without_a_config() {
    let dir = tempdir().unwrap();
    let endpoints = ["one", "two"].map(|name| Endpoint::start(move |_| Reply::ok(name)).unwrap());
    let port = Port::reserve().unwrap();
    let listen = port.address().to_string();
    let words =
        ["proxy", "--listen", &listen, "--to", endpoints[0].address(), "--to", endpoints[1].address()];
    let mut usher =
        Running::start(dir.path(), &[&words[..], &["--balance", "round_robin", "--workers", "1"]].concat());
    assert_eq!(usher.word_after("listener proxy: "), format!("http://{listen}"));
    let mut client = Client::connect(&listen).unwrap();
    let bodies: HashSet<String> = (0..4).map(|_| client.get("/x").unwrap().text()).collect();
    assert_eq!(bodies.len(), 2, "both are asked: {bodies:?}");
    until("a line of the access log", || usher.output().contains("\"/x\""));
}

#[test]
fn serves_unix_sockets() {
    let dir = tempdir().unwrap();
    let (door, app) = (dir.path().join("door.sock"), dir.path().join("app.sock"));
    let _endpoint = Endpoint::start_unix(&app, |_| Reply::ok("unix")).unwrap();
    let (door, app) = (format!("unix:{}", door.display()), format!("unix:{}", app.display()));
    let mut usher = Running::start(dir.path(), &["proxy", "-l", &door, "-t", &app]);
    assert_eq!(usher.word_after("listener proxy: "), door);
    assert_eq!(Client::connect(&door).unwrap().get("/").unwrap().text(), "unix");
}
