//! Endpoints of the own zone go first.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::standing::Out;

use crate::client::{Client, answer, endpoints, get};
use crate::world::{World, run};

/// Of four endpoints, two are in zone `a`.
fn config(zone: &str, locality: &str) -> String {
    let endpoint = |(port, zone): (u16, &str)| {
        format!("{{ address = \"127.0.0.1:{port}\", labels = {{ zone = \"{zone}\" }} }}")
    };
    let endpoints = [(9001, "a"), (9002, "a"), (9003, "b"), (9004, "c")].map(endpoint).join(", ");
    format!(
        r#"
zone = "{zone}"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
cluster = "app"
[cluster.app]
endpoints = [{endpoints}]
locality = {locality}
"#
    )
}

/// Who answers, in percent.
async fn who(world: &World) -> BTreeMap<u16, u32> {
    let (mut client, mut found) = (Client::new(world), BTreeMap::new());
    for _ in 0..1000 {
        client.send(&get("/")).await;
        let got = client.receive().await.expect("a response");
        assert_eq!(got.head.status(), 200);
        let port = String::from_utf8(got.body.expect("whole")).unwrap().parse().unwrap();
        *found.entry(port).or_default() += 1;
    }
    found.into_iter().map(|(port, count): (u16, u32)| (port, (count + 5) / 10)).collect()
}

fn set(world: &World, ports: &[u16], unhealthy: bool) {
    let standings = world.worker.local().shared.clusters[0].standings.clone();
    let now = standings.millis(Instant::now().into_std());
    for port in ports {
        standings.set(&standings.of(&format!("127.0.0.1:{port}")), Out::Unhealthy, unhealthy, now);
    }
}

#[test]
fn the_own_zone_serves_while_it_can() {
    run(|| async {
        let world = World::new(
            &config("a", "{ spill_over = \"80%\" }"),
            1,
            endpoints(|_, port, reader, writer| answer(port, reader, writer)),
        );
        assert_eq!(who(&world).await, [(9001, 50), (9002, 50)].into());
        // Half of it is well, which is five eighths of what it should be.
        set(&world, &[9002], true);
        let found = who(&world).await;
        assert!((58..=67).contains(&found[&9001]) && !found.contains_key(&9002), "{found:?}");
        assert!(found[&9003].abs_diff(found[&9004]) <= 3, "{found:?}");
        set(&world, &[9001], true);
        assert_eq!(who(&world).await, [(9003, 50), (9004, 50)].into());
        set(&world, &[9003, 9004], true);
        assert_eq!(
            who(&world).await,
            [(9001, 50), (9002, 50)].into(),
            "nobody is well: all are asked, at home"
        );
        set(&world, &[9001, 9002, 9003, 9004], false);
        world.reload(&config("b", "true"));
        assert_eq!(who(&world).await, [(9003, 100)].into());
        world.reload(&config("elsewhere", "true"));
        assert_eq!(who(&world).await.len(), 4);
        world.reload(&config("a", "false"));
        assert_eq!(who(&world).await.len(), 4);
        world.all_ended(Duration::from_secs(120)).await;
    });
}

#[test]
fn another_zone_is_asked_when_the_own_one_has_no_room() {
    run(|| async {
        let slow = endpoints(|_, port, mut reader, mut writer| async move {
            while crate::client::take(&mut reader).await {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{port}");
                let _ = writer.write(response.as_bytes()).await;
            }
        });
        let text = config("a", "true") + "limits = { per_endpoint = 2 }\n";
        let world = World::new(&text, 1, slow);
        let ask = |_| {
            let world: Rc<World> = world.clone();
            tokio::task::spawn_local(async move {
                let mut client = Client::new(&world);
                client.send(&get("/")).await;
                String::from_utf8(client.receive().await.expect("a response").body.expect("whole")).unwrap()
            })
        };
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for one in (0..6).map(ask).collect::<Vec<_>>() {
            *found.entry(one.await.expect("an outcome")).or_default() += 1;
        }
        assert_eq!((found["9001"], found["9002"]), (2, 2), "{found:?}");
        world.all_ended(Duration::from_secs(120)).await;
    });
}
