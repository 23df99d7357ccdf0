//! Responses that are taken in whole before they are passed on: which are, and what becomes of those that break off.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::{Client, Got, about, endpoints, get, post, take};
use crate::message::{Broken, Reader};
use crate::net::WriteEnd;
use crate::retries::{SERVES, config, sent_again};
use crate::world::{Reception, World, run};

/// What an endpoint does with a request.
#[derive(Clone, Copy)]
enum Does {
    Says(&'static str),
    /// For half a second.
    Pauses,
    Closes,
    /// For ever.
    Hangs,
}
use Does::{Closes, Hangs, Pauses, Says};

/// The n-th request, over all endpoints, meets the n-th of these; the last one repeats.
type Plan = &'static [&'static [Does]];

const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha";
const CHUNK: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nha\r\n";
const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nha\r\n";
const WHOLE: &[Does] = &[Says(SERVES)];
const CUT: Plan = &[&[Says(HALF), Closes], WHOLE];
const CUT_CHUNKS: Plan = &[&[Says(CHUNK), Pauses, Closes], WHOLE];

fn doing(asked: &Rc<Cell<usize>>, plan: Plan) -> Reception {
    let asked = asked.clone();
    endpoints(move |_, _, reader, writer| serve(asked.clone(), plan, reader, writer))
}

async fn serve(asked: Rc<Cell<usize>>, plan: Plan, mut reader: Reader, mut writer: WriteEnd) {
    while take(&mut reader).await {
        let number = asked.replace(asked.get() + 1);
        for does in plan[number.min(plan.len() - 1)] {
            match does {
                Says(text) => writer.write(text.as_bytes()).await.expect("the proxy takes it"),
                Pauses => sleep(Duration::from_millis(500)).await,
                Closes => return,
                Hangs => {
                    let _ = reader.rest().await;
                    return;
                }
            }
        }
    }
}

/// What is configured, what endpoints do, and what is asked; the status and whether the body comes whole; how often
/// endpoints are asked.
type Case<'a> = (&'a str, Plan, &'a str, (u16, bool), usize);

/// What a client gets, after how long, and how often endpoints were asked.
fn ask(retry: &str, plan: Plan, request: &str) -> (Result<Got, Broken>, Duration, usize) {
    let asked = Rc::new(Cell::new(0));
    let reception = doing(&asked, plan);
    let (got, took) = run(|| async {
        let world = World::new(&config(2, retry, ""), 1, reception);
        let begun = Instant::now();
        let mut client = Client::new(&world);
        client.send(request).await;
        let got = client.receive().await;
        let took = begun.elapsed();
        assert_eq!(sent_again(&world), asked.get() as u64 - 1, "{retry} {request}");
        drop(client);
        world.all_ended(Duration::from_secs(200)).await;
        assert_eq!(world.in_flight(), 0);
        (got, took)
    });
    (got, took, asked.get())
}

#[test]
fn what_breaks_off_is_asked_for_again() {
    let whole = r#"retry = { buffer_response = "64KiB" }"#;
    let small = r#"retry = { buffer_response = "1B" }"#;
    let once = r#"retry = { buffer_response = "64KiB", tries = 1 }"#;
    let any = r#"retry = { buffer_response = "64KiB", non_idempotent = true }"#;
    let timeout = r#"retry = { on = ["timeout"], buffer_response = "64KiB", per_try = "1s" }"#;
    let (get, post) = (get("/"), post("/"));
    let cases: [Case; 13] = [
        ("", CUT, &get, (200, false), 1),
        (whole, CUT, &get, (200, true), 2),
        (whole, CUT_CHUNKS, &get, (200, true), 2),
        // It may have been done already.
        (whole, CUT, &post, (200, false), 1),
        (any, CUT, &post, (200, true), 2),
        // Longer than what is kept.
        (small, CUT, &get, (200, false), 1),
        (small, CUT_CHUNKS, &get, (200, false), 1),
        (whole, &[&[Says(EVENTS), Closes], WHOLE], &get, (200, false), 1),
        // If there is nothing more to be tried, that is the proxy's answer.
        (once, CUT, &get, (502, true), 1),
        (whole, &[&[Says(HALF), Closes]], &get, (502, true), 2),
        (timeout, &[&[Says(HALF), Hangs], WHOLE], &get, (200, true), 2),
        (timeout, CUT, &get, (502, true), 1),
        (whole, &[&[Says(HALF), Pauses, Says("lf")]], &get, (200, true), 1),
    ];
    for (index, (retry, plan, request, expected, times)) in cases.into_iter().enumerate() {
        let (got, _, asked) = ask(retry, plan, request);
        let got = got.expect("a head");
        assert_eq!((got.head.status(), got.body.is_ok()), expected, "{index}: {retry} {got:?}");
        assert_eq!(asked, times, "{index}: {retry}");
    }
}

#[test]
fn bodies_and_trailers_are_what_they_were() {
    let retry = r#"retry = { buffer_response = "8B" }"#;
    let chunks: Plan = &[&[Says(CHUNK), Pauses, Says("3\r\nlf!\r\n0\r\n\r\n")]];
    let long: Plan =
        &[&[Says(CHUNK), Pauses, Says("9\r\nlf and so\r\n"), Pauses, Says("3\r\non!\r\n0\r\n\r\n")]];
    for (plan, body) in [(chunks, "half!"), (long, "half and soon!"), (CUT, "ok")] {
        let (got, ..) = ask(retry, plan, &get("/"));
        assert_eq!(got.expect("a head").body.expect("a whole body"), body.as_bytes());
    }
}

#[test]
fn waits_for_the_whole_no_longer_than_for_a_try() {
    let retry = r#"retry = { on = "timeout", buffer_response = "64KiB", per_try = "2s" }"#;
    let hangs: Plan = &[&[Says(HALF), Hangs], WHOLE];
    let (got, took, asked) = ask(retry, hangs, &get("/"));
    assert_eq!((got.unwrap().head.status(), asked), (200, 2));
    assert!(about(took, Duration::from_secs(2)), "{took:?}");
    // Nor is what cannot be sent again: 504 after `deadline`.
    let retry = r#"retry = { on = "timeout", buffer_response = "64KiB", deadline = "3s" }"#;
    let (got, took, asked) = ask(retry, &[&[Says(HALF), Hangs]], &get("/"));
    assert_eq!((got.unwrap().head.status(), asked), (504, 1));
    assert!(about(took, Duration::from_secs(3)), "{took:?}");
}

#[test]
fn a_client_that_leaves_meanwhile_is_not_held_against_the_endpoint() {
    let asked = Rc::new(Cell::new(0));
    let reception = doing(&asked, &[&[Says(HALF), Hangs]]);
    run(|| async {
        let world = World::new(&config(2, r#"retry = { buffer_response = "64KiB" }"#, ""), 1, reception);
        let mut client = Client::new(&world);
        client.send(&get("/")).await;
        sleep(Duration::from_secs(1)).await;
        client.writer.abort();
        drop(client);
        world.all_ended(Duration::from_secs(5)).await;
        assert_eq!((asked.get(), world.endpoint_errors(), world.in_flight()), (1, 0, 0));
    });
}
