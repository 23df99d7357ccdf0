//! One attempt to obtain a certificate, and what follows from its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use usher_net::tls::Certificate;

use super::entry::Busy;
use super::served::Served;
use super::{Worker, on_demand};
use crate::acme::{Failure, FailureKind, Order};
use crate::options::{Authority, Level, Options};
use crate::plan::{Signer, Target};
use crate::random::fraction;
use crate::renewal::{backoff, in_time};
use crate::storage::Meta;
use crate::time::rfc3339;

/// Failures at one CA before the next one is asked.
const FAILURES_PER_AUTHORITY: u32 = 2;
/// When to look again whether another process has obtained it.
const OTHER_PROCESS: Duration = Duration::from_secs(30);
/// The longest wait that a CA may ask for.
const RETRY_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long not to ask a CA that limits us and does not say for how long.
const LIMITED: Duration = Duration::from_secs(3600);

/// How an attempt ended.
pub(super) type Outcome = Result<Arc<Certificate>, (String, Failure)>;

impl Worker {
    /// Obtains the certificate of an entry.
    pub(super) async fn attempt(&self, id: &str) {
        let found = self.entries.borrow().get(id).map(|entry| (entry.target.clone(), entry.forced));
        let Some((target, forced)) = found else { return };
        let lock = match self.around.storage.lock_certificate(id) {
            Ok(Some(lock)) => lock,
            Ok(None) => return self.look_again(id),
            Err(error) => return self.finish_without_order(id, Failure::local(error.to_string())),
        };
        let meta = match self.read_again(id, forced) {
            Ok(Some(meta)) => meta,
            Ok(None) => return,
            Err(failure) => return self.finish_without_order(id, failure),
        };
        let allowed = if target.on_demand { self.ask_again(&target).await } else { on_demand::Answer::Yes };
        match allowed {
            on_demand::Answer::Yes => {}
            on_demand::Answer::No(why) => {
                self.log(Level::Info, &format!("certificate `{}`: no longer wanted: {why}", target.source()));
                return self.forget(id, &target.source());
            }
            on_demand::Answer::Unknown(why) => return self.finish_without_order(id, Failure::local(why)),
        }
        let mut meta = meta;
        let outcome = self.obtain(&target, &mut meta).await;
        self.finish(id, meta, outcome);
        drop(lock);
    }

    /// Another process is at it: what it obtains is taken over.
    fn look_again(&self, id: &str) {
        let next = self.now() + OTHER_PROCESS;
        if let Some(entry) = self.entries.borrow_mut().get_mut(id) {
            entry.busy = Busy::No;
            entry.next = Some(next);
        }
        self.publish(id);
    }

    /// What is kept may be newer than what is served, if several processes share the storage. None if there is nothing left
    /// to do.
    fn read_again(&self, id: &str, forced: bool) -> Result<Option<Meta>, Failure> {
        let options = self.options();
        let mut kept = self.around.storage.load(id).map_err(|error| Failure::local(error.to_string()))?;
        for report in &kept.reports {
            self.log(Level::Error, report);
        }
        kept.meta.forget_future(options.clock.now());
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.get_mut(id) else { return Ok(None) };
        let served = entry
            .served
            .as_ref()
            .map(|served| (served.certificate.fingerprint(), served.certificate.not_before()));
        let newer = kept.certificate.filter(|kept| {
            served.is_none_or(|(print, since)| kept.fingerprint() != print && kept.not_before() >= since)
        });
        let Some(newer) = newer else { return Ok(Some(kept.meta)) };
        let now = options.clock.now();
        let served = Served::new(newer, &self.around.storage, (now, options.ocsp));
        served.install(&entry.target.source(), &self.around.certificates);
        entry.served = Some(served);
        entry.meta = kept.meta.clone();
        entry.schedule(&options);
        if forced || entry.next.is_some_and(|next| next <= now) {
            return Ok(Some(kept.meta));
        }
        entry.busy = Busy::No;
        drop(entries);
        self.wake_waiting(id);
        self.publish(id);
        Ok(None)
    }

    async fn obtain(&self, target: &Target, meta: &mut Meta) -> Outcome {
        if target.signer == Signer::Internal {
            return self.sign(target, meta);
        }
        let options = self.options();
        let authority = match choose(&options, meta) {
            Ok(authority) => authority,
            Err((url, failure)) => return Err((url, failure)),
        };
        let url = authority.url().to_owned();
        let before = self.entries.borrow().get(&target.id).and_then(|entry| entry.served.clone());
        let before = before.map(|served| served.certificate);
        let around = &self.around;
        let line = format!("certificate `{}`: asking `{}`", target.source(), authority.label());
        options.log.write(Level::Debug, &line);
        meta.on_demand = target.on_demand;
        let mut order = Order { around, options: &options, authority, target, meta, before };
        let obtained = order.run().await.map_err(|failure| (url.clone(), failure))?;
        meta.authority = url;
        Ok(obtained)
    }

    /// An attempt that came to nothing before anything was asked.
    fn finish_without_order(&self, id: &str, failure: Failure) {
        let meta = self.entries.borrow().get(id).map(|entry| entry.meta.clone());
        self.finish(id, meta.unwrap_or_default(), Err((String::new(), failure)));
    }

    /// Serves what was obtained, or says when it is tried again; and remembers it.
    pub(super) fn finish(&self, id: &str, mut meta: Meta, outcome: Outcome) {
        let options = self.options();
        let now = options.clock.now();
        let found = self.entries.borrow().get(id).map(|entry| {
            let until = entry.served.as_ref().map(|served| served.certificate.not_after());
            (entry.target.clone(), until.and_then(|until| until.duration_since(now).ok()))
        });
        let Some((target, left)) = found else { return };
        meta.names.clone_from(&target.names);
        meta.on_demand = target.on_demand;
        match &outcome {
            Ok(certificate) => {
                succeed(&mut meta, &options);
                let (from, until) = (certificate.issuer(), rfc3339(certificate.not_after()));
                let line =
                    format!("certificate `{}`: obtained from `{from}`, valid until {until}", target.source());
                self.log(Level::Info, &line);
            }
            Err((authority, failure)) => {
                fail(&mut meta, (authority, failure), &options, (now, left));
                let next = meta.next_attempt.map(rfc3339).unwrap_or_default();
                let line = format!(
                    "certificate `{}`: {}; next attempt at {next}",
                    target.source(),
                    failure.sentence
                );
                self.log(Level::Warn, &line);
            }
        }
        if let Err(error) = self.around.storage.save_meta(id, &meta) {
            self.log(Level::Error, &error.to_string());
        }
        if let Some(entry) = self.entries.borrow_mut().get_mut(id) {
            entry.meta = meta;
            entry.busy = Busy::No;
            entry.forced &= outcome.is_err();
            if let Ok(certificate) = outcome {
                let served = Served::new(certificate, &self.around.storage, (now, options.ocsp));
                served.install(&target.source(), &self.around.certificates);
                entry.served = Some(served);
                entry.window_next = now;
                self.regroup.set(target.has_wildcard());
            }
            entry.schedule(&options);
        }
        self.wake_waiting(id);
        self.publish(id);
    }
}

fn succeed(meta: &mut Meta, options: &Options) {
    meta.failures = 0;
    meta.next_attempt = None;
    meta.last_error = None;
    meta.last_error_at = None;
    meta.blocked.clear();
    meta.window = None;
    meta.key_type = options.key_type.as_str().to_owned();
}

/// `left` is for how long the certificate that there is will be valid.
fn fail(
    meta: &mut Meta,
    (authority, failure): (&str, &Failure),
    options: &Options,
    (now, left): (SystemTime, Option<Duration>),
) {
    meta.failures = meta.failures.saturating_add(1);
    meta.last_error = Some(failure.sentence.clone());
    meta.last_error_at = Some(now);
    let limited = (failure.kind == FailureKind::RateLimited).then(|| now + LIMITED);
    if let Some(until) = failure.retry_after.or(limited).filter(|_| !authority.is_empty()) {
        meta.blocked.insert(authority.to_owned(), until.min(now + RETRY_MAX));
    }
    meta.blocked.retain(|_, until| *until > now);
    let backoff = now + in_time(backoff(meta.failures, fraction()), left);
    let unblocked =
        options.authorities.iter().map(|one| meta.blocked.get(one.url()).copied().unwrap_or(now)).min();
    meta.next_attempt = Some(backoff.max(unblocked.unwrap_or(now)));
}

/// The CA to ask: the preferred one, after some failures the next one, and none that said to come back later.
fn choose<'a>(options: &'a Options, meta: &Meta) -> Result<&'a Authority, (String, Failure)> {
    let now = options.clock.now();
    let count = options.authorities.len();
    let first = (meta.failures / FAILURES_PER_AUTHORITY) as usize;
    let in_turn = (0..count).filter_map(|step| options.authorities.get((first + step) % count));
    let is_open =
        |authority: &&Authority| meta.blocked.get(authority.url()).is_none_or(|until| *until <= now);
    if let Some(authority) = in_turn.clone().find(is_open) {
        return Ok(authority);
    }
    let soonest =
        in_turn.filter_map(|authority| Some((authority.url(), *meta.blocked.get(authority.url())?)));
    let Some((url, until)) = soonest.min_by_key(|(_, until)| *until) else {
        return Err((
            String::new(),
            Failure::local("there is no certificate authority to ask: name one, such as `letsencrypt`"),
        ));
    };
    let last = meta.last_error.clone().unwrap_or_else(|| format!("`{url}` said to come back later"));
    Err((
        url.to_owned(),
        Failure { kind: FailureKind::RateLimited, sentence: last, retry_after: Some(until) },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> (Options, SystemTime) {
        let mut options = Options::new("/nowhere".into());
        options.authorities = vec![Authority::named("letsencrypt"), Authority::named("zerossl")];
        let now = options.clock.now();
        options.clock = crate::options::Clock::new(move || now);
        (options, now)
    }

    fn failure(kind: FailureKind, retry_after: Option<SystemTime>) -> Failure {
        Failure { kind, sentence: "no".to_owned(), retry_after }
    }

    #[test]
    fn the_next_authority_is_asked_after_some_failures() {
        let (options, _) = options();
        let asked = |failures| choose(&options, &Meta { failures, ..Meta::default() }).unwrap().label();
        assert_eq!(
            [0, 1, 2, 3, 4].map(asked),
            ["letsencrypt", "letsencrypt", "zerossl", "zerossl", "letsencrypt"]
        );
    }

    #[test]
    fn an_authority_that_limits_us_is_left_alone() {
        let (options, now) = options();
        let mut meta = Meta::default();
        let hour = Duration::from_secs(3600);
        let first = options.authorities[0].url();
        fail(
            &mut meta,
            (first, &failure(FailureKind::RateLimited, Some(now + hour * 5))),
            &options,
            (now, None),
        );
        assert_eq!(choose(&options, &meta).unwrap().label(), "zerossl");
        assert!(meta.next_attempt.unwrap() < now + hour);
        let second = options.authorities[1].url();
        fail(&mut meta, (second, &failure(FailureKind::RateLimited, None)), &options, (now, None));
        let (url, blocked) = choose(&options, &meta).unwrap_err();
        assert_eq!((url.as_str(), blocked.retry_after), (second, Some(now + hour)));
        assert_eq!(meta.next_attempt, Some(now + hour));
        assert_eq!((blocked.sentence.as_str(), meta.failures), ("no", 2));
        // Nobody may stop us for longer than a week.
        fail(
            &mut meta,
            (second, &failure(FailureKind::RateLimited, Some(now + hour * 10_000))),
            &options,
            (now, None),
        );
        assert_eq!(meta.blocked[second], now + RETRY_MAX);
    }

    #[test]
    fn a_short_lived_certificate_is_tried_again_before_it_expires() {
        let (options, now) = options();
        let mut meta = Meta { failures: 30, ..Meta::default() };
        let left = Some(Duration::from_secs(3 * 24 * 3600));
        fail(&mut meta, ("u", &failure(FailureKind::Local, None)), &options, (now, left));
        assert_eq!(meta.next_attempt, Some(now + Duration::from_secs(6 * 3600)));
    }

    #[test]
    fn success_forgets_failures() {
        let (options, now) = options();
        let mut meta = Meta::default();
        fail(&mut meta, ("u", &failure(FailureKind::Local, None)), &options, (now, None));
        assert_eq!(meta.failures, 1);
        succeed(&mut meta, &options);
        let clean = Meta { key_type: "p256".to_owned(), ..Meta::default() };
        assert_eq!(meta, clean);
    }
}
