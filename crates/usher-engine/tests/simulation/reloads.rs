//! What a reload, a change of endpoints and a drain do to requests that are under way.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};
use usher_engine::snapshot::ResolvedEndpoint;
use usher_engine::{Command, Drain};

use crate::client::{Client, about, endpoints, get, take};
use crate::world::{Reception, World, run};

fn config(name: &str, more: &str) -> String {
    format!(
        r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
name = "{name}"
cluster = "app"
headers = {{ response = {{ set = {{ X-By = "{name}" }} }} }}
[cluster.app]
endpoints = ["127.0.0.1:9001"]
pool = {{ {more} }}
"#
    )
}

/// Every response takes two seconds.
fn slow() -> Reception {
    endpoints(|_, port, mut reader, mut writer| async move {
        while take(&mut reader).await {
            sleep(Duration::from_secs(2)).await;
            let _ =
                writer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{port}").as_bytes()).await;
        }
    })
}

fn scene<F: Future>(more: &str, play: impl FnOnce(Rc<World>) -> F) {
    run(|| async {
        let world = World::new(&config("before", more), 1, slow());
        play(world.clone()).await;
        world.all_ended(Duration::from_secs(120)).await;
        assert_eq!(world.in_flight(), 0);
    });
}

/// Sends a request now; its response comes later.
async fn begin(world: &World) -> Client {
    let mut client = Client::new(world);
    client.send(&get("/")).await;
    sleep(Duration::from_millis(500)).await;
    client
}

async fn by(client: &mut Client) -> String {
    let got = client.receive().await.expect("a response");
    assert_eq!(got.head.status(), 200);
    got.head.get("x-by").unwrap_or_default().to_owned()
}

#[test]
fn a_request_keeps_the_rules_it_began_with() {
    scene("", async |world: Rc<World>| {
        let mut client = begin(&world).await;
        world.reload(&config("after", ""));
        assert_eq!(by(&mut client).await, "before");
        client.send(&get("/")).await;
        assert_eq!(by(&mut client).await, "after", "the next one has the new ones");
    });
}

#[test]
fn pooled_connections_outlive_a_reload() {
    scene("", async |world: Rc<World>| {
        let mut client = begin(&world).await;
        by(&mut client).await;
        world.reload(&config("after", ""));
        client.send(&get("/")).await;
        assert_eq!(by(&mut client).await, "after");
        assert_eq!(world.dialed(9001), 1);
    });
}

#[test]
fn what_was_under_way_at_a_reload_is_counted_until_it_ends() {
    scene("connections = 1", async |world: Rc<World>| {
        let mut first = begin(&world).await;
        world.reload(&config("after", "connections = 1"));
        let second = Client::new(&world).ask(&get("/")).await;
        assert_eq!(second, 503, "the one connection is in use");
        assert_eq!(by(&mut first).await, "before");
        first.send(&get("/")).await;
        assert_eq!(by(&mut first).await, "after", "and is free again");
    });
}

#[test]
fn a_request_ends_at_an_endpoint_that_was_removed() {
    scene("", async |world: Rc<World>| {
        let mut client = begin(&world).await;
        let spec = world.worker.local().shared.clusters[0].clone();
        let moved = ResolvedEndpoint {
            address: "127.0.0.1:9002".parse().expect("an address"),
            ..spec.resolved[0].clone()
        };
        world.worker.apply(Command::Endpoints("app".into(), Arc::new(vec![moved])));
        let got = client.receive().await.expect("a response");
        assert_eq!(got.body.expect("whole"), b"9001");
        assert_eq!(world.idle(), 0, "nobody asks for its connection again");
        client.send(&get("/")).await;
        assert_eq!(client.receive().await.expect("a response").body.expect("whole"), b"9002");
    });
}

#[test]
fn without_endpoints_the_answer_is_503() {
    scene("", async |world: Rc<World>| {
        world.worker.apply(Command::Endpoints("app".into(), Arc::new(Vec::new())));
        assert_eq!(Client::new(&world).ask(&get("/")).await, 503);
    });
}

#[test]
fn a_draining_worker_finishes_and_closes() {
    scene("", async |world: Rc<World>| {
        let mut busy = begin(&world).await;
        let mut idle = Client::new(&world);
        idle.send(&get("/")).await;
        by(&mut idle).await;
        let mut busy_again = begin(&world).await;
        let begun = Instant::now();
        world.worker.apply(Command::Drain(Drain { patience: Duration::from_secs(30), succeeded: false }));
        let waits = spawn_local(async move {
            idle.ended().await;
            begun.elapsed()
        });
        by(&mut busy).await;
        let got = busy_again.receive().await.expect("what is under way is finished");
        assert!(got.head.closes(), "{:?}", got.head);
        let idle_took = waits.await.expect("ended");
        assert!(about(idle_took, Duration::from_millis(500)), "{idle_took:?}");
        world.all_ended(Duration::from_secs(3)).await;
    });
}
