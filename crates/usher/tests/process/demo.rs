//! `usher` without anything.

use std::collections::HashSet;

use tempfile::tempdir;
use usher_testkit::Client;

use crate::harness::Running;

#[test]
fn the_demo_answers_and_takes_turns() {
    let dir = tempdir().unwrap();
    let mut usher = Running::start(dir.path(), &[]);
    let url = usher.word_after("listener demo: ");
    let address = url.strip_prefix("http://").expect("a link").to_owned();
    assert_eq!(usher.word_after("try next:\n  curl "), format!("{url}/"));
    let mut client = Client::connect(&address).unwrap();
    let page = client.get("/some/where").unwrap();
    assert_eq!(page.status, 200);
    assert!(page.text().contains("GET /some/where"), "{}", page.text());
    let names: HashSet<String> = (0..4)
        .map(|_| {
            let response = client.request("GET", "/", &[("Accept", "application/json")], b"").unwrap();
            let seen: serde_json::Value = serde_json::from_str(&response.text()).unwrap();
            assert!(seen["headers"].to_string().contains("127.0.0.1"), "forwarded fields: {seen}");
            seen["endpoint"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let posted = client.request("POST", "/", &[], &[b'x'; 100_000]).unwrap();
    assert_eq!(posted.status, 200);
}

#[test]
fn a_second_demo_takes_another_port() {
    let dir = tempdir().unwrap();
    let mut first = Running::start(dir.path(), &[]);
    let one = first.word_after("listener demo: ");
    let mut second = Running::start(dir.path(), &[]);
    let other = second.word_after("listener demo: ");
    assert_ne!(one, other);
    let port = other.rsplit(':').next().expect("a port");
    assert_eq!(second.word_after("port 8080 is taken, so the demo is on "), port);
}
