//! A cluster whose requests fail: the circuit opens, tries, and closes.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;
use usher_engine::cluster::Phase;

use crate::client::{Client, answer, endpoints, get, take};
use crate::world::{Dialed, Reception, World, run};

fn config(breaker: &str) -> String {
    format!(
        r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
cluster = "app"
[cluster.app]
endpoints = ["127.0.0.1:9001", "127.0.0.1:9002"]
timeouts = {{ first_byte = "2s" }}
[cluster.app.breaker]
{breaker}
[cluster.spare]
endpoints = ["127.0.0.1:9009"]
"#
    )
}

const USUAL: &str = r#"min_requests = 10
open = "10s""#;

/// What endpoints answer now: a status, or nothing at all. 9009 is always well.
type Mood = Rc<Cell<Option<u16>>>;

fn moody(mood: &Mood) -> Reception {
    let mood = mood.clone();
    endpoints(move |_, port, mut reader, mut writer| {
        let mood = mood.clone();
        async move {
            if port == 9009 {
                return answer(port, reader, writer).await;
            }
            while take(&mut reader).await {
                let Some(status) = mood.get() else { return std::future::pending().await };
                let response = format!("HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\n{port}");
                let _ = writer.write(response.as_bytes()).await;
            }
        }
    })
}

fn scene<F: Future>(breaker: &str, play: impl FnOnce(Rc<World>, Mood) -> F) {
    run(|| async {
        let mood = Rc::new(Cell::new(Some(200)));
        let world = World::new(&config(breaker), 1, moody(&mood));
        play(world.clone(), mood).await;
        world.all_ended(Duration::from_secs(600)).await;
        assert_eq!(world.in_flight(), 0);
    });
}

fn phase(world: &World) -> Phase {
    world.worker.local().shared.clusters[0].circuit.as_ref().expect("a breaker").breaker.phase()
}

/// As an administrator does.
fn hold(world: &World, open: Option<bool>) {
    let spec = world.worker.local().shared.clusters[0].clone();
    spec.circuit.as_ref().expect("a breaker").breaker.hold(open, 0);
}

async fn statuses(world: &World, count: usize) -> Vec<u16> {
    let (mut client, mut found) = (Client::new(world), Vec::new());
    for _ in 0..count {
        found.push(client.ask(&get("/")).await);
    }
    found
}

#[test]
fn an_open_circuit_answers_at_once_and_asks_nobody() {
    scene(USUAL, async |world: Rc<World>, mood: Mood| {
        mood.set(Some(503));
        assert!(statuses(&world, 10).await.iter().all(|status| *status == 503));
        assert_eq!((phase(&world), world.reason("circuit_open")), (Phase::Open, 0));
        let (errors, dials) = (world.endpoint_requests(), world.dialed(9001));
        let mut client = Client::new(&world);
        client.send(&get("/")).await;
        let got = client.receive().await.expect("a response");
        let seconds = got.head.get("retry-after").expect("a time").parse::<u64>().expect("seconds");
        assert!(got.head.status() == 503 && (1..=10).contains(&seconds), "{got:?}");
        assert_eq!(statuses(&world, 5).await, [503; 5]);
        assert_eq!((world.endpoint_requests(), world.dialed(9001)), (errors, dials));
        assert_eq!(world.reason("circuit_open"), 6);
        let lines = world.worker.local().shared.clusters[0].standings.news();
        assert!(lines.iter().any(|line| line.contains("10 of 10 requests failed within 10s")), "{lines:?}");
    });
}

#[test]
fn trials_find_out_whether_it_works_again() {
    scene(USUAL, async |world: Rc<World>, mood: Mood| {
        mood.set(Some(504));
        statuses(&world, 10).await;
        sleep(Duration::from_secs(11)).await;
        // The trial fails, and the others do not get through.
        assert_eq!(statuses(&world, 3).await, [504, 503, 503]);
        assert_eq!(phase(&world), Phase::Open);
        mood.set(Some(200));
        sleep(Duration::from_secs(11)).await;
        assert_eq!(statuses(&world, 1).await, [503], "it is open for twice as long now");
        sleep(Duration::from_secs(10)).await;
        assert_eq!(statuses(&world, 2).await, [200, 200]);
        assert_eq!(phase(&world), Phase::HalfOpen);
        assert_eq!(statuses(&world, 20).await, [200; 20]);
        assert_eq!(phase(&world), Phase::Closed);
    });
}

#[test]
fn a_request_that_a_retry_saves_did_not_fail() {
    run(|| async {
        let alive = endpoints(|_, port, reader, writer| answer(port, reader, writer));
        let half: Reception = Rc::new(move |port| if port == 9001 { Dialed::Refused } else { alive(port) });
        let world = World::new(&config(USUAL), 1, half);
        assert_eq!(statuses(&world, 100).await, [200; 100]);
        assert_eq!(phase(&world), Phase::Closed);
        let nobody: Reception = Rc::new(|_| Dialed::Refused);
        let world = World::new(&config(USUAL), 1, nobody);
        assert_eq!(
            statuses(&world, 12).await[8..],
            [502, 502, 503, 503],
            "what cannot be connected to fails"
        );
    });
}

#[test]
fn what_clients_do_is_no_failure() {
    scene(USUAL, async |world: Rc<World>, mood: Mood| {
        mood.set(None);
        for _ in 0..30 {
            let mut client = Client::new(&world);
            client.send(&get("/")).await;
            client.writer.abort();
            sleep(Duration::from_millis(1)).await;
        }
        mood.set(Some(404));
        statuses(&world, 30).await;
        mood.set(Some(500));
        statuses(&world, 30).await;
        assert_eq!(phase(&world), Phase::Closed);
    });
}

#[test]
fn silence_is_a_failure_and_slowness_where_it_is_told() {
    for (breaker, status, opens) in [
        (USUAL, 504, true),
        ("min_requests = 10\nslow = \"500ms\"\nslow_rate = \"80%\"", 200, true),
        ("min_requests = 10", 200, false),
    ] {
        run(|| async {
            let late = endpoints(move |_, _, mut reader, mut writer| async move {
                while take(&mut reader).await {
                    let pause = if status == 504 { Duration::from_secs(60) } else { Duration::from_secs(1) };
                    sleep(pause).await;
                    let _ = writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                }
            });
            let world = World::new(
                &config(&breaker.replace("min_requests", "window = \"60s\"\nmin_requests")),
                1,
                late,
            );
            assert_eq!(statuses(&world, 10).await, [status; 10], "{breaker}");
            assert_eq!(phase(&world) == Phase::Open, opens, "{breaker}");
        });
    }
}

#[test]
fn another_cluster_takes_its_place() {
    let breaker = format!("{USUAL}\nfallback = \"spare\"");
    scene(&breaker, async |world: Rc<World>, mood: Mood| {
        mood.set(Some(502));
        statuses(&world, 10).await;
        assert_eq!(statuses(&world, 5).await, [200; 5]);
        assert_eq!(world.dialed(9009), 1);
        assert_eq!(world.reason("circuit_open"), 0);
    });
}

#[test]
fn a_reload_keeps_it_and_an_administrator_changes_it() {
    scene(USUAL, async |world: Rc<World>, mood: Mood| {
        mood.set(Some(503));
        statuses(&world, 10).await;
        world.reload(&config("open = \"10s\""));
        assert_eq!(phase(&world), Phase::Open);
        hold(&world, Some(false));
        mood.set(Some(200));
        assert_eq!(statuses(&world, 2).await, [200; 2]);
        hold(&world, Some(true));
        sleep(Duration::from_secs(60)).await;
        assert_eq!(statuses(&world, 2).await, [503; 2]);
        hold(&world, None);
        assert_eq!(statuses(&world, 2).await, [200; 2]);
    });
}

#[test]
fn parts_of_a_cluster_have_their_own() {
    run(|| async {
        let text = r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
path = "/old"
cluster = "app"
subset = { v = "1" }
[[route]]
path = "/new"
cluster = "app"
subset = { v = "2" }
[cluster.app]
endpoints = [{ address = "127.0.0.1:9009", labels = { v = "1" } }, { address = "127.0.0.1:9002", labels = { v = "2" } }]
breaker = true
"#;
        let mood = Rc::new(Cell::new(Some(503)));
        let world = World::new(text, 1, moody(&mood));
        let mut client = Client::new(&world);
        for _ in 0..25 {
            assert_eq!(client.ask(&get("/new")).await, 503);
            assert_eq!(client.ask(&get("/old")).await, 200);
        }
        assert_eq!(world.reason("circuit_open"), 5);
    });
}

#[test]
fn who_waits_in_the_queue_when_it_opens_is_not_sent() {
    run(|| async {
        let text =
            config(USUAL).replace("[cluster.app.breaker]", "limits = { total = 1 }\n[cluster.app.breaker]");
        let slow = endpoints(|_, _, mut reader, mut writer| async move {
            while take(&mut reader).await {
                sleep(Duration::from_millis(100)).await;
                let _ = writer.write(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n").await;
            }
        });
        let world = World::new(&text, 1, slow);
        let ask = |_| {
            let world = world.clone();
            tokio::task::spawn_local(async move { Client::new(&world).ask(&get("/")).await })
        };
        let all: Vec<_> = (0..40).map(ask).collect();
        for one in all {
            assert_eq!(one.await.expect("an outcome"), 503);
        }
        assert_eq!((world.endpoint_requests(), world.reason("circuit_open")), (10, 30));
        world.all_ended(Duration::from_secs(60)).await;
    });
}

#[test]
fn who_pauses_before_another_try_when_it_opens_is_not_sent_again() {
    for opens in [false, true] {
        let pause = "retry = { on = 503, tries = 2, backoff = { base = \"10s\", max = \"10s\" } }";
        let text = config(USUAL).replace("cluster = \"app\"", &format!("cluster = \"app\"\n{pause}"));
        run(|| async {
            let world = World::new(&text, 1, moody(&Rc::new(Cell::new(Some(503)))));
            let mut client = Client::new(&world);
            client.send(&get("/")).await;
            while world.endpoint_requests() == 0 {
                sleep(Duration::from_millis(1)).await;
            }
            // The response has come, and the pause has begun.
            sleep(Duration::from_millis(10)).await;
            assert_eq!((world.endpoint_requests(), world.in_flight()), (1, 1), "it pauses");
            if opens {
                hold(&world, Some(true));
            }
            assert_eq!(client.receive().await.expect("a response").head.status(), 503);
            let asked = if opens { (1, 1) } else { (2, 0) };
            assert_eq!((world.endpoint_requests(), world.reason("circuit_open")), asked);
        });
    }
}
