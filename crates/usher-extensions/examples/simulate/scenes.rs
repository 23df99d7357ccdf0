//! What is simulated, and how it is drawn.

use std::net::Ipv4Addr;

use usher_api::{Exchange, PickInput};

use crate::cluster::{Done, Plan, run};
use crate::policy;
use crate::random::Random;
use crate::svg::{Axis, Lines, Scale, Series, Strips};

const SEED: u64 = 4;

/// Balancers by name, with options.
const SPREADING: [(&str, &str); 6] = [
    ("round_robin", ""),
    ("least_requests", ""),
    ("random", ""),
    ("random_two", ""),
    ("peak_ewma", ""),
    ("least_response_time", ""),
];

/// How far the share of each endpoint is from what its weight says.
pub(crate) fn shares() -> String {
    let weights = [1, 1, 1, 1, 1, 2, 2, 2, 4, 5];
    let total: u32 = weights.iter().sum();
    let hashing = [
        ("ip_hash", "", "ip_hash"),
        ("consistent_hash", "", "consistent_hash, maglev"),
        ("consistent_hash", "bounded_load = 1.25", "… maglev, bounded_load = 1.25"),
        ("consistent_hash", "algorithm = 'ring'", "… ring"),
    ];
    let all = SPREADING.into_iter().map(|(name, options)| (name, options, name)).chain(hashing);
    let row = |(name, options, label): (&str, &str, &'static str)| {
        let done = run(&Plan {
            balance: &*policy::build(name, options),
            weights: &weights,
            workers: 2,
            slots: 8,
            work: 10_000.0,
            rate: 8000.0,
            seconds: 25,
            slow: None,
            seed: SEED,
        });
        let mut counts = [0.0; 10];
        done.iter().for_each(|one| counts[one.endpoint] += 1.0);
        let off = |(count, weight): (&f64, &u32)| {
            let fair = done.len() as f64 * f64::from(*weight) / f64::from(total);
            100.0 * (count / fair - 1.0)
        };
        (label.to_owned(), counts.iter().zip(&weights).map(off).collect())
    };
    Strips {
        title: "Share of each endpoint, compared with what its weight says",
        subtitle: "200,000 requests of as many clients, ten endpoints of weights 1, 1, 1, 1, 1, 2, 2, 2, 4, 5; two workers",
        axis: Axis { name: "percent off", from: -30.0, to: 30.0, scale: Scale::Linear, ticks: &[-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0] },
        rows: all.map(row).collect(),
    }
    .draw()
}

/// Keys whose endpoint changes when one leaves.
pub(crate) fn churn() -> String {
    const KEYS: u32 = 50_000;
    let sizes = [3, 5, 10, 20, 50, 100];
    let moved = |options: &str, size: usize| {
        let balance = policy::build("consistent_hash", options);
        let before = policy::candidates(&vec![1; size]);
        let mut after = before.clone();
        let gone = size / 3;
        after.remove(gone);
        let (mut one, mut other) = (balance.begin(&before, 1), balance.begin(&after, 1));
        let exchange = Exchange::default();
        let changed = |key: &u32| {
            let client = Some(Ipv4Addr::from_bits(key.wrapping_mul(0x9e37_79b9)).into());
            let input = |candidates| PickInput {
                candidates,
                usable: size - 1,
                group: 0,
                client,
                exchange: &exchange,
                now: 0,
            };
            let (was, is) = (one.pick(&input(&before)), other.pick(&input(&after)));
            was.map(|was| before[was].identity) != is.map(|is| after[is].identity)
        };
        100.0 * (0..KEYS).filter(changed).count() as f64 / f64::from(KEYS)
    };
    let by_modulo = |size: usize| {
        let mut random = Random(SEED);
        let changed = |_: &u32| {
            let (key, gone) = (random.next(), size as u64 / 3);
            let is = key % (size as u64 - 1);
            key % size as u64 != is + u64::from(is >= gone)
        };
        100.0 * (0..KEYS).filter(changed).count() as f64 / f64::from(KEYS)
    };
    let points = |of: &dyn Fn(usize) -> f64| sizes.iter().map(|size| (*size as f64, of(*size))).collect();
    Lines {
        title: "Keys that move when one endpoint leaves",
        subtitle: "of 50,000 keys, in percent; endpoints of equal weight",
        x: Axis {
            name: "endpoints before",
            from: 3.0,
            to: 100.0,
            scale: Scale::Log,
            ticks: &[3.0, 5.0, 10.0, 20.0, 50.0, 100.0],
        },
        y: Axis {
            name: "percent",
            from: 0.5,
            to: 100.0,
            scale: Scale::Log,
            ticks: &[0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0],
        },
        series: vec![
            Series::line("hash modulo endpoints", points(&by_modulo)),
            Series::line("maglev", points(&|size| moved("", size))),
            Series::line("ring", points(&|size| moved("algorithm = 'ring'", size))),
            Series::dashed("1/n + 5 %: the bound", points(&|size| 100.0 / size as f64 + 5.0)),
            Series::dashed("1/n: what must move", points(&|size| 100.0 / size as f64)),
        ],
        shade: None,
    }
    .draw()
}

/// The slowest of a hundred, while one of ten endpoints takes ten times as long.
pub(crate) fn slow_endpoint() -> String {
    let (from, until, seconds) = (10, 20, 30);
    let line = |(name, options): (&'static str, &str)| {
        let done = run(&Plan {
            balance: &*policy::build(name, options),
            weights: &[1; 10],
            workers: 4,
            slots: 8,
            work: 10_000.0,
            rate: 4000.0,
            seconds,
            slow: Some((3, 10.0, (from, until))),
            seed: SEED,
        });
        Series::line(name, p99_by_second(&done, seconds))
    };
    Lines {
        title: "p99 while one of ten endpoints takes ten times as long",
        subtitle: "milliseconds, by the second in which a request came; 4000 requests per second, half of what all can do; 4 workers",
        x: Axis { name: "seconds", from: 0.0, to: 30.0, scale: Scale::Linear, ticks: &[0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0] },
        y: Axis { name: "ms", from: 20.0, to: 20_000.0, scale: Scale::Log, ticks: &[20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0] },
        series: SPREADING.into_iter().map(line).collect(),
        shade: Some((from as f64, until as f64)),
    }
    .draw()
}

fn p99_by_second(done: &[Done], seconds: u64) -> Vec<(f64, f64)> {
    let p99 = |second: u64| {
        let came = second * 1_000_000..(second + 1) * 1_000_000;
        let mut took: Vec<u64> =
            done.iter().filter(|one| came.contains(&one.came)).map(|one| one.took).collect();
        took.sort_unstable();
        let slowest = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
        (second as f64 + 0.5, slowest as f64 / 1000.0)
    };
    (0..seconds).map(p99).collect()
}

/// How uneven round robin is over several workers that know nothing of each other: the worst endpoint of ten, mean of
/// many runs.
pub(crate) fn workers() -> String {
    const RUNS: u64 = 40;
    let requests = [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000];
    let balance = policy::build("round_robin", "");
    let candidates = policy::candidates(&[1; 10]);
    let exchange = Exchange::default();
    let worst = |workers: usize, requests: usize, seed: u64| {
        let mut random = Random(seed);
        let mut each: Vec<_> = (0..workers).map(|_| balance.begin(&candidates, random.next())).collect();
        let mut counts = [0.0_f64; 10];
        for _ in 0..requests {
            let input = PickInput {
                candidates: &candidates,
                usable: 10,
                group: 0,
                client: None,
                exchange: &exchange,
                now: 0,
            };
            counts[each[random.index(workers)].pick(&input).expect("all can be used")] += 1.0;
        }
        let fair = requests as f64 / 10.0;
        counts.iter().map(|count| 100.0 * (count / fair - 1.0).abs()).fold(0.0, f64::max)
    };
    let line = |(workers, name): (usize, &'static str)| {
        let mean = |count: usize| {
            (0..RUNS).map(|seed| worst(workers, count, SEED + seed)).sum::<f64>() / RUNS as f64
        };
        Series::line(name, requests.iter().map(|count| (*count as f64, mean(*count))).collect())
    };
    let all = [(1, "1 worker"), (2, "2 workers"), (8, "8 workers")];
    let mut series: Vec<Series> = all.into_iter().map(line).collect();
    series.push(Series::dashed("5 %", vec![(100.0, 5.0), (20_000.0, 5.0)]));
    Lines {
        title: "Round robin over several workers",
        subtitle: "how far the worst of ten endpoints is from its share, in percent, by the requests of all workers together",
        x: Axis { name: "requests", from: 100.0, to: 20_000.0, scale: Scale::Log, ticks: &[100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0] },
        y: Axis { name: "percent", from: 0.0, to: 30.0, scale: Scale::Linear, ticks: &[0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0] },
        series,
        shade: None,
    }
    .draw()
}
