//! Counting tests in what the test runners print.

/// How many checks passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Whose output it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// `cargo test`: a line `test result: …` per binary; runners of our own end with `N passed, N failed`.
    CargoTest,
    /// `cargo nextest`: one line `Summary …`; captured output of a test must not count again.
    Nextest,
}

/// What the failed tests printed, kept so that it stands at the end of everything, where people look first.
///
/// A whole run prints thousands of lines, and of a failure in the middle the name is soon out of sight.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    lines: Vec<String>,
    is_within: bool,
}

/// Lines kept of one step's failures: enough for the first few in full.
const KEPT_LINES: usize = 160;

impl Failures {
    /// Looks at the next line of output: from one that announces a failure to the next that passes, all are kept.
    pub(crate) fn line(&mut self, runner: Runner, text: &str) {
        let bare = without_colours(text);
        if let Some(announces) = announces_failure(runner, bare.trim()) {
            self.is_within = announces;
        }
        if self.is_within && self.lines.len() < KEPT_LINES {
            self.lines.push(bare);
        }
    }

    /// The lines kept, each as printed but without colours.
    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

/// Whether failures begin at this line (`true`), end at it (`false`), or neither.
fn announces_failure(runner: Runner, line: &str) -> Option<bool> {
    const BAD: [&str; 5] = ["FAIL", "TIMEOUT", "SIG", "ABORT", "LEAK-FAIL"];
    match runner {
        Runner::Nextest if line.contains(" [") => {
            let word = line.split(' ').next().unwrap_or_default();
            if BAD.iter().any(|bad| word.starts_with(bad)) {
                return Some(true);
            }
            matches!(word, "PASS" | "SLOW" | "Summary").then_some(false)
        }
        Runner::Nextest => None,
        Runner::CargoTest if line.starts_with("test ") || line.starts_with("scenario ") => {
            Some(line.ends_with("FAILED"))
        }
        Runner::CargoTest if line == "failures:" => Some(true),
        Runner::CargoTest => (line.starts_with("test result:") || is_bare_summary(line)).then_some(false),
    }
}

/// What one line of output adds; nothing for most.
pub(crate) fn line(runner: Runner, line: &str) -> Count {
    let line = without_colours(line);
    let line = line.trim();
    let counts = match runner {
        Runner::CargoTest => line.starts_with("test result:") || is_bare_summary(line),
        Runner::Nextest => line.starts_with("Summary [") && line.contains(" run: "),
    };
    if !counts {
        return Count::default();
    }
    Count { passed: before(line, "passed"), failed: before(line, "failed") + before(line, "timed out") }
}

/// `12 passed, 0 failed` and nothing else.
fn is_bare_summary(line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    matches!(words[..], [passed, "passed,", failed, "failed"]
        if passed.parse::<u64>().is_ok() && failed.parse::<u64>().is_ok())
}

/// The number right before `word`.
fn before(line: &str, word: &str) -> u64 {
    let ahead = line.split(word).next().filter(|ahead| ahead.len() < line.len());
    ahead.and_then(|ahead| ahead.split_whitespace().next_back()?.parse().ok()).unwrap_or(0)
}

fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_failed() {
        let nextest = "        PASS [   0.1s] a\n\u{1b}[31m        FAIL\u{1b}[0m [   0.2s] b\n  stderr ───\n    why\n        PASS [   0.1s] c\n     Summary [ 1s] 3 tests run: 2 passed, 1 failed";
        let cargo = "test a ... ok\ntest b ... FAILED\nfailures:\n---- b stdout ----\nwhy\n\ntest result: FAILED. 1 passed; 1 failed";
        let cases: [(Runner, &str, &[&str]); 3] = [
            (Runner::Nextest, nextest, &["        FAIL [   0.2s] b", "  stderr ───", "    why"]),
            (Runner::CargoTest, cargo, &["test b ... FAILED", "failures:", "---- b stdout ----", "why", ""]),
            (Runner::CargoTest, "test a ... ok\ntest result: ok. 1 passed; 0 failed", &[]),
        ];
        for (runner, output, kept) in cases {
            let mut failures = Failures::default();
            output.lines().for_each(|line| failures.line(runner, line));
            assert_eq!(failures.into_lines(), kept, "{output}");
        }
    }

    #[test]
    fn counts_what_the_runners_print() {
        use Runner::{CargoTest, Nextest};
        let cases = [
            (CargoTest, "test result: ok. 16 passed; 0 failed; 2 ignored; 0 measured", 16, 0),
            (CargoTest, "test result: \u{1b}[31mFAILED\u{1b}[0m. 3 passed; 2 failed; 0 ignored", 3, 2),
            (CargoTest, "41 passed, 1 failed", 41, 1),
            (CargoTest, "41 passed, 1 failed to start", 0, 0),
            (CargoTest, "test passed ... ok", 0, 0),
            (
                Nextest,
                "     Summary [   0.312s] 16 tests run: 15 passed (1 slow), 1 failed, 2 skipped",
                15,
                1,
            ),
            (Nextest, "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] 4 tests run: 4 passed, 0 skipped", 4, 0),
            (
                Nextest,
                "     Summary [  61.0s] 3/9 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped",
                1,
                2,
            ),
            (Nextest, "0 passed, 1 failed", 0, 0),
        ];
        for (runner, text, passed, failed) in cases {
            assert_eq!(line(runner, text), Count { passed, failed }, "{text}");
        }
    }
}
