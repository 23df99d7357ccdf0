//! Endpoints that answer 503, break off or hang: what clients see, and what the log and the metrics say of it.

use std::fs;

use usher_testkit::{Endpoint, Reply, Usher};

use crate::harness::{PATIENCE, until, usher};

const RETRY: &str =
    "retry = { on = [\"connect_failure\", \"reset\", \"timeout\", 503], per_try = \"300ms\" }";

/// A bad endpoint and a good one, which says what it was sent.
fn config(retry: &str, budget: &str) -> String {
    format!(
        "workers = 1\nadmin = \"$ADMIN\"\n[access_log]\npath = \"access.log\"\n\
         format = '{{status}} {{retries}} \"{{reason}}\" \"{{detail}}\"'\n[[listener]]\nbind = \"$LISTEN\"\n\
         [[route]]\ncluster = \"app\"\n{retry}\n\
         [cluster.app]\nendpoints = [\"$ENDPOINT[bad]\", \"$ENDPOINT[good]\"]\n{budget}\n"
    )
}

fn start(config: &str, bad: Reply) -> (Usher, Endpoint, Endpoint) {
    let bad = Endpoint::start(move |_| bad.clone()).unwrap();
    let good = Endpoint::start(|request| Reply::ok(request.message.body.clone())).unwrap();
    let usher = usher(config).endpoint_named("bad", &bad).endpoint_named("good", &good).start().unwrap();
    (usher, bad, good)
}

/// Sends a request with a body; gives the status and the body of the response.
fn ask(usher: &Usher, method: &str, body: &str) -> (u16, String) {
    let mut client = usher.client().unwrap();
    client.set_timeout(PATIENCE);
    let length = body.len();
    client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")).unwrap();
    let response = client.read_response_to(method).unwrap();
    (response.status, response.message.text())
}

fn lines(usher: &Usher, count: usize) -> Vec<String> {
    let read = || fs::read_to_string(usher.dir().join("access.log")).unwrap_or_default();
    until("lines in the log", || read().lines().count() >= count);
    read().lines().map(str::to_owned).collect()
}

fn metric(usher: &Usher, name: &str) -> u64 {
    usher.metric(name).unwrap().unwrap_or_default() as u64
}

#[test]
fn visitors_see_nothing_of_a_bad_endpoint() {
    let body = "0123456789".repeat(3_000);
    for (name, bad, detail) in [
        ("503", Reply::status(503, "no"), "answered 503"),
        ("closes", Reply::close(), "connection closed"),
        ("resets", Reply::reset(), "connection reset"),
        ("hangs", Reply::never(), "first_byte_timeout"),
    ] {
        let (usher, bad, good) = start(&config(RETRY, ""), bad);
        for _ in 0..6 {
            assert_eq!(ask(&usher, "PUT", &body), (200, body.clone()), "{name}");
            assert_eq!(ask(&usher, "GET", ""), (200, String::new()), "{name}");
        }
        assert_eq!(good.requests().len(), 12, "{name}");
        let tries = metric(&usher, "usher_upstream_retries_total");
        assert!(tries > 0 && bad.requests().len() as u64 == tries, "{name}: {tries}");
        let lines = lines(&usher, 12);
        let again: Vec<&String> = lines.iter().filter(|line| line.starts_with("200 1 ")).collect();
        assert_eq!(again.len() as u64, tries, "{name}: {lines:?}");
        let told = format!("200 1 \"-\" \"{}: {detail}\"", bad.address());
        assert!(again.iter().all(|line| **line == told), "{name}: {again:?}");
    }
}

#[test]
fn what_is_not_idempotent_is_sent_once() {
    for (bad, status) in [(Reply::status(503, "no"), 503), (Reply::close(), 502), (Reply::never(), 504)] {
        let (usher, bad, good) = start(&config(RETRY, ""), bad);
        let statuses: Vec<u16> = (0..4).map(|_| ask(&usher, "POST", "hello").0).collect();
        assert_eq!(statuses.iter().filter(|found| **found == status).count(), bad.requests().len());
        assert_eq!((bad.requests().len(), good.requests().len()), (2, 2), "{statuses:?}");
        assert_eq!(metric(&usher, "usher_upstream_retries_total"), 0);
    }
}

#[test]
fn an_outage_is_not_made_worse() {
    let retry = "retry = { on = [503], tries = 10, backoff = { max = \"0s\" } }";
    let budget = "retry_budget = { share = \"10%\", per_second = 0 }";
    let config = config(retry, budget).replace("$ENDPOINT[good]", "$ENDPOINT[worse]");
    let all = Endpoint::start(|_| Reply::status(503, "busy")).unwrap();
    let usher = usher(&config).endpoint_named("bad", &all).endpoint_named("worse", &all).start().unwrap();
    for _ in 0..100 {
        assert_eq!(ask(&usher, "GET", ""), (503, "busy".to_owned()));
    }
    // As many as a tenth, or fewer if this took longer than they are remembered.
    let tries = metric(&usher, "usher_upstream_retries_total");
    assert!((1..=10).contains(&tries), "{tries}");
    assert_eq!(all.requests().len() as u64, 100 + tries);
    assert!(metric(&usher, "usher_upstream_retries_refused_total") >= 90);
}
