//! Versions, cipher suites and groups, by names that say what they are good for.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{cipher_suite as suites, default_provider, kx_group as groups};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use super::error::TlsError;
use super::session::cipher_name;

/// Which versions and suites are spoken. There is no policy with anything older or weaker: suites without forward
/// secrecy or without authenticated encryption do not exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// TLS 1.3 only.
    Modern,
    /// TLS 1.2 with ECDHE and AEAD suites, and TLS 1.3.
    #[default]
    Intermediate,
}

/// Suites in order of preference; AES-128 is enough for everybody and the cheapest. The second name is that of OpenSSL.
static SUITES: [(&SupportedCipherSuite, &str); 9] = [
    (&suites::TLS13_AES_128_GCM_SHA256, "TLS13_AES_128_GCM_SHA256"),
    (&suites::TLS13_AES_256_GCM_SHA384, "TLS13_AES_256_GCM_SHA384"),
    (&suites::TLS13_CHACHA20_POLY1305_SHA256, "TLS13_CHACHA20_POLY1305_SHA256"),
    (&suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (&suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256"),
    (&suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (&suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384"),
    (&suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    (&suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305"),
];

/// Groups in order of preference, each with the names that it goes by.
static GROUPS: [(&dyn SupportedKxGroup, &[&str]); 4] = [
    (groups::X25519MLKEM768, &["X25519MLKEM768"]),
    (groups::X25519, &["X25519"]),
    (groups::SECP256R1, &["P-256", "secp256r1", "prime256v1"]),
    (groups::SECP384R1, &["P-384", "secp384r1"]),
];

impl Policy {
    /// The names of all suites of the policy, in order of preference.
    pub fn cipher_suites(self) -> impl Iterator<Item = &'static str> {
        SUITES
            .iter()
            .filter(move |(suite, _)| self.allows(suite))
            .map(|(suite, _)| cipher_name(suite.suite()))
    }

    /// The names of all groups, in order of preference.
    pub fn groups() -> impl Iterator<Item = &'static str> {
        GROUPS.iter().filter_map(|(_, names)| names.first().copied())
    }

    pub(super) fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        let count = if self == Self::Modern { 1 } else { VERSIONS.len() };
        VERSIONS.split_at(count).0
    }

    fn allows(self, suite: &SupportedCipherSuite) -> bool {
        self == Self::Intermediate || suite.tls13().is_some()
    }

    /// The cryptography of the policy. Suites and groups by name, in order of preference; none is all of them.
    pub(super) fn provider(
        self,
        cipher_suites: &[String],
        groups: &[String],
    ) -> Result<Arc<CryptoProvider>, TlsError> {
        let cipher_suites = match cipher_suites {
            [] => SUITES.iter().map(|(suite, _)| **suite).collect(),
            names => names.iter().map(|name| self.suite(name)).collect::<Result<_, _>>()?,
        };
        let kx_groups = match groups {
            [] => GROUPS.iter().map(|(group, _)| *group).collect(),
            names => names.iter().map(|name| group(name)).collect::<Result<_, _>>()?,
        };
        Ok(Arc::new(CryptoProvider { cipher_suites, kx_groups, ..default_provider() }))
    }

    fn suite(self, name: &str) -> Result<SupportedCipherSuite, TlsError> {
        let mut known = SUITES.iter().filter(|(suite, _)| self.allows(suite));
        let found = known.find(|(suite, openssl)| {
            name.eq_ignore_ascii_case(cipher_name(suite.suite())) || name.eq_ignore_ascii_case(openssl)
        });
        found.map(|(suite, _)| **suite).ok_or_else(|| TlsError::UnknownCipherSuite(name.to_owned()))
    }
}

fn group(name: &str) -> Result<&'static dyn SupportedKxGroup, TlsError> {
    let known = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let found = GROUPS.iter().find(|(_, names)| known(names));
    found.map(|(group, _)| *group).ok_or_else(|| TlsError::UnknownGroup(name.to_owned()))
}
