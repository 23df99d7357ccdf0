//! Whose certificates are believed.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientCertVerifierBuilder, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertRevocationListError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

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
    /// Revocation lists, PEM or DER. With any of them, whoever signed a client's certificate must have one that is not
    /// expired. Authorities in between may have theirs, which then count.
    pub crls: Vec<Vec<u8>>,
}

impl ClientAuth {
    pub(super) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let roots = Arc::new(roots(&certificates(&self.roots)?)?);
        let builder = || {
            let builder =
                WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider));
            if self.required { builder } else { builder.allow_unauthenticated() }
        };
        let crls = self.crls()?;
        if crls.is_empty() {
            return built(builder());
        }
        let listed = |builder: ClientCertVerifierBuilder| {
            builder.with_crls(crls.iter().cloned()).enforce_revocation_expiration()
        };
        let client = built(listed(builder()).only_check_end_entity_revocation())?;
        let chain = built(listed(builder()).allow_unknown_revocation_status())?;
        Ok(Arc::new(Revocation { client, chain }))
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

fn built(builder: ClientCertVerifierBuilder) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    builder.build().map_err(|error| match error {
        VerifierBuilderError::InvalidCrl(error) => TlsError::RevocationList(list_words(&error)),
        error => TlsError::Roots(error.to_string()),
    })
}

fn list_words(error: &CertRevocationListError) -> String {
    match error {
        CertRevocationListError::UnsupportedCrlVersion => {
            "it is of version 1, which says too little; make one of version 2 (with OpenSSL: set `crl_extensions`)".to_owned()
        }
        CertRevocationListError::UnsupportedDeltaCrl => {
            "it only has the changes to another list; give the whole one".to_owned()
        }
        CertRevocationListError::UnsupportedIndirectCrl => {
            "it has certificates of several authorities; give a list of each".to_owned()
        }
        CertRevocationListError::ParseError => "it is broken".to_owned(),
        error => format!("{error:?}"),
    }
}

/// Looks up all certificates of a chain in the revocation lists (RFC 5280 section 6.3). The client's own must be covered
/// by one; of the authorities in between, those that are.
#[derive(Debug)]
struct Revocation {
    /// Looks up the client's own.
    client: Arc<dyn ClientCertVerifier>,
    /// Looks up all of them, and lets pass what no list covers.
    chain: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for Revocation {
    fn offer_client_auth(&self) -> bool {
        self.client.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.client.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.client.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.client.verify_client_cert(end_entity, intermediates, now)?;
        if !intermediates.is_empty() {
            self.chain.verify_client_cert(end_entity, intermediates, now)?;
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.client.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.client.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.client.supported_verify_schemes()
    }
}

/// The certificates of a file (PEM), at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = read.map_err(|error| TlsError::Roots(error.to_string()))?;
    match certificates.is_empty() {
        true => Err(TlsError::Roots("expected `-----BEGIN CERTIFICATE-----` (PEM)".to_owned())),
        false => Ok(certificates),
    }
}

/// Certificates that others may lead to.
pub(super) fn roots(certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        let refused = |error| TlsError::Roots(format!("certificate {}: {error}", index + 1));
        store.add(certificate.clone()).map_err(refused)?;
    }
    Ok(store)
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
