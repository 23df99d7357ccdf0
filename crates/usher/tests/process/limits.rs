//! `limits.connections`: one count for all workers.

use std::net::SocketAddr;

use usher_testkit::{Client, Endpoint, Reply, Usher};

use crate::harness::{until, usher};

const MOST: usize = 6;
const MORE: &str = "[[listener]]\nname = \"relayed\"\nbind = \"$LISTEN[relayed]\"\n\
    proxy_protocol = { trusted = [\"127.0.0.0/8\"] }\n";

fn start(endpoint: &Endpoint) -> Usher {
    let config = format!(
        "workers = 2\nadmin = \"$ADMIN\"\naccess_log = \"off\"\nlimits = {{ connections = {MOST} }}\n\
         [[listener]]\nbind = \"$LISTEN\"\n[[route]]\nto = \"$ENDPOINT\"\n{MORE}"
    );
    usher(&config).endpoint(endpoint).start().unwrap()
}

/// A connection that was let in, or nothing.
fn try_enter(address: SocketAddr) -> Option<Client> {
    let mut client = Client::connect(address).ok()?;
    let response = client.get("/").ok()?;
    assert_eq!(response.status, 200);
    Some(client)
}

fn metric(usher: &Usher, name: &str) -> u64 {
    usher.metric(name).unwrap().unwrap_or_default() as u64
}

fn refused(usher: &Usher, reason: &str) -> u64 {
    metric(usher, &format!("usher_connections_refused_total{{reason=\"{reason}\"}}"))
}

fn active(usher: &Usher) -> u64 {
    metric(usher, "usher_connections_active")
}

#[test]
fn the_limit_is_one_for_all_workers() {
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let usher = start(&endpoint);
    let address = usher.listen().unwrap();
    // Again and again: a place that is not given back would be missing soon.
    for round in 0..4 {
        let mut inside: Vec<Client> = Vec::new();
        // Connections that ended may still hold a place for a moment.
        until("six places", || {
            inside.extend(try_enter(address));
            inside.len() == MOST
        });
        let before = refused(&usher, "limit");
        // Which worker gets a connection is up to the kernel; of so many, each gets some.
        for _ in 0..20 {
            assert!(try_enter(address).is_none(), "more than {MOST} in round {round}");
        }
        assert_eq!((active(&usher), refused(&usher, "limit") - before), (MOST as u64, 20));
        drop(inside);
        until("all places to be free", || active(&usher) == 0);
    }
}

#[test]
fn whoever_sends_no_proxy_header_gives_the_place_back() {
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let usher = start(&endpoint);
    let relayed = usher.listener("relayed").unwrap();
    for _ in 0..3 * MOST {
        let mut client = Client::connect(relayed).unwrap();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        client.expect_close().unwrap();
    }
    until("all places to be free", || active(&usher) == 0);
    assert!(try_enter(usher.listen().unwrap()).is_some());
    assert!(refused(&usher, "proxy_protocol") + refused(&usher, "limit") >= 3 * MOST as u64);
}
