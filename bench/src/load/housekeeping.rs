//! When the machine had a core for itself: kernel threads that look through memory (DAMON's `kdamond`) keep a core for
//! milliseconds at a time, whoever wants to run there. Where such a thread is, it takes about a hundredth of the time, and is
//! then just what the slowest hundredth of all requests shows. So the requests that it may have delayed are told from others.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// What their names begin with.
const NAME: &str = "kdamond";
/// Running for less than this between two looks delays nobody by anything that shows.
const SHORT: Duration = Duration::from_micros(200);

/// What those threads were seen to do.
pub(super) struct Housekeeping {
    threads: Vec<File>,
    /// How long they had run, and when that was seen.
    last: (Duration, Instant),
    /// Between these moments they ran; in order.
    ran: Vec<(Instant, Instant)>,
}

impl Housekeeping {
    /// Finds the threads; there may be none.
    pub(super) fn find() -> Self {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
        let named = processes
            .filter(|path| fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with(NAME)));
        let threads: Vec<File> = named.filter_map(|path| File::open(path.join("schedstat")).ok()).collect();
        let last = (run_time(&threads), Instant::now());
        Self { threads, last, ran: Vec::new() }
    }

    /// Looks whether they have run since the last look.
    pub(super) fn look(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        let now = (run_time(&self.threads), Instant::now());
        if now.0.saturating_sub(self.last.0) >= SHORT {
            self.ran.push((self.last.1, now.1));
        }
        self.last = now;
    }

    /// Whether they ran at some time between two moments.
    pub(super) fn ran_between(&self, from: Instant, to: Instant) -> bool {
        let first = self.ran.partition_point(|(_, end)| *end < from);
        self.ran.get(first).is_some_and(|(start, _)| *start <= to)
    }
}

/// How long they have run: the first field of `schedstat`, in nanoseconds.
fn run_time(threads: &[File]) -> Duration {
    let of = |thread: &File| {
        let mut text = [0; 64];
        let len = thread.read_at(&mut text, 0).ok()?;
        std::str::from_utf8(&text[..len]).ok()?.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.iter().filter_map(of).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_beside_a_run_are_told_from_others() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let ran = vec![(at(10), at(12)), (at(20), at(25))];
        let seen = Housekeeping { threads: Vec::new(), last: (Duration::ZERO, start), ran };
        for (from, to, expected) in
            [(0, 9, false), (9, 10, true), (11, 11, true), (13, 19, false), (12, 13, true)]
        {
            assert_eq!(seen.ran_between(at(from), at(to)), expected, "{from} to {to}");
        }
        assert!(seen.ran_between(at(13), at(30)) && !seen.ran_between(at(26), at(30)));
    }

    #[test]
    fn own_run_time_is_read() {
        let me = [File::open("/proc/thread-self/schedstat").unwrap()];
        let before = run_time(&me);
        (0..20_000_000_u64).for_each(|number| _ = std::hint::black_box(number));
        std::thread::sleep(Duration::from_millis(1));
        assert!(run_time(&me) > before);
    }
}
