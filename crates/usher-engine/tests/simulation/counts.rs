//! What endpoints have in hand, as balancers see it: over reloads and changes of endpoints.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use crate::client::{Client, endpoints, get};
use crate::world::{Reception, World, run};

const A: &str = "127.0.0.1:9001";
const B: &str = "127.0.0.1:9002";

/// The endpoint with the fewest requests is next; each takes so many at once (0: any number).
fn config(endpoints: &[&str], most: u32) -> String {
    format!(
        r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
cluster = "app"
[cluster.app]
balance = "least_requests"
endpoints = {endpoints:?}
pool = {{ connections = {most} }}
"#
    )
}

/// Every response takes as many seconds as its path says, and tells the port.
fn slow() -> Reception {
    endpoints(|_, port, mut reader, mut writer| async move {
        while let Ok(head) = reader.head().await {
            let seconds = head.start.split(['/', ' ']).nth(2).and_then(|word| word.parse().ok());
            sleep(Duration::from_secs(seconds.expect("seconds"))).await;
            let _ =
                writer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{port}").as_bytes()).await;
        }
    })
}

/// Sends a request whose response takes `seconds`, and returns when it is on its way.
async fn begin(world: &World, seconds: u64) -> Client {
    let mut client = Client::new(world);
    client.send(&get(&format!("/{seconds}"))).await;
    sleep(Duration::from_millis(10)).await;
    client
}

/// Who answered: the port, or the status if it was not an endpoint.
async fn by(client: &mut Client) -> u16 {
    let got = client.receive().await.expect("a response");
    let body = got.body.expect("a whole one");
    if got.head.status() != 200 {
        return got.head.status();
    }
    String::from_utf8_lossy(&body).parse().expect("a port")
}

/// Who answers two requests at once.
async fn two(world: &World) -> [u16; 2] {
    let (mut first, mut second) = (begin(world, 1).await, begin(world, 1).await);
    let mut both = [by(&mut first).await, by(&mut second).await];
    both.sort_unstable();
    both
}

fn scene<F: Future>(endpoints: &[&str], most: u32, play: impl FnOnce(Rc<World>) -> F) {
    run(|| async {
        let world = World::new(&config(endpoints, most), 1, slow());
        play(world.clone()).await;
        world.all_ended(Duration::from_secs(120)).await;
        assert_eq!(world.in_flight(), 0);
    });
}

#[test]
fn requests_from_before_a_reload_weigh_until_they_end() {
    scene(&[A], 0, async |world: Rc<World>| {
        let mut old = [begin(&world, 10).await, begin(&world, 10).await, begin(&world, 10).await];
        for _ in 0..3 {
            world.reload(&config(&[A, B], 0));
        }
        let mut new = [begin(&world, 5).await, begin(&world, 5).await, begin(&world, 5).await];
        for client in &mut new {
            assert_eq!(by(client).await, 9002, "the other one has three already");
        }
        for client in &mut old {
            assert_eq!(by(client).await, 9001);
        }
        for _ in 0..3 {
            assert_eq!(two(&world).await, [9001, 9002], "nothing is left of them");
        }
    });
}

#[test]
fn requests_that_end_between_reloads_are_not_counted_on() {
    scene(&[A, B], 0, async |world: Rc<World>| {
        let mut clients = Vec::new();
        for seconds in 1..=6 {
            clients.push(begin(&world, seconds).await);
            world.reload(&config(if seconds % 2 == 0 { &[A, B] } else { &[B, A] }, 0));
            sleep(Duration::from_millis(700)).await;
        }
        for client in &mut clients {
            by(client).await;
        }
        for _ in 0..3 {
            assert_eq!(two(&world).await, [9001, 9002]);
        }
    });
}

#[test]
fn a_removed_endpoint_that_comes_back_begins_anew() {
    scene(&[A], 1, async |world: Rc<World>| {
        let mut old = begin(&world, 3).await;
        world.reload(&config(&[B], 1));
        world.reload(&config(&[A], 1));
        // The endpoint of now knows nothing of the old request, and the end of that must not free a place here.
        let mut new = begin(&world, 9).await;
        assert_eq!(by(&mut begin(&world, 1).await).await, 503, "its one place is taken");
        assert_eq!(by(&mut old).await, 9001);
        assert_eq!(by(&mut begin(&world, 1).await).await, 503, "and still is");
        assert_eq!(by(&mut new).await, 9001);
        assert_eq!(by(&mut begin(&world, 1).await).await, 9001);
    });
}

#[test]
fn what_fails_and_who_leaves_is_counted_out() {
    scene(&[A, B], 0, async |world: Rc<World>| {
        for _ in 0..6 {
            let mut client = begin(&world, 60).await;
            // It is looked for the client after 100 ms.
            sleep(Duration::from_millis(300)).await;
            world.reload(&config(&[A, B], 0));
            client.writer.abort();
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!((world.in_flight(), world.reason("client_disconnected")), (0, 6));
        for _ in 0..3 {
            assert_eq!(two(&world).await, [9001, 9002]);
        }
    });
}
