//! Many who come anew at once: they ask endpoints some at a time, and whoever has been there before waits for none of them.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};

use crate::client::{Client, about, answer, endpoints, get, take};
use crate::world::{Reception, World, run};

/// From one turn to the next: less than anybody waits at most.
const PAUSE: Duration = Duration::from_secs(6);
/// So many ask in a turn that nobody has used before; the next ones have the turns after it.
const AT_ONCE: u64 = 4;
/// Time for all that waits for no turn.
const MOMENT: Duration = Duration::from_secs(1);
const CONFIG: &str = r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
to = "127.0.0.1:9000"
[[route]]
path = "/in-time"
to = "127.0.0.1:9000"
retry = { deadline = "4s" }
[[route]]
path = "/impatient"
to = "127.0.0.1:9000"
timeouts = { first_byte = "3s" }
[[route]]
path = "/failing"
cluster = "failing"
[cluster.failing]
endpoints = ["127.0.0.1:9500"]
breaker = { min_requests = 10, open = "60s" }
[[route]]
path = "/replaced"
cluster = "replaced"
[cluster.replaced]
endpoints = ["127.0.0.1:9501"]
breaker = { min_requests = 10, open = "60s", fallback = "spare" }
[cluster.spare]
endpoints = ["127.0.0.1:9001"]
"#;
/// Longer than a circuit is open.
const OPEN: Duration = Duration::from_secs(70);

/// Those of the clusters that fail do so, the others are well.
fn reception() -> Reception {
    endpoints(|_, port, mut reader, mut writer| async move {
        if port < 9500 {
            return answer(port, reader, writer).await;
        }
        while take(&mut reader).await {
            let _ = writer.write(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n").await;
        }
    })
}

/// Plays a scene after as many strangers as fit into the first turn have asked, who are known then.
fn scene(play: impl AsyncFnOnce(&Rc<World>, Vec<Client>)) {
    run(|| async {
        let world = World::with_slow_turns(CONFIG, reception(), PAUSE);
        // So that turns have begun.
        sleep(MOMENT).await;
        let mut known = Vec::new();
        for _ in 0..AT_ONCE {
            let mut client = Client::new(&world);
            assert_eq!(client.ask(&get("/")).await, 200);
            known.push(client);
        }
        play(&world, known).await;
        world.all_ended(Duration::from_secs(200)).await;
        assert_eq!(world.in_flight(), 0);
    });
}

/// Asks once as somebody new: the status, and how long that took.
fn stranger(world: &Rc<World>, path: &str) -> JoinHandle<(u16, Duration)> {
    let (mut client, request) = (Client::new(world), get(path));
    spawn_local(async move {
        let begun = Instant::now();
        (client.ask(&request).await, begun.elapsed())
    })
}

#[test]
fn who_comes_anew_waits_for_a_turn_and_who_is_known_does_not() {
    scene(async |world, mut known| {
        let waiting = stranger(world, "/");
        sleep(MOMENT).await;
        let begun = Instant::now();
        for client in &mut known {
            assert_eq!(client.ask(&get("/")).await, 200);
        }
        assert!(begun.elapsed() < MOMENT && !waiting.is_finished());
        let (status, took) = waiting.await.unwrap();
        assert!(status == 200 && about(took, PAUSE), "{status} after {took:?}");
    });
}

#[test]
fn who_leaves_meanwhile_asks_nobody() {
    scene(async |world, _known| {
        let mut leaves = Client::new(world);
        leaves.send(&get("/")).await;
        sleep(MOMENT).await;
        leaves.writer.abort();
        drop(leaves);
        assert_eq!(stranger(world, "/").await.unwrap().0, 200);
        assert_eq!((world.reason("client_disconnected"), world.endpoint_requests()), (1, AT_ONCE + 1));
    });
}

/// Half of the time that there is at all is left for the endpoint.
#[test]
fn nobody_waits_for_longer_than_the_route_says() {
    scene(async |world, _known| {
        for (path, patience) in [("/in-time", 2), ("/impatient", 3)] {
            let (status, took) = stranger(world, path).await.unwrap();
            let patience = Duration::from_secs(patience);
            assert!(status == 503 && about(took, patience), "{path}: {status} after {took:?}");
        }
        assert_eq!((world.reason("overloaded"), world.endpoint_requests()), (2, AT_ONCE));
        assert_eq!(world.endpoint_errors(), 0, "no endpoint is to blame");
    });
}

/// Where another cluster takes its place, that one is asked.
#[test]
fn a_circuit_that_opens_meanwhile_is_open_for_who_waits() {
    scene(async |world, mut known| {
        let waiting = [stranger(world, "/failing"), stranger(world, "/replaced")];
        sleep(MOMENT).await;
        for path in ["/failing", "/replaced"] {
            for _ in 0..10 {
                assert_eq!(known[0].ask(&get(path)).await, 503);
            }
        }
        let [refused, served] = waiting;
        assert_eq!((refused.await.unwrap().0, served.await.unwrap().0), (503, 200));
        assert_eq!((world.reason("circuit_open"), world.endpoint_requests()), (1, AT_ONCE + 21));
    });
}

/// A trial that waited would keep all others out meanwhile.
#[test]
fn who_waits_is_not_the_trial_of_a_circuit() {
    scene(async |world, mut known| {
        for _ in 0..10 {
            assert_eq!(known[0].ask(&get("/failing")).await, 503);
        }
        sleep(OPEN).await;
        let waiting = stranger(world, "/failing");
        sleep(MOMENT).await;
        assert!(!waiting.is_finished());
        assert_eq!(known[0].ask(&get("/failing")).await, 503);
        assert_eq!(world.endpoint_requests(), AT_ONCE + 11, "who is known was the trial");
        waiting.await.unwrap();
    });
}
