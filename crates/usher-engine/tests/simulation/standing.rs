//! Who is asked while endpoints are out, fresh, or do worse than they may.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use usher_api::standing::{Out, Standing};
use usher_engine::cluster::OutlierWatch;

use crate::client::{Client, answer, endpoints, get, take};
use crate::world::{Reception, World, run};

fn config(more: &str, endpoints: &str) -> String {
    format!(
        r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
cluster = "app"
[cluster.app]
endpoints = [{endpoints}]
{more}
"#
    )
}

const THREE: &str = r#""127.0.0.1:9001", "127.0.0.1:9002", { address = "127.0.0.1:9003", priority = 1 }"#;

fn scene<F: Future>(config: &str, reception: impl FnOnce() -> Reception, play: impl FnOnce(Rc<World>) -> F) {
    run(|| async {
        let world = World::new(config, 1, reception());
        play(world.clone()).await;
        world.all_ended(Duration::from_secs(120)).await;
        assert_eq!(world.in_flight(), 0);
    });
}

fn answering() -> Reception {
    endpoints(|_, port, reader, writer| answer(port, reader, writer))
}

fn standing(world: &World, port: u16) -> Arc<Standing> {
    world.worker.local().shared.clusters[0].standings.of(&format!("127.0.0.1:{port}"))
}

fn set(world: &World, port: u16, why: Out, holds: bool) {
    let standings = world.worker.local().shared.clusters[0].standings.clone();
    let now = standings.millis(Instant::now().into_std());
    assert!(standings.set(&standing(world, port), why, holds, now), "no news");
}

/// Who answers so many requests, and how often.
async fn who(world: &World, requests: usize) -> BTreeMap<u16, usize> {
    let (mut client, mut found) = (Client::new(world), BTreeMap::new());
    for _ in 0..requests {
        client.send(&get("/")).await;
        let got = client.receive().await.expect("a response");
        let port = match got.head.status() {
            200 => String::from_utf8(got.body.expect("whole")).unwrap().parse().unwrap(),
            status => status,
        };
        *found.entry(port).or_default() += 1;
    }
    found
}

async fn asked(world: &World) -> BTreeSet<u16> {
    who(world, 12).await.into_keys().collect()
}

#[test]
fn endpoints_that_are_out_are_not_asked() {
    scene(&config("", THREE), answering, async |world: Rc<World>| {
        assert_eq!(asked(&world).await, [9001, 9002].into());
        set(&world, 9001, Out::Unhealthy, true);
        assert_eq!(asked(&world).await, [9002].into());
        set(&world, 9002, Out::Draining, true);
        assert_eq!(asked(&world).await, [9003].into(), "the next group");
        set(&world, 9003, Out::Unhealthy, true);
        // Nobody is well: those that were not taken out by hand are asked.
        assert_eq!(asked(&world).await, [9001].into());
        set(&world, 9001, Out::Disabled, true);
        set(&world, 9003, Out::Disabled, true);
        assert_eq!(asked(&world).await, [503].into());
        set(&world, 9002, Out::Draining, false);
        assert_eq!(asked(&world).await, [9002].into());
        // It outlives a reload.
        world.reload(&config("slow_start = \"0s\"", THREE));
        assert_eq!(asked(&world).await, [9002].into());
    });
}

#[test]
fn without_panic_nobody_is_asked_who_is_not_well() {
    scene(&config("panic_threshold = \"off\"", THREE), answering, async |world: Rc<World>| {
        for port in [9001, 9002, 9003] {
            set(&world, port, Out::Unhealthy, true);
        }
        assert_eq!(asked(&world).await, [503].into());
    });
}

#[test]
fn a_group_that_is_too_small_shares_with_the_next() {
    scene(&config("spill_over = \"100%\"", THREE), answering, async |world: Rc<World>| {
        assert_eq!(asked(&world).await, [9001, 9002].into());
        set(&world, 9001, Out::Ejected, true);
        let found = who(&world, 400).await;
        assert!(found[&9002].abs_diff(200) < 60 && found[&9003].abs_diff(200) < 60, "{found:?}");
    });
}

#[test]
fn weights_change_at_run_time() {
    scene(&config("", THREE), answering, async |world: Rc<World>| {
        let spec = world.worker.local().shared.clusters[0].clone();
        spec.standings.set_weight(&standing(&world, 9001), Some(3));
        assert_eq!(who(&world, 40).await, [(9001, 30), (9002, 10)].into());
        spec.standings.set_weight(&standing(&world, 9001), Some(0));
        assert_eq!(asked(&world).await, [9002].into());
        spec.standings.set_weight(&standing(&world, 9001), None);
        assert_eq!(who(&world, 40).await, [(9001, 20), (9002, 20)].into());
    });
}

#[test]
fn fresh_endpoints_begin_slowly() {
    scene(&config("slow_start = \"100s\"", THREE), answering, async |world: Rc<World>| {
        set(&world, 9001, Out::Unhealthy, true);
        assert_eq!(asked(&world).await, [9002].into());
        set(&world, 9001, Out::Unhealthy, false);
        // A tenth of its share, against a whole one.
        assert_eq!(who(&world, 110).await, [(9001, 10), (9002, 100)].into());
        sleep(Duration::from_secs(55)).await;
        assert_eq!(who(&world, 150).await, [(9001, 50), (9002, 100)].into());
        sleep(Duration::from_secs(51)).await;
        assert_eq!(who(&world, 100).await, [(9001, 50), (9002, 50)].into());
    });
}

#[test]
fn a_route_may_pin_a_version() {
    let labelled = r#"{ address = "127.0.0.1:9001", labels = { version = "v1", zone = "a" } },
        { address = "127.0.0.1:9002", labels = { version = "v2", zone = "a" } },
        { address = "127.0.0.1:9003", labels = { version = "v2", zone = "b" } }"#;
    let pinned = r#"
[[route]]
path = "/v2"
cluster = "app"
subset = { version = "v2" }
[[route]]
path = "/b"
split = [{ cluster = "app", subset = { version = "v2", zone = "b" }, weight = 1 }]
"#;
    scene(&format!("{}{pinned}", config("", labelled)), answering, async |world: Rc<World>| {
        let asked = async |path: &str| {
            let (mut client, mut found) = (Client::new(&world), BTreeSet::new());
            for _ in 0..12 {
                client.send(&get(path)).await;
                let body = client.receive().await.expect("a response").body.expect("whole");
                found.insert(String::from_utf8(body).unwrap());
            }
            found.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(asked("/").await, ["9001", "9002", "9003"]);
        assert_eq!(asked("/v2").await, ["9002", "9003"]);
        assert_eq!(asked("/b").await, ["9003"]);
        // What is known of an endpoint holds for the parts as well.
        set(&world, 9003, Out::Unhealthy, true);
        assert_eq!(asked("/").await, ["9001", "9002"]);
        assert_eq!(asked("/v2").await, ["9002"]);
    });
}

/// Endpoints of which some answer 500, and some take their time.
fn mixed(failing: &Rc<RefCell<BTreeSet<u16>>>, slow: u16) -> Reception {
    let failing = failing.clone();
    endpoints(move |_, port, mut reader, mut writer| {
        let failing = failing.clone();
        async move {
            while take(&mut reader).await {
                if port == slow {
                    sleep(Duration::from_millis(500)).await;
                }
                let status = if failing.borrow().contains(&port) { "500 no" } else { "200 OK" };
                let response = format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\n{port}");
                let _ = writer.write(response.as_bytes()).await;
            }
        }
    })
}

const OUTLIERS: &str = r#"outliers = { failures = 3, ejection = "10s", max_ejection = "1h", min_requests = 10, slower_than = 5 }"#;
const FOUR: &str = r#""127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003", "127.0.0.1:9004""#;

/// What the control plane does for so many seconds.
async fn pass(world: &World, watch: &mut OutlierWatch, seconds: u32) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..seconds * 4 {
        sleep(OutlierWatch::EVERY).await;
        lines.extend(watch.look(&world.worker.local().shared.clusters, Instant::now().into_std()));
    }
    lines
}

#[test]
fn endpoints_that_fail_are_left_out_for_a_while() {
    let failing: Rc<RefCell<BTreeSet<u16>>> = Rc::new(RefCell::new([9002].into()));
    let reception = || mixed(&failing, 0);
    scene(&config(OUTLIERS, FOUR), reception, async |world: Rc<World>| {
        let mut watch = OutlierWatch::default();
        let found = who(&world, 40).await;
        assert_eq!(found[&500], 3, "three in a row, and no more: {found:?}");
        let lines = pass(&world, &mut watch, 1).await;
        let expected = "endpoint 127.0.0.1:9002 of cluster app is left out for 10s: 3 failures in a row";
        assert_eq!(lines, [expected]);
        assert!(!who(&world, 40).await.contains_key(&500));
        let lines = pass(&world, &mut watch, 10).await;
        assert_eq!(lines, ["endpoint 127.0.0.1:9002 of cluster app is asked again"]);
        // It fails again, and is left out for longer.
        assert_eq!(who(&world, 40).await[&500], 3);
        let lines = pass(&world, &mut watch, 1).await;
        assert!(lines[0].contains("left out for 20s"), "{lines:?}");
        failing.borrow_mut().clear();
        assert!(pass(&world, &mut watch, 18).await.is_empty());
        assert_eq!(pass(&world, &mut watch, 2).await.len(), 1);
        assert_eq!(asked(&world).await, [9001, 9002, 9003, 9004].into());
    });
}

#[test]
fn without_outliers_nobody_stays_out() {
    let failing: Rc<RefCell<BTreeSet<u16>>> = Rc::new(RefCell::new([9002].into()));
    let reception = || mixed(&failing, 0);
    scene(&config(&OUTLIERS.replace("10s", "1h"), FOUR), reception, async |world: Rc<World>| {
        let mut watch = OutlierWatch::default();
        who(&world, 40).await;
        assert!(standing(&world, 9002).is(Out::Ejected));
        pass(&world, &mut watch, 3).await;
        assert!(standing(&world, 9002).is(Out::Ejected));
        world.reload(&config("", FOUR));
        pass(&world, &mut watch, 1).await;
        assert!(standing(&world, 9002).is_in());
    });
}

#[test]
fn when_everybody_fails_only_some_are_left_out() {
    let failing: Rc<RefCell<BTreeSet<u16>>> = Rc::new(RefCell::new([9001, 9002, 9003, 9004].into()));
    let reception = || mixed(&failing, 0);
    scene(&config(OUTLIERS, FOUR), reception, async |world: Rc<World>| {
        who(&world, 80).await;
        let out = (9001..=9004).filter(|port| standing(&world, *port).is(Out::Ejected)).count();
        assert_eq!(out, 2, "half of them");
    });
}

#[test]
fn rates_and_times_are_judged_by_interval() {
    let failing: Rc<RefCell<BTreeSet<u16>>> = Rc::default();
    let reception = || mixed(&failing, 9004);
    scene(&config(OUTLIERS, FOUR), reception, async |world: Rc<World>| {
        let mut watch = OutlierWatch::default();
        pass(&world, &mut watch, 1).await;
        // One in two fails, never three in a row.
        for turn in 0..30 {
            if turn % 2 == 0 {
                failing.borrow_mut().insert(9003)
            } else {
                failing.borrow_mut().remove(&9003)
            };
            who(&world, 4).await;
        }
        failing.borrow_mut().clear();
        let lines = pass(&world, &mut watch, 10).await;
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("9003") && lines[0].contains("15 of 30 requests failed"), "{lines:?}");
        assert!(lines[1].contains("9004") && lines[1].contains("responses begin after 50"), "{lines:?}");
        assert_eq!(asked(&world).await, [9001, 9002].into());
    });
}
