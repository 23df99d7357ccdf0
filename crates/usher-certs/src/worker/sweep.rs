//! Removing certificates that nobody wants any more.
//!
//! A host that a reload takes away may come back with the next one, so that its certificate stays while it is of use, and
//! what is remembered of it (limits above all) for some weeks longer. Then it goes, as do OCSP responses: otherwise whoever
//! may make up names for certificates on demand fills the disk.

use std::time::{Duration, SystemTime};

use super::Worker;
use crate::options::Level;

/// How often the storage is swept.
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How long after its end, and after the last change to its folder, a certificate is kept.
const KEPT: Duration = Duration::from_secs(4 * 7 * 24 * 3600);

impl Worker {
    /// Sweeps the storage if it is time to.
    pub(super) fn sweep(&self, now: SystemTime) {
        if now < self.sweep_next.get() {
            return;
        }
        self.sweep_next.set(now + SWEEP_EVERY);
        for id in self.around.storage.certificates() {
            if !self.entries.borrow().contains_key(&id) && self.is_over(&id, now) {
                self.remove_kept(&id);
            }
        }
        for file in self.around.storage.list("ocsp") {
            let file = format!("ocsp/{file}");
            if self.around.storage.changed(&file).is_some_and(|at| at + KEPT < now) {
                // It is fetched again if it is of one that is served.
                let _ = self.around.storage.remove(&file);
            }
        }
    }

    /// Whether a certificate that is no entry has expired, and nobody has touched it, for some weeks.
    fn is_over(&self, id: &str, now: SystemTime) -> bool {
        let storage = &self.around.storage;
        let untouched = storage.last_written(id).is_some_and(|at| at + KEPT < now);
        untouched && storage.valid_until(id).is_none_or(|until| until + KEPT < now)
    }

    fn remove_kept(&self, id: &str) {
        // Whoever has the lock wants it.
        let Ok(Some(_lock)) = self.around.storage.lock_certificate(id) else { return };
        match self.around.storage.remove_certificate(id) {
            Ok(()) => self.log(
                Level::Info,
                &format!("`certificates/{id}` was removed from the storage: it is not asked for, and over for weeks"),
            ),
            Err(error) => self.log(Level::Warn, &error.to_string()),
        }
    }
}
