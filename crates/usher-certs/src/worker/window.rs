//! Asking CAs when to renew (RFC 9773).

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::entry::Busy;
use super::{MAX_IN_FLIGHT, Worker};
use crate::acme::renewal_window;
use crate::options::Level;
use crate::plan::Signer;
use crate::random::{fraction, part};
use crate::storage::{StorageError, Window};

/// When to ask again a CA that has no windows.
pub(super) const UNSUPPORTED: Duration = Duration::from_secs(24 * 3600);
/// When to ask again after a failure.
const FAILED: Duration = Duration::from_secs(3600);

impl Worker {
    /// Begins the questions that are due. Some places are left to orders.
    pub(super) fn ask_for_windows(self: &Rc<Self>, now: SystemTime) {
        let options = self.options();
        let due: Vec<String> = {
            let entries = self.entries.borrow();
            let due = entries.iter().filter(|(_, entry)| {
                entry.target.signer == Signer::Acme
                    && entry.busy == Busy::No
                    && entry.window_next <= now
                    && !entry.is_due(now)
                    && entry.fits(&options)
            });
            due.map(|(id, _)| id.clone()).take(MAX_IN_FLIGHT).collect()
        };
        for id in due {
            if self.in_flight.get() >= MAX_IN_FLIGHT / 2 {
                return;
            }
            if let Some(entry) = self.entries.borrow_mut().get_mut(&id) {
                entry.busy = Busy::Asking;
            }
            let (this, busy) = (self.clone(), Some(id.clone()));
            self.in_background(busy, async move { this.ask_for_window(&id).await });
        }
    }

    async fn ask_for_window(&self, id: &str) {
        let options = self.options();
        let found = self.entries.borrow().get(id).and_then(|entry| {
            Some((entry.served.as_ref()?.certificate.clone(), entry.meta.clone(), entry.target.source()))
        });
        let Some((certificate, meta, source)) = found else { return };
        let authority = options.authorities.iter().find(|authority| authority.url() == meta.authority);
        let answer = match authority {
            Some(authority) => {
                renewal_window(&self.around, &options, authority, (&certificate, meta.window.as_ref())).await
            }
            None => Ok(None),
        };
        let now = options.clock.now();
        let later = |time: Duration| now + time + part(time, fraction());
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.get_mut(id) else { return };
        entry.busy = Busy::No;
        match answer {
            Ok(window) => {
                let changed =
                    window.map(|window| window.chosen) != entry.meta.window.map(|window| window.chosen);
                entry.window_next = window.map_or_else(|| later(UNSUPPORTED), |window| window.check);
                let save = entry.meta.window != window;
                entry.meta.window = window;
                if save && let Err(error) = self.save_window(id, window) {
                    options.log.write(Level::Error, &error.to_string());
                }
                if let Some(window) = window.filter(|_| changed) {
                    let at = crate::time::rfc3339(window.chosen);
                    options.log.write(
                        Level::Debug,
                        &format!("certificate `{source}`: the CA suggests to renew it at {at}"),
                    );
                }
            }
            Err(failure) => {
                entry.window_next = later(FAILED);
                options.log.write(Level::Debug, &format!("certificate `{source}`: {}", failure.sentence));
            }
        }
        entry.schedule(&self.options());
        drop(entries);
        self.publish(id);
    }

    /// Keeps a window beside what else is remembered: another process may have written that since it was read here. While one
    /// is obtaining the certificate, the window of the old one is of no use any more.
    fn save_window(&self, id: &str, window: Option<Window>) -> Result<(), StorageError> {
        let storage = &self.around.storage;
        let Some(_lock) = storage.lock_certificate(id)? else { return Ok(()) };
        let mut meta = storage.load(id)?.meta;
        meta.window = window;
        storage.save_meta(id, &meta)
    }
}
