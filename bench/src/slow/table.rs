//! What came of it: the table, and whether the goals were met.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use super::{CONNECTIONS, Outcome, Outcomes, RATE, Setting};

/// Goal: p99 under so much of what it is without a crowd.
const GOAL: f64 = 2.0;

impl Outcomes {
    pub(super) fn table(&self, setting: &Setting) -> String {
        let mut text = format!(
            "# Slow clients against a ceiling\n\n\
             {} slow clients (a third of them readers of 10 MiB, the others heads, uploads, HTTP/2 without windows, readers over\n\
             TLS and handshakes that stop), each coming again when it is ended, against `memory = \"{}\"` and one worker. Beside\n\
             them a client that behaves: {RATE} requests of 1 KiB per second over {CONNECTIONS} connections, for {} s.\n\
             Past the proxy: the same client asks the endpoint itself, beside the same crowd. The crowd and its endpoint share a core\n\
             with the client here, so they run only when it does not (SCHED_IDLE, where there is `chrt`).\n\
             Disturbed: requests while the kernel's housekeeping ran (`kdamond`, which keeps a core for milliseconds); they are in\n\
             \"p99 of all\" only.\n\n\
             | | p50 | p99 | p99 of all | disturbed | p99 past the proxy | answers | errors | resident, highest sample | highest (VmHWM) | crowd at the end | ended |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|\n",
            setting.clients,
            setting.memory,
            setting.length.as_secs()
        );
        let all = || self.rounds.iter().flatten().chain([&self.without]);
        all().for_each(|one| one.write(&mut text));
        let [alone, crowd] = self.medians().map(millis);
        let _ = writeln!(
            text,
            "\nMedians of p99: {alone:.2} ms alone, {crowd:.2} ms beside the crowd: {:.2} times as long (goal: under {GOAL}).",
            crowd / alone
        );
        let [alone, crowd] = self.medians_of_all().map(millis);
        let _ = writeln!(text, "Of all: {alone:.2} ms and {crowd:.2} ms: {:.2} times.", crowd / alone);
        for one in all().filter(|one| !one.actions.is_empty()) {
            let _ = writeln!(text, "\n{}: {}.", one.stage, one.actions);
        }
        text
    }

    /// Whether the goals were met.
    pub(super) fn verdict(&self, setting: &Setting) -> io::Result<()> {
        let digits: String = setting.memory.chars().take_while(char::is_ascii_digit).collect();
        let ceiling: f64 = digits.parse().map_err(io::Error::other)?;
        let [alone, crowd] = self.medians().map(millis);
        let mut missed = Vec::new();
        for one in self.rounds.iter().flatten() {
            if one.peak >= ceiling {
                missed.push(format!("{:.1} MiB were resident", one.peak));
            }
            if one.disturbed as u64 * 10 > one.done {
                missed.push(format!("{} of {} requests were disturbed", one.disturbed, one.done));
            }
            if one.errors > 0 {
                missed.push(format!("{} errors", one.errors));
            }
        }
        if crowd >= GOAL * alone {
            missed.push(format!("p99 was {:.2} of the usual", crowd / alone));
        }
        if self.without.peak < ceiling {
            missed.push("the crowd does not try the ceiling".to_owned());
        }
        if missed.is_empty() { Ok(()) } else { Err(io::Error::other(missed.join("; "))) }
    }

    /// The medians of p99: alone, and beside the crowd.
    fn medians(&self) -> [Duration; 2] {
        [0, 1].map(|stage| median(self.rounds.iter().map(|round| round[stage].p99)))
    }

    /// The same of all requests.
    fn medians_of_all(&self) -> [Duration; 2] {
        [0, 1].map(|stage| median(self.rounds.iter().map(|round| round[stage].p99_of_all)))
    }
}

fn median(found: impl Iterator<Item = Duration>) -> Duration {
    let mut found: Vec<Duration> = found.collect();
    found.sort_unstable();
    let (half, odd) = (found.len() / 2, found.len() % 2);
    (found[half - 1 + odd] + found[half]) / 2
}

impl Outcome {
    fn write(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "| {} | {:.2} ms | {:.2} ms | {:.2} ms | {} | {:.2} ms | {} | {} | {:.1} MiB | {:.1} MiB | {} | {} |",
            self.stage,
            millis(self.p50),
            millis(self.p99),
            millis(self.p99_of_all),
            self.disturbed,
            millis(self.past),
            self.done,
            self.errors,
            self.sampled,
            self.peak,
            self.standing,
            self.ended
        );
    }
}

fn millis(length: Duration) -> f64 {
    length.as_secs_f64() * 1e3
}
