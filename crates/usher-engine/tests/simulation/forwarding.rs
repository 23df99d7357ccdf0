//! Between a request and the final head of its response: informational responses, early responses, failed connections.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::{Client, about, answer, endpoints, get, take};
use crate::message::{Broken, Framing};
use crate::world::{Dialed, Reception, World, run};

const CONFIG: &str = r#"
[[listener]]
bind = "127.0.0.1:8080"
[timeouts]
write_stall = "6s"
upstream = { first_byte = "7s", idle = "11s" }
[[route]]
to = "127.0.0.1:9000"
[[route]]
path = "/whole"
to = "127.0.0.1:9000"
buffer_request = "1MiB"
timeouts = { body_idle = "1s" }
"#;
/// The most that an endpoint may say before its answer, as the proxy has it.
const MAX_INFORMED: usize = 32;
const EARLY: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";

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

/// The first request on the first connection is answered with these bytes, the others properly.
fn saying(bytes: String) -> impl FnOnce() -> Reception {
    move || {
        endpoints(move |number, port, mut reader, mut writer| {
            let bytes = bytes.clone();
            async move {
                if number == 0 {
                    take(&mut reader).await;
                    let _ = writer.write(bytes.as_bytes()).await;
                }
                answer(port, reader, writer).await;
            }
        })
    }
}

/// The statuses up to and with the final one, and whether that one closes.
async fn statuses(client: &mut Client) -> (Vec<u16>, bool) {
    let mut all = Vec::new();
    loop {
        let got = client.receive().await.expect("a response");
        got.body.expect("a whole one");
        all.push(got.head.status());
        if got.head.status() >= 200 {
            return (all, got.head.closes());
        }
    }
}

#[test]
fn passes_on_so_many_informational_responses_and_no_more() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (flood, expected) in [(MAX_INFORMED, 200), (MAX_INFORMED + 1, 502), (10 * MAX_INFORMED, 502)] {
        scene(saying(EARLY.repeat(flood) + ok), async |world: Rc<World>| {
            let mut client = Client::new(&world);
            client.send(&get("/")).await;
            let (statuses, closes) = statuses(&mut client).await;
            assert_eq!(statuses, [vec![103; MAX_INFORMED], vec![expected]].concat());
            assert!(!closes, "the client has done nothing wrong");
            assert_eq!(client.ask(&get("/")).await, 200, "and goes on");
            let fresh = usize::from(expected == 502);
            assert_eq!(world.dialed(9000), 1 + fresh, "what flooded is not used again");
            assert_eq!(world.reason("endpoint_malformed"), fresh as u64);
        });
    }
}

#[test]
fn counts_informational_responses_that_are_not_passed_on() {
    let unasked = "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_INFORMED + 1);
    for (flood, version) in [(unasked, "1.1"), (EARLY.repeat(MAX_INFORMED + 1), "1.0")] {
        scene(saying(flood), async |world: Rc<World>| {
            let mut client = Client::new(&world);
            client.send(&format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).await;
            assert_eq!(statuses(&mut client).await.0, [502], "HTTP/{version}");
        });
    }
}

/// An endpoint that informs for as long as anybody takes it, and the bytes that were taken.
fn flooding(taken: Rc<Cell<usize>>) -> Reception {
    endpoints(move |_, _, mut reader, mut writer| {
        let taken = taken.clone();
        async move {
            take(&mut reader).await;
            let head = format!("HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n", "x".repeat(7_000));
            while writer.write(head.as_bytes()).await.is_ok() {
                taken.set(taken.get() + head.len());
            }
        }
    })
}

#[test]
fn takes_no_more_of_a_flood_than_the_client_takes() {
    let taken = Rc::new(Cell::new(0));
    scene(
        || flooding(taken.clone()),
        async |world: Rc<World>| {
            let mut client = Client::over(world.connect(64, None));
            client.send(&get("/")).await;
            let begun = Instant::now();
            world.all_ended(secs(60)).await;
            assert!(about(begun.elapsed(), secs(6)), "as long as any write may stall: {:?}", begun.elapsed());
            assert_eq!(world.reason("write_stall"), 1);
            assert_eq!(world.endpoint_errors(), 0, "the client is slow, not the endpoint");
        },
    );
    // The connection's 64 KiB, and what was read of it.
    assert!(taken.get() <= (64 << 10) + (32 << 10), "{} bytes", taken.get());
}

#[test]
fn a_slow_client_gets_all_that_it_is_told() {
    let said = EARLY.repeat(20) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    scene(saying(said), async |world: Rc<World>| {
        let mut stream = world.connect(100, None);
        stream.writer.write(get("/").as_bytes()).await.expect("room");
        let (mut got, mut buffer) = (Vec::new(), [0; 100]);
        while !got.ends_with(b"ok") {
            sleep(Duration::from_millis(900)).await;
            let len = stream.reader.read(&mut buffer).await.expect("more");
            assert!(len > 0, "ended after {}", String::from_utf8_lossy(&got));
            got.extend_from_slice(&buffer[..len]);
        }
        let heads = String::from_utf8_lossy(&got).matches("HTTP/1.1 ").count();
        assert_eq!(heads, 21);
    });
}

#[test]
fn an_endpoint_has_its_time_also_after_a_slow_client() {
    let late = || {
        endpoints(|_, _, mut reader, mut writer| async move {
            take(&mut reader).await;
            let _ = writer.write(EARLY.as_bytes()).await;
            // More than the client's `write_stall` after the last byte that it takes, and less than `first_byte`.
            sleep(Duration::from_millis(7_500)).await;
            let _ = writer.write(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            let _ = reader.rest().await;
        })
    };
    scene(late, async |world: Rc<World>| {
        let mut client = Client::over(world.connect(30, None));
        // Whoever was waited for is watched from the beginning.
        sleep(secs(1)).await;
        client.send(&get("/")).await;
        sleep(secs(1)).await;
        assert_eq!(statuses(&mut client).await.0, [103, 204]);
    });
}

#[test]
fn sends_nothing_again_of_which_an_answer_had_begun() {
    let cases = [(EARLY, false), ("HTTP/1.1 200 OK\r\nContent-", true), ("", false)];
    for (said, reset) in cases {
        let asked = Rc::new(Cell::new(0));
        let counted = asked.clone();
        let second_fails = || {
            endpoints(move |number, port, mut reader, mut writer| {
                let asked = counted.clone();
                async move {
                    if number > 0 {
                        asked.set(asked.get() + 1);
                        return answer(port, reader, writer).await;
                    }
                    take(&mut reader).await;
                    let _ = writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                    take(&mut reader).await;
                    let _ = writer.write(said.as_bytes()).await;
                    if reset {
                        writer.abort();
                    }
                }
            })
        };
        scene(second_fails, async |world: Rc<World>| {
            let mut client = Client::new(&world);
            assert_eq!(client.ask(&get("/")).await, 200);
            client.send(&get("/")).await;
            let expected = if said.is_empty() { 200 } else { 502 };
            assert_eq!(statuses(&mut client).await.0.last(), Some(&expected), "{said:?}");
        });
        assert_eq!(asked.get(), usize::from(said.is_empty()), "{said:?}");
    }
}

/// Requests, as a body.
fn tempting(len: usize) -> String {
    "GET /from-the-body HTTP/1.1\r\nHost: a\r\n\r\n".repeat(len / 40 + 1)[..len].to_owned()
}

fn chunked(body: &str) -> String {
    let chunks = body.as_bytes().chunks(8_000).map(|chunk| {
        let text = std::str::from_utf8(chunk).expect("text");
        format!("{:x}\r\n{text}\r\n", chunk.len())
    });
    chunks.collect()
}

/// What stands between `POST` and the body, and the body's bytes on the wire.
fn sent(path: &str, is_chunked: bool, body: &str) -> (String, String) {
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\n");
    if is_chunked {
        (head + "Transfer-Encoding: chunked\r\n\r\n", chunked(body) + "0\r\n\r\n")
    } else {
        (head + &format!("Content-Length: {}\r\n\r\n", body.len()), body.to_owned())
    }
}

#[test]
fn an_early_response_ends_what_is_left_of_the_body() {
    for (path, is_chunked) in [("/", false), ("/", true), ("/whole", false), ("/whole", true)] {
        let ended = Rc::new(Cell::new(0));
        let counted = ended.clone();
        let early = || {
            endpoints(move |_, _, mut reader, mut writer| {
                let ended = counted.clone();
                async move {
                    let head = reader.head().await.expect("a request");
                    let _ = writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno").await;
                    sleep(secs(1)).await;
                    let body = reader.body(head.framing(true).expect("framing")).await;
                    assert!(
                        matches!(body, Err(Broken::Truncated | Broken::Reset)),
                        "half a body looks whole"
                    );
                    ended.set(ended.get() + 1);
                }
            })
        };
        scene(early, async |world: Rc<World>| {
            let mut client = Client::new(&world);
            let (head, body) = sent(path, is_chunked, &tempting(400_000));
            client.send(&head).await;
            let Client { writer, reader, .. } = &mut client;
            // More than all buffers on the way hold: the client is still writing when the answer comes.
            let writing = async {
                let sent = writer.write(body.as_bytes()).await;
                sent.and(writer.write(get("/behind").as_bytes()).await)
            };
            let reading = async {
                let head = reader.head().await.expect("a response");
                assert_eq!((head.status(), head.closes()), (200, true), "{path} {is_chunked}: {head:?}");
                assert_eq!(reader.body(Framing::Length(2)).await.expect("whole").0, b"no");
                let rest = reader.rest().await.unwrap_or_default();
                assert!(rest.is_empty(), "a body was answered: {}", String::from_utf8_lossy(&rest));
            };
            let _ = tokio::join!(writing, reading);
            sleep(secs(2)).await;
            assert_eq!((world.dialed(9000), world.idle()), (1, 0), "{path} {is_chunked}");
        });
        assert_eq!(ended.get(), 1, "{path} {is_chunked}");
    }
}

#[test]
fn an_endpoint_that_answers_early_may_still_take_the_whole_body() {
    for (path, is_chunked) in [("/", false), ("/", true), ("/whole", false), ("/whole", true)] {
        let body = tempting(400_000);
        let expected = body.clone();
        let early = move || {
            endpoints(move |_, _, mut reader, mut writer| {
                let expected = expected.clone();
                async move {
                    let head = reader.head().await.expect("a request");
                    let _ = writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha").await;
                    let body = reader.body(head.framing(true).expect("framing")).await.expect("a body").0;
                    let same: &[u8] = if body == expected.as_bytes() { b"lf" } else { b"!!" };
                    let _ = writer.write(same).await;
                    let rest = reader.rest().await.unwrap_or_default();
                    assert!(rest.is_empty(), "behind the body: {}", String::from_utf8_lossy(&rest));
                }
            })
        };
        scene(early, async |world: Rc<World>| {
            let mut client = Client::new(&world);
            let (head, body) = sent(path, is_chunked, &body);
            client.send(&(head + &body)).await;
            let got = client.receive().await.expect("a response");
            assert_eq!(got.body.expect("whole"), b"half", "{path} {is_chunked}");
            let rest = client.reader.rest().await.unwrap_or_default();
            assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
            assert_eq!(world.dialed(9000), 1);
        });
    }
}

/// All of the body has left the client, and the last of it waits for the endpoint, when the response begins.
#[test]
fn an_endpoint_that_answers_early_gets_the_tail_that_waits_for_it() {
    for len in (56_000..150_000).step_by(1000) {
        let body = tempting(len);
        let early = move || {
            endpoints(move |_, _, mut reader, mut writer| async move {
                let head = reader.head().await.expect("a request");
                sleep(secs(1)).await;
                let _ = writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha").await;
                sleep(secs(1)).await;
                let body = reader.body(head.framing(true).expect("framing")).await.expect("a body").0;
                let same: &[u8] = if body.len() == len { b"lf" } else { b"!!" };
                let _ = writer.write(same).await;
                let _ = reader.rest().await;
            })
        };
        scene(early, async |world: Rc<World>| {
            let mut client = Client::new(&world);
            let (head, body) = sent("/", true, &body);
            client.send(&(head + &body)).await;
            let got = client.receive().await.expect("a response");
            assert_eq!(got.body.expect("whole"), b"half", "{len}");
        });
    }
}

#[test]
fn what_the_client_does_wrong_is_no_error_of_the_endpoint() {
    let silent: fn() -> Reception = || {
        endpoints(|_, _, mut reader, writer| async move {
            let _ = reader.rest().await;
            drop(writer);
        })
    };
    let cases = [
        ("Transfer-Encoding: chunked\r\n\r\nno size\r\n", 400, "client_malformed"),
        ("Content-Length: 9\r\n\r\nhalf", 408, "client_idle_timeout"),
    ];
    for (bytes, status, reason) in cases {
        scene(silent, async |world: Rc<World>| {
            let mut client = Client::new(&world);
            assert_eq!(client.ask(&format!("POST / HTTP/1.1\r\nHost: a\r\n{bytes}")).await, status);
            assert_eq!((world.reason(reason), world.endpoint_errors()), (1, 0), "{bytes}");
        });
    }
}

#[test]
fn counts_what_an_endpoint_does_wrong() {
    let cases = ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"];
    for said in cases {
        let breaks = move || {
            endpoints(move |_, _, mut reader, mut writer| async move {
                take(&mut reader).await;
                let _ = writer.write(said.as_bytes()).await;
            })
        };
        scene(breaks, async |world: Rc<World>| {
            let mut client = Client::new(&world);
            client.send(&get("/")).await;
            let _ = client.receive().await;
            assert_eq!(world.endpoint_errors(), 1, "{said:?}");
        });
    }
    scene(
        || Rc::new(|_| Dialed::Refused),
        async |world: Rc<World>| {
            assert_eq!(Client::new(&world).ask(&get("/")).await, 502);
            assert_eq!(world.endpoint_errors(), 1);
        },
    );
}

#[test]
fn a_body_that_is_taken_in_whole_has_the_time_of_its_route() {
    scene(
        || endpoints(|_, port, reader, writer| answer(port, reader, writer)),
        async |world: Rc<World>| {
            let mut client = Client::new(&world);
            let begun = Instant::now();
            let half = "POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf";
            assert_eq!(client.ask(half).await, 408);
            assert!(about(begun.elapsed(), secs(1)), "{:?}", begun.elapsed());
        },
    );
}
