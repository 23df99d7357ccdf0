//! Runs every file of `tests/scenarios` against the binary, each as a case of its own.
//!
//! `cargo test -p usher-testkit --test scenarios` runs all; words after `--` choose the cases whose names contain one
//! of them, `--list` only names them. `USHER_BIN` names the binary to try.

use std::path::Path;
use std::process::ExitCode;
use usher_testkit::scenario::{Outcome, discover, run_suite};

fn main() -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let folder = folder.canonicalize().unwrap_or(folder);
    let mut cases = match discover(&folder) {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("reading `{}`: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    };
    cases.retain(|(name, _)| arguments.want(name));
    if arguments.list {
        cases.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} scenarios", cases.len());
    summary(&run_suite(&cases, report))
}

/// What runners of tests say to a harness, as far as it means anything here.
#[derive(Default)]
struct Arguments {
    words: Vec<String>,
    list: bool,
    /// The words are whole names.
    exact: bool,
    /// Only what is ignored, which nothing is.
    ignored: bool,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut this = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => this.list = true,
                "--exact" => this.exact = true,
                "--ignored" => this.ignored = true,
                // Their values are no words.
                "--format" | "--test-threads" | "--color" => drop(arguments.next()),
                _ if argument.starts_with('-') => {}
                _ => this.words.push(argument),
            }
        }
        this
    }

    fn want(&self, name: &str) -> bool {
        let fits = |word: &String| if self.exact { name == word } else { name.contains(word.as_str()) };
        !self.ignored && (self.words.is_empty() || self.words.iter().any(fits))
    }
}

fn report(outcome: &Outcome) {
    let verdict = if outcome.result.is_ok() { "ok" } else { "FAILED" };
    println!("scenario {} ... {verdict}", outcome.name);
}

fn summary(outcomes: &[Outcome]) -> ExitCode {
    let failures: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err()).collect();
    if !failures.is_empty() {
        println!("\nfailures:");
    }
    for failure in &failures {
        println!("\n{failure}");
    }
    println!("\n{} passed, {} failed", outcomes.len() - failures.len(), failures.len());
    for outcome in outcomes.iter().filter(|outcome| outcome.result.is_err()) {
        println!("  FAILED {}", outcome.name);
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
