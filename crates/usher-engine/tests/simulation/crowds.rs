//! More requests than endpoints may have at once.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};

use crate::client::{Client, about, endpoints, get};
use crate::world::{Dialed, Reception, World, run};

fn config(limits: &str) -> String {
    format!(
        r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
cluster = "app"
[cluster.app]
endpoints = ["127.0.0.1:9001", "127.0.0.1:9002"]
limits = {{ {limits} }}
"#
    )
}

/// What the endpoints have at once, and had at most.
#[derive(Default)]
struct Load {
    now: Cell<usize>,
    most: Cell<usize>,
    order: RefCell<Vec<String>>,
}

/// Every response takes a second.
fn slow(load: &Rc<Load>) -> Reception {
    let load = load.clone();
    endpoints(move |_, port, mut reader, mut writer| {
        let load = load.clone();
        async move {
            loop {
                let Ok(head) = reader.head().await else { return };
                let target = head.start.split(' ').nth(1).unwrap_or_default();
                load.order.borrow_mut().push(target.to_owned());
                load.now.set(load.now.get() + 1);
                load.most.set(load.most.get().max(load.now.get()));
                sleep(Duration::from_secs(1)).await;
                load.now.set(load.now.get() - 1);
                let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{port}");
                let _ = writer.write(response.as_bytes()).await;
            }
        }
    })
}

fn scene<F: Future>(limits: &str, play: impl FnOnce(Rc<World>, Rc<Load>) -> F) {
    run(|| async {
        let load = Rc::default();
        let world = World::new(&config(limits), 1, slow(&load));
        play(world.clone(), load).await;
        world.all_ended(Duration::from_secs(120)).await;
        assert_eq!(world.in_flight(), 0);
        let spec = world.worker.local().shared.clusters[0].clone();
        assert_eq!(spec.crowd.waiting(), 0);
        for port in [9001, 9002] {
            let standing = spec.standings.of(&format!("127.0.0.1:{port}"));
            assert_eq!(standing.in_flight.load(std::sync::atomic::Ordering::Relaxed), 0);
        }
    });
}

/// Requests that come one after another; each gives its status and the time that it took.
async fn crowd(world: &Rc<World>, count: usize) -> Vec<JoinHandle<(u16, Duration)>> {
    let mut all = Vec::new();
    for number in 0..count {
        let world = world.clone();
        all.push(spawn_local(async move {
            let begun = Instant::now();
            let status = Client::new(&world).ask(&get(&format!("/{number}"))).await;
            (status, begun.elapsed())
        }));
        sleep(Duration::from_millis(1)).await;
    }
    all
}

async fn outcomes(all: Vec<JoinHandle<(u16, Duration)>>) -> Vec<(u16, Duration)> {
    let mut outcomes = Vec::new();
    for one in all {
        outcomes.push(one.await.expect("an outcome"));
    }
    outcomes
}

#[test]
fn requests_beyond_the_limit_wait_in_order() {
    for limits in ["per_endpoint = 2", "total = 4", "per_endpoint = 3, total = 4"] {
        scene(limits, async |world: Rc<World>, load: Rc<Load>| {
            let found = outcomes(crowd(&world, 12).await).await;
            for (number, (status, took)) in found.iter().enumerate() {
                let turns = Duration::from_secs(1 + number as u64 / 4);
                assert!(
                    *status == 200 && about(*took, turns - Duration::from_millis(20)),
                    "{limits}: {found:?}"
                );
            }
            assert_eq!(load.most.get(), 4, "{limits}");
            let expected: Vec<String> = (0..12).map(|number| format!("/{number}")).collect();
            assert_eq!(*load.order.borrow(), expected, "{limits}");
        });
    }
}

#[test]
fn queue_has_its_limits_too() {
    scene(
        "per_endpoint = 1, queue = 3, queue_timeout = \"1500ms\"",
        async |world: Rc<World>, load: Rc<Load>| {
            let found = outcomes(crowd(&world, 8).await).await;
            let statuses: Vec<u16> = found.iter().map(|(status, _)| *status).collect();
            // Two at work, two more after a second; the third of the queue waits in vain, the others find it full.
            assert_eq!(statuses, [200, 200, 200, 200, 503, 503, 503, 503], "{found:?}");
            assert!(about(found[4].1, Duration::from_millis(1500)), "{found:?}");
            assert!(found[5..].iter().all(|(_, took)| *took < Duration::from_millis(100)), "{found:?}");
            assert_eq!(load.most.get(), 2);
            assert_eq!(world.reason("overloaded"), 4);
        },
    );
}

#[test]
fn who_leaves_the_queue_holds_nobody_up() {
    scene("total = 1", async |world: Rc<World>, load: Rc<Load>| {
        let first = crowd(&world, 1).await;
        let mut gone = Vec::new();
        for _ in 0..5 {
            let mut client = Client::new(&world);
            client.send(&get("/gone")).await;
            gone.push(client);
        }
        sleep(Duration::from_millis(100)).await;
        let last = crowd(&world, 2).await;
        gone.into_iter().for_each(|mut client| client.writer.abort());
        let found = outcomes(first.into_iter().chain(last).collect()).await;
        assert!(found.iter().all(|(status, _)| *status == 200), "{found:?}");
        assert!(about(found[2].1, Duration::from_millis(2890)), "{found:?}");
        assert_eq!(load.order.borrow().len(), 3, "nobody asks for those that are gone");
    });
}

#[test]
fn room_that_nobody_gave_back_is_found() {
    scene("per_endpoint = 1", async |world: Rc<World>, load: Rc<Load>| {
        let spec = world.worker.local().shared.clusters[0].clone();
        let second = spec.standings.of("127.0.0.1:9002");
        spec.standings.set(&second, usher_api::standing::Out::Unhealthy, true, 1);
        let all = crowd(&world, 5).await;
        sleep(Duration::from_millis(500)).await;
        assert_eq!(load.most.get(), 1);
        spec.standings.set(&second, usher_api::standing::Out::Unhealthy, false, 2);
        let found = outcomes(all).await;
        assert!(
            found.iter().all(|(status, took)| *status == 200 && *took < Duration::from_millis(4500)),
            "{found:?}"
        );
        assert_eq!(load.most.get(), 2);
    });
}

#[test]
fn parts_of_a_cluster_do_not_hold_each_other_up() {
    run(|| async {
        let load = Rc::default();
        let text = r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
path = "/slow"
cluster = "app"
subset = { v = "1" }
[[route]]
path = "/fast"
cluster = "app"
subset = { v = "2" }
[cluster.app]
endpoints = [{ address = "127.0.0.1:9001", labels = { v = "1" } }, { address = "127.0.0.1:9002", labels = { v = "2" } }]
limits = { per_endpoint = 1, queue = 3 }
"#;
        let world = World::new(text, 1, slow(&load));
        let ask = |path: &'static str| {
            let world = world.clone();
            spawn_local(async move {
                let begun = Instant::now();
                (Client::new(&world).ask(&get(path)).await, begun.elapsed())
            })
        };
        // The queue of the one is full; the other's is not.
        let slow: Vec<_> = (0..4).map(|_| ask("/slow")).collect();
        sleep(Duration::from_millis(10)).await;
        let fast: Vec<_> = (0..3).map(|_| ask("/fast")).collect();
        for (number, one) in fast.into_iter().enumerate() {
            let (status, took) = one.await.expect("an outcome");
            assert!(
                status == 200 && about(took, Duration::from_millis(1000 * (number as u64 + 1) - 20)),
                "{took:?}"
            );
        }
        assert!(outcomes(slow).await.iter().all(|(status, _)| *status == 200));
        world.all_ended(Duration::from_secs(120)).await;
    });
}

#[test]
fn a_failed_try_makes_room_for_the_next() {
    run(|| async {
        let load = Rc::default();
        let alive = slow(&load);
        let reception: Reception =
            Rc::new(move |port| if port == 9001 { Dialed::Refused } else { alive(port) });
        let world = World::new(&config("total = 1"), 1, reception);
        let found = outcomes(crowd(&world, 6).await).await;
        assert!(found.iter().all(|(status, _)| *status == 200), "{found:?}");
        assert!(world.dialed(9001) > 0, "the dead one was never tried");
        world.all_ended(Duration::from_secs(120)).await;
    });
}

#[test]
fn places_outlive_a_reload() {
    scene("total = 1", async |world: Rc<World>, load: Rc<Load>| {
        let first = crowd(&world, 2).await;
        world.reload(&config("total = 1, queue = 10"));
        let second = crowd(&world, 2).await;
        let found = outcomes(first.into_iter().chain(second).collect()).await;
        assert!(found.iter().all(|(status, _)| *status == 200), "{found:?}");
        assert_eq!(load.most.get(), 1);
    });
}
