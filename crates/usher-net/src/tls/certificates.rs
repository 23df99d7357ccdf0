//! Which certificate goes with which name.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use self::map::Map;
use super::certificate::Certificate;

mod map;

/// The longest name of DNS, in bytes (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

/// All certificates of the process by name.
///
/// Shared by all workers and by whoever obtains certificates, and changed at run time: a lookup takes no lock and
/// allocates nothing; a change makes a new table, which shares with the one before what stays the same, and swaps it.
#[derive(Debug, Default)]
pub struct Certificates {
    table: ArcSwap<Table>,
    /// What was given, by source; only writers look at it, and hold it until the table is swapped.
    sources: Mutex<Sources>,
}

type Sources = BTreeMap<String, Vec<Arc<Certificate>>>;

/// What handshakes look at.
#[derive(Debug, Clone, Default)]
struct Table {
    exact: Map<Arc<CertificateSet>>,
    /// By what is behind the `*.`.
    wildcard: Map<Arc<CertificateSet>>,
    default: Option<Arc<CertificateSet>>,
    challenges: Map<Arc<Certificate>>,
}

/// The certificates of one name. Which of them is shown depends on the client and on the day.
#[derive(Debug, Clone, Default)]
pub struct CertificateSet {
    /// In order of preference: by the kind of key, as ECDSA is the cheapest to sign with; then those that are valid for
    /// longer.
    all: Vec<Arc<Certificate>>,
}

impl Certificates {
    /// None yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Replaces everything that `source` gave before.
    pub fn set(&self, source: &str, certificates: Vec<Arc<Certificate>>) {
        self.change(|sources, table| {
            let old = sources.remove(source).unwrap_or_default();
            old.iter().for_each(|certificate| table.take_out(certificate));
            certificates.iter().for_each(|certificate| table.put_in(certificate));
            sources.insert(source.to_owned(), certificates);
        });
    }

    /// Forgets what `source` gave.
    pub fn remove(&self, source: &str) {
        self.change(|sources, table| {
            let old = sources.remove(source).unwrap_or_default();
            old.iter().for_each(|certificate| table.take_out(certificate));
        });
    }

    /// Forgets the sources that are not to be kept.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.change(|sources, table| {
            sources.retain(|source, certificates| {
                let stays = keep(source);
                if !stays {
                    certificates.iter().for_each(|certificate| table.take_out(certificate));
                }
                stays
            });
        });
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
        sources
            .iter()
            .flat_map(|(source, certificates)| {
                certificates.iter().map(|certificate| (source.clone(), Arc::clone(certificate)))
            })
            .collect()
    }

    /// The certificate for unknown names and for clients that give none; without one they are refused
    /// (`unrecognized_name`).
    pub fn set_default(&self, certificate: Option<Arc<Certificate>>) {
        let set = certificate.map(|certificate| Arc::new(CertificateSet { all: vec![certificate] }));
        self.change(|_, table| table.default = set);
    }

    /// Whether unknown names are served.
    pub fn has_default(&self) -> bool {
        self.table.load().default.is_some()
    }

    /// Answers TLS-ALPN-01 (RFC 8737) for a name: this certificate is shown to who asks for the protocol `acme-tls/1`,
    /// and to nobody else.
    pub fn set_challenge(&self, name: &str, certificate: Arc<Certificate>) {
        self.change(|_, table| table.challenges.set(&name.to_ascii_lowercase(), Some(certificate)));
    }

    /// The challenge is over.
    pub fn remove_challenge(&self, name: &str) {
        self.change(|_, table| table.challenges.set(&name.to_ascii_lowercase(), None));
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
        set.choose(schemes, SystemTime::now()).map(|certificate| Arc::clone(certificate.certified_key()))
    }

    pub(super) fn challenge(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let mut buffer = [0; MAX_NAME];
        let name = normal(name, &mut buffer)?;
        self.table.load().challenges.get(name).map(|certificate| Arc::clone(certificate.certified_key()))
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Sources, &mut Table)) {
        let mut sources = self.sources();
        let mut table = Table::clone(&self.table.load());
        change(&mut sources, &mut table);
        // Still under the lock: the table of a later change must not be overwritten by that of an earlier one.
        self.table.store(Arc::new(table));
    }
}

impl Table {
    fn put_in(&mut self, certificate: &Arc<Certificate>) {
        self.each_set(certificate, |set| set.put_in(certificate));
    }

    fn take_out(&mut self, certificate: &Arc<Certificate>) {
        self.each_set(certificate, |set| set.take_out(certificate));
    }

    /// Changes the set of each name of a certificate; a name without certificates is forgotten.
    fn each_set(&mut self, certificate: &Certificate, change: impl Fn(&mut CertificateSet)) {
        for name in certificate.names() {
            let (map, name) = match name.strip_prefix("*.") {
                Some(suffix) => (&mut self.wildcard, suffix),
                None => (&mut self.exact, name.as_str()),
            };
            let mut set = map.get(name).map(|set| CertificateSet::clone(set)).unwrap_or_default();
            change(&mut set);
            map.set(name, (!set.all.is_empty()).then(|| Arc::new(set)));
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
    /// The certificates that are shown now: one for each kind of key, the preferred kind first.
    pub fn certificates(&self) -> Vec<Arc<Certificate>> {
        let now = SystemTime::now();
        let kinds = self.all.chunk_by(|one, other| one.algorithm() == other.algorithm());
        let best = kinds.filter_map(|kind| kind.iter().find(|one| one.is_valid(now)).or(kind.first()));
        best.cloned().collect()
    }

    /// The preferred one that is valid and that a client can verify. If there is none such, one that it can verify; and
    /// if it can verify none, any, for rustls to refuse it.
    pub(super) fn choose(&self, schemes: &[SignatureScheme], now: SystemTime) -> Option<&Arc<Certificate>> {
        let fits = |one: &&Arc<Certificate>| one.certified_key().key.choose_scheme(schemes).is_some();
        let is_valid = |one: &&Arc<Certificate>| one.is_valid(now);
        let best = self.all.iter().filter(is_valid).find(fits);
        best.or_else(|| self.all.iter().find(fits))
            .or_else(|| self.all.iter().find(is_valid))
            .or(self.all.first())
    }

    fn put_in(&mut self, certificate: &Arc<Certificate>) {
        // The fingerprint so that the order in which they come is of no meaning.
        let rank = |one: &Certificate| {
            (
                preference(one.algorithm()),
                Reverse(one.not_after()),
                Reverse(one.not_before()),
                one.fingerprint(),
            )
        };
        let place = self.all.partition_point(|other| rank(other) <= rank(certificate));
        self.all.insert(place, Arc::clone(certificate));
    }

    fn take_out(&mut self, certificate: &Arc<Certificate>) {
        if let Some(place) = self.all.iter().position(|other| Arc::ptr_eq(other, certificate)) {
            self.all.remove(place);
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
