//! The ceiling on memory and on descriptors: set from the config, watched by a thread that takes samples. Another one says
//! in the log what becomes of it, as nobody may hold up the samples: whoever reads the log may be stuck.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use usher_config::config::Config;
use usher_config::value::SizeLimit;
use usher_net::raise_open_files;
use usher_net::shortage::{self, Deed, Level, Reading};

use crate::log;

/// Sets the ceiling that a config says; gives it in words.
pub(crate) fn follow(config: &Config) -> String {
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let (ceiling, words) = match config.memory {
        Some(SizeLimit::Max(size)) => (Some(size.0), format!("at most {}", mib(size.0))),
        Some(SizeLimit::Unlimited) => (None, "no ceiling".to_owned()),
        None => match shortage::ceiling_of_system() {
            Some(found) => (Some(found.bytes), format!("at most {} ({})", mib(found.bytes), found.of)),
            None => (None, "no ceiling, as the system does not say how much there is".to_owned()),
        },
    };
    shortage::set_ceiling(ceiling);
    words
}

/// Begins to look, for as long as the process lives.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn watch() -> std::io::Result<()> {
    // Where the system does not say, nothing is counted.
    shortage::set_descriptors(raise_open_files().ok().flatten());
    let (lines, said) = sync_channel(LINES);
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    named("shortage-log").spawn(move || speak(&said))?;
    named("shortage").spawn(move || run(&lines)).map(drop)
}

/// A line for the log, and the level that it is about.
type Line = (Level, String);

/// Lines that wait for the log at most; others are left out.
const LINES: usize = 16;

fn run(lines: &SyncSender<Line>) {
    let mut said = Said::default();
    loop {
        if let Some(line) = said.about(shortage::look(), shortage::deeds()) {
            let _ = lines.try_send(line);
        }
        thread::sleep(shortage::EVERY);
    }
}

fn speak(lines: &Receiver<Line>) {
    for (level, text) in lines {
        if level > Level::Calm {
            log::warn(format_args!("{text}"));
        } else {
            log::info(format_args!("{text}"));
        }
    }
}

/// What was said last.
#[derive(Default)]
struct Said {
    level: Level,
    /// Looks in a row at which it was lower than what was said.
    lower: u32,
    deeds: Vec<u64>,
}

/// A level is said to have ended after so many looks: what goes to and fro is one line, not many.
const LOOKS: u32 = 15;

impl Said {
    /// A line for the log, if the level has changed.
    fn about(&mut self, now: Reading, deeds: impl Iterator<Item = (Deed, u64)>) -> Option<Line> {
        self.lower = if now.level < self.level { self.lower + 1 } else { 0 };
        if now.level == self.level || now.level < self.level && self.lower < LOOKS {
            return None;
        }
        (self.level, self.lower) = (now.level, 0);
        let mut text = format!("shortage: {}; {}", now.level.as_str(), means(now.level));
        let mib = |bytes: u64| bytes >> 20;
        match now.ceiling {
            Some(ceiling) => text.push_str(&format!(
                "; memory {} of {} MiB (heap {}, resident {})",
                mib(now.used),
                mib(ceiling),
                mib(now.heap),
                mib(now.resident)
            )),
            None => text.push_str(&format!("; memory {} MiB, no ceiling", mib(now.used))),
        }
        if let Some(most) = now.most_descriptors {
            text.push_str(&format!("; descriptors {} of {most}", now.open_descriptors));
        }
        text.push_str(&self.done(deeds));
        Some((now.level, text))
    }

    /// What was done since the last line.
    fn done(&mut self, deeds: impl Iterator<Item = (Deed, u64)>) -> String {
        let all: Vec<(Deed, u64)> = deeds.collect();
        let before = std::mem::replace(&mut self.deeds, all.iter().map(|(_, count)| *count).collect());
        let new = all.iter().enumerate().filter_map(|(index, (deed, count))| {
            let more = count - before.get(index).copied().unwrap_or(0);
            (more > 0).then(|| format!("{} {more}", deed.as_str()))
        });
        let new: Vec<String> = new.collect();
        if new.is_empty() { String::new() } else { format!("; since the last line: {}", new.join(", ")) }
    }
}

/// What follows from a level, for whoever reads the log.
fn means(level: Level) -> &'static str {
    match level {
        Level::Calm => "there is enough again",
        Level::Tight => "connections at rest are closed, buffers are small",
        Level::Short => "routes of low criticality are refused",
        Level::Full => "new connections wait, the slowest clients are ended",
        Level::Spent => "routes of normal criticality are refused to new clients too",
        Level::Over => "all but routes of high criticality are refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(level: Level) -> Reading {
        Reading { level, ceiling: Some(96 << 20), used: 80 << 20, ..Reading::default() }
    }

    #[test]
    fn each_rise_is_said_at_once_and_a_fall_when_it_lasts() {
        let mut said = Said::default();
        let mut ended = 0;
        let mut about = |level: Level, more: u64| {
            ended += more;
            said.about(reading(level), [(Deed::EndedSlow, ended)].into_iter()).map(|(_, text)| text)
        };
        assert_eq!(about(Level::Calm, 0), None);
        assert!(about(Level::Tight, 0).unwrap().starts_with("shortage: tight; "));
        assert_eq!(about(Level::Tight, 0), None);
        let full = about(Level::Full, 3).unwrap();
        assert!(
            full.contains("memory 80 of 96 MiB") && full.ends_with("since the last line: ended_slow 3"),
            "{full}"
        );
        for _ in 0..10 * LOOKS {
            assert_eq!(about(Level::Short, 1), None, "to and fro is not worth a line");
            assert_eq!(about(Level::Full, 0), None);
        }
        for _ in 1..LOOKS {
            assert_eq!(about(Level::Calm, 0), None);
        }
        let calm = about(Level::Calm, 0).unwrap();
        assert!(calm.starts_with("shortage: calm") && calm.contains("ended_slow 150"), "{calm}");
    }
}
