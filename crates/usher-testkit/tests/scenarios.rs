//! Runs every file of `tests/scenarios` against the binary, each as a case of its own.
//!
//! `cargo test -p usher-testkit --test scenarios` runs all; words after `--` choose the cases whose names contain one
//! of them, `--list` only names them. `USHER_BIN` names the binary to try.

use std::path::Path;
use std::process::ExitCode;
use usher_testkit::scenario::{Outcome, discover, run_suite};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let folder = folder.canonicalize().unwrap_or(folder);
    let mut cases = match discover(&folder) {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("reading `{}`: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    };
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    cases.retain(|(name, _)| wanted.is_empty() || wanted.iter().any(|word| name.contains(*word)));
    if arguments.iter().any(|argument| argument == "--list") {
        cases.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} scenarios", cases.len());
    summary(&run_suite(&cases, report))
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
