//! What is known of each certificate, for `usher certs`, the admin API and metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::time::{rfc3339, unix_seconds};

/// Where a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is one, and it is not due.
    Valid,
    /// There is none yet (or only an expired one), and the first attempt is to come or under way.
    Missing,
    /// There is one, and a new one is being obtained or about to be.
    Renewing,
    /// There is one, from a file, and its time is over: it is served all the same, and clients refuse it.
    Expired,
    /// The last attempt failed. The certificate may still be there: see [`Status::not_after`].
    Failed,
}

impl State {
    /// In snake case, as in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Missing => "missing",
            Self::Renewing => "renewing",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// As in `Certificates`: `acme:example.com`, `internal:localhost`, `file:/etc/ssl/a.pem`.
    pub source: String,
    /// The names that it is for: those wanted, or for a file those that it has.
    pub names: Vec<String>,
    /// The CA that is or was asked: `letsencrypt`, a host, `internal`, `file`.
    pub authority: String,
    /// Where it stands.
    pub state: State,
    /// The issuer's name in the certificate that is served.
    pub issuer: Option<String>,
    /// The serial number of the certificate that is served, in hexadecimal.
    pub serial: Option<String>,
    /// Since when it is valid.
    pub not_before: Option<SystemTime>,
    /// Until when it is valid.
    pub not_after: Option<SystemTime>,
    /// When the next attempt to obtain, renew or fetch it is due.
    pub next_attempt: Option<SystemTime>,
    /// Attempts that failed since the last success.
    pub failures: u32,
    /// What the last attempt failed with, and what to do about it.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<SystemTime>,
    /// Until when the stapled OCSP response is valid.
    pub ocsp_until: Option<SystemTime>,
    /// Asked for by a handshake.
    pub on_demand: bool,
}

impl Status {
    /// As JSON: times in RFC 3339.
    pub fn to_json(&self) -> Value {
        let time = |at: Option<SystemTime>| at.map(rfc3339);
        json!({
            "source": self.source,
            "names": self.names,
            "authority": self.authority,
            "state": self.state.as_str(),
            "issuer": self.issuer,
            "serial": self.serial,
            "not_before": time(self.not_before),
            "not_after": time(self.not_after),
            "next_attempt": time(self.next_attempt),
            "failures": self.failures,
            "last_error": self.last_error,
            "last_error_at": time(self.last_error_at),
            "ocsp_until": time(self.ocsp_until),
            "on_demand": self.on_demand,
        })
    }

    /// Seconds from `now` until it expires; negative if it has. None while there is none.
    pub fn expires_in(&self, now: SystemTime) -> Option<i64> {
        Some(unix_seconds(self.not_after?).saturating_sub(unix_seconds(now)))
    }
}

/// The state of all certificates, written by the thread that obtains them and read by everybody.
#[derive(Debug, Default)]
pub(crate) struct Board {
    entries: Mutex<BTreeMap<String, Status>>,
}

impl Board {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Status>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, status: Status) {
        self.entries().insert(status.source.clone(), status);
    }

    pub(crate) fn remove(&self, source: &str) {
        self.entries().remove(source);
    }

    pub(crate) fn all(&self) -> Vec<Status> {
        self.entries().values().cloned().collect()
    }
}
