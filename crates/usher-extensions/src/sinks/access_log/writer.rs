//! The thread that empties the rings and writes.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::clock::Clock;
use super::output::{Losses, Output};
use super::ring::Ring;

/// How long a line may lie in a ring before the writer looks.
const PERIOD: Duration = Duration::from_millis(100);

/// How long `flush` waits at most.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Troubles are reported once in this time.
const REPORT_PERIOD: Duration = Duration::from_secs(60);

/// The handle of the thread; when it is dropped, the thread writes what is left and ends.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    rings: Mutex<Vec<Arc<Ring>>>,
    /// Lines that could not be written, and those dropped by rings that are gone.
    lost: AtomicU64,
    reopen: AtomicBool,
    stop: AtomicBool,
    /// Flushes asked for, and flushes done.
    flushes: Mutex<(u64, u64)>,
    flushed: Condvar,
}

impl Writer {
    pub(super) fn start(output: Box<dyn Output>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let work = Work { shared: shared.clone(), output, line: Vec::new(), report: None };
        let thread = thread::Builder::new().name("access-log".to_owned()).spawn(move || work.run())?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    /// Takes one more ring into its care.
    pub(super) fn add(&self, ring: Arc<Ring>) {
        lock(&self.shared.rings).push(ring);
    }

    /// Makes the thread look now.
    pub(super) fn wake(&self) {
        self.thread.unpark();
    }

    pub(super) fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn dropped(&self) -> u64 {
        let by_rings: u64 = lock(&self.shared.rings).iter().map(|ring| ring.dropped()).sum();
        by_rings + self.shared.lost.load(Ordering::Relaxed)
    }

    pub(super) fn flush(&self) {
        let mut flushes = lock(&self.shared.flushes);
        flushes.0 += 1;
        let asked = flushes.0;
        self.wake();
        let pending = |(_, done): &mut (u64, u64)| *done < asked;
        drop(self.shared.flushed.wait_timeout_while(flushes, FLUSH_TIMEOUT, pending));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
    }
}

struct Work {
    shared: Arc<Shared>,
    output: Box<dyn Output>,
    line: Vec<u8>,
    /// When trouble was last reported.
    report: Option<Instant>,
}

impl Work {
    fn run(mut self) {
        loop {
            let stop = self.shared.stop.load(Ordering::Acquire);
            let asked = lock(&self.shared.flushes).0;
            let reopen = self.shared.reopen.swap(false, Ordering::AcqRel);
            let mut losses = Losses::default();
            self.pass(&mut losses);
            if reopen {
                self.output.reopen(&mut losses);
            }
            self.account(losses);
            lock(&self.shared.flushes).1 = asked;
            self.shared.flushed.notify_all();
            if stop {
                return;
            }
            thread::park_timeout(PERIOD);
        }
    }

    /// Writes what is in the rings, and lets go of those whose thread has ended.
    fn pass(&mut self, losses: &mut Losses) {
        let rings = lock(&self.shared.rings).clone();
        for ring in &rings {
            ring.drain(&mut self.line, |line| self.output.put(line, losses));
        }
        self.output.finish(losses);
        drop(rings);
        let mut rings = lock(&self.shared.rings);
        rings.retain(|ring| {
            let over = Arc::strong_count(ring) == 1 && ring.is_empty();
            if over {
                self.shared.lost.fetch_add(ring.dropped(), Ordering::Relaxed);
            }
            !over
        });
    }

    /// Counts what was lost and says so, but not every time.
    fn account(&mut self, losses: Losses) {
        self.shared.lost.fetch_add(losses.lines, Ordering::Relaxed);
        let Some(cause) = losses.cause else { return };
        if self.report.is_none_or(|last| last.elapsed() >= REPORT_PERIOD) {
            self.report = Some(Instant::now());
            let lost = self.shared.lost.load(Ordering::Relaxed);
            let name = self.output.name();
            let (time, text) = (now(), format!("{cause}; {lost} lines lost so far (reported once a minute)"));
            eprintln!("{time} warn  access log to {name}: {text}");
        }
    }
}

/// The time as it stands in front of all that the process says about itself.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut text = Vec::new();
    Clock::default().rfc3339_seconds(since.as_secs(), &mut text);
    String::from_utf8(text).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
