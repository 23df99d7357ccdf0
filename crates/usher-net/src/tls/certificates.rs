//! Which certificate goes with which name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::certificate::Certificate;

/// The longest name of DNS, in bytes (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

/// All certificates of the process by name.
///
/// Shared by all workers and by whoever obtains certificates, and changed at run time: a lookup takes no lock and
/// allocates nothing, a change builds a new table and swaps it.
#[derive(Debug, Default)]
pub struct Certificates {
    table: ArcSwap<Table>,
    sources: Mutex<Sources>,
}

/// What was given; only writers look at it.
#[derive(Debug, Default)]
struct Sources {
    certificates: BTreeMap<String, Vec<Arc<Certificate>>>,
    default: Option<Arc<Certificate>>,
    challenges: HashMap<Box<str>, Arc<Certificate>>,
}

/// What handshakes look at.
#[derive(Debug, Default)]
struct Table {
    exact: HashMap<Box<str>, Arc<CertificateSet>>,
    /// By what is behind the `*.`.
    wildcard: HashMap<Box<str>, Arc<CertificateSet>>,
    default: Option<Arc<CertificateSet>>,
    challenges: HashMap<Box<str>, Arc<Certificate>>,
}

/// The certificates of one name: the best for each kind of key.
#[derive(Debug, Default)]
pub struct CertificateSet {
    /// In order of preference: ECDSA is the cheapest to sign with.
    best: Vec<Arc<Certificate>>,
}

impl Certificates {
    /// None yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Replaces everything that `source` gave before.
    pub fn set(&self, source: &str, certificates: Vec<Arc<Certificate>>) {
        self.change(|sources| drop(sources.certificates.insert(source.to_owned(), certificates)));
    }

    /// Forgets what `source` gave.
    pub fn remove(&self, source: &str) {
        self.change(|sources| drop(sources.certificates.remove(source)));
    }

    /// Forgets the sources that are not to be kept.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.change(|sources| sources.certificates.retain(|source, _| keep(source)));
    }

    /// The certificates for a name: exact, then the wildcard for its first label. Upper and lower case are the same.
    pub fn find(&self, name: &str) -> Option<Arc<CertificateSet>> {
        let mut buffer = [0; MAX_NAME];
        let name = normal(name, &mut buffer)?;
        self.table.load().find(name).cloned()
    }

    /// All certificates, with the source of each.
    pub fn list(&self) -> Vec<(String, Arc<Certificate>)> {
        let sources = self.sources();
        let all = sources.certificates.iter();
        all.flat_map(|(source, certificates)| {
            certificates.iter().map(|certificate| (source.clone(), Arc::clone(certificate)))
        })
        .collect()
    }

    /// The certificate for unknown names and for clients that give none; without one they are refused
    /// (`unrecognized_name`).
    pub fn set_default(&self, certificate: Option<Arc<Certificate>>) {
        self.change(|sources| sources.default = certificate);
    }

    /// Whether unknown names are served.
    pub fn has_default(&self) -> bool {
        self.table.load().default.is_some()
    }

    /// Answers TLS-ALPN-01 (RFC 8737) for a name: this certificate is shown to who asks for the protocol `acme-tls/1`,
    /// and to nobody else.
    pub fn set_challenge(&self, name: &str, certificate: Arc<Certificate>) {
        self.change(|sources| drop(sources.challenges.insert(name.to_ascii_lowercase().into(), certificate)));
    }

    /// The challenge is over.
    pub fn remove_challenge(&self, name: &str) {
        self.change(|sources| drop(sources.challenges.remove(name.to_ascii_lowercase().as_str())));
    }

    /// Whether a client that asks for `name` is shown a certificate.
    pub(super) fn serves(&self, name: Option<&str>) -> bool {
        let mut buffer = [0; MAX_NAME];
        let table = self.table.load();
        let known =
            name.and_then(|name| normal(name, &mut buffer)).is_some_and(|name| table.find(name).is_some());
        known || table.default.is_some()
    }

    /// What to show to a client that asks for `name` and can verify signatures by `schemes`.
    pub(super) fn choose(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let mut buffer = [0; MAX_NAME];
        let table = self.table.load();
        let known = name.and_then(|name| normal(name, &mut buffer)).and_then(|name| table.find(name));
        let set = known.or(table.default.as_ref())?;
        set.choose(schemes).map(|certificate| Arc::clone(certificate.certified_key()))
    }

    pub(super) fn challenge(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let mut buffer = [0; MAX_NAME];
        let name = normal(name, &mut buffer)?;
        self.table.load().challenges.get(name).map(|certificate| Arc::clone(certificate.certified_key()))
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Sources)) {
        let mut sources = self.sources();
        change(&mut sources);
        // Still under the lock: the table of a later change must not be overwritten by that of an earlier one.
        self.table.store(Arc::new(Table::new(&sources)));
    }
}

impl Table {
    fn new(sources: &Sources) -> Self {
        let now = SystemTime::now();
        let mut exact: HashMap<&str, CertificateSet> = HashMap::new();
        let mut wildcard: HashMap<&str, CertificateSet> = HashMap::new();
        for certificate in sources.certificates.values().flatten() {
            for name in certificate.names() {
                let set = match name.strip_prefix("*.") {
                    Some(suffix) => wildcard.entry(suffix).or_default(),
                    None => exact.entry(name).or_default(),
                };
                set.add(certificate, now);
            }
        }
        let finish = |sets: HashMap<&str, CertificateSet>| {
            sets.into_iter().map(|(name, set)| (name.into(), Arc::new(set))).collect()
        };
        Self {
            exact: finish(exact),
            wildcard: finish(wildcard),
            default: sources
                .default
                .as_ref()
                .map(|certificate| Arc::new(CertificateSet { best: vec![Arc::clone(certificate)] })),
            challenges: sources.challenges.clone(),
        }
    }

    fn find(&self, name: &str) -> Option<&Arc<CertificateSet>> {
        self.exact.get(name).or_else(|| {
            let (_, suffix) = name.split_once('.')?;
            self.wildcard.get(suffix)
        })
    }
}

impl CertificateSet {
    /// The certificates, at most one for each kind of key, the preferred kind first.
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.best
    }

    /// The preferred one that a client can verify; the first if it can verify none, for rustls to refuse it.
    pub(super) fn choose(&self, schemes: &[SignatureScheme]) -> Option<&Arc<Certificate>> {
        let fits = |certificate: &&Arc<Certificate>| {
            certificate.certified_key().key.choose_scheme(schemes).is_some()
        };
        self.best.iter().find(fits).or(self.best.first())
    }

    fn add(&mut self, certificate: &Arc<Certificate>, now: SystemTime) {
        // What is valid wins over what is not, then what is valid for longer.
        let rank = |certificate: &Certificate| {
            (certificate.not_before() <= now && now < certificate.not_after(), certificate.not_after())
        };
        match self.best.iter_mut().find(|other| other.algorithm() == certificate.algorithm()) {
            Some(other) if rank(other) < rank(certificate) => *other = Arc::clone(certificate),
            Some(_) => {}
            None => {
                self.best.push(Arc::clone(certificate));
                self.best.sort_by_key(|certificate| preference(certificate.algorithm()));
            }
        }
    }
}

fn preference(algorithm: SignatureAlgorithm) -> u8 {
    match algorithm {
        SignatureAlgorithm::ECDSA => 0,
        SignatureAlgorithm::ED25519 => 1,
        _ => 2,
    }
}

/// A name in lower case and without the dot of the root; none if it is too long for one.
fn normal<'a>(name: &str, buffer: &'a mut [u8; MAX_NAME]) -> Option<&'a str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok()
}

#[cfg(test)]
mod tests;
