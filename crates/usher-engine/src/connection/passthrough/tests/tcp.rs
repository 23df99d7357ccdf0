//! Listeners that carry TCP.

use tokio::time::Instant;

use super::*;

const TCP: &str =
    "automatic_https = false\n[[listener]]\nname = \"l\"\nbind = \"127.0.0.1:1\"\nprotocol = \"tcp\"\n";

fn to(target: &str) -> World {
    World::new(&format!("{TCP}{target}\n"))
}

async fn read(stream: &mut DuplexStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

async fn read_all(stream: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

impl World {
    /// How many were ended for this reason.
    fn ended(&self, reason: &'static str) -> u64 {
        self.worker.metrics.passed.by_reason.of(reason).get()
    }
}

#[test]
fn each_direction_ends_by_itself() {
    run(|| async {
        let world = to("to = \"127.0.0.1:2\"");
        // The endpoint is connected to, and may speak, before the client says anything.
        let (mut client, task) = world.connect();
        let (_, mut endpoint) = world.dialed().await.unwrap();
        endpoint.write_all(b"220 welcome").await.unwrap();
        assert_eq!(read(&mut client, 11).await, b"220 welcome");
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(read_all(&mut endpoint).await, b"question");
        sleep(Duration::from_secs(600)).await;
        endpoint.write_all(b"answer").await.unwrap();
        endpoint.shutdown().await.unwrap();
        assert_eq!(read_all(&mut client).await, b"answer");
        task.await.unwrap();

        let (mut client, task) = world.connect();
        let (_, mut endpoint) = world.dialed().await.unwrap();
        endpoint.shutdown().await.unwrap();
        assert_eq!(read_all(&mut client).await, b"");
        client.write_all(b"still here").await.unwrap();
        assert_eq!(read(&mut endpoint, 10).await, b"still here");
        client.shutdown().await.unwrap();
        assert_eq!(read_all(&mut endpoint).await, b"");
        task.await.unwrap();

        let passed = &world.worker.metrics.passed;
        assert_eq!((passed.opened.get(), passed.active.get()), (2, 0));
        assert_eq!((passed.received.get(), passed.sent.get()), (18, 17));
        assert_eq!(passed.by_reason.iter().map(|(_, counter)| counter.get()).sum::<u64>(), 0);
    });
}

#[test]
fn silence_ends_it_and_a_byte_in_either_direction_gives_more_time() {
    for target in [
        "to = \"127.0.0.1:2\"\ntimeouts = { tunnel_idle = \"10m\" }",
        // A cluster's own comes first.
        "cluster = \"c\"\ntimeouts = { tunnel_idle = \"1m\" }\n\
         [cluster.c]\nendpoints = \"127.0.0.1:2\"\ntimeouts = { tunnel_idle = \"10m\" }",
    ] {
        run(|| async {
            let world = to(target);
            let ticking = spawn_local(world.worker.clone().tend());
            let (mut client, task) = world.connect();
            let (_, mut endpoint) = world.dialed().await.unwrap();
            for _ in 0..2 {
                sleep(Duration::from_secs(9 * 60)).await;
                client.write_all(b"a").await.unwrap();
                read(&mut endpoint, 1).await;
                sleep(Duration::from_secs(9 * 60)).await;
                endpoint.write_all(b"b").await.unwrap();
                read(&mut client, 1).await;
            }
            let begun = Instant::now();
            task.await.unwrap();
            assert_eq!(begun.elapsed().as_secs(), 600, "virtual time");
            assert_eq!(world.ended("idle_timeout"), 1);
            assert_eq!(read_all(&mut client).await, b"");
            ticking.abort();
        });
    }
}

#[test]
fn one_that_is_down_or_silent_is_passed_over() {
    run(|| async {
        // Nobody at 9, and nothing at all is heard of 10.
        let world = to("to = [\"127.0.0.1:9\", \"127.0.0.1:10\", \"127.0.0.1:2\"]");
        let ticking = spawn_local(world.worker.clone().tend());
        for _ in 0..6 {
            let (mut client, _task) = world.connect();
            client.write_all(b"hello").await.unwrap();
            while world.endpoints.0.borrow().is_empty() {
                sleep(Duration::from_secs(1)).await;
            }
            let (port, mut endpoint) = world.dialed().await.unwrap();
            assert_eq!((port, read(&mut endpoint, 5).await), (2, b"hello".to_vec()));
        }
        ticking.abort();
        let world = to("to = \"127.0.0.1:9\"");
        let (mut client, task) = world.connect();
        task.await.unwrap();
        assert_eq!((read_all(&mut client).await, world.ended("connect_failed")), (vec![], 1));
    });
}

#[test]
fn a_full_cluster_takes_no_more_until_somebody_leaves() {
    run(|| async {
        let world =
            to("cluster = \"c\"\n[cluster.c]\nendpoints = \"127.0.0.1:2\"\npool = { connections = 1 }");
        let (client, task) = world.connect();
        let (_, endpoint) = world.dialed().await.unwrap();
        let (mut second, refused) = world.connect();
        refused.await.unwrap();
        assert_eq!((read_all(&mut second).await, world.ended("overloaded")), (vec![], 1));
        drop((client, endpoint));
        task.await.unwrap();
        let (_third, _task) = world.connect();
        assert!(world.dialed().await.is_some());
    });
}

#[test]
fn whoever_comes_to_a_full_cluster_may_wait() {
    run(|| async {
        let limits = "limits = { per_endpoint = 1, queue = 1, queue_timeout = \"30s\" }";
        let world = to(&format!("cluster = \"c\"\n[cluster.c]\nendpoints = \"127.0.0.1:2\"\n{limits}"));
        let ticking = spawn_local(world.worker.clone().tend());
        let (client, task) = world.connect();
        let (_, endpoint) = world.dialed().await.unwrap();
        let (mut waiting, served) = world.connect();
        waiting.write_all(b"patient").await.unwrap();
        sleep(Duration::from_secs(20)).await;
        let (_third, refused) = world.connect();
        refused.await.unwrap();
        assert_eq!((world.endpoints.0.borrow().len(), world.ended("overloaded")), (0, 1));
        drop((client, endpoint));
        task.await.unwrap();
        let (_, mut endpoint) = world.dialed().await.expect("room for the one that waits");
        assert_eq!(read(&mut endpoint, 7).await, b"patient");
        // Not forever.
        let (_fourth, refused) = world.connect();
        let begun = Instant::now();
        refused.await.unwrap();
        assert_eq!((begun.elapsed().as_secs(), world.ended("overloaded")), (30, 2), "virtual time");
        assert!(!served.is_finished());
        ticking.abort();
    });
}

/// Opens the circuit of the only cluster by hand.
fn open_circuit(world: &World) {
    let spec = world.worker.local().shared.clusters[0].clone();
    spec.circuit.as_ref().expect("a breaker").breaker.hold(Some(true), 0);
}

#[test]
fn whoever_waited_while_the_circuit_was_opened_is_let_go() {
    run(|| async {
        let limits = "limits = { per_endpoint = 1 }\nbreaker = true";
        let world = to(&format!("cluster = \"c\"\n[cluster.c]\nendpoints = \"127.0.0.1:2\"\n{limits}"));
        let ticking = spawn_local(world.worker.clone().tend());
        let (client, task) = world.connect();
        let (_, endpoint) = world.dialed().await.expect("a connection");
        let (mut waiting, refused) = world.connect();
        sleep(Duration::from_secs(1)).await;
        open_circuit(&world);
        drop((client, endpoint));
        task.await.expect("no panic");
        refused.await.expect("no panic");
        assert_eq!((read_all(&mut waiting).await, world.ended("circuit_open")), (vec![], 1));
        assert_eq!(world.endpoints.1.get(), 1, "nobody was dialed for it");
        // The place that it had for a moment is another one's.
        let spec = world.worker.local().shared.clusters[0].clone();
        assert_eq!((spec.crowd.under_way(), spec.crowd.waiting()), (0, 0));
        ticking.abort();
    });
}

#[test]
fn no_other_endpoint_is_tried_once_the_circuit_is_open() {
    for (opens, dials) in [(false, 2), (true, 1)] {
        run(|| async {
            // Nothing is heard of either.
            let endpoints = "endpoints = [\"127.0.0.1:10\", \"127.0.0.2:10\"]\nbreaker = true";
            let world = to(&format!("cluster = \"c\"\n[cluster.c]\n{endpoints}"));
            let ticking = spawn_local(world.worker.clone().tend());
            let (_client, task) = world.connect();
            while world.endpoints.1.get() == 0 {
                yield_now().await;
            }
            if opens {
                open_circuit(&world);
            }
            task.await.expect("no panic");
            assert_eq!((world.endpoints.1.get(), world.ended("connect_timeout")), (dials, 1));
            ticking.abort();
        });
    }
}

#[test]
fn the_endpoint_is_told_who_the_client_is() {
    for (version, begins, len) in
        [("v1", &b"PROXY UNKNOWN\r\n"[..], 15), ("v2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16)]
    {
        run(|| async {
            let cluster = format!("[cluster.c]\nendpoints = \"127.0.0.1:2\"\nproxy_protocol = \"{version}\"");
            let world = to(&format!("cluster = \"c\"\n{cluster}"));
            let (mut client, _task) = world.connect();
            client.write_all(b"hello").await.unwrap();
            let (_, mut endpoint) = world.dialed().await.unwrap();
            assert_eq!(read(&mut endpoint, len).await, begins, "{version}");
            assert_eq!(read(&mut endpoint, 5).await, b"hello", "{version}");
        });
    }
    // Also of what is passed on encrypted, with the host.
    run(|| async {
        let rule = "tls = { passthrough = [{ host = \"a.test\", cluster = \"c\" }] }";
        let cluster = "[cluster.c]\nendpoints = \"127.0.0.1:2\"\nproxy_protocol = \"v2\"";
        let world = World::new(&format!(
            "{LISTENER}{rule}\nproxy_protocol = {{ trusted = [\"192.0.2.0/24\"] }}\n{ROUTE}{cluster}"
        ));
        let (mut client, _task) = world.connect();
        client.write_all(b"PROXY TCP4 198.51.100.7 192.0.2.9 1234 443\r\n").await.unwrap();
        client.write_all(&hello("a.test")).await.unwrap();
        let (_, mut endpoint) = world.dialed().await.unwrap();
        let header = read(&mut endpoint, 16 + 12 + 3 + 6).await;
        assert_eq!(header[16..28], [198, 51, 100, 7, 192, 0, 2, 9, 4, 210, 1, 187]);
        assert_eq!(header[28..], *b"\x02\0\x06a.test");
        assert_eq!(read(&mut endpoint, hello("a.test").len()).await, hello("a.test"));
    });
}

#[test]
fn a_reload_leaves_what_is_open_and_sends_new_ones_elsewhere() {
    run(|| async {
        let mut world = to("to = \"127.0.0.1:2\"");
        let (mut client, _task) = world.connect();
        let (_, mut endpoint) = world.dialed().await.unwrap();
        world.reload(&format!("{TCP}to = \"127.0.0.1:3\"\n"));
        client.write_all(b"hello").await.unwrap();
        assert_eq!(read(&mut endpoint, 5).await, b"hello");
        let (_new, _task) = world.connect();
        assert_eq!(world.dialed().await.map(|(port, _)| port), Some(3));
        // Draining waits for them.
        world.worker.apply(Command::Drain(Drain { patience: Duration::from_secs(30), succeeded: false }));
        endpoint.write_all(b"still").await.unwrap();
        assert_eq!(read(&mut client, 5).await, b"still");
    });
}

/// What moves much and waits for its turn has not been silent.
#[test]
fn whoever_waits_for_a_turn_is_not_idle() {
    const MUCH: usize = 2 << 20;
    run(|| async {
        let world = to("to = \"127.0.0.1:2\"\ntimeouts = { tunnel_idle = \"2s\" }");
        let pause = async || sleep(Duration::from_secs(10)).await;
        spawn_local(world.worker.clone().tend_with_turns(pause));
        let mut visits = Vec::new();
        for _ in 0..2 {
            let (mut client, _) = world.connect();
            let (_, mut endpoint) = world.dialed().await.unwrap();
            spawn_local(async move {
                endpoint.write_all(&vec![1; MUCH]).await.unwrap();
                read_all(&mut endpoint).await
            });
            visits.push(spawn_local(async move { read(&mut client, MUCH).await.len() }));
        }
        for visit in visits {
            assert_eq!(visit.await.unwrap(), MUCH);
        }
        assert_eq!(world.ended("idle_timeout"), 0);
    });
}
