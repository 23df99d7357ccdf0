//! Calls of gRPC that fail: what the breaker, outlier detection and a shift learn of that. HTTP says 200 in any case.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use usher_engine::cluster::Phase;

use crate::client::{Client, endpoints, take};
use crate::world::{Reception, World, run};

const CONFIG: &str = r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
name = "calls"
[route.split]
between = [{ cluster = "app" }, { cluster = "next" }]
shift = { start = "manual" }
[cluster.app]
endpoints = "127.0.0.1:9001"
outliers = { failures = 0 }
breaker = { min_requests = 10, window = "60s" }
[cluster.next]
endpoints = "127.0.0.1:9002"
"#;

const GRPC: &str = "Content-Type: application/grpc\r\nTE: trailers\r\n";
const HURRIED: &str = "Content-Type: application/grpc\r\nTE: trailers\r\nGrpc-Timeout: 1S\r\n";

/// A response that fails, or not, before it begins.
fn at_once(code: u8) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\ngrpc-status: {code}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// One that does at its end.
fn at_the_end(code: u8) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\ngrpc-status: {code}\r\n\r\n"
    )
}

fn saying(response: String) -> Reception {
    endpoints(move |_, _, mut reader, mut writer| {
        let response = response.clone();
        async move {
            while take(&mut reader).await {
                let _ = writer.write(response.as_bytes()).await;
            }
        }
    })
}

/// What is known after ten calls: whether the circuit is open, and failures as outlier detection and as the shift count
/// them.
fn learned(fields: &str, response: String) -> (bool, u32, u64) {
    run(|| async {
        let world = World::new(CONFIG, 1, saying(response));
        let mut client = Client::new(&world);
        for _ in 0..10 {
            let request = format!("POST /a.B/C HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: 2\r\n\r\nhi");
            assert_eq!(client.ask(&request).await, 200);
        }
        drop(client);
        world.all_ended(Duration::from_secs(60)).await;
        let local = world.worker.local();
        let app = local.shared.clusters.iter().find(|spec| &*spec.name == "app").expect("a cluster");
        let phase = app.circuit.as_ref().expect("a breaker").breaker.phase();
        let failed = app.standings.of("127.0.0.1:9001").tally.failed.load(Relaxed);
        let plan = local.shared.routes[0].shift().expect("a shift");
        let (_, old) = plan.shift.standing(&plan.settings, Duration::ZERO).all;
        assert_eq!(old.requests, 10);
        assert_eq!(world.endpoint_errors(), 0, "the endpoint has answered");
        (phase == Phase::Open, failed, old.failed)
    })
}

#[test]
fn a_call_fails_by_its_own_status_wherever_that_is() {
    for (code, fields, expected) in [
        (0, GRPC, (false, 0, 0)),
        (5, GRPC, (false, 0, 0)),
        (12, GRPC, (false, 0, 0)),
        (14, GRPC, (true, 10, 10)),
        (4, GRPC, (true, 10, 10)),
        // As a status of 500, which opens no circuit unless that is wanted.
        (13, GRPC, (false, 10, 10)),
        // Its visitor did not want to wait any longer: the shift compares what visitors got.
        (4, HURRIED, (false, 0, 10)),
        (1, GRPC, (false, 0, 0)),
    ] {
        assert_eq!(learned(fields, at_once(code)), expected, "{code} in the head");
        assert_eq!(learned(fields, at_the_end(code)), expected, "{code} in trailers");
    }
}

#[test]
fn fields_of_other_responses_mean_nothing() {
    for response in [at_once(14), at_the_end(14)] {
        let (is_open, failed, _) = learned("TE: trailers\r\n", response);
        assert_eq!((is_open, failed), (false, 0));
    }
}
