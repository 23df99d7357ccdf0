//! A certificate with its key.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::facts;

/// Certificates in a chain, at most; public ones have two to four.
const MAX_CHAIN: usize = 16;

/// A certificate with its key: chain, names, times. The key was checked to belong to it.
#[derive(Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    not_before: SystemTime,
    not_after: SystemTime,
    issuer: String,
    subject: String,
    serial: String,
    fingerprint: [u8; 32],
    ocsp_responder: Option<String>,
    must_staple: bool,
}

impl Certificate {
    /// Reads a chain (the certificate itself first) and its key, both PEM. Both may be in the same file: what is
    /// something else is skipped.
    ///
    /// # Errors
    /// What is wrong, and in which of the two files.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = read_chain(chain)?;
        let key = read_key(key)?;
        Self::new(chain, &key)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        let key = any_supported_type(key).map_err(|error| CertificateError::UnsupportedKey(words(&error)))?;
        for (index, certificate) in chain.iter().enumerate() {
            if let Err(error) = parse(certificate) {
                return Err(CertificateError::Unreadable { position: index + 1, reason: error });
            }
        }
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            // rustls refuses critical extensions that it does not know, as certificates of challenges have (RFC 8737
            // section 3).
            Err(Error::InvalidCertificate(_)) if is_same_key(&certified) => {}
            matched => matched.map_err(|error| mismatch(&error, &certified))?,
        }
        let leaf = certified.cert.first().ok_or(CertificateError::NoCertificate)?;
        let parsed = parse(leaf).map_err(|reason| CertificateError::Unreadable { position: 1, reason })?;
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest::digest(&digest::SHA256, leaf).as_ref());
        Ok(Self {
            names: facts::names(&parsed),
            not_before: facts::time(&parsed.validity().not_before),
            not_after: facts::time(&parsed.validity().not_after),
            issuer: facts::distinguished_name(parsed.issuer()),
            subject: facts::distinguished_name(parsed.subject()),
            serial: facts::serial(&parsed),
            fingerprint,
            ocsp_responder: facts::ocsp_responder(&parsed),
            must_staple: facts::must_staple(&parsed),
            key: Arc::new(certified),
        })
    }

    /// DNS names (lower case, `*.x` kept) and IP addresses that it is for; the common name only where there are no
    /// alternative names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// From when on it is valid.
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// Until when it is valid.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether its time has begun and is not over.
    pub(super) fn is_valid(&self, now: SystemTime) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// Who signed it (RFC 4514).
    pub fn issuer(&self) -> String {
        self.issuer.clone()
    }

    /// Whom it is for (RFC 4514); empty for most of today's.
    pub fn subject(&self) -> String {
        self.subject.clone()
    }

    /// The serial number, hexadecimal.
    pub fn serial(&self) -> String {
        self.serial.clone()
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Whether its key is for ECDSA. Clients that cannot verify that are shown another.
    pub fn is_ecdsa(&self) -> bool {
        self.algorithm() == SignatureAlgorithm::ECDSA
    }

    /// The certificate itself, and then those that lead to a root.
    pub fn der_chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    /// The same with a proof of the issuer that it is not revoked (OCSP response, DER), to be shown to clients.
    #[must_use]
    pub fn with_ocsp(mut self, response: Vec<u8>) -> Self {
        let mut key = CertifiedKey::clone(&self.key);
        key.ocsp = Some(response);
        self.key = Arc::new(key);
        self
    }

    /// The OCSP response that is shown with it.
    pub fn ocsp(&self) -> Option<&[u8]> {
        self.key.ocsp.as_deref()
    }

    /// The address to ask for an OCSP response. CAs without OCSP name none.
    pub fn ocsp_responder(&self) -> Option<String> {
        self.ocsp_responder.clone()
    }

    /// Whether clients refuse it without an OCSP response (RFC 7633).
    pub fn must_staple(&self) -> bool {
        self.must_staple
    }

    pub(super) fn algorithm(&self) -> SignatureAlgorithm {
        self.key.key.algorithm()
    }

    pub(super) fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

impl Clone for Certificate {
    fn clone(&self) -> Self {
        Self {
            key: Arc::clone(&self.key),
            names: self.names.clone(),
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            serial: self.serial.clone(),
            ocsp_responder: self.ocsp_responder.clone(),
            ..*self
        }
    }
}

/// Why a pair of files is no certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateError {
    /// The certificate's file holds no certificate.
    NoCertificate,
    /// The certificate's file holds a key and no certificate: the two files are swapped.
    OnlyKey,
    /// More certificates in the chain than any chain needs.
    TooMany,
    /// The PEM of the certificate's file is broken; how.
    BrokenChain(String),
    /// A certificate cannot be read.
    Unreadable {
        /// Which one in the file, from 1.
        position: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The key's file holds no private key.
    NoKey,
    /// The key's file holds a certificate and no key.
    OnlyCertificate,
    /// The private key is protected by a passphrase.
    EncryptedKey,
    /// The PEM of the key's file is broken; how.
    BrokenKey(String),
    /// The key is of a kind or size that cannot be used; the reason.
    UnsupportedKey(String),
    /// The key belongs to another certificate.
    Mismatch,
    /// The key belongs to a later certificate of the file: the order is wrong.
    WrongOrder {
        /// Which one it belongs to, from 1.
        position: usize,
    },
    /// rustls cannot use the certificate; its words.
    Unusable(String),
}

impl CertificateError {
    /// Whether it is the file with the key that is to be looked at, rather than that with the certificate.
    pub fn is_about_key(&self) -> bool {
        matches!(
            self,
            Self::NoKey
                | Self::OnlyCertificate
                | Self::EncryptedKey
                | Self::BrokenKey(_)
                | Self::UnsupportedKey(_)
                | Self::Mismatch
        )
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => {
                f.write_str("the certificate file holds no certificate: expected `-----BEGIN CERTIFICATE-----` (PEM)")
            }
            Self::OnlyKey => {
                f.write_str("the certificate file holds a private key and no certificate; are the two files swapped?")
            }
            Self::TooMany => write!(f, "the certificate file holds more than {MAX_CHAIN} certificates; give one chain"),
            Self::BrokenChain(reason) => write!(f, "the certificate file is not readable as PEM: {reason}"),
            Self::Unreadable { position, reason } => {
                write!(f, "certificate {position} in the certificate file cannot be read: {reason}")
            }
            Self::NoKey => {
                f.write_str("the key file holds no private key: expected `-----BEGIN PRIVATE KEY-----` (PEM)")
            }
            Self::OnlyCertificate => f.write_str("the key file holds a certificate and no private key"),
            Self::EncryptedKey => f.write_str(
                "the private key is protected by a passphrase; remove it with `openssl pkey -in KEY -out NEW_KEY`",
            ),
            Self::BrokenKey(reason) => write!(f, "the key file is not readable as PEM: {reason}"),
            Self::UnsupportedKey(reason) => write!(
                f,
                "the private key cannot be used ({reason}); use ECDSA P-256 or P-384, RSA of 2048 to 8192 bits, or Ed25519"
            ),
            Self::Mismatch => f.write_str("the private key does not belong to the certificate"),
            Self::WrongOrder { position } => write!(
                f,
                "the private key belongs to certificate {position} in the certificate file; that one must come first, \
                 and then those that lead to the root"
            ),
            Self::Unusable(reason) => write!(f, "the certificate cannot be used: {reason}"),
        }
    }
}

impl std::error::Error for CertificateError {}

/// The sections of a PEM file; what has no known kind is left out.
fn sections(bytes: &[u8]) -> impl Iterator<Item = Result<(SectionKind, Vec<u8>), pem::Error>> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes)
}

fn read_chain(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let (mut chain, mut has_key) = (Vec::new(), false);
    for section in sections(bytes) {
        match section {
            Ok((SectionKind::Certificate, der)) => chain.push(CertificateDer::from(der)),
            Ok((kind, _)) => has_key |= is_key(kind),
            Err(error) => return Err(CertificateError::BrokenChain(pem_words(&error))),
        }
        if chain.len() > MAX_CHAIN {
            return Err(CertificateError::TooMany);
        }
    }
    match chain.is_empty() {
        true if has_key || is_encrypted(bytes) => Err(CertificateError::OnlyKey),
        true => Err(CertificateError::NoCertificate),
        false => Ok(chain),
    }
}

fn read_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
    // Before anything else: what is behind such a header is no key that can be read.
    if is_encrypted(bytes) {
        return Err(CertificateError::EncryptedKey);
    }
    let mut has_certificate = false;
    for section in sections(bytes) {
        match section {
            Ok((kind, der)) if is_key(kind) => {
                return PrivateKeyDer::from_pem(kind, der).ok_or(CertificateError::NoKey);
            }
            Ok((kind, _)) => has_certificate |= matches!(kind, SectionKind::Certificate),
            Err(error) => return Err(CertificateError::BrokenKey(pem_words(&error))),
        }
    }
    Err(if has_certificate { CertificateError::OnlyCertificate } else { CertificateError::NoKey })
}

fn is_key(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
}

/// PKCS #8 (RFC 5958) and the older form of OpenSSL (RFC 1421 section 4.6.1.1).
fn is_encrypted(bytes: &[u8]) -> bool {
    let holds = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
    holds(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || holds(b"Proc-Type: 4,ENCRYPTED")
}

fn pem_words(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("there is no line `-----END {}-----`", String::from_utf8_lossy(end_marker))
        }
        pem::Error::IllegalSectionStart { line } => {
            format!("the line `{}` begins no section", String::from_utf8_lossy(line))
        }
        pem::Error::Base64Decode(reason) => format!("the base64 text is broken: {reason}"),
        error => format!("{error:?}"),
    }
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("there are bytes behind its end".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::General(words) => words.clone(),
        error => error.to_string(),
    }
}

/// Whether the key is that of the first certificate, by the certificate's own words.
fn is_same_key(certified: &CertifiedKey) -> bool {
    let key = certified.key.public_key();
    let leaf = certified.cert.first().and_then(|leaf| parse(leaf).ok());
    key.zip(leaf).is_some_and(|(key, leaf)| leaf.public_key().raw == key.as_ref())
}

fn mismatch(error: &Error, certified: &CertifiedKey) -> CertificateError {
    if !matches!(error, Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) {
        return CertificateError::Unusable(words(error));
    }
    let belongs = |certificate: &CertificateDer<'static>, key: &Arc<dyn SigningKey>| {
        CertifiedKey::new(vec![certificate.clone()], Arc::clone(key)).keys_match().is_ok()
    };
    let position = certified.cert.iter().position(|certificate| belongs(certificate, &certified.key));
    position.map_or(CertificateError::Mismatch, |index| CertificateError::WrongOrder { position: index + 1 })
}

#[cfg(test)]
mod tests;
