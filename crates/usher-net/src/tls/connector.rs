//! The side of a client.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionMemoryCache, ResolvesClientCert, Resumption, Tls12Resumption, UnbufferedClientConnection,
};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::Certificate;
use super::error::{HandshakeError, HandshakeErrorKind, TlsError};
use super::handshake::Handshake;
use super::policy::Policy;
use super::session::Session;
use super::stream::TlsStream;
use super::trust;
use super::verifier::ServerVerifier;
use crate::transport::Transport;

/// Servers whose sessions are remembered.
const REMEMBERED_SERVERS: usize = 256;

/// How TLS is spoken to servers.
#[derive(Debug, Clone)]
pub struct ConnectorOptions {
    /// Whether the server's certificate is checked. Without that, whoever is in between reads everything.
    pub verify: bool,
    /// Who may sign the server's certificate (PEM); none is whom the system believes. A server's own certificate will do.
    pub roots: Option<Vec<u8>>,
    /// Our own certificate, for servers that ask for one.
    pub client: Option<Arc<Certificate>>,
    /// Application protocols in order of preference; none is no negotiation.
    pub alpn: Vec<Vec<u8>>,
    /// Versions and suites.
    pub policy: Policy,
    /// Cipher suites by name, in order of preference; none is all of the policy.
    pub cipher_suites: Vec<String>,
    /// Key exchange groups by name; none is all.
    pub groups: Vec<String>,
}

impl Default for ConnectorOptions {
    fn default() -> Self {
        Self {
            verify: true,
            roots: None,
            client: None,
            alpn: Vec::new(),
            policy: Policy::default(),
            cipher_suites: Vec::new(),
            groups: Vec::new(),
        }
    }
}

/// Opens TLS connections. Shared by all workers, who resume each other's sessions.
#[derive(Clone)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
}

impl TlsConnector {
    /// # Errors
    /// Roots that cannot be read, or a system without any; suites or groups that are not known.
    pub fn new(options: ConnectorOptions) -> Result<Self, TlsError> {
        let provider = options.policy.provider(&options.cipher_suites, &options.groups)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(options.policy.versions())?;
        let verifier: Arc<dyn ServerCertVerifier> = if options.verify {
            let (roots, given) = match &options.roots {
                Some(pem) => {
                    let given = trust::certificates(pem)?;
                    (Arc::new(trust::roots(&given)?), given)
                }
                None => (trust::system_roots()?, Vec::new()),
            };
            Arc::new(ServerVerifier::new(roots, given, provider)?)
        } else {
            Arc::new(AnyServer(provider))
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match &options.client {
            Some(certificate) => builder
                .with_client_cert_resolver(Arc::new(OwnCertificate(Arc::clone(certificate.certified_key())))),
            None => builder.with_no_client_auth(),
        };
        config.enable_secret_extraction = true;
        config.alpn_protocols = options.alpn;
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(REMEMBERED_SERVERS)))
            .tls12_resumption(Tls12Resumption::SessionIdOrTickets);
        Ok(Self { config: Arc::new(config) })
    }

    /// Speaks TLS with a server that shall be `server_name`, a name or an IP address. Has no time limit of its own.
    ///
    /// # Errors
    /// Whatever goes wrong; the server was told by an alert.
    pub async fn connect<T: Transport>(
        &self,
        stream: T,
        server_name: &str,
    ) -> Result<TlsStream<T>, HandshakeError> {
        let name = parse_name(server_name)?;
        let sent = matches!(name, ServerName::DnsName(_)).then(|| server_name.to_ascii_lowercase());
        let mut connection = UnbufferedClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|error| HandshakeError::from_rustls(&error, false))?;
        let mut handshake = Handshake::new(stream, Vec::new());
        handshake.run(&mut connection).await?;
        let session = Session::new(&connection, sent, None);
        handshake.finish(connection, session)
    }

    /// What rustls takes for a client, for QUIC.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

fn parse_name(name: &str) -> Result<ServerName<'static>, HandshakeError> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.into());
    }
    ServerName::try_from(name.to_owned()).map_err(|_| {
        HandshakeError::new(
            HandshakeErrorKind::Internal,
            format!("`{name}` is no name that a certificate could be for"),
        )
    })
}

/// Shows our certificate to every server that asks for one.
#[derive(Debug)]
struct OwnCertificate(Arc<CertifiedKey>);

impl ResolvesClientCert for OwnCertificate {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes).is_some().then(|| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Accepts every certificate, but not every signature: the server must have the key of what it shows.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
