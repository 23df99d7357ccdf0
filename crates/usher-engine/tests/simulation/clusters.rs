//! What a reload does to a cluster's endpoints: connections and counts of those that stay, and of those that go.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use crate::client::{Client, endpoints, get};
use crate::world::{Dialed, Reception, World, run};

/// A config with one cluster of these endpoints.
fn config(endpoints: &str, connections: u32) -> String {
    format!(
        r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
cluster = "app"
[cluster.app]
balance = "least_requests"
endpoints = [{endpoints}]
pool = {{ connections = {connections}, idle_timeout = "3s" }}
"#
    )
}

/// Answers after as many seconds as the path says; an upgrade stays open.
fn slow() -> Reception {
    endpoints(|_, port, mut reader, mut writer| async move {
        while let Ok(head) = reader.head().await {
            if head.get("upgrade").is_some() {
                let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
                let _ = writer.write(switch).await;
                let _ = reader.rest().await;
                return;
            }
            let path = head.start.split(['/', ' ']).nth(2);
            sleep(Duration::from_secs(path.and_then(|word| word.parse().ok()).unwrap_or(0))).await;
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{port}");
            let _ = writer.write(response.as_bytes()).await;
        }
    })
}

async fn status(client: &mut Client) -> u16 {
    client.receive().await.expect("a response").head.status()
}

#[test]
fn an_endpoint_listed_twice_has_two_places_after_a_reload_too() {
    run(|| async {
        let twice = r#""127.0.0.1:9001", "127.0.0.1:9001""#;
        let world = World::new(&config(twice, 1), 1, slow());
        let mut before = [Client::new(&world), Client::new(&world)];
        for client in &mut before {
            client.send(&get("/2")).await;
        }
        sleep(Duration::from_millis(10)).await;
        world.reload(&config(twice, 1));
        for client in &mut before {
            assert_eq!(status(client).await, 200);
        }
        let mut after = [Client::new(&world), Client::new(&world)];
        for client in &mut after {
            client.send(&get("/2")).await;
        }
        for client in &mut after {
            assert_eq!(status(client).await, 200, "both places are free");
        }
    });
}

/// With a tunnel that holds on to the config from before: idle connections after a change of the config.
fn kept_after(change: impl Fn() -> String + 'static) -> usize {
    let kept = Rc::new(Cell::new(0));
    let seen = kept.clone();
    run(move || async move {
        let world = World::new(&config(r#""127.0.0.1:9001""#, 0), 1, slow());
        let mut tunnel = Client::new(&world);
        tunnel.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
        assert_eq!(status(&mut tunnel).await, 101);
        assert_eq!(Client::new(&world).ask(&get("/0")).await, 200);
        assert_eq!(world.idle(), 1);
        world.reload(&change());
        sleep(Duration::from_millis(100)).await;
        seen.set(world.idle() as usize);
    });
    kept.get()
}

#[test]
fn connections_to_endpoints_that_went_are_closed_whoever_holds_on_to_the_old_config() {
    assert_eq!(kept_after(|| config(r#""127.0.0.1:9002""#, 0)), 0, "another endpoint");
    assert_eq!(kept_after(|| config(r#""127.0.0.1:9001""#, 0).replace("app", "new")), 0, "another cluster");
}

#[test]
fn connections_outlive_a_change_of_weights() {
    let heavier = r#"{ address = "127.0.0.1:9001", weight = 7 }, "127.0.0.1:9002""#;
    assert_eq!(kept_after(move || config(heavier, 0)), 1);
}

/// Two endpoints, of which the first does not answer dials while `dead` is set.
fn one_dead(dead: &Rc<Cell<bool>>) -> Reception {
    let (alive, dead) = (slow(), dead.clone());
    Rc::new(move |port| if port == 9001 && dead.get() { Dialed::Silent } else { alive(port) })
}

const TWO: &str = r#"
[[listener]]
bind = "127.0.0.1:8080"
[timeouts.upstream]
connect = "1s"
[[route]]
cluster = "app"
[cluster.app]
endpoints = ["127.0.0.1:9001", "127.0.0.1:9002"]
"#;

#[test]
fn a_failure_from_before_a_reload_is_known_after_it() {
    run(|| async {
        let dead = Rc::new(Cell::new(true));
        let world = World::new(TWO, 1, one_dead(&dead));
        // Whoever has the turn of the dead endpoint, one of two dials it now and fails after the reload.
        let mut before = [Client::new(&world), Client::new(&world)];
        for client in &mut before {
            client.send(&get("/0")).await;
        }
        sleep(Duration::from_millis(100)).await;
        world.reload(TWO);
        for client in &mut before {
            assert_eq!(status(client).await, 200);
        }
        let dialed = world.dialed(9001);
        assert!(dialed > 0, "nobody tried the dead one");
        for _ in 0..10 {
            assert_eq!(Client::new(&world).ask(&get("/0")).await, 200);
        }
        assert_eq!(world.dialed(9001), dialed, "it is avoided");
    });
}

#[test]
fn an_answer_on_a_kept_connection_ends_the_avoidance() {
    run(|| async {
        let dead = Rc::new(Cell::new(false));
        let world = World::new(TWO, 1, one_dead(&dead));
        for _ in 0..4 {
            assert_eq!(Client::new(&world).ask(&get("/0")).await, 200);
        }
        dead.set(true);
        // Both kept connections are in use: who comes now dials.
        let mut slow: Vec<Client> = (0..4).map(|_| Client::new(&world)).collect();
        for client in &mut slow {
            client.send(&get("/2")).await;
        }
        for client in &mut slow {
            assert_eq!(status(client).await, 200);
        }
        assert!(world.dialed(9001) > 1, "nobody failed");
        sleep(Duration::from_secs(3)).await;
        let mut served = 0;
        for _ in 0..20 {
            let mut client = Client::new(&world);
            client.send(&get("/0")).await;
            let got = client.receive().await.expect("a response");
            served += usize::from(got.body.is_ok_and(|body| body == b"9001"));
        }
        assert!(served >= 8, "{served} of 20");
    });
}

#[test]
fn the_last_failure_is_the_answer_though_others_are_out_of_service() {
    run(|| async {
        let listed = r#""127.0.0.1:9001", "127.0.0.1:9002", { address = "127.0.0.1:9003", weight = 0 }"#;
        let world = World::new(&config(listed, 0), 1, Rc::new(|_| Dialed::Refused));
        assert_eq!(Client::new(&world).ask(&get("/0")).await, 502);
    });
}
