//! Choosing among 10,000 endpoints costs at most twice as much as among 10, counted in instructions by callgrind. Among
//! 1,000 in the inner loop, where `USHER_TESTS` is not `thorough`: what grows with endpoints shows there as well, in a
//! tenth of the time.
//!
//! The program runs itself under valgrind: `cost measure SUBJECT ENDPOINTS CHOICES` begins a balancer and makes choices in passes,
//! one for each state of the endpoints, and callgrind writes down what was spent after each. The first pass carries
//! the beginning and is left out. Choices must not allocate either. Without valgrind the test says so and passes.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test of its own, without the harness")]

#[path = "cost/subjects.rs"]
mod subjects;

use std::hint::black_box;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use subjects::{STATES, SUBJECTS, Subject, Visitor};
use usher_api::balancer::Outcome;
use usher_api::{Balancer, Candidate, PickInput};

/// How much more a choice may cost among many endpoints than among few.
const MOST: f64 = 2.0;
const FEW: usize = 10;
const MANY: usize = 1_000;
const MANY_THOROUGHLY: usize = 10_000;
/// Choices in a pass, for each of many endpoints, and half as many again: more than once around all of them.
const ROUNDS: usize = 2;
/// Of those, in the first pass of each state.
const WARM_UP: usize = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["measure", subject, endpoints, choices] => {
            let subject = &SUBJECTS[subject.parse::<usize>().unwrap()];
            measure(subject, endpoints.parse().unwrap(), choices.parse().unwrap());
        }
        // What runners of tests ask a harness for.
        _ if words.contains(&"--list") => {
            if !words.contains(&"--ignored") {
                println!("cost_does_not_grow_with_endpoints: test");
            }
        }
        _ => return judge(),
    }
    ExitCode::SUCCESS
}

/// What valgrind watches: two passes for each state.
fn measure(subject: &Subject, endpoints: usize, choices: usize) {
    let balance = subject.build();
    for state in &STATES[..subject.states] {
        let candidates = state.candidates(endpoints);
        let mut balancer = balance.begin(&candidates, 7);
        let visitors = subject.visitors(&mut *balancer, &candidates);
        let usable = candidates.iter().filter(|one| one.usable).count();
        for choices in [WARM_UP, choices] {
            let found = choose_in_one_pass(&mut *balancer, (&candidates, usable), &visitors, choices);
            assert_eq!(found, choices);
        }
    }
}

/// Callgrind knows this function by its name.
#[inline(never)]
fn choose_in_one_pass(
    balancer: &mut dyn Balancer,
    (candidates, usable): (&[Candidate], usize),
    visitors: &[Visitor],
    choices: usize,
) -> usize {
    let mut found = 0;
    for (choice, visitor) in visitors.iter().cycle().take(choices).enumerate() {
        let now = choice as u64 * 100;
        let client = Some(visitor.client);
        let input = PickInput { candidates, usable, group: 0, client, exchange: &visitor.exchange, now };
        if let Some(endpoint) = black_box(balancer.pick(black_box(&input))) {
            found += 1;
            balancer.finished(Outcome { endpoint, micros: Some(5000), failed: false, now });
        }
    }
    found
}

fn judge() -> ExitCode {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: valgrind is not installed, so nothing can count instructions");
        return ExitCode::SUCCESS;
    }
    let thorough = std::env::var_os("USHER_TESTS").is_some_and(|tests| tests == "thorough");
    let most = if thorough { MANY_THOROUGHLY } else { MANY };
    let choices = most * ROUNDS + most / 2;
    println!("{:<80} {FEW:>10} {most:>10} {:>6}", "instructions per choice among", "ratio");
    let mut too_much = 0;
    for (number, subject) in SUBJECTS.iter().enumerate() {
        let (few, many) = thread::scope(|scope| {
            let few = scope.spawn(|| per_choice(number, FEW, choices));
            let many = per_choice(number, most, choices);
            (few.join().unwrap(), many)
        });
        for (state, (few, many)) in STATES.iter().zip(few.into_iter().zip(many)) {
            let ratio = many / few;
            let options = subject.options.replace('\n', ", ");
            let name = format!("{} ({options}), {}", subject.name, state.name);
            println!("{name:<80} {few:>10.0} {many:>10.0} {ratio:>6.3}");
            too_much += usize::from(ratio > MOST);
        }
    }
    if too_much == 0 {
        println!("test cost_does_not_grow_with_endpoints ... ok");
        return ExitCode::SUCCESS;
    }
    println!("{too_much} are more than {MOST} times as much");
    ExitCode::FAILURE
}

/// Instructions per choice, by state.
fn per_choice(subject: usize, endpoints: usize, choices: usize) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--compress-strings=no", "--dump-after=*choose_in_one_pass*"])
        .arg(format!("--callgrind-out-file={}", folder.path().join("part").display()))
        .arg(std::env::current_exe().unwrap())
        .args(["measure", &subject.to_string(), &endpoints.to_string(), &choices.to_string()])
        .output()
        .expect("valgrind has just answered");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    let part = |number: usize| {
        let file = folder.path().join(format!("part.{number}"));
        std::fs::read_to_string(file).expect("callgrind writes a part after each pass")
    };
    assert!(part(1).contains("malloc"), "beginning allocates, and callgrind shows it");
    let parts = (1..=SUBJECTS[subject].states).map(|state| part(2 * state));
    parts
        .map(|text| {
            assert!(text.contains("choose_in_one_pass"), "the names are there");
            assert!(!text.contains("malloc"), "a choice allocates: {}", SUBJECTS[subject].name);
            total(&text) / choices as f64
        })
        .collect()
}

/// The instructions that one part of a run took.
fn total(part: &str) -> f64 {
    let count = part.lines().find_map(|line| line.strip_prefix("totals: "));
    count.and_then(|count| count.trim().parse().ok()).expect("each part has a total")
}
