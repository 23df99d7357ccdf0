//! A second try beside a first one that takes long: which response is passed on, and what becomes of the other try.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use usher_api::standing::Out;

use crate::client::{Client, about, endpoints, get, post, take};
use crate::world::{Dialed, Reception, World, run};

/// How long an endpoint takes to answer, and what it answers; nothing if it closes then.
type Plan = fn(u16, usize) -> (Duration, Option<u16>);

/// A plan; the status, after how many seconds, second tries and those that won, connections that are broken off; and what
/// the second try does.
type Case = (Plan, u16, u64, (u64, u64), usize, &'static str);

/// Requests by port, and connections that ended before their answer was sent.
#[derive(Clone, Default)]
struct Seen(Rc<RefCell<(BTreeMap<u16, usize>, usize)>>);

impl Seen {
    fn asked(&self, port: u16) -> usize {
        self.0.borrow().0.get(&port).copied().unwrap_or_default()
    }

    fn broken_off(&self) -> usize {
        self.0.borrow().1
    }

    fn endpoints(&self, plan: Plan) -> Reception {
        let seen = self.clone();
        endpoints(move |_, port, mut reader, mut writer| {
            let seen = seen.clone();
            async move {
                while take(&mut reader).await {
                    let number = seen.asked(port);
                    seen.0.borrow_mut().0.insert(port, number + 1);
                    let (after, status) = plan(port, number);
                    tokio::select! {
                        _ = reader.rest() => {
                            seen.0.borrow_mut().1 += 1;
                            return;
                        }
                        () = sleep(after) => {}
                    }
                    let Some(status) = status else { return };
                    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\n{port}");
                    if writer.write(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
    }
}

fn config(retry: &str) -> String {
    format!(
        "[[listener]]\nbind = \"127.0.0.1:8080\"\n[[route]]\ncluster = \"app\"\nretry = {{ {retry} }}\n\
         [cluster.app]\nendpoints = [\"127.0.0.1:9001\", \"127.0.0.1:9002\"]\n"
    )
}

fn hedges(world: &World) -> (u64, u64) {
    let reading = world.registry.read();
    (reading.totals.upstream.hedges.get(), reading.totals.upstream.hedges_won.get())
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

async fn ask(world: &World, request: &str) -> (u16, String, Duration) {
    let (mut client, begun) = (Client::new(world), Instant::now());
    client.send(request).await;
    let got = client.receive().await.expect("a response");
    let body = String::from_utf8(got.body.expect("whole")).expect("text");
    (got.head.status(), body, begun.elapsed())
}

/// Plays a request; what the client gets, after how long, how many second tries there were and won, and how many
/// connections were broken off.
fn play(retry: &str, plan: Plan, request: &str) -> (u16, String, Duration, (u64, u64), usize) {
    let seen = Seen::default();
    run(|| async {
        let world = World::new(&config(retry), 4, seen.endpoints(plan));
        let (status, body, took) = ask(&world, request).await;
        sleep(Duration::from_millis(10)).await;
        let told = (status, body, took, hedges(&world), seen.broken_off());
        world.all_ended(secs(5)).await;
        assert_eq!(world.in_flight(), 0);
        told
    })
}

const ALWAYS: &str = r#"hedge = { after = "1s", max = "100%" }"#;

#[test]
fn the_response_that_begins_first_is_passed_on() {
    // Who is asked first is the balancer's choice: plans go by the number of the request.
    let cases: [Case; 6] = [
        (|_, _| (Duration::from_millis(100), Some(200)), 200, 0, (0, 0), 0, "none is needed"),
        (
            |port, _| if port == 9001 { (secs(30), Some(200)) } else { (secs(0), Some(200)) },
            200,
            1,
            (1, 1),
            1,
            "wins",
        ),
        (
            |port, _| if port == 9001 { (secs(3), Some(200)) } else { (secs(9), Some(200)) },
            200,
            3,
            (1, 0),
            1,
            "loses",
        ),
        (
            |port, _| if port == 9001 { (secs(3), Some(200)) } else { (secs(0), None) },
            200,
            3,
            (1, 0),
            0,
            "fails",
        ),
        (
            |port, _| if port == 9001 { (secs(3), None) } else { (secs(4), Some(200)) },
            200,
            5,
            (1, 1),
            0,
            "is alone",
        ),
        (|port, _| (secs(if port == 9001 { 4 } else { 1 }), None), 502, 4, (1, 0), 0, "both fail"),
    ];
    for (plan, status, seconds, counts, broken_off, what) in cases {
        // The seed makes 9001 the first.
        let retry = format!("{ALWAYS}, on = \"connect_failure\"");
        let (got, _, took, hedged, ended) = play(&retry, plan, &get("/"));
        assert_eq!((got, hedged, ended), (status, counts, broken_off), "{what}");
        let expected = secs(seconds)..secs(seconds) + Duration::from_millis(200);
        assert!(expected.contains(&took), "{what}: {took:?}");
    }
}

#[test]
fn a_status_that_is_tried_again_does_not_win() {
    let plan: Plan = |port, _| if port == 9001 { (secs(3), Some(200)) } else { (secs(0), Some(503)) };
    let retry = format!("{ALWAYS}, on = 503");
    let (status, body, took, hedged, _) = play(&retry, plan, &get("/"));
    assert_eq!((status, &body[..], hedged), (200, "9001", (1, 0)));
    assert!(about(took, secs(3)), "{took:?}");
    let (status, body, ..) = play(ALWAYS, plan, &get("/"));
    assert_eq!((status, &body[..]), (503, "9002"));
}

#[test]
fn such_a_status_of_the_first_waits_for_the_second() {
    // The status of the second, or nothing; what the client gets then, from whom, and which requests there were.
    let cases: [(Plan, u16, &str, u64); 3] = [
        (|port, _| if port == 9001 { (secs(2), Some(503)) } else { (secs(3), Some(200)) }, 200, "9002", 4),
        (|port, _| if port == 9001 { (secs(2), Some(503)) } else { (secs(3), None) }, 503, "9001", 4),
        (|port, _| if port == 9001 { (secs(2), Some(503)) } else { (secs(3), Some(503)) }, 503, "9001", 4),
    ];
    let retry = format!("{ALWAYS}, on = [503, \"reset\"]");
    for (plan, status, body, seconds) in cases {
        let (got, text, took, ..) = play(&retry, plan, &get("/"));
        assert_eq!((got, &text[..]), (status, body));
        assert!(about(took, secs(seconds)), "{took:?}");
    }
}

#[test]
fn who_was_asked_beside_was_asked() {
    for plan in [(|_, _| (secs(2), None)) as Plan, |_, _| (secs(2), Some(503))] {
        let seen = Seen::default();
        run(|| async {
            let config = config(&format!("{ALWAYS}, on = [503, \"reset\"]"));
            let world = World::new(&config, 4, seen.endpoints(plan));
            assert!(ask(&world, &get("/")).await.0 >= 502);
        });
        assert_eq!((seen.asked(9001), seen.asked(9002)), (1, 1));
    }
}

#[test]
fn who_always_loses_counts_as_slow() {
    let seen = Seen::default();
    let plan: Plan = |port, _| (if port == 9001 { secs(30) } else { secs(0) }, Some(200));
    run(|| async {
        let config = config(ALWAYS) + "outliers = {}\n";
        let world = World::new(&config, 4, seen.endpoints(plan));
        assert_eq!(ask(&world, &get("/")).await.1, "9002");
        let standings = world.worker.local().shared.clusters[0].standings.clone();
        let told = |port: u16| {
            let standing = standings.of(&format!("127.0.0.1:{port}"));
            (standing.tally.requests.load(Relaxed), standing.tally.micros.load(Relaxed))
        };
        let (slow, fast) = (told(9001), told(9002));
        assert!(slow.0 == 1 && slow.1 >= 1_000_000, "{slow:?}");
        assert!(fast.0 == 1 && fast.1 < 500_000, "not the time before it was asked: {fast:?}");
    });
}

#[test]
fn who_hangs_is_found_out_although_second_tries_save_its_requests() {
    let seen = Seen::default();
    let plan: Plan = |port, _| (if port == 9001 { secs(600) } else { secs(0) }, Some(200));
    run(|| async {
        let config = config(ALWAYS)
            + "outliers = { failures = 3, max_ejected = \"50%\" }\n\
             timeouts = { first_byte = \"2s\" }\n";
        let world = World::new(&config, 4, seen.endpoints(plan));
        let standing = world.worker.local().shared.clusters[0].standings.of("127.0.0.1:9001");
        let mut late = 0;
        for _ in 0..40 {
            // Nobody else may be asked for what is not idempotent.
            late += usize::from(ask(&world, &post("/")).await.0 == 504);
            // One for each, so that the turns change.
            assert_eq!(ask(&world, &get("/")).await.0, 200);
            assert_eq!(ask(&world, &get("/")).await.0, 200);
        }
        assert!(standing.is(Out::Ejected));
        assert_eq!(late, 3, "those in between do not count as served");
    });
}

#[test]
fn a_head_that_cannot_be_copied_whole_has_no_second_try() {
    for (name, count) in [("x".repeat(256), 1), ("x".repeat(257), 0)] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: 1\r\n\r\n");
        assert_eq!(play(ALWAYS, |_, _| (secs(3), Some(200)), &request).3.0, count);
    }
}

#[test]
fn only_what_may_be_sent_twice_and_has_no_body_has_a_second_try() {
    let plan: Plan = |_, _| (secs(3), Some(200));
    let put = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    for (request, count) in [(get("/"), 1), (put.to_owned(), 0), (post("/"), 0)] {
        assert_eq!(play(ALWAYS, plan, &request).3.0, count, "{request}");
    }
}

#[test]
fn second_tries_are_a_share_of_the_requests() {
    let seen = Seen::default();
    run(|| async {
        let config = config(r#"hedge = { after = "20ms", max = "10%" }"#);
        let world = World::new(&config, 1, seen.endpoints(|_, _| (Duration::from_millis(40), Some(200))));
        for _ in 0..100 {
            assert_eq!(ask(&world, &get("/")).await.0, 200);
        }
        assert_eq!(hedges(&world).0, 10);
        assert_eq!(seen.asked(9001) + seen.asked(9002), 110);
    });
}

#[test]
fn what_takes_long_is_learned() {
    let seen = Seen::default();
    run(|| async {
        let plan: Plan = |port, number| {
            let slow = port == 9001 && number >= 60;
            (if slow { secs(10) } else { Duration::from_millis(20) }, Some(200))
        };
        let world =
            World::new(&config("hedge = { after = \"p90\", max = \"50%\" }"), 1, seen.endpoints(plan));
        for number in 0..120 {
            let (status, _, took) = ask(&world, &get("/")).await;
            assert!(status == 200 && took < Duration::from_millis(100), "{number}: {took:?}");
        }
        // All took the same time, so that there was hardly a second try.
        let before = hedges(&world);
        assert!(before.0 <= 60, "{before:?}");
        for number in 0..20 {
            let (status, _, took) = ask(&world, &get("/")).await;
            assert!(status == 200 && took < Duration::from_millis(300), "{number}: {took:?}");
        }
        assert!(hedges(&world).1 >= before.1 + 9, "{:?} after {before:?}", hedges(&world));
    });
}

#[test]
fn where_nobody_else_is_there_the_first_goes_on() {
    let seen = Seen::default();
    let alive = seen.endpoints(|_, _| (secs(3), Some(200)));
    let reception: Reception = Rc::new(move |port| if port == 9002 { Dialed::Refused } else { alive(port) });
    run(|| async {
        let world = World::new(&config(ALWAYS), 1, reception);
        for _ in 0..2 {
            let (status, body, took) = ask(&world, &get("/")).await;
            assert_eq!((status, &body[..]), (200, "9001"));
            assert!(about(took, secs(3)), "{took:?}");
        }
        assert_eq!(world.in_flight(), 0);
    });
}

#[test]
fn the_second_alone_ends_when_the_client_goes() {
    let seen = Seen::default();
    let plan: Plan = |port, _| if port == 9001 { (secs(3), None) } else { (secs(600), Some(200)) };
    run(|| async {
        // The seed makes 9001 the first.
        let retry = format!("{ALWAYS}, on = \"connect_failure\"");
        let world = World::new(&config(&retry), 4, seen.endpoints(plan));
        let mut client = Client::new(&world);
        client.send(&get("/")).await;
        sleep(secs(5)).await;
        assert_eq!((seen.asked(9001), seen.asked(9002)), (1, 1));
        client.writer.abort();
        drop(client);
        world.all_ended(secs(5)).await;
        assert_eq!((world.in_flight(), seen.broken_off()), (0, 1));
        assert_eq!(world.reason("client_disconnected"), 1);
    });
}

#[test]
fn both_end_when_the_client_goes() {
    let seen = Seen::default();
    run(|| async {
        let world = World::new(&config(ALWAYS), 1, seen.endpoints(|_, _| (secs(60), Some(200))));
        let mut client = Client::new(&world);
        client.send(&get("/")).await;
        sleep(secs(2)).await;
        assert_eq!((seen.asked(9001), seen.asked(9002)), (1, 1));
        client.writer.abort();
        drop(client);
        world.all_ended(secs(5)).await;
        assert_eq!((world.in_flight(), seen.broken_off()), (0, 2));
        assert_eq!((world.reason("client_disconnected"), world.endpoint_errors()), (1, 0));
    });
}
