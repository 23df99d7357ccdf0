//! What was agreed in a handshake.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use rustls::time_provider::TimeProvider;
use rustls::{AlertDescription, CipherSuite, CommonState, HandshakeKind, ProtocolVersion};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::facts;

/// What was agreed in a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, as the registry of IANA names it.
    pub cipher: &'static str,
    /// The key exchange group, as the registry of IANA names it; empty for a resumed session of TLS 1.2, which needs
    /// none.
    pub group: &'static str,
    /// The name that the client asked for (SNI, RFC 6066 section 3), in lower case.
    pub server_name: Option<String>,
    /// The application protocol (ALPN, RFC 7301).
    pub alpn: Option<Vec<u8>>,
    /// Whether an earlier session was resumed, so that no certificate was shown.
    pub resumed: bool,
    /// The client's certificate, verified.
    pub client: Option<ClientCertificate>,
}

/// A client's certificate, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Whom it is for (RFC 4514).
    pub subject: String,
    /// Who signed it (RFC 4514).
    pub issuer: String,
    /// The serial number, hexadecimal, upper case.
    pub serial: String,
    /// The alternative names with their kinds: `DNS:example.com`, `email:a@example.com`, `URI:spiffe://x/y`, `IP:::1`.
    pub sans: Vec<String>,
    /// SHA-256 of the certificate, hexadecimal, lower case.
    pub fingerprint: String,
    /// From when on it is valid.
    pub not_before: SystemTime,
    /// Until when it is valid.
    pub not_after: SystemTime,
    /// The certificate itself.
    pub der: Vec<u8>,
}

impl ClientCertificate {
    /// The facts of a certificate that was verified; none if it cannot be read.
    pub fn new(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        Some(Self {
            subject: facts::distinguished_name(parsed.subject()),
            issuer: facts::distinguished_name(parsed.issuer()),
            serial: facts::serial(&parsed),
            sans: facts::alternative_names(&parsed),
            fingerprint: facts::hex(digest::digest(&digest::SHA256, der).as_ref()),
            not_before: facts::time(&parsed.validity().not_before),
            not_after: facts::time(&parsed.validity().not_after),
            der: der.to_vec(),
        })
    }
}

/// Why a client is refused although rustls took its certificate: what it is told, and what we say.
pub(crate) type ClientRefusal = (AlertDescription, &'static str);

/// The facts of the certificate that a client showed now, or when the session began that it resumes: in that case rustls
/// verifies nothing (RFC 8446 section 4.6.1 leaves it to the server), and the certificate may be over by now. That the
/// roots and revocation lists are still the same is what [`ClientAuth`](super::ClientAuth) makes tickets depend on.
pub(crate) fn shown_certificate(
    chain: Option<&[CertificateDer<'_>]>,
    clock: &dyn TimeProvider,
) -> Result<Option<ClientCertificate>, ClientRefusal> {
    let Some(der) = chain.and_then(<[_]>::first) else { return Ok(None) };
    let unreadable = (AlertDescription::BadCertificate, "the certificate cannot be read");
    let client = ClientCertificate::new(der).ok_or(unreadable)?;
    let now = clock.current_time().map(|now| SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs()));
    if now.is_none_or(|now| client.not_after < now) {
        return Err((AlertDescription::CertificateExpired, "the certificate is expired"));
    }
    Ok(Some(client))
}

impl Session {
    /// What rustls agreed with a peer; `client` is the client's certificate, if this is the server.
    pub(super) fn new(
        agreed: &CommonState,
        server_name: Option<String>,
        client: Option<ClientCertificate>,
    ) -> Self {
        let version = match agreed.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        };
        let group = agreed.negotiated_key_exchange_group().map_or("", |group| group_name(group.name()));
        Self {
            version,
            cipher: agreed.negotiated_cipher_suite().map_or("", |suite| cipher_name(suite.suite())),
            group,
            server_name,
            alpn: agreed.alpn_protocol().map(<[u8]>::to_vec),
            resumed: agreed.handshake_kind() == Some(HandshakeKind::Resumed),
            client,
        }
    }
}

/// The name of a group in the registry of IANA.
fn group_name(group: rustls::NamedGroup) -> &'static str {
    group.as_str().unwrap_or("unknown")
}

/// The name of a cipher suite in the registry of IANA; rustls writes those of TLS 1.3 differently.
pub(super) fn cipher_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        suite => suite.as_str().unwrap_or("unknown"),
    }
}
