//! One step of a chore: announced, run, timed, counted; when it fails, with the words that run it alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::count::{self, Count, Failures, Runner};

/// What became of a step.
pub(crate) enum Verdict {
    Passed(Count),
    /// It failed, and what the failed ones printed, where that is known.
    Failed(Count, Vec<String>),
    /// It could not run here, and why.
    Skipped(String),
}

/// A step that is over.
pub(crate) struct Record {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) took: Duration,
    /// The words that run it alone.
    alone: String,
}

/// Steps in the order in which they ran.
#[derive(Default)]
pub(crate) struct Steps {
    records: Vec<Record>,
}

impl Steps {
    /// Announces and runs a step.
    pub(crate) fn run(&mut self, name: &'static str, alone: &str, step: impl FnOnce() -> Verdict) {
        println!("\n── {name}: {alone}");
        let start = Instant::now();
        let verdict = step();
        let took = start.elapsed();
        match &verdict {
            Verdict::Passed(_) => println!("── {name}: passed in {}", seconds(took)),
            Verdict::Failed(..) => println!("── {name}: FAILED after {}; alone: {alone}", seconds(took)),
            Verdict::Skipped(why) => println!("── {name}: skipped, {why}"),
        }
        let _ = std::io::stdout().flush();
        self.records.push(Record { name, verdict, took, alone: alone.to_owned() });
    }

    /// Prints a line per step and the sum; the error names the steps that failed.
    pub(crate) fn finish(self) -> Result<(), String> {
        println!("\n── summary");
        let mut sum = Count::default();
        let mut failed = Vec::new();
        for record in &self.records {
            let (name, took) = (record.name, seconds(record.took));
            match &record.verdict {
                Verdict::Passed(count) => {
                    sum += *count;
                    println!("  passed   {name:<16} {took:>8}  {}", count.passed);
                }
                Verdict::Failed(count, _) => {
                    sum += *count;
                    failed.push(name);
                    println!("  FAILED   {name:<16} {took:>8}  alone: {}", record.alone);
                }
                Verdict::Skipped(why) => println!("  skipped  {name:<16} {:>8}  {why}", ""),
            }
        }
        self.explain();
        println!("\n{} passed, {} failed", sum.passed, sum.failed);
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
    }

    /// Repeats what the failed tests printed.
    fn explain(&self) {
        for record in &self.records {
            if let Verdict::Failed(_, lines) = &record.verdict
                && !lines.is_empty()
            {
                println!("\n── what failed in {}", record.name);
                lines.iter().for_each(|line| println!("{line}"));
            }
        }
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// Runs a command that is one check: passed or failed by its exit status.
pub(crate) fn check(command: &mut Command) -> Verdict {
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Verdict::Passed(Count { passed: 1, failed: 0 }),
        Ok(_) => Verdict::Failed(Count { passed: 0, failed: 1 }, Vec::new()),
        Err(error) => cannot_start(command, &error),
    }
}

/// Runs a chore of our own as one check.
pub(crate) fn chore(outcome: Result<(), String>) -> Verdict {
    match outcome {
        Ok(()) => Verdict::Passed(Count { passed: 1, failed: 0 }),
        Err(message) => {
            println!("{message}");
            Verdict::Failed(Count { passed: 0, failed: 1 }, Vec::new())
        }
    }
}

/// Runs a command that prints test results, shows its output as it comes, and counts.
pub(crate) fn tests(command: &mut Command, runner: Runner) -> Verdict {
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return cannot_start(command, &error),
    };
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let mut seen = std::thread::scope(|scope| {
        let errors = scope.spawn(|| errors.map_or_else(Seen::default, |errors| show(errors, runner, true)));
        let mut seen = output.map_or_else(Seen::default, |output| show(output, runner, false));
        let errors = errors.join().unwrap_or_default();
        seen.count += errors.count;
        seen.failures.extend(errors.failures);
        seen
    });
    let succeeded = child.wait().is_ok_and(|status| status.success());
    if succeeded && seen.count.failed == 0 {
        return Verdict::Passed(seen.count);
    }
    // What did not compile, or ended early, failed no test but fails.
    seen.count.failed = seen.count.failed.max(1);
    Verdict::Failed(seen.count, seen.failures)
}

/// What a test runner's output said.
#[derive(Default)]
struct Seen {
    count: Count,
    failures: Vec<String>,
}

fn show(output: impl Read, runner: Runner, is_error: bool) -> Seen {
    let (mut count, mut failures) = (Count::default(), Failures::default());
    for line in BufReader::new(output).split(b'\n') {
        let Ok(bytes) = line else { break };
        let text = String::from_utf8_lossy(&bytes);
        if is_error {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
        count += count::line(runner, &text);
        failures.line(runner, &text);
    }
    Seen { count, failures: failures.into_lines() }
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Verdict {
    println!("cannot start `{}`: {error}", command.get_program().to_string_lossy());
    Verdict::Failed(Count { passed: 0, failed: 1 }, Vec::new())
}
