//! A manager under test, with a clock that can be turned and a log that can be read.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use usher_api::HttpChallenges;
use usher_certs::{Clock, Logger, Managed, Manager, Options, State, Status};
use usher_net::tls::{Certificate, Certificates};

/// How long anything may take before the test fails. Nothing takes a tenth of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A port that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Waits until `found` gives something.
pub(crate) fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) challenges: Arc<HttpChallenges>,
    pub(crate) log: Arc<Mutex<Vec<String>>>,
    /// Seconds that the clock is ahead.
    pub(crate) ahead: Arc<AtomicU64>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            certificates: Certificates::new(),
            challenges: Arc::default(),
            log: Arc::default(),
            ahead: Arc::default(),
        }
    }

    /// Options for these names, one certificate each.
    pub(crate) fn options(&self, names: &[&str]) -> Options {
        let mut options = Options::new(self.storage());
        options.managed = names.iter().map(|name| Managed::name(name)).collect();
        let log = self.log.clone();
        options.log = Logger::new(move |level, line| {
            eprintln!("{level:?}: {line}");
            log.lock().unwrap().push(line.to_owned());
        });
        let ahead = self.ahead.clone();
        options.clock =
            Clock::new(move || SystemTime::now() + Duration::from_secs(ahead.load(Ordering::Relaxed)));
        options
    }

    pub(crate) fn storage(&self) -> PathBuf {
        self.folder.path().join("storage")
    }

    pub(crate) fn start(&self, options: Options) -> Manager {
        Manager::start(options, self.certificates.clone(), self.challenges.clone()).unwrap()
    }

    /// Turns the clock.
    pub(crate) fn pass(&self, time: Duration) {
        self.ahead.fetch_add(time.as_secs(), Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(self.ahead.load(Ordering::Relaxed))
    }

    pub(crate) fn logged(&self, part: &str) -> bool {
        self.count_logged(part) > 0
    }

    pub(crate) fn count_logged(&self, part: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }

    /// What is served for a name.
    pub(crate) fn served(&self, name: &str) -> Option<Arc<Certificate>> {
        self.certificates.find(name)?.certificates().first().cloned()
    }

    /// Waits for a certificate for this name.
    pub(crate) fn obtained(&self, name: &str) -> Arc<Certificate> {
        eventually(&format!("a certificate for {name}"), || self.served(name))
    }
}

pub(crate) fn status(manager: &Manager, source: &str) -> Status {
    let found = manager.status().into_iter().find(|status| status.source == source);
    found.unwrap_or_else(|| panic!("{source} is not in {:?}", manager.status()))
}

/// Waits until an attempt for the source has failed so often.
pub(crate) fn failed(manager: &Manager, source: &str, failures: u32) -> Status {
    eventually(&format!("{failures} failures of {source}"), || {
        let status = status(manager, source);
        (status.state == State::Failed && status.failures >= failures).then_some(status)
    })
}
