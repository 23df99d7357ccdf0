//! Simulates a load that rises above what endpoints can do, with and without a limit that finds itself, and draws what comes
//! of it: `cargo xtask simulate`.
//!
//! The limit is the real one; endpoints and visitors are numbers, and everything comes from one seed.
#![expect(clippy::expect_used, reason = "a tool for developers, which ends with a message")]

#[path = "../../../usher-extensions/examples/simulate/svg.rs"]
#[expect(dead_code, reason = "it draws other charts too")]
mod svg;

use std::path::PathBuf;

use svg::{Axis, Lines, Scale, Series};
use usher_config::config;
use usher_engine::cluster::{Adaptive, Response};

/// Requests that the endpoints do at once without any taking longer.
const CAPACITY: f64 = 50.0;
/// How long one takes then (milliseconds), on average.
const WORK: f64 = 20.0;
/// Requests that the endpoints can do per second.
const RATE: f64 = CAPACITY * 1000.0 / WORK;
/// How long visitors wait (milliseconds).
const PATIENCE: f64 = 1000.0;
/// How long it is simulated (milliseconds).
const LENGTH: usize = 60_000;
/// What is one point of a line (milliseconds).
const POINT: usize = 500;

fn main() {
    let folder: PathBuf = std::env::args_os().nth(1).expect("the folder for the pictures").into();
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let settings = config::Adaptive::default();
    let (with, without) = (simulate(Some(&settings)), simulate(None));
    for (name, picture) in
        [("overload.svg", served(&with, &without)), ("overload-p99.svg", times(&with, &without))]
    {
        let path = folder.join(name);
        std::fs::write(&path, picture).expect("the picture can be written");
        println!("wrote {}", path.display());
    }
}

/// What visitors ask for, as a multiple of what the endpoints can do.
fn offered(millis: usize) -> f64 {
    match millis as f64 / 1000.0 {
        seconds if seconds < 10.0 => 0.5,
        seconds if seconds < 15.0 => 0.5 + (seconds - 10.0) / 2.0,
        seconds if seconds < 40.0 => 3.0,
        seconds if seconds < 45.0 => 3.0 - (seconds - 40.0) / 2.0,
        _ => 0.5,
    }
}

/// Xorshift64* (Vigna 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Between 0 and 1, but neither.
    fn share(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
}

/// A request at the endpoints.
struct Inside {
    since: usize,
    left: f64,
}

/// How long those took that were served in time, for each point (milliseconds).
type Seen = Vec<Vec<f64>>;

fn simulate(settings: Option<&config::Adaptive>) -> Seen {
    let (mut random, adaptive) = (Random(4), Adaptive::default());
    let (mut inside, mut seen) = (Vec::<Inside>::new(), vec![Vec::new(); LENGTH / POINT]);
    let mut due = 0.0;
    for now in 0..LENGTH {
        due += offered(now) * RATE / 1000.0;
        // As many as are due, more or less.
        while due >= random.share() {
            due -= 1.0;
            if settings.is_none_or(|settings| (inside.len() as u32) < adaptive.limit(settings)) {
                inside.push(Inside { since: now, left: WORK * -random.share().ln() });
                adaptive.used(inside.len() as u32);
            }
        }
        let (under_way, speed) = (inside.len() as u32, (CAPACITY / inside.len() as f64).min(1.0));
        inside.retain_mut(|one| {
            one.left -= speed;
            let took = (now - one.since) as f64 + 1.0;
            if one.left > 0.0 {
                return took < PATIENCE;
            }
            seen[one.since / POINT].push(took);
            if let Some(settings) = settings {
                let (micros, random) = ((took * 1000.0) as u64, random.next());
                adaptive.note(settings, Response { micros, now: now as u64, under_way, random });
            }
            false
        });
    }
    seen
}

const SECONDS: Axis = Axis {
    name: "seconds; the load rises to three times of what the endpoints can do, and falls again",
    from: 0.0,
    to: 60.0,
    scale: Scale::Linear,
    ticks: &[0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0],
};

fn line(name: &str, seen: &Seen, value: impl Fn(&[f64]) -> Option<f64>) -> Series {
    let point = |(at, took): (usize, &Vec<f64>)| Some(((at * POINT) as f64 / 1000.0, value(took)?));
    Series::line(name, seen.iter().enumerate().filter_map(point).collect())
}

fn served(with: &Seen, without: &Seen) -> String {
    let share = |took: &[f64]| Some(took.len() as f64 * 1000.0 / POINT as f64 / RATE);
    let asked = (0..LENGTH).step_by(POINT).map(|now| (now as f64 / 1000.0, offered(now))).collect();
    Lines {
        title: "Requests that are served within a second, as a multiple of what the endpoints can do",
        subtitle: "50 requests at once in 20 ms each; more of them all the slower; visitors who have waited for a second leave",
        x: SECONDS,
        y: Axis { name: "", from: 0.0, to: 3.0, scale: Scale::Linear, ticks: &[0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0] },
        series: vec![
            line("without a limit", without, share),
            line("adaptive", with, share),
            Series::dashed("asked for", asked),
        ],
        shade: Some((12.0, 43.0)),
    }
    .draw()
}

fn times(with: &Seen, without: &Seen) -> String {
    let p99 = |took: &[f64]| {
        let mut sorted = took.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() * 99 / 100).copied()
    };
    Lines {
        title: "99th percentile of the times of those that are served (milliseconds)",
        subtitle: "the same; without a limit, most of those who come meanwhile are not served at all",
        x: SECONDS,
        y: Axis {
            name: "",
            from: 50.0,
            to: 1000.0,
            scale: Scale::Log,
            ticks: &[50.0, 100.0, 200.0, 500.0, 1000.0],
        },
        series: vec![line("without a limit", without, p99), line("adaptive", with, p99)],
        shade: Some((12.0, 43.0)),
    }
    .draw()
}
