//! The side of a server.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::certificates::{CertificateSet, Certificates};
use super::error::TlsError;
use super::policy::Policy;
use super::tickets::TicketKeys;
use super::trust::ClientAuth;

mod accept;

pub use accept::{accept, accept_at};

/// The protocol of TLS-ALPN-01 (RFC 8737 section 6.2).
const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";
/// Tickets per handshake: a browser opens more than one connection.
const TICKETS: usize = 2;
/// Sessions that QUIC clients can resume with early data; those must be remembered, as a ticket alone could be used
/// twice.
const EARLY_DATA_SESSIONS: usize = 4096;

/// How TLS is spoken to clients.
#[derive(Debug, Clone)]
pub struct AcceptorOptions {
    /// Versions and suites.
    pub policy: Policy,
    /// Cipher suites by name, in order of preference; none is all of the policy.
    pub cipher_suites: Vec<String>,
    /// Key exchange groups by name; none is all.
    pub groups: Vec<String>,
    /// Application protocols in order of preference; none is no negotiation.
    pub alpn: Vec<Vec<u8>>,
    /// How clients prove who they are, if they shall.
    pub client_auth: Option<ClientAuth>,
    /// Which certificate is shown for which name.
    pub certificates: Arc<Certificates>,
    /// The secrets of session tickets.
    pub tickets: Arc<TicketKeys>,
    /// Whether clients can resume sessions.
    pub session_tickets: bool,
}

impl AcceptorOptions {
    /// The defaults: TLS 1.2 and 1.3, no ALPN, no client certificates, tickets.
    pub fn new(certificates: Arc<Certificates>, tickets: Arc<TicketKeys>) -> Self {
        Self {
            policy: Policy::default(),
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            alpn: Vec::new(),
            client_auth: None,
            certificates,
            tickets,
            session_tickets: true,
        }
    }
}

/// Accepts TLS connections. Shared by all workers.
#[derive(Debug)]
pub struct TlsAcceptor {
    config: Arc<ServerConfig>,
    /// For those who check that we may have a certificate.
    challenge: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

impl TlsAcceptor {
    /// # Errors
    /// Suites or groups that are not known, roots or revocation lists that cannot be read.
    pub fn new(options: AcceptorOptions) -> Result<Self, TlsError> {
        let AcceptorOptions { policy, alpn, client_auth, certificates, tickets, .. } = options;
        let provider = policy.provider(&options.cipher_suites, &options.groups)?;
        let has_suite = |version: &SupportedProtocolVersion| {
            provider.cipher_suites.iter().any(|suite| suite.version() == version)
        };
        if !policy.versions().iter().any(|version| has_suite(version)) {
            return Err(TlsError::NoCipherSuite);
        }
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(policy.versions())?;
        let builder = match &client_auth {
            Some(auth) => builder.with_client_cert_verifier(auth.verifier(&provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Chooser(Arc::clone(&certificates))));
        config.ignore_client_order = true;
        config.enable_secret_extraction = true;
        config.alpn_protocols = alpn;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        if options.session_tickets {
            let context = client_auth.as_ref().map_or([0; 32], ClientAuth::fingerprint);
            config.ticketer = tickets.ticketer(context);
            config.send_tls13_tickets = TICKETS;
        }
        let challenge = Arc::new(challenge_config(provider, &certificates)?);
        Ok(Self { config: Arc::new(config), challenge, certificates })
    }

    /// How clients are served that connected to this address and name no host; none if there is no certificate for it.
    fn at_address(&self, address: IpAddr) -> Option<Arc<ServerConfig>> {
        let set = self.certificates.find(&address.to_canonical().to_string())?;
        let mut config = ServerConfig::clone(&self.config);
        config.cert_resolver = Arc::new(Chosen(set));
        Some(Arc::new(config))
    }

    /// What rustls takes for a server.
    #[cfg(test)]
    pub(super) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// The same certificates, groups and clients for QUIC: TLS 1.3 with the protocol `h3`. One for all workers.
    ///
    /// With `early_data`, sessions are remembered here instead of in tickets, so that early data cannot be sent twice
    /// (RFC 8446 section 8).
    ///
    /// # Errors
    /// The policy's suites leave none for TLS 1.3.
    pub fn quic(&self, early_data: bool) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = self.config.crypto_provider();
        if !provider.cipher_suites.iter().any(|suite| suite.version() == &TLS13) {
            return Err(TlsError::NoCipherSuite);
        }
        let mut config = ServerConfig::clone(&self.config);
        config.enable_secret_extraction = false;
        config.alpn_protocols = vec![b"h3".to_vec()];
        if early_data && config.send_tls13_tickets > 0 {
            config.max_early_data_size = u32::MAX;
            config.ticketer = ServerConfig::builder_with_provider(Arc::clone(provider))
                .with_protocol_versions(&[&TLS13])?
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(Chooser(Arc::clone(&self.certificates))))
                .ticketer;
            config.session_storage = ServerSessionMemoryCache::new(EARLY_DATA_SESSIONS);
        }
        Ok(Arc::new(config))
    }
}

/// RFC 8737 section 3: the protocol is the only one, and nothing else is said on such a connection.
fn challenge_config(
    provider: Arc<CryptoProvider>,
    certificates: &Arc<Certificates>,
) -> Result<ServerConfig, TlsError> {
    let versions = Policy::Intermediate.versions();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Challenges(Arc::clone(certificates))));
    config.enable_secret_extraction = true;
    config.alpn_protocols = vec![CHALLENGE_PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Chooses by name and by what the client can verify.
#[derive(Debug)]
struct Chooser(Arc<Certificates>);

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.choose(hello.server_name(), hello.signature_schemes())
    }
}

/// Chooses by what the client can verify, of what was found for its address.
#[derive(Debug)]
struct Chosen(Arc<CertificateSet>);

impl ResolvesServerCert for Chosen {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificate = self.0.choose(hello.signature_schemes(), SystemTime::now())?;
        Some(Arc::clone(certificate.certified_key()))
    }
}

/// Chooses the certificate that proves who runs this server.
#[derive(Debug)]
struct Challenges(Arc<Certificates>);

impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.challenge(hello.server_name()?)
    }
}

#[cfg(test)]
mod tests;
