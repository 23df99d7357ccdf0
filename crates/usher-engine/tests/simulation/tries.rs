//! What one try is given of time and of the budget, and what of it is held against its endpoint.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};
use usher_api::standing::Out;

use crate::client::{Client, about, get};
use crate::message::{Framing, Reader};
use crate::net;
use crate::retries::{Asked, BUSY, Does, SERVES, config, doing, ports, refused, sent_again};
use crate::world::{Dialed, Reception, World, run};

/// What is held against each of two endpoints: the time of all their responses (microseconds).
fn blamed(world: &World) -> [u64; 2] {
    let standings = world.worker.local().shared.clusters[0].standings.clone();
    [9001, 9002].map(|port| standings.of(&format!("127.0.0.1:{port}")).tally.micros.load(Relaxed))
}

#[test]
fn an_endpoint_is_not_blamed_for_the_time_of_the_one_before() {
    let retry = "retry = { on = \"timeout\", per_try = \"5s\", backoff = { max = \"0s\" } }";
    let asked = Asked::default();
    let reception = doing(&asked, &[Does::Hangs, Does::Says(SERVES)]);
    run(|| async {
        let world = World::new(&config(2, retry, "outliers = {}"), 1, reception);
        assert_eq!(Client::new(&world).ask(&get("/")).await, 200);
        assert!(blamed(&world).iter().sum::<u64>() < 1_000_000, "{:?}", blamed(&world));
    });
    assert_eq!(asked.borrow().len(), 2);
}

#[test]
fn an_endpoint_is_not_blamed_for_the_time_in_the_queue() {
    let reception = doing(&Asked::default(), &[Does::Ponders(SERVES)]);
    run(|| async {
        let more = "outliers = {}\nlimits = { per_endpoint = 1 }";
        let world = World::new(&config(1, "", more), 1, reception);
        let mut clients: Vec<Client> = (0..4).map(|_| Client::new(&world)).collect();
        for client in &mut clients {
            client.send(&get("/")).await;
        }
        for client in &mut clients {
            assert_eq!(client.receive().await.expect("a response").head.status(), 200);
        }
        // Half a second each.
        let [micros, _] = blamed(&world);
        assert!((2_000_000..2_500_000).contains(&micros), "{micros}");
    });
}

#[test]
fn the_budget_is_not_used_up_where_nobody_else_is_asked() {
    let asked = Asked::default();
    let reception = doing(&asked, &[Does::Says(BUSY)]);
    run(|| async {
        let budget = "retry_budget = { share = \"0%\", per_second = 1 }";
        let world = World::new(&config(2, "retry = [503]", budget), 1, reception);
        let standings = world.worker.local().shared.clusters[0].standings.clone();
        let now = standings.millis(Instant::now().into_std());
        assert!(standings.set(&standings.of("127.0.0.1:9002"), Out::Draining, true, now));
        for _ in 0..20 {
            assert_eq!(Client::new(&world).ask(&get("/")).await, 503);
        }
        assert_eq!((sent_again(&world), refused(&world)), (0, 0));
    });
    assert_eq!(ports(&asked.borrow()), [9001; 20]);
}

/// Endpoints that break off within the body and, from the given one on, take none of it.
fn deaf_from(first: usize) -> Reception {
    let number = Cell::new(0);
    Rc::new(move |_| {
        let (near, far) = net::pair(400, None);
        let deaf = number.replace(number.get() + 1) >= first;
        spawn_local(async move {
            let mut reader = Reader::new(far.reader);
            reader.head().await.expect("a request");
            if deaf {
                return std::future::pending().await;
            }
            let _ = reader.body(Framing::Length(40_000)).await;
            drop(far.writer);
        });
        Dialed::Connected(near, Duration::ZERO)
    })
}

/// A body that is in memory, as a filter wanted it whole or as it was sent before, is not the client's to send.
#[test]
fn an_endpoint_that_takes_no_body_has_no_more_time_than_a_try() {
    let body = "x".repeat(50_000);
    let held = "buffer_request = \"1MiB\"\nretry = { on = [\"reset\"], per_try = \"3s\" }";
    let resent = "retry = { on = [\"reset\"], per_try = \"3s\" }";
    for (retry, first, length) in
        [(held, 0, 50_000), (held, 1, 50_000), (resent, 1, 50_000), (resent, 1, 60_000)]
    {
        run(|| async {
            let world = World::new(&config(2, retry, ""), 1, deaf_from(first));
            let (mut client, begun) = (Client::new(&world), Instant::now());
            // Of the longest, the client has not sent all.
            client
                .send(&format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"))
                .await;
            assert_eq!(client.receive().await.expect("a response").head.status(), 504, "{retry}");
            assert!(about(begun.elapsed(), Duration::from_secs(3)), "{retry}: {:?}", begun.elapsed());
        });
    }
}

#[test]
fn who_waits_for_the_connection_of_another_request_has_no_more_time() {
    let more = "protocol = \"h2\"";
    run(|| async {
        let world = World::new(&config(1, "", more), 1, Rc::new(|_| Dialed::Silent));
        let (mut first, mut second) = (Client::new(&world), Client::new(&world));
        first.send(&get("/")).await;
        sleep(Duration::from_millis(500)).await;
        let begun = Instant::now();
        second.send(&get("/")).await;
        assert_eq!(second.receive().await.expect("a response").head.status(), 504);
        assert!(about(begun.elapsed(), Duration::from_secs(1)), "{:?}", begun.elapsed());
        assert_eq!(first.receive().await.expect("a response").head.status(), 504);
    });
}
