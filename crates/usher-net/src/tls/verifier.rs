//! Whether a server is whom we want to talk to.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::TlsError;

/// Verifies by roots (RFC 5280 section 6), and takes one certificate more: one that was itself given as a root and says
/// that it is an authority. Strictly, that may not be a server's own; but such is what `openssl req -x509` makes for one
/// server, and whoever names it trusts it. It must still be in date and for the server's name.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    usual: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl ServerVerifier {
    /// `given` are those of the roots that were named one by one.
    pub(super) fn new(
        roots: Arc<RootCertStore>,
        given: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let usual = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        Ok(Self { usual: usual.map_err(|error| TlsError::Roots(error.to_string()))?, given })
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // What the library says of an authority in the place of a server has no name of its own.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.given.contains(end_entity) && is_usable_authority(end_entity, now) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Whether a certificate is that of an authority, in date, and not for another purpose than a server's.
fn is_usable_authority(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    let Ok(([], parsed)) = X509Certificate::from_der(certificate) else { return false };
    let Ok(now) = i64::try_from(now.as_secs()) else { return false };
    let validity = parsed.validity();
    let in_date = (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now);
    let for_servers = match parsed.extended_key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.server_auth),
        Err(_) => false,
    };
    parsed.is_ca() && in_date && for_servers
}

#[cfg(test)]
mod tests;
