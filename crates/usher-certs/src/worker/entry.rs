//! A managed certificate: what there is, and when something is due.

use std::time::{SystemTime, UNIX_EPOCH};

use super::served::Served;
use crate::names::covers;
use crate::options::{Authority, Options};
use crate::plan::{Signer, Target};
use crate::status::{State, Status};
use crate::storage::Meta;

/// What is being done for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Busy {
    #[default]
    No,
    Ordering,
    /// The CA is asked when to renew.
    Asking,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) target: Target,
    pub(super) served: Option<Served>,
    pub(super) meta: Meta,
    pub(super) busy: Busy,
    /// When to obtain one; None only on demand.
    pub(super) next: Option<SystemTime>,
    /// When to ask the CA for its window.
    pub(super) window_next: SystemTime,
    /// An operator wants it renewed, and it was not yet.
    pub(super) forced: bool,
}

/// The directory that stands for the internal CA.
pub(super) const INTERNAL: &str = "internal";

impl Entry {
    pub(super) fn new(target: Target, meta: Meta, served: Option<Served>) -> Self {
        let window_next = meta.window.map_or(UNIX_EPOCH, |window| window.check);
        Self { target, served, meta, busy: Busy::No, next: None, window_next, forced: false }
    }

    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        self.busy == Busy::No && self.next.is_some_and(|next| next <= now)
    }

    /// Whether what is served is what the options want, apart from its age.
    pub(super) fn fits(&self, options: &Options) -> bool {
        let Some(served) = &self.served else { return false };
        let named = self.target.names.iter().all(|name| covers(served.certificate.names(), name));
        let keyed = self.meta.key_type.is_empty() || self.meta.key_type == options.key_type.as_str();
        let signed = match self.target.signer {
            // What is remembered of it was lost: that alone is no reason to order one.
            _ if self.meta.authority.is_empty() => true,
            Signer::Internal => self.meta.authority == INTERNAL,
            Signer::Acme => {
                options.authorities.iter().any(|authority| authority.url() == self.meta.authority)
            }
        };
        named && keyed && signed
    }

    /// Decides when it is obtained next.
    pub(super) fn schedule(&mut self, options: &Options) {
        let due = match &self.served {
            Some(served) if self.fits(options) && !self.forced => {
                served.lifetime().due(options.renewal_share, self.meta.window.as_ref())
            }
            _ => UNIX_EPOCH,
        };
        let waits = self.meta.next_attempt.filter(|_| self.meta.failures > 0).unwrap_or(UNIX_EPOCH);
        // Nobody may want a certificate any more that was never there: handshakes say.
        let unwanted = self.target.on_demand && self.served.is_none() && self.meta.failures > 0;
        self.next = (!unwanted).then(|| due.max(waits));
    }

    fn state(&self, now: SystemTime) -> State {
        let usable = self.served.as_ref().is_some_and(|served| !served.is_expired(now));
        let working = self.busy == Busy::Ordering || self.next.is_some_and(|next| next <= now);
        match (self.meta.failures > 0, usable) {
            (true, _) => State::Failed,
            (false, false) => State::Missing,
            (false, true) if working => State::Renewing,
            (false, true) => State::Valid,
        }
    }

    pub(super) fn status(&self, now: SystemTime, options: &Options) -> Status {
        let certificate = self.served.as_ref().map(|served| &served.certificate);
        let authority = match (self.target.signer, self.meta.authority.as_str()) {
            (Signer::Internal, _) => INTERNAL.to_owned(),
            (Signer::Acme, "") => {
                options.authorities.first().map_or_else(String::new, |first| first.label().to_owned())
            }
            (Signer::Acme, url) => Authority::named(url).label().to_owned(),
        };
        let staple = self.served.as_ref().and_then(|served| served.staple.as_ref());
        let staple_error = self.served.as_ref().and_then(|served| served.staple_error.clone());
        Status {
            source: self.target.source(),
            names: self.target.names.clone(),
            authority,
            state: self.state(now),
            issuer: certificate.map(|certificate| certificate.issuer()),
            serial: certificate.map(|certificate| certificate.serial()),
            not_before: certificate.map(|certificate| certificate.not_before()),
            not_after: certificate.map(|certificate| certificate.not_after()),
            next_attempt: self.next.map(|next| next.max(now)),
            failures: self.meta.failures,
            last_error: self.meta.last_error.clone().or(staple_error),
            last_error_at: self.meta.last_error_at,
            ocsp_until: staple.map(|staple| staple.until),
            on_demand: self.target.on_demand,
        }
    }
}
