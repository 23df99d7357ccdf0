//! Requests that are sent again: when, to whom, with what of their body, and when no longer.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use crate::client::{Client, about, endpoints, get, post};
use crate::message::{Framing, Head, Reader};
use crate::net::{self, SimStream, WriteEnd};
use crate::world::{Dialed, Reception, World, run};

pub(crate) const SERVES: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
pub(crate) const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";

/// What endpoints were asked, in order: port, head and body.
pub(crate) type Asked = Rc<RefCell<Vec<(u16, Head, Vec<u8>)>>>;

/// What an endpoint does with a request.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    Says(&'static str),
    /// Closes without a word.
    Closes,
    Hangs,
    /// Says it half a second later.
    Ponders(&'static str),
}

/// Endpoints on 9001 and up. The n-th request, over all of them, meets the n-th of these; the last one repeats.
pub(crate) fn doing(asked: &Asked, plan: &'static [Does]) -> Reception {
    let asked = asked.clone();
    endpoints(move |_, port, reader, writer| serve(asked.clone(), plan, port, reader, writer))
}

async fn serve(asked: Asked, plan: &'static [Does], port: u16, mut reader: Reader, mut writer: WriteEnd) {
    while let Ok(head) = reader.head().await {
        let framing = head.framing(true).expect("framing");
        let Ok((body, _)) = reader.body(framing).await else { return };
        asked.borrow_mut().push((port, head, body));
        let number = asked.borrow().len() - 1;
        match plan[number.min(plan.len() - 1)] {
            Does::Says(text) => writer.write(text.as_bytes()).await.expect("the proxy takes it"),
            Does::Closes => return,
            Does::Hangs => drop(reader.rest().await),
            Does::Ponders(text) => {
                sleep(Duration::from_millis(500)).await;
                writer.write(text.as_bytes()).await.expect("the proxy takes it");
            }
        }
    }
}

pub(crate) fn config(endpoints: u16, retry: &str, budget: &str) -> String {
    let endpoints: Vec<String> = (1..=endpoints).map(|number| format!("\"127.0.0.1:900{number}\"")).collect();
    format!(
        "[[listener]]\nbind = \"127.0.0.1:8080\"\n[timeouts.upstream]\nconnect = \"1s\"\nfirst_byte = \"60s\"\n\
         [[route]]\ncluster = \"app\"\n{retry}\n[cluster.app]\nendpoints = [{}]\n{budget}\n",
        endpoints.join(", ")
    )
}

/// Plays a scene; gives what endpoints were asked.
fn scene<F: Future<Output = ()>>(
    (endpoints, retry): (u16, &str),
    plan: &'static [Does],
    play: impl FnOnce(Rc<World>) -> F,
) -> Vec<(u16, Head, Vec<u8>)> {
    let asked = Asked::default();
    let reception = doing(&asked, plan);
    run(|| async {
        let world = World::new(&config(endpoints, retry, ""), 1, reception);
        play(world.clone()).await;
        world.all_ended(Duration::from_secs(200)).await;
        assert_eq!(world.in_flight(), 0);
    });
    asked.take()
}

pub(crate) fn ports(asked: &[(u16, Head, Vec<u8>)]) -> Vec<u16> {
    asked.iter().map(|(port, ..)| *port).collect()
}

pub(crate) fn sent_again(world: &World) -> u64 {
    world.registry.read().totals.upstream.retries.get()
}

pub(crate) fn refused(world: &World) -> u64 {
    world.registry.read().totals.upstream.retries_refused.get()
}

fn with_body(method: &str, body: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn the_matrix_of_faults_methods_and_conditions() {
    use Does::{Closes, Hangs, Says};
    const CLOSES: &[Does] = &[Closes, Says(SERVES)];
    const BUSIES: &[Does] = &[Says(BUSY), Says(SERVES)];
    const HANGS: &[Does] = &[Hangs, Says(SERVES)];
    let all = r#"retry = ["connect_failure", "reset", "timeout", "5xx"]"#;
    let any = r#"retry = { on = ["reset", "timeout", 503], non_idempotent = true }"#;
    let (get, post, put) = (get("/"), post("/"), with_body("PUT", "hello"));
    let cases: [(&str, &'static [Does], &str, u16, usize); 19] = [
        // Without a word: what broke off is sent again, if the method allows.
        ("", CLOSES, &get, 200, 2),
        ("", CLOSES, &put, 200, 2),
        ("", CLOSES, &post, 502, 1),
        ("", BUSIES, &get, 503, 1),
        ("", HANGS, &get, 504, 1),
        // As it is said.
        (all, CLOSES, &get, 200, 2),
        (all, BUSIES, &get, 200, 2),
        (all, BUSIES, &put, 200, 2),
        (all, HANGS, &get, 200, 2),
        (all, CLOSES, &post, 502, 1),
        (all, BUSIES, &post, 503, 1),
        (all, HANGS, &post, 504, 1),
        (any, CLOSES, &post, 200, 2),
        (any, BUSIES, &post, 200, 2),
        (any, HANGS, &post, 200, 2),
        (r#"retry = "timeout""#, CLOSES, &get, 502, 1),
        (r#"retry = [502, "timeout"]"#, BUSIES, &get, 503, 1),
        (r#"retry = { on = "5xx", tries = 1 }"#, BUSIES, &get, 503, 1),
        (r#"retry = { on = "5xx", buffer = "4B" }"#, BUSIES, &put, 503, 1),
    ];
    for (retry, plan, request, status, times) in cases {
        let asked = scene((2, retry), plan, async |world: Rc<World>| {
            assert_eq!(Client::new(&world).ask(request).await, status, "{retry} {request}");
            assert_eq!(sent_again(&world), times as u64 - 1, "{retry} {request}");
        });
        assert_eq!(asked.len(), times, "{retry} {request}");
        let bodies: Vec<&Vec<u8>> = asked.iter().map(|(_, _, body)| body).collect();
        assert!(bodies.windows(2).all(|two| two[0] == two[1]), "{retry} {request}: {bodies:?}");
        let ports = ports(&asked);
        assert!(ports.windows(2).all(|two| two[0] != two[1]), "another endpoint: {ports:?}");
    }
}

#[test]
fn the_last_response_is_passed_on() {
    const PLAN: &[Does] = &[Does::Says(BUSY), Does::Closes, Does::Says(BUSY)];
    let asked = scene((3, r#"retry = ["reset", 503]"#), PLAN, async |world: Rc<World>| {
        let mut client = Client::new(&world);
        client.send(&get("/")).await;
        let got = client.receive().await.expect("a response");
        assert_eq!((got.head.status(), got.body.expect("whole")), (503, b"busy".to_vec()));
        assert_eq!(world.reason("endpoint_disconnected"), 0, "it is the endpoint's answer");
        // Of a response that was given up the connection is kept, as it was there whole.
        sleep(Duration::from_millis(10)).await;
        assert_eq!(world.idle(), 2);
    });
    let mut ports = ports(&asked);
    ports.sort_unstable();
    assert_eq!(ports, [9001, 9002, 9003], "each once");
}

#[test]
fn endpoints_are_asked_again_only_as_often_as_is_said() {
    for (endpoints, tries, times) in
        [(1, "", 1), (1, "tries = 3,", 3), (2, "tries = 5,", 5), (3, "tries = 2,", 2)]
    {
        let retry = format!("retry = {{ {tries} on = [503] }}");
        let asked = scene((endpoints, &retry), &[Does::Says(BUSY)], async |world: Rc<World>| {
            assert_eq!(Client::new(&world).ask(&get("/")).await, 503);
        });
        let ports = ports(&asked);
        assert_eq!(ports.len(), times, "{endpoints} {tries}");
        let stays = ports.windows(2).any(|two| two[0] == two[1]);
        assert!(endpoints == 1 || !stays, "another one each time: {ports:?}");
    }
}

#[test]
fn one_endpoint_that_does_not_connect_is_dialed_again() {
    let retry = r#"retry = { on = "connect_failure", tries = 4, backoff = { base = "1s", max = "1s" } }"#;
    for (retry, times) in [("", 1), (retry, 4)] {
        run(|| async {
            let world = World::new(&config(1, retry, ""), 7, Rc::new(|_| Dialed::Refused));
            // Nothing was sent, so the method does not matter.
            assert_eq!(Client::new(&world).ask(&post("/")).await, 502);
            assert_eq!(world.dialed(9001), times);
        });
    }
}

#[test]
fn the_budget_bounds_what_is_sent_again() {
    // A fifth of a hundred, and three for each of ten seconds; or as is said.
    for (budget, again) in [
        ("", 50),
        ("retry_budget = \"0%\"", 30),
        ("retry_budget = { share = \"0%\", per_second = 1 }", 10),
        ("retry_budget = { share = \"50%\", per_second = 0 }", 50),
        ("retry_budget = { per_second = 0 }", 20),
    ] {
        let asked = Asked::default();
        let reception = doing(&asked, &[Does::Says(BUSY)]);
        let retry = "retry = { on = 503, backoff = { max = \"0s\" } }";
        run(|| async {
            let world = World::new(&config(3, retry, budget), 1, reception);
            for _ in 0..100 {
                assert_eq!(Client::new(&world).ask(&get("/")).await, 503);
            }
            assert_eq!((sent_again(&world), asked.borrow().len()), (again, 100 + again as usize), "{budget}");
            assert!(refused(&world) > 0);
        });
    }
}

#[test]
fn what_was_not_sent_needs_no_budget() {
    let asked = Asked::default();
    let alive = doing(&asked, &[Does::Says(SERVES)]);
    let reception: Reception = Rc::new(move |port| if port == 9001 { Dialed::Refused } else { alive(port) });
    run(|| async {
        let config = config(2, "", "retry_budget = { share = \"0%\", per_second = 0 }");
        let world = World::new(&config, 1, reception);
        for _ in 0..4 {
            assert_eq!(Client::new(&world).ask(&post("/")).await, 200);
        }
        assert!(world.dialed(9001) > 0);
        assert_eq!(refused(&world), 0);
    });
}

#[test]
fn a_try_and_all_of_them_have_their_time() {
    let on = r#"on = ["timeout"], backoff = { max = "0s" }"#;
    for (retry, seconds, tries) in [
        (format!("retry = {{ {on}, per_try = \"2s\" }}"), 6, 3),
        (format!("retry = {{ {on}, per_try = \"2s\", tries = 5 }}"), 10, 5),
        (format!("retry = {{ {on}, per_try = \"2s\", deadline = \"5s\" }}"), 5, 3),
        (format!("retry = {{ {on}, deadline = \"5s\" }}"), 5, 1),
        ("retry = { deadline = \"500ms\" }".to_owned(), 0, 1),
        ("timeouts.first_byte = \"3s\"\nretry = \"timeout\"".to_owned(), 9, 3),
    ] {
        let asked = scene((3, &retry), &[Does::Hangs], async |world: Rc<World>| {
            let begun = Instant::now();
            assert_eq!(Client::new(&world).ask(&get("/")).await, 504, "{retry}");
            let took = begun.elapsed();
            // Each wait may pass a tick late, and the scene's own begins anywhere in one.
            let late = Duration::from_millis(150) * tries + Duration::from_millis(600);
            let expected = Duration::from_secs(seconds);
            assert!((expected..expected + late).contains(&took), "{retry}: {took:?}");
            assert_eq!(world.reason("first_byte_timeout"), 1);
        });
        assert_eq!(asked.len(), tries as usize, "{retry}");
    }
}

#[test]
fn a_connection_that_is_not_made_has_no_more_time_than_a_try() {
    let retry = r#"retry = { deadline = "400ms", tries = 3 }"#;
    run(|| async {
        let world = World::new(&config(1, retry, ""), 1, Rc::new(|_| Dialed::Silent));
        let begun = Instant::now();
        assert_eq!(Client::new(&world).ask(&get("/")).await, 504);
        assert!(about(begun.elapsed(), Duration::from_millis(400)), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_slow_upload_has_all_the_time_it_needs() {
    let retry = r#"retry = { on = "timeout", per_try = "1s", deadline = "2s", non_idempotent = true }"#;
    let asked = scene((2, retry), &[Does::Ponders(SERVES)], async |world: Rc<World>| {
        let mut client = Client::new(&world);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n").await;
        for _ in 0..10 {
            sleep(Duration::from_secs(3)).await;
            client.send("x").await;
        }
        assert_eq!(client.receive().await.expect("a response").head.status(), 200);
    });
    assert_eq!((asked.len(), &asked[0].2[..]), (1, &b"xxxxxxxxxx"[..]));
}

#[test]
fn endpoints_are_told_how_long_they_are_waited_for() {
    let retry = r#"retry = { on = 503, deadline = "10s", deadline_header = "X-Deadline-Ms" }"#;
    let slow = || -> (Asked, Reception) {
        let asked = Asked::default();
        let noted = asked.clone();
        let reception = endpoints(move |_, port, mut reader, mut writer| {
            let asked = noted.clone();
            async move {
                while let Ok(head) = reader.head().await {
                    asked.borrow_mut().push((port, head, Vec::new()));
                    sleep(Duration::from_secs(4)).await;
                    let _ = writer.write(BUSY.as_bytes()).await;
                }
            }
        });
        (asked, reception)
    };
    let (asked, reception) = slow();
    run(|| async {
        let world = World::new(&config(2, retry, ""), 1, reception);
        let forged = "GET / HTTP/1.1\r\nHost: a\r\nX_Deadline_Ms: 1\r\nX-Deadline-Ms: 99999999\r\n\r\n";
        assert_eq!(Client::new(&world).ask(forged).await, 503);
    });
    let asked = asked.take();
    let told: Vec<u64> =
        asked.iter().map(|(_, head, _)| head.number("x-deadline-ms").expect("told")).collect();
    assert!(
        told.len() == 2 && (9_900..=10_000).contains(&told[0]) && (5_500..=6_000).contains(&told[1]),
        "{told:?}"
    );
    assert!(
        asked.iter().all(|(_, head, _)| head.count("x-deadline-ms") == 1 && head.count("x_deadline_ms") == 0)
    );
}

#[test]
fn a_body_is_sent_again_as_far_as_it_was_kept() {
    const PLAN: &[Does] = &[Does::Closes, Does::Says(SERVES)];
    let chunked = |body: &str| {
        format!(
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        )
    };
    for (len, fits) in [(0, true), (1000, true), (1001, false), (40_000, false)] {
        let body = "0123456789".repeat(len / 10 + 1)[..len].to_owned();
        for request in [with_body("PUT", &body), chunked(&body)] {
            if len == 0 && request.contains("chunked") {
                continue;
            }
            let asked = scene((2, "retry.buffer = \"1000B\""), PLAN, async |world: Rc<World>| {
                let status = if fits { 200 } else { 502 };
                assert_eq!(Client::new(&world).ask(&request).await, status, "{len}");
            });
            assert_eq!(asked.len(), 1 + usize::from(fits), "{len}");
            assert!(asked.iter().all(|(.., sent)| sent == body.as_bytes()), "{len}");
        }
    }
}

#[test]
fn a_body_that_is_in_memory_is_sent_again_however_long() {
    let retry = "buffer_request = \"1MiB\"\nretry = { on = 503, buffer = \"0B\" }";
    let body = "x".repeat(100_000);
    let asked = scene((2, retry), &[Does::Says(BUSY), Does::Says(SERVES)], async |world: Rc<World>| {
        assert_eq!(Client::new(&world).ask(&with_body("PUT", &body)).await, 200);
    });
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|(.., sent)| sent == body.as_bytes()));
}

/// The first endpoint reads a part of the body and breaks off; the second one answers before it has been sent what was
/// kept of it, and reads on then.
#[test]
fn an_early_response_does_not_lose_what_is_still_to_be_sent_again() {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let (noted, number) = (heard.clone(), Cell::new(0));
    let serve = async |number: usize, heard: Rc<RefCell<Vec<u8>>>, far: SimStream| {
        let (mut reader, mut writer) = (Reader::new(far.reader), far.writer);
        let head = reader.head().await.expect("a request");
        assert_eq!(head.get("expect").is_some(), number == 0, "who sends its body is not asked again");
        if number == 0 {
            let _ = reader.body(Framing::Length(60_000)).await;
            return;
        }
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.expect("taken");
        sleep(Duration::from_secs(1)).await;
        let (body, _) = reader.body(head.framing(true).expect("framing")).await.expect("whole");
        *heard.borrow_mut() = body;
        writer.write(b"2\r\nok\r\n0\r\n\r\n").await.expect("taken");
    };
    let reception: Reception = Rc::new(move |_| {
        // Less than what was kept.
        let (near, far) = net::pair(400, None);
        spawn_local(serve(number.replace(number.get() + 1), noted.clone(), far));
        Dialed::Connected(near, Duration::ZERO)
    });
    let piece = "0123456789".repeat(3000);
    run(|| async {
        let world = World::new(&config(2, "", ""), 1, reception);
        let mut client = Client::new(&world);
        let head = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 64000\r\n\r\n";
        client.send(&format!("{head}{piece}")).await;
        sleep(Duration::from_millis(200)).await;
        client.send(&piece).await;
        sleep(Duration::from_millis(200)).await;
        client.send(&piece[..4000]).await;
        let got = client.receive().await.expect("a response");
        assert_eq!((got.head.status(), got.body.expect("whole")), (200, b"ok".to_vec()));
    });
    assert_eq!(heard.take(), (piece.repeat(2) + &piece[..4000]).as_bytes());
}

#[test]
fn who_waits_to_be_asked_for_its_body_is_asked_by_the_next_endpoint() {
    let reception = endpoints(|number, _, mut reader, mut writer| async move {
        let head = reader.head().await.expect("a request");
        assert_eq!(head.get("expect"), Some("100-continue"));
        if number == 0 {
            writer.write(BUSY.as_bytes()).await.expect("taken");
            let _ = reader.rest().await;
            return;
        }
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n").await.expect("taken");
        let (body, _) = reader.body(Framing::Length(5)).await.expect("a body");
        assert_eq!(body, b"hello");
        writer.write(SERVES.as_bytes()).await.expect("taken");
    });
    run(|| async {
        let world = World::new(&config(2, "retry = [503]", ""), 1, reception);
        let mut client = Client::new(&world);
        client.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
        assert_eq!(client.receive().await.expect("asked").head.status(), 100);
        client.send("hello").await;
        assert_eq!(client.receive().await.expect("a response").head.status(), 200);
        assert_eq!(world.idle(), 1, "the first connection still owes a body");
    });
}

#[test]
fn a_client_that_goes_while_nothing_is_sent_is_let_go() {
    let retry = r#"retry = { on = 503, tries = 3, backoff = { base = "1h", max = "1h" } }"#;
    let asked = scene((1, retry), &[Does::Hangs], async |_| {});
    assert!(asked.is_empty());
    let asked = Asked::default();
    let noted = asked.clone();
    let reception = endpoints(move |_, port, mut reader, mut writer| {
        let asked = noted.clone();
        async move {
            let head = reader.head().await.expect("a request");
            asked.borrow_mut().push((port, head, Vec::new()));
            // Long enough that the client is watched.
            sleep(Duration::from_secs(1)).await;
            let _ = writer.write(BUSY.as_bytes()).await;
        }
    });
    run(|| async {
        let world = World::new(&config(1, retry, ""), 1, reception);
        let mut client = Client::new(&world);
        client.send(&get("/")).await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(world.in_flight(), 1, "it is between two tries");
        client.writer.abort();
        drop(client);
        world.all_ended(Duration::from_secs(5)).await;
        assert_eq!(world.in_flight(), 0);
        assert_eq!(world.reason("client_disconnected"), 1);
    });
    assert_eq!(asked.borrow().len(), 1);
}
