//! Each timeout, by itself: when it passes, and what the client sees.

use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::{Client, about, answer, endpoints, get, post, take};
use crate::world::{Dialed, Reception, World, run};

const CONFIG: &str = r#"
[[listener]]
bind = "127.0.0.1:8080"
[timeouts]
head = "2s"
body_idle = "3s"
keep_alive = "5s"
write_stall = "6s"
upstream = { connect = "1s", first_byte = "7s", idle = "11s" }
[[route]]
to = "127.0.0.1:9000"
[[route]]
path = "/own"
respond = "a response of the proxy itself, which is longer than what the client has room for"
timeouts = { write_stall = "2s" }
"#;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn scene<F: Future>(reception: impl FnOnce() -> Reception, play: impl FnOnce(Rc<World>) -> F) {
    run(|| async {
        let world = World::new(CONFIG, 1, reception());
        play(world.clone()).await;
        world.all_ended(secs(60)).await;
        assert_eq!(world.in_flight(), 0);
    });
}

fn answering() -> Reception {
    endpoints(|_, port, reader, writer| answer(port, reader, writer))
}

#[test]
fn closes_a_connection_that_says_nothing() {
    scene(answering, async |world: Rc<World>| {
        let took = Client::new(&world).ended().await;
        assert!(about(took, secs(2)), "{took:?}");
    });
}

#[test]
fn answers_408_to_half_a_head() {
    scene(answering, async |world: Rc<World>| {
        let mut client = Client::new(&world);
        assert_eq!(client.ask("GET / HTTP/1.1\r\nHo").await, 408);
        // The end comes with the response; what is left is the time to read it.
        let took = client.ended().await;
        assert!(about(took, secs(2)), "{took:?}");
    });
}

#[test]
fn a_head_that_trickles_in_has_no_more_time() {
    scene(answering, async |world: Rc<World>| {
        let mut client = Client::new(&world);
        for byte in "GET / HTTP/1.1\r\nHost: abcdefg".chars().take(19) {
            client.send(&byte.to_string()).await;
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(client.ask("").await, 408);
    });
}

#[test]
fn closes_an_idle_connection_after_keep_alive() {
    scene(answering, async |world: Rc<World>| {
        let mut client = Client::new(&world);
        assert_eq!(client.ask(&get("/")).await, 200);
        let took = client.ended().await;
        // It lingers for 100 ms before it counts as idle.
        assert!(about(took, secs(5) + Duration::from_millis(100)), "{took:?}");
    });
}

#[test]
fn a_connection_in_use_outlives_keep_alive() {
    scene(answering, async |world: Rc<World>| {
        let mut client = Client::new(&world);
        for _ in 0..4 {
            assert_eq!(client.ask(&get("/")).await, 200);
            sleep(secs(4)).await;
        }
    });
}

#[test]
fn answers_408_to_a_body_that_stops() {
    scene(answering, async |world: Rc<World>| {
        let mut client = Client::new(&world);
        let begun = Instant::now();
        assert_eq!(client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhi").await, 408);
        assert!(about(begun.elapsed(), secs(3)), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_body_that_moves_on_takes_as_long_as_it_takes() {
    scene(answering, async |world: Rc<World>| {
        let mut client = Client::new(&world);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").await;
        for _ in 0..8 {
            sleep(secs(2)).await;
            client.send("x").await;
        }
        assert_eq!(client.ask("x").await, 200);
    });
}

#[test]
fn answers_504_if_no_endpoint_connects_in_time() {
    scene(
        || Rc::new(|_| Dialed::Silent),
        async |world: Rc<World>| {
            let mut client = Client::new(&world);
            let begun = Instant::now();
            assert_eq!(client.ask(&get("/")).await, 504);
            assert!(about(begun.elapsed(), secs(1)), "{:?}", begun.elapsed());
            assert_eq!(client.ask(&get("/")).await, 504, "the connection goes on");
        },
    );
}

fn never_answering() -> Reception {
    endpoints(|_, _, mut reader, writer| async move {
        take(&mut reader).await;
        // Held open until the proxy gives up.
        let _ = reader.rest().await;
        drop(writer);
    })
}

#[test]
fn answers_504_if_the_endpoint_does_not_answer() {
    for request in [get("/"), post("/")] {
        scene(never_answering, async |world: Rc<World>| {
            let mut client = Client::new(&world);
            let begun = Instant::now();
            assert_eq!(client.ask(&request).await, 504);
            assert!(about(begun.elapsed(), secs(7)), "{:?}", begun.elapsed());
            assert_eq!(world.idle(), 0);
        });
    }
}

#[test]
fn answers_504_if_the_endpoint_does_not_take_the_body() {
    let stuck = || {
        endpoints(|_, _, reader, writer| async move {
            pending::<()>().await;
            drop((reader, writer))
        })
    };
    scene(stuck, async |world: Rc<World>| {
        let mut client = Client::new(&world);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").await;
        let writer = &mut client.writer;
        let body = vec![b'x'; 1_000_000];
        let (_, got) = tokio::join!(writer.write(&body), async { client.reader.head().await });
        assert_eq!(got.expect("a response").status(), 504);
    });
}

#[test]
fn resets_the_client_if_a_response_stops_half_way() {
    for head in
        ["Content-Length: 9\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "\r\nhalf"]
    {
        let stops = move || {
            endpoints(move |_, _, mut reader, mut writer| async move {
                take(&mut reader).await;
                let _ = writer.write(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes()).await;
                let _ = reader.rest().await;
            })
        };
        scene(stops, async |world: Rc<World>| {
            let mut client = Client::new(&world);
            client.send(&get("/")).await;
            let begun = Instant::now();
            let got = client.receive().await.expect("a head");
            assert!(got.body.is_err(), "half a body taken for a whole one: {got:?}");
            assert!(about(begun.elapsed(), secs(11)), "{:?}", begun.elapsed());
        });
    }
}

/// A response of `len` bytes to a client that reads nothing and has room for little.
fn write_stall(len: usize) {
    let large = move || {
        endpoints(move |_, _, mut reader, mut writer| async move {
            take(&mut reader).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n");
            let _ = writer.write(head.as_bytes()).await;
            let _ = writer.write(&vec![b'x'; len]).await;
            let _ = reader.rest().await;
        })
    };
    scene(large, async |world: Rc<World>| {
        let mut client = Client::over(world.connect(64, None));
        client.send(&get("/")).await;
        let begun = Instant::now();
        world.all_ended(secs(60)).await;
        assert!(about(begun.elapsed(), secs(6)), "{:?}", begun.elapsed());
        assert_eq!(world.reason("write_stall"), 1);
        assert!(client.receive().await.is_err(), "a stalled response is not whole");
    });
}

#[test]
fn breaks_off_if_the_client_takes_nothing_of_a_large_response() {
    write_stall(1_000_000);
}

#[test]
fn breaks_off_if_the_client_takes_nothing_of_a_small_response() {
    write_stall(1_000);
}

#[test]
fn a_response_of_the_proxy_has_the_time_of_its_route() {
    scene(answering, async |world: Rc<World>| {
        let mut client = Client::over(world.connect(64, None));
        client.send(&get("/own")).await;
        let begun = Instant::now();
        world.all_ended(secs(60)).await;
        assert!(about(begun.elapsed(), secs(2)), "{:?}", begun.elapsed());
        assert_eq!(world.reason("write_stall"), 1);
    });
}

#[test]
fn a_slow_client_is_served_to_the_end() {
    let large = || {
        endpoints(|_, _, mut reader, mut writer| async move {
            take(&mut reader).await;
            let _ = writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n").await;
            let _ = writer.write(&[b'x'; 3000]).await;
        })
    };
    scene(large, async |world: Rc<World>| {
        let mut stream = world.connect(200, None);
        stream.writer.write(get("/").as_bytes()).await.expect("room");
        let (mut buffer, mut total) = ([0; 200], 0);
        while total < 3000 {
            sleep(secs(4)).await;
            let len = stream.reader.read(&mut buffer).await.expect("more");
            assert!(len > 0, "ended after {total}");
            total += len;
        }
    });
}
