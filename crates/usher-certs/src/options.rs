//! What is configured: plain data, filled in by whoever reads the config.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::dns::DnsOptions;

/// Everything that [`crate::Manager`] is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder where accounts, certificates and the internal CA are kept; made with mode 700.
    pub storage: PathBuf,
    /// The certificates to have.
    pub managed: Vec<Managed>,
    /// Certificates from files, watched and swapped.
    pub files: Vec<CertificateFile>,
    /// The certificate authorities, the preferred one first. Later ones are asked when earlier ones fail.
    pub authorities: Vec<Authority>,
    /// Where a CA may write to (RFC 8555 section 7.1.2, `contact`).
    pub email: Option<String>,
    /// The kind of key of new certificates.
    pub key_type: KeyType,
    /// How control of a name is shown to a CA, the preferred way first. DNS-01 is only used where `dns` is set.
    pub challenges: Vec<ChallengeKind>,
    /// Who writes the records of DNS-01.
    pub dns: Option<DnsOptions>,
    /// Whether a DNS-01 record is written where a CNAME at its name leads.
    pub follow_cname: bool,
    /// How long to wait until a DNS-01 record is seen.
    pub propagation: Propagation,
    /// A certificate is renewed when this share of its lifetime is left (0.05 to 0.9). None: a third, and half where it
    /// lives less than 10 days. A CA that says when to renew (ARI, RFC 9773) is followed instead.
    pub renewal_share: Option<f64>,
    /// Certificates for names that are first heard of in a handshake.
    pub on_demand: Option<OnDemandOptions>,
    /// The CA of the machine itself, for names that no public CA signs.
    pub internal: InternalOptions,
    /// Fetch OCSP responses and staple them.
    pub ocsp: bool,
    /// Where log lines go.
    pub log: Logger,
    /// What time it is; tests set it.
    pub clock: Clock,
}

impl Options {
    /// The defaults, for this folder.
    pub fn new(storage: PathBuf) -> Self {
        Self {
            storage,
            managed: Vec::new(),
            files: Vec::new(),
            authorities: vec![Authority::named("letsencrypt")],
            email: None,
            key_type: KeyType::default(),
            challenges: vec![ChallengeKind::TlsAlpn01, ChallengeKind::Http01, ChallengeKind::Dns01],
            dns: None,
            follow_cname: true,
            propagation: Propagation::default(),
            renewal_share: None,
            on_demand: None,
            internal: InternalOptions::default(),
            ocsp: true,
            log: Logger::default(),
            clock: Clock::default(),
        }
    }

    /// What is wrong with them, in sentences; empty if nothing is.
    pub fn check(&self) -> Vec<String> {
        crate::plan::check(self)
    }
}

/// One certificate to have: usually one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// DNS names (`*.x` for a wildcard) and IP addresses, all in one certificate.
    pub names: Vec<String>,
    /// Who signs it.
    pub by: By,
}

impl Managed {
    /// A certificate of its own for this name, signed by whoever fits.
    pub fn name(name: &str) -> Self {
        Self { names: vec![name.to_owned()], by: By::Auto }
    }
}

/// Who signs a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum By {
    /// The internal CA for names that no public CA signs (`localhost`, `*.internal`, addresses, …), else ACME.
    #[default]
    Auto,
    /// A CA by ACME.
    Acme,
    /// The internal CA.
    Internal,
}

/// A certificate and its key in files that somebody else writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFile {
    /// The chain, PEM, leaf first.
    pub chain: PathBuf,
    /// The private key, PEM; may be the same file.
    pub key: PathBuf,
    /// Shown to clients that ask for an unknown name or for none.
    pub default: bool,
}

/// A certificate authority that speaks ACME (RFC 8555).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    /// The URL of its directory, or a name: see [`Authority::KNOWN`].
    pub directory: String,
    /// Roots for the TLS of the directory itself, PEM. None: those of the system.
    pub roots: Option<Vec<u8>>,
    /// External account binding (RFC 8555 section 7.3.4).
    pub external_account: Option<ExternalAccount>,
    /// The profile of new orders, such as `shortlived`.
    pub profile: Option<String>,
    /// The common name of the root or intermediate that the chain shall end with, where the CA offers several.
    pub preferred_chain: Option<String>,
}

impl Authority {
    /// Names that stand for directories.
    pub const KNOWN: [(&'static str, &'static str); 8] = [
        ("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"),
        ("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory"),
        ("zerossl", "https://acme.zerossl.com/v2/DV90"),
        ("google", "https://dv.acme-v02.api.pki.goog/directory"),
        ("google-staging", "https://dv.acme-v02.test-api.pki.goog/directory"),
        ("buypass", "https://api.buypass.com/acme/directory"),
        ("sslcom", "https://acme.ssl.com/sslcom-dv-ecc"),
        ("actalis", "https://acme-api.actalis.com/acme/directory"),
    ];

    /// The authority of this name or directory URL, without options.
    pub fn named(directory: &str) -> Self {
        Self { directory: directory.to_owned(), ..Self::default() }
    }

    /// The URL of its directory.
    pub fn url(&self) -> &str {
        let known = Self::KNOWN.iter().find(|(name, _)| *name == self.directory);
        known.map_or(self.directory.as_str(), |(_, url)| url)
    }

    /// Its name in messages: the known name, or the host of the directory.
    pub fn label(&self) -> &str {
        if let Some((name, _)) =
            Self::KNOWN.iter().find(|(name, url)| self.directory == *name || self.directory == *url)
        {
            return name;
        }
        let rest = self.directory.split_once("://").map_or(self.directory.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

/// An account that exists at the CA already, to which the ACME account is bound.
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalAccount {
    /// The key identifier that the CA gave.
    pub key_id: String,
    /// The HMAC key that the CA gave, base64url (or base64) as it gave it.
    pub hmac_key: String,
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// The kind of key of a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyType {
    /// ECDSA with P-256.
    #[default]
    EcdsaP256,
    /// ECDSA with P-384.
    EcdsaP384,
    /// RSA with 2048 bits, for clients from before 2010.
    Rsa2048,
}

impl KeyType {
    /// As it is written in a config and kept in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "p256",
            Self::EcdsaP384 => "p384",
            Self::Rsa2048 => "rsa2048",
        }
    }
}

/// A way to show control of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeKind {
    /// A document on port 80 (RFC 8555 section 8.3).
    Http01,
    /// A certificate on port 443 (RFC 8737).
    TlsAlpn01,
    /// A record in the zone (RFC 8555 section 8.4); the only one for wildcards.
    Dns01,
}

impl ChallengeKind {
    /// Its name in ACME.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
        }
    }
}

/// How long to wait for DNS-01 records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// Wait this long before the first look.
    pub delay: Duration,
    /// Give up after this long; zero does not look at all.
    pub limit: Duration,
    /// Ask these servers. Empty: the authoritative servers of the zone, found through the system's resolver.
    pub resolvers: Vec<SocketAddr>,
}

impl Default for Propagation {
    fn default() -> Self {
        Self { delay: Duration::ZERO, limit: Duration::from_secs(120), resolvers: Vec::new() }
    }
}

/// Certificates on demand. At least one of `ask` and `allow` is needed.
#[derive(Clone, Debug, PartialEq)]
pub struct OnDemandOptions {
    /// A URL that answers `200` to `?domain=NAME` if there shall be a certificate for it.
    pub ask: Option<String>,
    /// Names that may have one: exact, or `*.x` for all one label below `x`.
    pub allow: Vec<String>,
    /// At most this many new certificates …
    pub rate: u32,
    /// … in this time.
    pub per: Duration,
    /// At most this many names in all.
    pub max_names: usize,
}

impl Default for OnDemandOptions {
    fn default() -> Self {
        Self { ask: None, allow: Vec::new(), rate: 10, per: Duration::from_secs(60), max_names: 10_000 }
    }
}

/// The internal CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalOptions {
    /// How long its certificates live: 12 hours to 30 days.
    pub lifetime: Duration,
    /// The common name of its root.
    pub name: String,
}

impl Default for InternalOptions {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(7 * 24 * 3600), name: "Usher local authority".to_owned() }
    }
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Steps of an order.
    Debug,
    /// A certificate was obtained or swapped.
    Info,
    /// Something failed and will be tried again.
    Warn,
    /// Something needs the operator.
    Error,
}

/// Where log lines go: one call, one line.
#[derive(Clone)]
pub struct Logger(Arc<Sink>);

type Sink = dyn Fn(Level, &str) + Send + Sync;

impl Logger {
    /// Lines go to `sink`, which must not block for long.
    pub fn new(sink: impl Fn(Level, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    pub(crate) fn write(&self, level: Level, line: &str) {
        (self.0)(level, line);
    }
}

impl Default for Logger {
    fn default() -> Self {
        Self::new(|_, _| {})
    }
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logger")
    }
}

/// What time it is.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// Asks `now` whenever the time matters.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
