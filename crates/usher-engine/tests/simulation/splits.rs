//! Splits whose targets have something in their place while their circuit is open.

use std::rc::Rc;
use std::time::Duration;

use crate::client::{Client, answer, endpoints, get};
use crate::world::{World, run};

/// All visitors go to the first target, at 9001; the other one, at 9002, takes its place while its circuit is open.
fn config(split: &str) -> String {
    format!(
        r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
name = "shop"
split = {{ sticky = "version", {split} }}
[cluster.stable]
endpoints = "127.0.0.1:9001"
breaker = {{ fallback = "next" }}
[cluster.next]
endpoints = "127.0.0.1:9002"
"#
    )
}

const WEIGHTS: &str = r#"between = [{ cluster = "stable", weight = 1 }, { cluster = "next", weight = 0 }]"#;
const SHIFT: &str =
    r#"between = [{ cluster = "stable" }, { cluster = "next" }], shift = { start = "manual" }"#;

fn hold(world: &World, open: bool) {
    let local = world.worker.local();
    let stable = local.shared.clusters.iter().find(|spec| &*spec.name == "stable").expect("a cluster");
    stable.circuit.as_ref().expect("a breaker").breaker.hold(Some(open), 0);
}

/// Who answers a visitor without a cookie, and the value of the cookie that it is given.
async fn visit(world: &World) -> (String, Option<String>) {
    let mut client = Client::new(world);
    client.send(&get("/")).await;
    let got = client.receive().await.expect("a response");
    let cookie = got.head.get("set-cookie").and_then(|cookie| cookie.strip_prefix("version="));
    let value = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
    (String::from_utf8(got.body.expect("whole")).expect("text"), value)
}

/// Requests that are counted for the new side of the shift, and for the old one.
fn counted(world: &World) -> (u64, u64) {
    let local = world.worker.local();
    let plan = local.shared.routes[0].shift().expect("a shift");
    let (new, old) = plan.shift.standing(&plan.settings, Duration::ZERO).all;
    (new.requests, old.requests)
}

fn scene<F: Future<Output = ()>>(split: &str, play: impl FnOnce(Rc<World>) -> F) {
    run(|| async {
        let alive = endpoints(|_, port, reader, writer| answer(port, reader, writer));
        let world = World::new(&config(split), 1, alive);
        play(world.clone()).await;
        world.all_ended(Duration::from_secs(600)).await;
        assert_eq!(world.in_flight(), 0);
    });
}

#[test]
fn a_shift_counts_what_its_targets_themselves_have_served() {
    scene(SHIFT, async |world: Rc<World>| {
        assert_eq!(visit(&world).await.0, "9001");
        assert_eq!(counted(&world), (0, 1));
        hold(&world, true);
        assert_eq!(visit(&world).await.0, "9002");
        assert_eq!(counted(&world), (0, 1), "it says nothing about either");
        hold(&world, false);
        assert_eq!(visit(&world).await.0, "9001");
        assert_eq!(counted(&world), (0, 2));
    });
}

#[test]
fn a_visitor_stays_with_the_target_that_was_chosen() {
    for split in [WEIGHTS, SHIFT] {
        scene(split, async |world: Rc<World>| {
            hold(&world, true);
            let (by, cookie) = visit(&world).await;
            assert_eq!(by, "9002");
            let cookie = cookie.expect("a cookie");
            assert!(cookie == "0" || cookie.starts_with('v'), "{cookie}");
            hold(&world, false);
            let mut client = Client::new(&world);
            client.send(&format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: version={cookie}\r\n\r\n")).await;
            let got = client.receive().await.expect("a response");
            assert_eq!(got.body.expect("whole"), b"9001", "{cookie}");
            assert!(got.head.get("set-cookie").is_none());
        });
    }
}
