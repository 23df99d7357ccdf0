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
