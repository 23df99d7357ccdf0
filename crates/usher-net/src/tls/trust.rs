//! Whose certificates are believed.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::error::TlsError;

/// The tag of a SEQUENCE, with which everything in DER begins and nothing in PEM.
const SEQUENCE: u8 = 0x30;

/// How clients prove who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// Who may sign their certificates (PEM).
    pub roots: Vec<u8>,
    /// Whether a client without a certificate is refused. Otherwise it is let in, and without
    /// [`Session::client`](super::Session::client).
    pub required: bool,
    /// Revocation lists, PEM or DER. With any of them, each issuer of a client's certificate must have one that is
    /// not expired.
    pub crls: Vec<Vec<u8>>,
}

impl ClientAuth {
    pub(super) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let roots = Arc::new(roots(&self.roots)?);
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
        let crls = self.crls()?;
        if !crls.is_empty() {
            builder =
                builder.with_crls(crls).only_check_end_entity_revocation().enforce_revocation_expiration();
        }
        if !self.required {
            builder = builder.allow_unauthenticated();
        }
        builder.build().map_err(|error| match error {
            rustls::server::VerifierBuilderError::InvalidCrl(error) => {
                TlsError::RevocationList(format!("{error:?}"))
            }
            error => TlsError::Roots(error.to_string()),
        })
    }

    fn crls(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        let mut lists = Vec::new();
        for bytes in &self.crls {
            if bytes.first() == Some(&SEQUENCE) {
                lists.push(bytes.clone().into());
                continue;
            }
            let before = lists.len();
            for list in CertificateRevocationListDer::pem_slice_iter(bytes) {
                lists.push(list.map_err(|error| TlsError::RevocationList(error.to_string()))?);
            }
            if lists.len() == before {
                let reason = "expected `-----BEGIN X509 CRL-----` (PEM), or DER";
                return Err(TlsError::RevocationList(reason.to_owned()));
            }
        }
        Ok(lists)
    }

    /// A number for everything that decides who is let in. Sessions are resumed only where it is the same: whoever
    /// resumes one shows no certificate.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut sum = digest::Context::new(&digest::SHA256);
        let parts = std::iter::once(&self.roots).chain(&self.crls);
        sum.update(&[u8::from(self.required)]);
        for part in parts {
            sum.update(&(part.len() as u64).to_be_bytes());
            sum.update(part);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(sum.finish().as_ref());
        fingerprint
    }
}

/// Certificates that others may lead to (PEM), at least one.
pub(super) fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let certificate = certificate.map_err(|error| TlsError::Roots(error.to_string()))?;
        let refused = |error| TlsError::Roots(format!("certificate {}: {error}", index + 1));
        store.add(certificate).map_err(refused)?;
    }
    match store.is_empty() {
        true => Err(TlsError::Roots("expected `-----BEGIN CERTIFICATE-----` (PEM)".to_owned())),
        false => Ok(store),
    }
}

/// Those that the system believes, read once in the life of the process.
pub(super) fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Result<Arc<RootCertStore>, TlsError>> = OnceLock::new();
    ROOTS.get_or_init(load_system_roots).clone()
}

fn load_system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // Some that a system has are too old to be understood; the others do.
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let reason = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(TlsError::Roots(format!(
            "the system has none; install `ca-certificates`, or name a file{reason}"
        )));
    }
    Ok(Arc::new(store))
}
