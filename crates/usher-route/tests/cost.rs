//! Finding a route costs the same with 10,000 routes as with 10, counted in instructions by callgrind. With 1,000 in the
//! inner loop, where `USHER_TESTS` is not `thorough`: what grows with routes shows there as well, in a tenth of the time.
//!
//! The program runs itself under valgrind: `cost measure SHAPE ROUTES` builds a table and searches it in passes, and
//! callgrind writes down what was spent after each. The first pass carries the building of the table and is left out,
//! as is the first of each kind of requests. The others must not allocate either. Without valgrind the test says so and passes.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test of its own, without the harness")]

#[path = "cost/shapes.rs"]
mod shapes;

use std::hint::black_box;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use shapes::{Request, SHAPES, Shape};
use usher_route::{Captures, Outcome, Router};

/// How much more a search may cost in the large table than in the small one.
const MOST: f64 = 1.1;
const FEW_ROUTES: usize = 10;
const MANY_ROUTES: usize = 1_000;
const MANY_ROUTES_THOROUGHLY: usize = 10_000;
/// How often all requests of a shape are made in a pass that counts.
const ROUNDS: usize = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["measure", shape, routes] => {
            measure(&SHAPES[shape.parse::<usize>().unwrap()], routes.parse().unwrap())
        }
        // What runners of tests ask a harness for.
        _ if words.contains(&"--list") => {
            if !words.contains(&"--ignored") {
                println!("cost_does_not_grow_with_routes: test");
            }
        }
        _ => return judge(),
    }
    ExitCode::SUCCESS
}

/// What valgrind watches: four passes.
fn measure(shape: &Shape, routes: usize) {
    let router = Router::build(shape.rules(routes)).unwrap();
    let (hits, misses) = (shape.requests(routes, true), shape.requests(routes, false));
    let mut captures = Captures::new();
    for (requests, share) in [(&hits, 1), (&misses, 0)] {
        for rounds in [1, ROUNDS] {
            let found = search_in_one_pass(&router, &mut captures, requests, rounds);
            assert_eq!(found, requests.len() * rounds * share);
        }
    }
    // The process is over; taking the table apart would only take time.
    std::mem::forget(router);
}

/// Callgrind knows this function by its name.
#[inline(never)]
fn search_in_one_pass(
    router: &Router,
    captures: &mut Captures,
    requests: &[Request],
    rounds: usize,
) -> usize {
    let mut found = 0;
    for request in requests.iter().cycle().take(requests.len() * rounds) {
        let outcome = black_box(router.find(black_box(request), captures));
        found += usize::from(matches!(outcome, Outcome::Found(_)));
    }
    found
}

fn judge() -> ExitCode {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: valgrind is not installed, so nothing can count instructions");
        return ExitCode::SUCCESS;
    }
    let thorough = std::env::var_os("USHER_TESTS").is_some_and(|tests| tests == "thorough");
    let many_routes = if thorough { MANY_ROUTES_THOROUGHLY } else { MANY_ROUTES };
    println!(
        "{:<52} {:>8} {:>10} {:>10} {:>6}",
        "instructions per search", "", FEW_ROUTES, many_routes, "ratio"
    );
    let mut too_much = 0;
    for (number, shape) in SHAPES.iter().enumerate() {
        let (few, many) = thread::scope(|scope| {
            let few = scope.spawn(|| per_search(number, FEW_ROUTES));
            let many = per_search(number, many_routes);
            (few.join().unwrap(), many)
        });
        for (kind, few, many) in [("hit", few[0], many[0]), ("miss", few[1], many[1])] {
            let ratio = many / few;
            println!("{:<52} {kind:>8} {few:>10.0} {many:>10.0} {ratio:>6.3}", shape.name);
            too_much += usize::from(ratio > MOST);
        }
    }
    if too_much == 0 {
        println!("test cost_does_not_grow_with_routes ... ok");
        return ExitCode::SUCCESS;
    }
    println!("{too_much} are more than {MOST} times as much");
    ExitCode::FAILURE
}

/// Instructions per search that finds a route, and per search that does not.
fn per_search(shape: usize, routes: usize) -> [f64; 2] {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--compress-strings=no", "--dump-after=*search_in_one_pass*"])
        .arg(format!("--callgrind-out-file={}", folder.path().join("part").display()))
        .arg(std::env::current_exe().unwrap())
        .args(["measure", &shape.to_string(), &routes.to_string()])
        .output()
        .expect("valgrind has just answered");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    let searches = SHAPES[shape].requests(routes, true).len() * ROUNDS;
    let part = |number: usize| {
        let file = folder.path().join(format!("part.{number}"));
        std::fs::read_to_string(file).expect("callgrind writes a part after each pass")
    };
    assert!(part(1).contains("malloc"), "building allocates, and callgrind shows it");
    [2, 4].map(|number| {
        let text = part(number);
        assert!(text.contains("search_in_one_pass"), "the names are there");
        assert!(!text.contains("malloc"), "a search allocates: {}", SHAPES[shape].name);
        total(&text) / searches as f64
    })
}

/// The instructions that one part of a run took.
fn total(part: &str) -> f64 {
    let count = part.lines().find_map(|line| line.strip_prefix("totals: "));
    count.and_then(|count| count.trim().parse().ok()).expect("each part has a total")
}
