//! Fetching OCSP responses in time.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::entry::Entry;
use super::served::{Served, staple_file};
use super::{MAX_IN_FLIGHT, Worker};
use crate::ocsp::{self, Staple};
use crate::options::Level;
use crate::random::fraction;
use crate::renewal::backoff;

/// The longest wait after failures: responses live for days.
const RETRY_MAX: Duration = Duration::from_secs(3600);
/// The shortest wait after a success.
const LOOK_MIN: Duration = Duration::from_secs(60);
/// What it means if there is no response for a certificate that demands one.
const REFUSED: &str = "; browsers refuse this certificate without it";

impl Worker {
    /// Begins to fetch what is due, and drops responses that are over. Some places are left to orders.
    pub(super) fn refresh_staples(self: &Rc<Self>, now: SystemTime) {
        let mut due = Vec::new();
        let mut look = |source: &dyn Fn() -> String, served: &mut Option<Served>| {
            let Some(served) = served else { return };
            if served.staple.as_ref().is_some_and(|staple| staple.until <= now) {
                served.staple = None;
                served.install(&source(), &self.around.certificates);
            }
            if served.staple_next.is_some_and(|next| next <= now) {
                due.push(source());
            }
        };
        self.entries
            .borrow_mut()
            .values_mut()
            .for_each(|Entry { target, served, .. }| look(&|| target.source(), served));
        self.files
            .borrow_mut()
            .iter_mut()
            .for_each(|(source, file)| look(&|| source.clone(), &mut file.served));
        for source in due {
            if self.in_flight.get() >= MAX_IN_FLIGHT / 2 {
                return;
            }
            let Some(served) = self.with_served(&source, |served| {
                // Not again while it is under way.
                served.staple_next = None;
                served.clone()
            }) else {
                continue;
            };
            let this = self.clone();
            self.in_background(None, async move { this.fetch_staple(&source, served).await });
        }
    }

    /// Does something with the certificate of a source.
    fn with_served<T>(&self, source: &str, then: impl FnOnce(&mut Served) -> T) -> Option<T> {
        if let Some(file) = self.files.borrow_mut().get_mut(source) {
            return file.served.as_mut().map(then);
        }
        let mut entries = self.entries.borrow_mut();
        let entry = entries.values_mut().find(|entry| entry.target.source() == source)?;
        entry.served.as_mut().map(then)
    }

    async fn fetch_staple(&self, source: &str, served: Served) {
        let certificate = served.certificate;
        let now = self.now();
        let fetched = match self.around.plain_client() {
            Ok(http) => ocsp::fetch(&http, &certificate, now).await,
            Err(failure) => Err(failure.sentence),
        };
        if let Ok(staple) = &fetched
            && let Err(error) = self.around.storage.write(&staple_file(&certificate), &staple.der)
        {
            self.log(Level::Warn, &error.to_string());
        }
        let reported = self.with_served(source, |served| {
            // It may have been replaced meanwhile.
            (served.certificate.fingerprint() == certificate.fingerprint())
                .then(|| take(served, fetched, now))
                .inspect(|_| served.install(source, &self.around.certificates))
        });
        if let Some(Some(Some(error))) = reported {
            let level = if certificate.must_staple() { Level::Error } else { Level::Warn };
            self.log(level, &format!("certificate `{source}`: {error}"));
        }
        self.publish_source(source);
    }

    /// Shows the state of a source to the rest of the process.
    fn publish_source(&self, source: &str) {
        let found = self
            .entries
            .borrow()
            .iter()
            .find(|(_, entry)| entry.target.source() == source)
            .map(|(id, _)| id.clone());
        match found {
            Some(id) => self.publish(&id),
            None => self.publish_file(source),
        }
    }
}

/// When to fetch the next one: at half of its validity. One that was old already, as caches give it, is not asked for again
/// and again, but before it ends.
fn next_look(staple: &Staple, now: SystemTime) -> SystemTime {
    let left = staple.until.duration_since(now).unwrap_or_default();
    let soon = now + (left / 4).clamp(LOOK_MIN, RETRY_MAX);
    staple.refresh().max(soon)
}

/// Takes over what was fetched; gives what there is to report.
fn take(served: &mut Served, fetched: Result<Staple, String>, now: SystemTime) -> Option<String> {
    match fetched {
        Ok(staple) => {
            served.staple_next = Some(next_look(&staple, now));
            served.staple = Some(staple);
            served.staple_failures = 0;
            served.staple_error = None;
            None
        }
        Err(error) => {
            served.staple_failures = served.staple_failures.saturating_add(1);
            served.staple_next = Some(now + backoff(served.staple_failures, fraction()).min(RETRY_MAX));
            let must = served.certificate.must_staple() && served.staple.is_none();
            let effect = if must { REFUSED } else { "" };
            let error = format!("no OCSP response: {error}{effect}");
            // Once per series of failures, not once per attempt; and when it begins to matter.
            let before = served.staple_error.replace(error.clone());
            before.is_none_or(|before| must && !before.ends_with(REFUSED)).then_some(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_response_is_not_asked_for_again_and_again() {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let staple = |since, until| Staple { der: Vec::new(), since: now - since, until: now + until };
        assert_eq!(next_look(&staple(Duration::ZERO, hour * 96), now), now + hour * 48);
        assert_eq!(next_look(&staple(hour * 80, hour * 16), now), now + hour);
        assert_eq!(next_look(&staple(hour * 95, hour), now), now + hour / 4);
        assert_eq!(next_look(&staple(hour * 95, hour / 60), now), now + hour / 60);
    }
}
