//! Which endpoint is tried when, and which connections are used again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use crate::client::{Client, answer, endpoints, get, post, take};
use crate::world::{Dialed, Reception, World, run};

const TWO: &str = r#"
[[listener]]
bind = "127.0.0.1:8080"
[timeouts.upstream]
connect = "1s"
[[route]]
cluster = "app"
[cluster.app]
endpoints = ["127.0.0.1:9001", "127.0.0.1:9002"]
pool = { idle = 2, idle_timeout = "10s" }
"#;
const ONE: &str = r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
cluster = "app"
[cluster.app]
endpoints = "127.0.0.1:9001"
pool = { idle = 2, idle_timeout = "10s" }
"#;

fn scene<F: Future>(config: &str, reception: impl FnOnce() -> Reception, play: impl FnOnce(Rc<World>) -> F) {
    run(|| async {
        let world = World::new(config, 1, reception());
        play(world.clone()).await;
        world.all_ended(Duration::from_secs(120)).await;
        assert_eq!(world.in_flight(), 0);
    });
}

fn answering() -> Reception {
    endpoints(|_, port, reader, writer| answer(port, reader, writer))
}

#[test]
fn goes_on_to_another_endpoint_if_one_does_not_connect() {
    for dead in [|| Dialed::Refused, || Dialed::Silent] {
        let reception = || -> Reception {
            let alive = answering();
            Rc::new(move |port| if port == 9001 { dead() } else { alive(port) })
        };
        scene(TWO, reception, async |world: Rc<World>| {
            for _ in 0..4 {
                // A body is no obstacle: the endpoint has seen nothing of it.
                assert_eq!(Client::new(&world).ask(&post("/")).await, 200);
                assert_eq!(Client::new(&world).ask(&get("/")).await, 200);
            }
            assert!(world.dialed(9001) > 0, "the dead one was never tried");
        });
    }
}

#[test]
fn answers_if_no_endpoint_connects() {
    scene(
        TWO,
        || Rc::new(|_| Dialed::Refused),
        async |world: Rc<World>| {
            assert_eq!(Client::new(&world).ask(&get("/")).await, 502);
            assert_eq!((world.dialed(9001), world.dialed(9002)), (1, 1), "each is tried once");
        },
    );
}

/// An endpoint that answers one request on each connection, then reads the next and closes without an answer.
fn closing_on_the_second(seen: Rc<Cell<usize>>) -> Reception {
    endpoints(move |_, _, mut reader, mut writer| {
        let seen = seen.clone();
        async move {
            take(&mut reader).await;
            seen.set(seen.get() + 1);
            let _ = writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            if reader.head().await.is_ok() {
                seen.set(seen.get() + 1);
            }
        }
    })
}

#[test]
fn sends_again_what_met_a_stale_connection_if_the_method_allows() {
    let body = "Content-Length: 0\r\n\r\n";
    let cases = [("GET", 200, 3), ("HEAD", 200, 3), ("POST", 502, 2), ("PATCH", 502, 2), ("PUT", 200, 3)];
    for (method, status, times) in cases {
        let seen = Rc::new(Cell::new(0));
        scene(
            ONE,
            || closing_on_the_second(seen.clone()),
            async |world: Rc<World>| {
                let mut client = Client::new(&world);
                assert_eq!(client.ask(&get("/")).await, 200);
                client.send(&format!("{method} / HTTP/1.1\r\nHost: a\r\n{body}")).await;
                let head = client.reader.head().await.expect("a response");
                assert_eq!(head.status(), status, "{method}");
            },
        );
        assert_eq!(seen.get(), times, "{method}");
    }
}

#[test]
fn sends_again_on_a_fresh_connection_only_if_the_method_allows() {
    for (request, times) in [(post("/"), 1), (get("/"), 2)] {
        let seen = Rc::new(Cell::new(0));
        let counted = seen.clone();
        let closing = || {
            endpoints(move |_, _, mut reader, _writer| {
                counted.set(counted.get() + 1);
                async move {
                    take(&mut reader).await;
                }
            })
        };
        scene(TWO, closing, async |world: Rc<World>| {
            assert_eq!(Client::new(&world).ask(&request).await, 502);
        });
        assert_eq!(seen.get(), times, "the endpoint may have acted on it: {request}");
    }
}

#[test]
fn uses_connections_again_and_keeps_only_so_many() {
    let slow = || {
        endpoints(|_, port, mut reader, mut writer| async move {
            while take(&mut reader).await {
                sleep(Duration::from_millis(50)).await;
                let text = port.to_string();
                let _ = writer
                    .write(format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{text}").as_bytes())
                    .await;
            }
        })
    };
    scene(ONE, slow, async |world: Rc<World>| {
        let mut clients: Vec<Client> = (0..5).map(|_| Client::new(&world)).collect();
        for client in &mut clients {
            client.send(&get("/")).await;
        }
        for client in &mut clients {
            client.receive().await.expect("a response");
        }
        sleep(Duration::from_millis(10)).await;
        assert_eq!((world.dialed(9001), world.idle()), (5, 2));
        for _ in 0..6 {
            assert_eq!(clients[0].ask(&get("/")).await, 200);
        }
        assert_eq!(world.dialed(9001), 5, "pooled connections are used");
    });
}

#[test]
fn closes_pooled_connections_that_were_idle_too_long() {
    let ended = Rc::new(Cell::new(0));
    let counted = ended.clone();
    let counting = || {
        endpoints(move |_, port, reader, writer| {
            let ended = counted.clone();
            async move {
                answer(port, reader, writer).await;
                ended.set(ended.get() + 1);
            }
        })
    };
    scene(ONE, counting, async |world: Rc<World>| {
        assert_eq!(Client::new(&world).ask(&get("/")).await, 200);
        sleep(Duration::from_secs(9)).await;
        assert_eq!((world.idle(), ended.get()), (1, 0));
        sleep(Duration::from_secs(3)).await;
        assert_eq!((world.idle(), ended.get()), (0, 1));
    });
}

#[test]
fn notices_that_an_endpoint_closed_an_idle_connection() {
    let closing = || {
        endpoints(|_, _, mut reader, mut writer| async move {
            take(&mut reader).await;
            let _ = writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        })
    };
    scene(ONE, closing, async |world: Rc<World>| {
        let mut client = Client::new(&world);
        for number in 1..5 {
            // Even a request that must not be sent twice: the end was there before it.
            assert_eq!(client.ask(&post("/")).await, 200);
            assert_eq!(world.dialed(9001), number);
            sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn passes_on_an_early_response_and_closes() {
    let early = || {
        endpoints(|_, _, mut reader, mut writer| async move {
            let _ = reader.head().await;
            let _ = writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno").await;
            let _ = reader.rest().await;
        })
    };
    scene(ONE, early, async |world: Rc<World>| {
        let mut client = Client::new(&world);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf").await;
        let got = client.receive().await.expect("a response");
        assert_eq!(got.head.status(), 413);
        assert!(got.head.closes(), "it says that it will not take the rest: {:?}", got.head);
        assert!(client.ended().await < Duration::from_secs(5));
        assert_eq!(world.idle(), 0, "the connection still owes the endpoint a body");
    });
}

#[test]
fn a_body_that_ends_with_the_connection_is_reset_where_it_broke_off() {
    for half in
        ["Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "Transfer-Encoding: chunked\r\n\r\n9\r\nhalf"]
    {
        let breaks = move || {
            endpoints(move |_, _, mut reader, mut writer| async move {
                take(&mut reader).await;
                let _ = writer.write(format!("HTTP/1.1 200 OK\r\n{half}").as_bytes()).await;
                // The half is on its way to the client by then.
                sleep(Duration::from_secs(1)).await;
            })
        };
        scene(ONE, breaks, async |world: Rc<World>| {
            let mut client = Client::new(&world);
            // HTTP/1.0 has no chunks: to this client, an orderly end would say that the body is whole.
            client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
            let got = client.receive().await;
            assert!(got.as_ref().map_or(true, |got| got.body.is_err()), "half a body looks whole: {got:?}");
        });
    }
}

#[test]
fn gives_up_the_endpoint_when_the_client_breaks_off() {
    let gone = Rc::new(RefCell::new(None));
    let noted = gone.clone();
    let waiting = || {
        endpoints(move |_, _, mut reader, writer| {
            let gone = noted.clone();
            async move {
                take(&mut reader).await;
                let begun = tokio::time::Instant::now();
                let _ = reader.rest().await;
                drop(writer);
                *gone.borrow_mut() = Some(begun.elapsed());
            }
        })
    };
    scene(ONE, waiting, async |world: Rc<World>| {
        let mut client = Client::new(&world);
        client.send(&get("/")).await;
        sleep(Duration::from_secs(1)).await;
        client.writer.abort();
        drop(client);
        sleep(Duration::from_secs(1)).await;
        assert!(
            gone.borrow().is_some_and(
                |after| after > Duration::from_millis(900) && after < Duration::from_millis(1_200)
            ),
            "{gone:?}"
        );
    });
}
