//! Random clients against random endpoints, while the config changes.
//!
//! `USHER_SIM_SEEDS=1000` runs more seeds; `USHER_SIM_SEED=42` runs one alone, as a failure says.

mod endpoint;
mod ledger;
mod visitor;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::sleep;
use usher_engine::{Command, Drain};

use crate::message::Reader;
use crate::net::{self, SimStream};
use crate::rng::Rng;
use crate::world::{self, Dialed, Reception, World};
use endpoint::Host;
use ledger::{Books, Ledger};
use visitor::Visitor;

const SEEDS: u64 = 120;
/// Connections that a pool may keep for one endpoint, as the config below has it.
const POOL: u64 = 4;

/// A config with these rules' name; endpoints come and go with `more`.
fn config(rules: &str, more: bool) -> String {
    let extra = if more { ", \"127.0.0.1:9009\"" } else { "" };
    let sections = ["a", "b", "c"].map(|cluster| {
        let port = 9000 + u32::from(cluster.as_bytes()[0] - b'a') * 2;
        // Bodies of one cluster are taken in whole before they are sent on.
        let buffer = if cluster == "c" { "buffer_request = \"256KiB\"\n" } else { "" };
        let balance = if cluster == "b" { "least_requests" } else { "round_robin" };
        format!(
            "[[route]]\npath = \"/{cluster}/*\"\ncluster = \"{cluster}\"\n{buffer}\
             [cluster.{cluster}]\nbalance = \"{balance}\"\npool = {{ idle = {POOL}, idle_timeout = \"3s\" }}\n\
             endpoints = [\"127.0.0.1:{port}\", \"127.0.0.1:{}\"{extra}]\n",
            port + 1,
        )
    });
    // In another order, so that indexes mean something else after a reload.
    let sections = if more { sections.into_iter().rev().collect::<String>() } else { sections.concat() };
    format!(
        r#"
[[listener]]
bind = "127.0.0.1:8080"
[timeouts]
head = "2s"
body_idle = "3s"
keep_alive = "5s"
write_stall = "3s"
upstream = {{ connect = "1s", first_byte = "4s", idle = "4s" }}
[defaults]
headers = {{ request = {{ set = {{ X-Rules = "{rules}" }} }}, response = {{ set = {{ X-Rules = "{rules}" }} }} }}
{sections}"#
    )
}

fn reception(books: Books, mut rng: Rng) -> Reception {
    let badness = *rng.choose(&[0, 10, 30, 60]);
    let rng = RefCell::new(rng);
    Rc::new(move |_| {
        let rng = &mut *rng.borrow_mut();
        match rng.within(0..100) {
            0..=3 if badness > 0 => return Dialed::Refused,
            4..=5 if badness > 0 => return Dialed::Silent,
            _ => {}
        }
        let capacity = *rng.choose(&[700, 8 << 10, 64 << 10, 256 << 10]);
        let chaos = rng.percent(50).then(|| rng.fork());
        let (near, SimStream { reader, writer }) = net::pair(capacity, chaos);
        let reader = Reader::new(reader);
        spawn_local(Host { books: books.clone(), rng: rng.fork(), reader, writer, badness }.run());
        Dialed::Connected(near, if rng.percent(20) { rng.millis(0..900) } else { Duration::ZERO })
    })
}

/// The control plane: reloads and changes of endpoints at random times, and at last the end.
async fn control(world: Rc<World>, mut rng: Rng) {
    for number in 0..rng.within(0..6) {
        sleep(rng.millis(1..2_500)).await;
        if rng.percent(50) {
            world.reload(&config(&format!("r{number}"), rng.percent(50)));
            continue;
        }
        let local = world.worker.local();
        let spec = &local.shared.clusters[rng.within(0..3)];
        let mut resolved = spec.resolved.clone();
        resolved.rotate_left(1);
        resolved.truncate(rng.within(1..3));
        world.worker.apply(Command::Endpoints(spec.name.clone(), Arc::new(resolved)));
    }
}

async fn play(seed: u64) -> HashMap<&'static str, usize> {
    let mut rng = Rng::new(seed);
    let books: Books = Rc::new(Ledger::default());
    let world = World::new(&config("first", false), rng.bits(), reception(books.clone(), rng.fork()));
    let control = spawn_local(control(world.clone(), rng.fork()));
    let drained = rng.percent(30);
    let mut visitors = Vec::new();
    for number in 0..rng.within(1..14) as u64 {
        let capacity = *rng.choose(&[300, 8 << 10, 64 << 10, 256 << 10]);
        let chaos = rng.percent(50).then(|| rng.fork());
        let stream = world.connect(capacity, chaos);
        let visitor = Visitor { books: books.clone(), rng: rng.fork(), first_id: (number + 1) * 100 };
        visitors.push(spawn_local(visitor.run(stream)));
        if rng.percent(50) {
            sleep(rng.millis(0..1_500)).await;
        }
    }
    if drained {
        world.worker.apply(Command::Drain(Drain { patience: Duration::from_secs(30), succeeded: false }));
    }
    for visitor in visitors {
        visitor.await.expect("a client panicked");
    }
    control.await.expect("the control plane panicked");
    world.all_ended(Duration::from_secs(60)).await;
    // Nothing is under way: the books must balance.
    let endpoints = world.registry.read().endpoints.len() as u64;
    assert!(world.idle() <= endpoints * POOL, "{} idle connections", world.idle());
    sleep(Duration::from_secs(6)).await;
    assert_eq!((world.in_flight(), world.idle()), (0, 0), "in flight, idle");
    let violations = books.violations();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    books.tally()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays a seed, and says how to play it again if it fails.
fn play_alone(seed: u64) -> HashMap<&'static str, usize> {
    let played = std::panic::catch_unwind(|| world::run(|| play(seed)));
    played.unwrap_or_else(|_| panic!("seed {seed} failed: run it alone with USHER_SIM_SEED={seed}"))
}

#[test]
fn every_exchange_is_answered_once_and_with_its_own_response() {
    if let Some(seed) = number("USHER_SIM_SEED") {
        println!("{:?}", play_alone(seed));
        return;
    }
    let mut tally: HashMap<&str, usize> = HashMap::new();
    for seed in 0..number("USHER_SIM_SEEDS").unwrap_or(SEEDS) {
        play_alone(seed).into_iter().for_each(|(what, times)| *tally.entry(what).or_default() += times);
    }
    println!("{tally:?}");
    // A simulation that meets nothing proves nothing.
    for what in [
        "request",
        "response of an endpoint",
        "malformed",
        "broken off",
        "502",
        "504",
        "408",
        "early response",
    ] {
        assert!(tally.contains_key(what), "no {what} in {tally:?}");
    }
}
