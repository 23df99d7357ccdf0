//! Three times as many requests as endpoints can do, with and without a limit that finds itself.
//!
//! The endpoint is a processor that is shared: up to `CAPACITY` requests take `WORK` each, more of them all the longer.
//! Visitors wait for a second and leave.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Client, endpoints, get, take};
use crate::rng::Rng;
use crate::world::{Reception, World, run};

/// Requests that the endpoint does at once without any taking longer.
const CAPACITY: f64 = 10.0;
/// How long one takes then (milliseconds), on average.
const WORK: f64 = 50.0;
/// How finely the processor is shared (milliseconds).
const STEP: f64 = 10.0;
/// How long visitors wait.
const PATIENCE: Duration = Duration::from_secs(1);

fn config(limits: &str) -> String {
    format!(
        r#"
[[listener]]
bind = "127.0.0.1:8080"
[[route]]
cluster = "app"
[cluster.app]
endpoints = ["127.0.0.1:9001"]
limits = {{ {limits} }}
"#
    )
}

/// Takes a request out however it ends.
struct Inside(Rc<Cell<u32>>);

impl Inside {
    fn enter(count: &Rc<Cell<u32>>) -> Self {
        count.set(count.get() + 1);
        Self(count.clone())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn processor(seed: u64) -> Reception {
    let (inside, rng) = (Rc::new(Cell::new(0)), Rc::new(std::cell::RefCell::new(Rng::new(seed))));
    endpoints(move |_, _, mut reader, mut writer| {
        let (inside, rng) = (inside.clone(), rng.clone());
        async move {
            while take(&mut reader).await {
                let here = Inside::enter(&inside);
                let mut left = WORK * f64::from(50 + rng.borrow_mut().within(0..101) as u32) / 100.0;
                let work = async {
                    while left > 0.0 {
                        sleep(Duration::from_millis(STEP as u64)).await;
                        left -= STEP * (CAPACITY / f64::from(inside.get())).min(1.0);
                    }
                };
                // A client that leaves takes its request along.
                tokio::select! {
                    () = work => {}
                    _ = reader.rest() => return,
                }
                drop(here);
                if writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.is_err() {
                    return;
                }
            }
        }
    })
}

/// What visitors see.
#[derive(Debug, Default)]
struct Seen {
    /// How long it took for those who were served (milliseconds).
    served: Vec<u64>,
    refused: usize,
    gave_up: usize,
}

/// Visitors that come at random, so many per second, for so many seconds; those of the second half count.
async fn visit(world: &Rc<World>, (per_second, seconds): (f64, u32), rng: &mut Rng) -> Seen {
    let (begun, mut all) = (Instant::now(), Vec::new());
    let length = Duration::from_secs(seconds.into());
    while begun.elapsed() < length {
        let gap = -((rng.within(0..1_000_000) as f64 + 1.0) / 1_000_001.0).ln() / per_second;
        sleep(Duration::from_secs_f64(gap)).await;
        let (world, counts) = (world.clone(), begun.elapsed() > length / 2);
        all.push(spawn_local(async move {
            let came = Instant::now();
            let status = timeout(PATIENCE, async { Client::new(&world).ask(&get("/")).await }).await.ok();
            counts.then_some((status, came.elapsed().as_millis() as u64))
        }));
    }
    let mut seen = Seen::default();
    for one in all {
        match one.await.expect("an outcome") {
            Some((Some(200), took)) => seen.served.push(took),
            Some((Some(_), _)) => seen.refused += 1,
            Some((None, _)) => seen.gave_up += 1,
            None => {}
        }
    }
    seen.served.sort_unstable();
    seen
}

fn p99(seen: &Seen) -> u64 {
    seen.served.get(seen.served.len() * 99 / 100).copied().unwrap_or(u64::MAX)
}

/// At half of what the endpoint can do, and then at three times that.
fn play(limits: &str, (calm, storm): (u32, u32), seed: u64) -> (Seen, Seen) {
    run(|| async {
        let world = World::new(&config(limits), seed, processor(seed));
        let mut rng = Rng::new(seed ^ 7);
        let capacity = CAPACITY * 1000.0 / WORK;
        let calm = visit(&world, (capacity / 2.0, calm), &mut rng).await;
        let storm = visit(&world, (capacity * 3.0, storm), &mut rng).await;
        world.all_ended(Duration::from_secs(120)).await;
        (calm, storm)
    })
}

#[test]
fn a_limit_that_finds_itself_keeps_what_can_be_served_fast() {
    let possible = |seconds: u32| (CAPACITY * 1000.0 / WORK) as usize * seconds as usize;
    let (calm, storm) = play("adaptive = true", (6, 16), 3);
    assert_eq!((calm.refused, calm.gave_up), (0, 0));
    assert!(storm.served.len() * 100 > possible(8) * 80, "{} of {}", storm.served.len(), possible(8));
    assert!(p99(&storm) < p99(&calm) * 4, "{} after {}", p99(&storm), p99(&calm));
    assert!(storm.gave_up * 100 < storm.served.len(), "{} gave up", storm.gave_up);
    let (_, storm) = play("total = 0", (1, 6), 3);
    assert!(storm.served.len() * 100 < possible(3) * 20, "{} without a limit", storm.served.len());
}
