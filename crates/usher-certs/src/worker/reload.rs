//! From options to entries, at the start and after a reload.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use super::Worker;
use super::entry::{Entry, INTERNAL};
use super::served::Served;
use crate::acme::Failure;
use crate::internal;
use crate::names::covering_wildcard;
use crate::options::{Level, Options};
use crate::plan::{Signer, Target, covered, targets};
use crate::storage::Meta;

impl Worker {
    /// Goes on with other options.
    pub(super) fn update(&self, mut options: Options) {
        let before = self.options();
        if options.storage != before.storage {
            let (old, new) = (before.storage.display(), options.storage.display());
            self.log(
                Level::Error,
                &format!("certificates stay in `{old}`: it takes a restart to keep them in `{new}`"),
            );
            options.storage.clone_from(&before.storage);
        }
        let mended = before.authorities != options.authorities
            || before.challenges != options.challenges
            || before.dns != options.dns
            || before.follow_cname != options.follow_cname
            || before.email != options.email
            || before.propagation != options.propagation;
        *self.options.borrow_mut() = Rc::new(options);
        self.reload_entries();
        self.reload_files();
        self.load_on_demand();
        if mended {
            self.try_again();
        }
    }

    /// Whoever changes how certificates are obtained wants to see whether it helps.
    fn try_again(&self) {
        let options = self.options();
        let ids: Vec<String> = self.entries.borrow().keys().cloned().collect();
        for id in ids {
            if let Some(entry) =
                self.entries.borrow_mut().get_mut(&id).filter(|entry| entry.meta.failures > 0)
            {
                entry.meta.next_attempt = None;
                entry.meta.blocked.retain(|url, _| options.authorities.iter().any(|one| one.url() == url));
                entry.schedule(&options);
            }
            self.publish(&id);
        }
    }

    /// Makes entries of the options, keeps those that stay, and forgets those that are gone.
    pub(super) fn reload_entries(&self) {
        let options = self.options();
        let (wanted, problems) = targets(&options);
        for problem in problems {
            self.log(Level::Error, &problem);
        }
        let covered = covered(&options);
        let spare: HashSet<&String> = covered.iter().map(|target| &target.id).collect();
        let named = |id: &String| wanted.contains_key(id) || spare.contains(id);
        let gone: Vec<(String, String)> = {
            let entries = self.entries.borrow();
            let gone = entries.iter().filter(|(id, entry)| !named(id) && !entry.target.on_demand);
            gone.map(|(id, entry)| (id.clone(), entry.target.source())).collect()
        };
        gone.iter().for_each(|(id, source)| self.forget(id, source));
        for target in wanted.into_values() {
            self.take_up(target);
        }
        self.keep_covered(covered);
    }

    /// A name that a wildcard is for keeps the certificate of its own that it has until that of the wildcard is there: that may
    /// take long, or never succeed.
    fn keep_covered(&self, covered: Vec<Target>) {
        if covered.is_empty() {
            return;
        }
        let now = self.now();
        let served: HashSet<String> = {
            let entries = self.entries.borrow();
            let served = entries.values().filter(|entry| entry.target.has_wildcard());
            let served =
                served.filter_map(|entry| entry.served.as_ref()).filter(|served| !served.is_expired(now));
            served.flat_map(|served| served.certificate.names().to_vec()).collect()
        };
        for target in covered {
            let there = target
                .names
                .iter()
                .filter_map(|name| covering_wildcard(name))
                .all(|name| served.contains(&name));
            let has_one = || self.around.storage.valid_until(&target.id).is_some_and(|until| until > now);
            if !there && has_one() {
                self.take_up(target);
            } else if self.entries.borrow().contains_key(&target.id) {
                self.forget(&target.id, &target.source());
            }
        }
    }

    pub(super) fn forget(&self, id: &str, source: &str) {
        self.entries.borrow_mut().remove(id);
        self.around.certificates.remove(source);
        self.shared.board.remove(source);
    }

    /// Makes an entry of a target, or gives the entry that there is this target.
    pub(super) fn take_up(&self, target: Target) {
        let options = self.options();
        let id = target.id.clone();
        let known = self.entries.borrow().get(&id).map(|entry| entry.target.source());
        match known {
            Some(source) => {
                if source != target.source() {
                    self.around.certificates.remove(&source);
                    self.shared.board.remove(&source);
                }
                if let Some(entry) = self.entries.borrow_mut().get_mut(&id) {
                    entry.target = target;
                    if let Some(served) = entry.served.as_ref().filter(|_| source != entry.target.source()) {
                        served.install(&entry.target.source(), &self.around.certificates);
                    }
                    entry.schedule(&options);
                }
            }
            None => self.load(target, &options),
        }
        self.publish(&id);
    }

    fn load(&self, target: Target, options: &Options) {
        let mut kept = match self.around.storage.load(&target.id) {
            Ok(kept) => kept,
            Err(error) => {
                self.log(Level::Error, &error.to_string());
                Default::default()
            }
        };
        for report in &kept.reports {
            self.log(Level::Error, report);
        }
        let now = (self.now(), options.ocsp);
        kept.meta.forget_future(now.0);
        let served = kept.certificate.map(|certificate| Served::new(certificate, &self.around.storage, now));
        if let Some(served) = &served {
            served.install(&target.source(), &self.around.certificates);
        }
        let id = target.id.clone();
        let mut entry = Entry::new(target, kept.meta, served);
        entry.schedule(options);
        let due = entry.is_due(now.0) && entry.target.signer == Signer::Internal;
        self.entries.borrow_mut().insert(id.clone(), entry);
        if due {
            self.issue_now(&id);
        }
    }

    /// The internal CA signs at once, so that its certificates are there from the start.
    fn issue_now(&self, id: &str) {
        let found = self.entries.borrow().get(id).map(|entry| (entry.target.clone(), entry.meta.clone()));
        let Some((target, mut meta)) = found else { return };
        // Another process that has the lock is about to write one; the next look finds it.
        let Ok(Some(_lock)) = self.around.storage.lock_certificate(id) else { return };
        let result = self.sign(&target, &mut meta);
        self.finish(id, meta, result);
    }

    /// A certificate of the internal CA, kept.
    pub(super) fn sign(
        &self,
        target: &Target,
        meta: &mut Meta,
    ) -> Result<std::sync::Arc<usher_net::tls::Certificate>, (String, Failure)> {
        let failed = |failure| (INTERNAL.to_owned(), failure);
        let local = |error: String| failed(Failure::local(error));
        let options = self.options();
        let storage = &self.around.storage;
        let what = (target.names.as_slice(), options.key_type);
        let before = internal::kept_root(storage);
        let issued = internal::issue(storage, &options.internal, what, options.clock.now());
        if before.is_some() && before != internal::kept_root(storage) {
            self.log(
                Level::Error,
                "the root of the internal CA ends soon or could not be used, and was replaced; the old one is in `aside/`: run \
                 `usher trust` again wherever it was trusted",
            );
        }
        let (chain, key) = issued.map_err(failed)?;
        let kept = storage
            .save_pending_key(&target.id, key.as_bytes())
            .and_then(|()| storage.save_chain(&target.id, chain.as_bytes()));
        kept.map_err(|error| local(error.to_string()))?;
        let certificate = usher_net::tls::Certificate::from_pem(chain.as_bytes(), key.as_bytes());
        meta.authority = INTERNAL.to_owned();
        Ok(std::sync::Arc::new(certificate.map_err(|error| local(error.to_string()))?))
    }

    /// Renews a certificate whatever its age, and whatever failed before.
    pub(super) fn renew_now(&self, source: &str) {
        let mut entries = self.entries.borrow_mut();
        let found = entries.iter_mut().find(|(_, entry)| entry.target.source() == source);
        let Some(id) = found.map(|(id, entry)| {
            entry.forced = true;
            entry.next = Some(UNIX_EPOCH);
            id.clone()
        }) else {
            return;
        };
        drop(entries);
        self.publish(&id);
    }
}
