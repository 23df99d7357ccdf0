//! Numbers of the whole process, written by the control plane.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers of the process. Any thread may write: nothing here is on the path of a request.
#[derive(Debug)]
pub struct Process {
    version: &'static str,
    started: f64,
    reloads_ok: AtomicU64,
    reloads_failed: AtomicU64,
    last_reload: AtomicU64,
    last_reload_ok: AtomicBool,
    generation: AtomicU64,
    log_dropped: AtomicU64,
}

impl Process {
    pub(super) fn new(version: &'static str) -> Self {
        Self {
            version,
            started: unix_now(),
            reloads_ok: AtomicU64::new(0),
            reloads_failed: AtomicU64::new(0),
            last_reload: AtomicU64::new(0),
            last_reload_ok: AtomicBool::new(true),
            generation: AtomicU64::new(0),
            log_dropped: AtomicU64::new(0),
        }
    }

    /// A snapshot serves: the first one, or a reload's. Not a reload by itself; see [`Process::reloaded`].
    pub fn serving(&self, generation: u64) {
        self.generation.store(generation, Relaxed);
    }

    /// A reload ended.
    pub fn reloaded(&self, ok: bool) {
        let counter = if ok { &self.reloads_ok } else { &self.reloads_failed };
        counter.fetch_add(1, Relaxed);
        self.last_reload_ok.store(ok, Relaxed);
        self.last_reload.store(unix_now() as u64, Relaxed);
    }

    /// Records that access logs which no longer exist had dropped; those of the present logs are asked from them.
    pub fn access_log_dropped(&self, records: u64) {
        self.log_dropped.fetch_add(records, Relaxed);
    }

    /// The version of the program.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// When the process started, in seconds since 1970.
    pub fn start_seconds(&self) -> f64 {
        self.started
    }

    /// Reloads that succeeded, and those that failed.
    pub fn reloads(&self) -> (u64, u64) {
        (self.reloads_ok.load(Relaxed), self.reloads_failed.load(Relaxed))
    }

    /// When the last reload ended (seconds since 1970), and whether it succeeded; `None` before the first.
    pub fn last_reload(&self) -> Option<(u64, bool)> {
        let at = self.last_reload.load(Relaxed);
        (at > 0).then(|| (at, self.last_reload_ok.load(Relaxed)))
    }

    /// The number of the snapshot that serves; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    pub(super) fn dropped_by_former_logs(&self) -> u64 {
        self.log_dropped.load(Relaxed)
    }
}

fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
