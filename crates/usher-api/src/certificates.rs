//! What the path needs of whoever obtains certificates: answers to HTTP-01 challenges, and certificates on demand.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

/// Where a certificate authority asks for the answer to an HTTP-01 challenge (RFC 8555 section 8.3).
pub const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// The answers to HTTP-01 challenges that are under way, by token. Shared by the thread that obtains certificates and
/// all workers.
#[derive(Debug, Default)]
pub struct HttpChallenges {
    answers: RwLock<HashMap<String, Arc<str>>>,
    /// How many there are, so that a request costs no lock while nothing is under way.
    count: AtomicUsize,
}

impl HttpChallenges {
    /// Answers `token` with this key authorization from now on.
    pub fn set(&self, token: &str, key_authorization: &str) {
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        answers.insert(token.to_owned(), key_authorization.into());
        self.count.store(answers.len(), Ordering::Release);
    }

    /// The challenge is over.
    pub fn remove(&self, token: &str) {
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        answers.remove(token);
        self.count.store(answers.len(), Ordering::Release);
    }

    /// The answer to a request for `path`, if it is that of a challenge under way.
    pub fn answer(&self, path: &str) -> Option<Arc<str>> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let token = path.strip_prefix(CHALLENGE_PATH)?;
        self.answers.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

/// Obtains certificates for names that are first heard of when a client asks for them.
pub trait OnDemand: Send + Sync {
    /// A certificate for `name` (lower case, no trailing dot) is wanted, and there is none. None if there will be none;
    /// else it is there, or not, when the future ends.
    fn want(&self, name: &str) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>>;
}

/// What is told of one certificate.
#[derive(Clone, Debug)]
pub struct CertificateReading {
    /// Where it comes from, and for which name: `acme:example.com`.
    pub source: String,
    /// `valid`, `missing`, `renewing`, `expired` or `failed`.
    pub state: &'static str,
    /// Until when it is valid, if there is one.
    pub not_after: Option<SystemTime>,
    /// Attempts that failed since the last success.
    pub failures: u32,
}

/// Whoever obtains certificates, as operators see it.
pub trait CertificateReport: Send + Sync {
    /// All certificates.
    fn readings(&self) -> Vec<CertificateReading>;

    /// All that is known of them, as JSON.
    fn json(&self) -> String;

    /// Obtains one anew, by name.
    ///
    /// # Errors
    /// Why not, in a sentence.
    fn renew(&self, name: &str) -> Result<(), String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_only_what_is_under_way() {
        let challenges = HttpChallenges::default();
        assert_eq!(challenges.answer("/.well-known/acme-challenge/a"), None);
        challenges.set("a", "a.key");
        challenges.set("b", "b.key");
        assert_eq!(challenges.answer("/.well-known/acme-challenge/a").as_deref(), Some("a.key"));
        assert_eq!(challenges.answer("/.well-known/acme-challenge/"), None);
        assert_eq!(challenges.answer("/a"), None);
        challenges.remove("a");
        assert_eq!(challenges.answer("/.well-known/acme-challenge/a"), None);
        assert_eq!(challenges.answer("/.well-known/acme-challenge/b").as_deref(), Some("b.key"));
    }
}
