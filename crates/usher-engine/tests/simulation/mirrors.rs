//! Copies of requests: when they begin.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::sleep;
use usher_api::standing::Out;

use crate::client::{Client, endpoints, get, take};
use crate::world::{Reception, World, run};

/// The first endpoint is copied from, the other one to.
const CONFIG: &str = r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
cluster = "app"
mirror = "shadow"
[cluster.app]
endpoints = "127.0.0.1:9001"
limits = { total = 1, queue = 1, queue_timeout = "5s" }
breaker = true
[cluster.shadow]
endpoints = "127.0.0.1:9002"
"#;

/// Requests by port.
type Asked = Rc<RefCell<BTreeMap<u16, usize>>>;

/// 9001 takes so long to answer; 9002 does so at once.
fn serving(asked: &Asked, takes: Duration) -> Reception {
    let asked = asked.clone();
    endpoints(move |_, port, mut reader, mut writer| {
        let asked = asked.clone();
        async move {
            while take(&mut reader).await {
                *asked.borrow_mut().entry(port).or_default() += 1;
                if port == 9001 {
                    sleep(takes).await;
                }
                let _ = writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        }
    })
}

/// Plays a scene in which the only place is taken for so many seconds, if there is a first request; what was sent, and
/// what of it was copied.
fn scene<F: Future<Output = ()>>(
    seconds: Option<u64>,
    play: impl FnOnce(Rc<World>, Asked) -> F,
) -> (usize, usize) {
    let asked = Asked::default();
    run(|| async {
        let takes = Duration::from_secs(seconds.unwrap_or_default());
        let world = World::new(CONFIG, 1, serving(&asked, takes));
        let first = {
            let world = world.clone();
            async move { if seconds.is_some() { Client::new(&world).ask(&get("/")).await } else { 200 } }
        };
        let first = spawn_local(first);
        sleep(Duration::from_millis(100)).await;
        play(world.clone(), asked.clone()).await;
        assert_eq!(first.await.expect("no panic"), 200);
        sleep(Duration::from_secs(1)).await;
        world.all_ended(Duration::from_secs(60)).await;
        assert_eq!(world.in_flight(), 0);
    });
    let of = |port: u16| asked.borrow().get(&port).copied().unwrap_or_default();
    (of(9001), of(9002))
}

fn hold_open(world: &World) {
    let spec = world.worker.local().shared.clusters[0].clone();
    spec.circuit.as_ref().expect("a breaker").breaker.hold(Some(true), 0);
}

#[test]
fn what_waits_for_a_place_is_copied_once_it_has_one() {
    let sent = scene(Some(3), async |world: Rc<World>, asked: Asked| {
        let mut waiting = Client::new(&world);
        waiting.send(&get("/")).await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(asked.borrow().get(&9002), Some(&1), "it has no place yet");
        assert_eq!(waiting.receive().await.expect("a response").head.status(), 200);
    });
    assert_eq!(sent, (2, 2));
}

#[test]
fn what_is_sent_to_nobody_is_not_copied() {
    let waits_in_vain = scene(Some(30), async |world: Rc<World>, _| {
        assert_eq!(Client::new(&world).ask(&get("/")).await, 503);
        assert_eq!(world.reason("overloaded"), 1);
    });
    assert_eq!(waits_in_vain, (1, 1));
    let leaves = scene(Some(3), async |world: Rc<World>, _| {
        let mut client = Client::new(&world);
        client.send(&get("/")).await;
        sleep(Duration::from_secs(1)).await;
        client.writer.abort();
    });
    assert_eq!(leaves, (1, 1));
    let is_refused_after_its_wait = scene(Some(3), async |world: Rc<World>, _| {
        let mut client = Client::new(&world);
        client.send(&get("/")).await;
        sleep(Duration::from_secs(1)).await;
        hold_open(&world);
        assert_eq!(client.receive().await.expect("a response").head.status(), 503);
        assert_eq!(world.reason("circuit_open"), 1);
    });
    assert_eq!(is_refused_after_its_wait, (1, 1));
    let is_refused = scene(None, async |world: Rc<World>, _| {
        hold_open(&world);
        assert_eq!(Client::new(&world).ask(&get("/")).await, 503);
    });
    assert_eq!(is_refused, (0, 0));
    let has_nobody_to_go_to = scene(None, async |world: Rc<World>, _| {
        let standings = &world.worker.local().shared.clusters[0].standings;
        standings.set(&standings.of("127.0.0.1:9001"), Out::Disabled, true, 1);
        assert_eq!(Client::new(&world).ask(&get("/")).await, 503);
        assert_eq!(world.reason("no_endpoint"), 1);
    });
    assert_eq!(has_nobody_to_go_to, (0, 0));
}
