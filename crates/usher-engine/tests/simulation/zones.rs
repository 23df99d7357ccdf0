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

#[test]
fn who_belongs_to_an_endpoint_stays_while_several_groups_take_requests() {
    run(|| async {
        let answering = || endpoints(|_, port, reader, writer| answer(port, reader, writer));
        let text = config("a", "{ spill_over = \"80%\" }") + "balance = \"ip_hash\"\n";
        let world = World::new(&text, 1, answering());
        set(&world, &[9002], true);
        assert_eq!(who(&world).await.len(), 1);
        // With a key per request, both groups take their share.
        let by_path = config("a", "{ spill_over = \"80%\" }")
            + "balance = { policy = \"consistent_hash\", key = \"path\" }\n";
        let world = World::new(&by_path, 1, answering());
        set(&world, &[9002], true);
        let (mut client, mut near) = (Client::new(&world), 0);
        for number in 0..1000 {
            let mut ports = Vec::new();
            for _ in 0..2 {
                client.send(&get(&format!("/{number}"))).await;
                ports.push(client.receive().await.expect("a response").body.expect("whole"));
            }
            assert_eq!(ports[0], ports[1], "{number}");
            near += usize::from(ports[0] == b"9001");
        }
        assert!((580..=670).contains(&near), "{near}");
    });
}

#[test]
fn a_cookie_leads_to_the_group_of_its_endpoint() {
    run(|| async {
        let text = config("a", "{ spill_over = \"80%\" }")
            + "balance = { policy = \"sticky\", secret = \"0123456789abcdef0123\" }\n";
        let world = World::new(&text, 1, endpoints(|_, port, reader, writer| answer(port, reader, writer)));
        set(&world, &[9002], true);
        for _ in 0..20 {
            let mut client = Client::new(&world);
            client.send(&get("/")).await;
            let got = client.receive().await.expect("a response");
            let cookie = got.head.get("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned();
            let own = got.body.expect("whole");
            for _ in 0..5 {
                client.send(&format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n")).await;
                assert_eq!(client.receive().await.expect("a response").body.expect("whole"), own);
            }
        }
    });
}
