//! An endpoint that cannot be connected to costs a request now and then, not every second one.

use std::net::TcpListener;

use usher_testkit::{Endpoint, Port, Reply, Usher};

use crate::harness::{status, until, usher};

const REQUESTS: u64 = 60;

fn failures(usher: &Usher) -> u64 {
    let name = "usher_upstream_errors_total{kind=\"connect_failed\"}";
    usher.metric(name).unwrap().unwrap_or_default() as u64
}

#[test]
fn a_dead_endpoint_is_avoided_and_comes_back() {
    for balance in ["round_robin", "least_requests", "random"] {
        let (alive, reserved) = (Endpoint::start(|_| Reply::ok("alive")).unwrap(), Port::reserve().unwrap());
        let dead = reserved.address();
        let config = format!(
            "workers = 1\nadmin = \"$ADMIN\"\naccess_log = \"off\"\n[[listener]]\nbind = \"$LISTEN\"\n\
             [[route]]\ncluster = \"app\"\n[cluster.app]\nendpoints = [\"{dead}\", \"$ENDPOINT\"]\n\
             balance = \"{balance}\"\n"
        );
        let usher = usher(&config).endpoint(&alive).start().unwrap();
        let address = usher.listen().unwrap();
        for _ in 0..REQUESTS {
            assert_eq!(status(address, "/"), 200);
        }
        // One, or a few if this took several seconds.
        let failures = failures(&usher);
        assert!((1..REQUESTS / 6).contains(&failures), "{failures} failures of {REQUESTS} with {balance}");
        let back = TcpListener::bind(dead).unwrap();
        back.set_nonblocking(true).unwrap();
        until("the endpoint to be tried again", || {
            // It says nothing: the request goes on where it is.
            let mut client = usher.client().unwrap();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            back.accept().is_ok()
        });
    }
}

#[test]
fn if_all_are_dead_all_are_tried() {
    let reserved = [Port::reserve().unwrap(), Port::reserve().unwrap()];
    let [one, two] = [reserved[0].address(), reserved[1].address()];
    let config = format!(
        "workers = 1\nadmin = \"$ADMIN\"\naccess_log = \"off\"\n[[listener]]\nbind = \"$LISTEN\"\n\
         [[route]]\ncluster = \"app\"\n[cluster.app]\nendpoints = [\"{one}\", \"{two}\"]\n"
    );
    let usher = usher(&config).start().unwrap();
    for round in 1..=5 {
        assert_eq!(status(usher.listen().unwrap(), "/"), 502);
        assert_eq!(failures(&usher), 2 * round, "both, in every round");
    }
}
