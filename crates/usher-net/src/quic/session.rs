//! TLS inside QUIC (RFC 9001), for servers.
//!
//! The library has such a session too, but shows neither the cipher suite nor whether a session was resumed, and ends
//! the process where a configuration does not do.

use std::any::Any;
use std::io::{self, Cursor};
use std::sync::Arc;

use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::crypto::{
    self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, Side, TransportError, TransportErrorCode};
use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use rustls::quic::{KeyChange, Secrets, ServerConnection, Version};

use crate::tls::{ClientCertificate, Session, shown_certificate};

/// The one version of QUIC that is spoken (RFC 9000 section 15).
pub(super) const VERSION: u32 = 1;

/// A configuration that was tried.
pub(super) struct ServerTls {
    library: Arc<QuicServerConfig>,
    tls: Arc<rustls::ServerConfig>,
}

impl ServerTls {
    /// # Errors
    /// When a configuration does not do for QUIC: it must have TLS 1.3 with TLS_AES_128_GCM_SHA256, and early data
    /// without a limit or none (RFC 9001 section 4.6.1).
    pub(super) fn new(tls: Arc<rustls::ServerConfig>) -> io::Result<Self> {
        let library = QuicServerConfig::try_from(Arc::clone(&tls)).map_err(io::Error::other)?;
        ServerConnection::new(Arc::clone(&tls), Version::V1, Vec::new()).map_err(io::Error::other)?;
        Ok(Self { library: Arc::new(library), tls })
    }
}

impl crypto::ServerConfig for ServerTls {
    fn initial_keys(&self, version: u32, id: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.library.initial_keys(version, id)
    }

    fn retry_tag(&self, version: u32, id: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.library.retry_tag(version, id, packet)
    }

    fn start_session(
        self: Arc<Self>,
        version: u32,
        parameters: &TransportParameters,
    ) -> Box<dyn crypto::Session> {
        let mut encoded = Vec::new();
        parameters.write(&mut encoded);
        match ServerConnection::new(Arc::clone(&self.tls), Version::V1, encoded) {
            Ok(tls) => {
                let config = Arc::clone(&self.tls);
                let library = Arc::clone(&self.library);
                Box::new(Handshake { library, config, tls, next: None, told: false, client: None })
            }
            // Does not happen, as the configuration was tried.
            Err(_) => Arc::clone(&self.library).start_session(version, parameters),
        }
    }
}

/// A handshake, and what comes of it.
struct Handshake {
    library: Arc<QuicServerConfig>,
    config: Arc<rustls::ServerConfig>,
    tls: ServerConnection,
    /// What the keys of the next phase are made from.
    next: Option<Secrets>,
    /// That the handshake's data is there was told.
    told: bool,
    /// Who the client is, once it has shown its certificate.
    client: Option<ClientCertificate>,
}

fn pair(keys: rustls::quic::DirectionalKeys, remote: rustls::quic::DirectionalKeys) -> Keys {
    Keys {
        header: KeyPair { local: Box::new(keys.header), remote: Box::new(remote.header) },
        packet: KeyPair { local: Box::new(keys.packet), remote: Box::new(remote.packet) },
    }
}

impl Handshake {
    fn failed(&self, error: &rustls::Error) -> TransportError {
        let code = self
            .tls
            .alert()
            .map_or(TransportErrorCode::PROTOCOL_VIOLATION, |alert| TransportErrorCode::crypto(alert.into()));
        TransportError { code, frame: None, reason: error.to_string() }
    }

    /// Learns who the client is as soon as that is known: of a resumed session before its early data is read.
    fn identify(&mut self) -> Result<(), TransportError> {
        if self.client.is_none() {
            let shown = shown_certificate(self.tls.peer_certificates(), &*self.config.time_provider);
            self.client = shown.map_err(|(alert, reason)| {
                let code = TransportErrorCode::crypto(alert.into());
                TransportError { code, frame: None, reason: reason.to_owned() }
            })?;
        }
        Ok(())
    }
}

impl crypto::Session for Handshake {
    fn initial_keys(&self, id: &ConnectionId, _: Side) -> Keys {
        #[expect(clippy::expect_used, reason = "the version was accepted before the session began")]
        crypto::ServerConfig::initial_keys(&*self.library, VERSION, id).expect("the version is known")
    }

    /// A [`Session`], without the client's certificate as long as that has not come.
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        if !self.told {
            return None;
        }
        let suite = self.tls.negotiated_cipher_suite().map_or("", |suite| cipher_name(suite.suite()));
        let group = self.tls.negotiated_key_exchange_group();
        Some(Box::new(Session {
            version: "TLSv1.3",
            cipher: suite,
            group: group.map_or("", |group| group.name().as_str().unwrap_or("unknown")),
            server_name: self.tls.server_name().map(str::to_ascii_lowercase),
            alpn: self.tls.alpn_protocol().map(<[u8]>::to_vec),
            resumed: self.tls.handshake_kind() == Some(HandshakeKind::Resumed),
            client: self.client.clone(),
        }))
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        let chain: Vec<CertificateDer<'static>> = self
            .tls
            .peer_certificates()?
            .iter()
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        Some(Box::new(chain))
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        let keys = self.tls.zero_rtt_keys()?;
        Some((Box::new(keys.header), Box::new(keys.packet)))
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        self.tls.read_hs(bytes).map_err(|error| self.failed(&error))?;
        self.identify()?;
        // Once the client's greeting was read, all but its certificate is known.
        let is_known = self.tls.alpn_protocol().is_some() || !self.tls.is_handshaking();
        Ok(is_known && !std::mem::replace(&mut self.told, true))
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let Some(encoded) = self.tls.quic_transport_parameters() else { return Ok(None) };
        Ok(Some(TransportParameters::read(Side::Server, &mut Cursor::new(encoded))?))
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let keys = match self.tls.write_hs(out)? {
            KeyChange::Handshake { keys } => keys,
            KeyChange::OneRtt { keys, next } => {
                self.next = Some(next);
                keys
            }
        };
        Some(pair(keys.local, keys.remote))
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let keys = self.next.as_mut()?.next_packet_keys();
        Some(KeyPair { local: Box::new(keys.local), remote: Box::new(keys.remote) })
    }

    /// Servers get no Retry.
    fn is_valid_retry(&self, _: &ConnectionId, _: &[u8], _: &[u8]) -> bool {
        false
    }

    /// Nobody asks.
    fn export_keying_material(
        &self,
        _: &mut [u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        Err(ExportKeyingMaterialError)
    }
}

/// The name of a suite in the registry of IANA; rustls writes those of TLS 1.3 differently.
fn cipher_name(suite: rustls::CipherSuite) -> &'static str {
    match suite {
        rustls::CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        rustls::CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        suite => suite.as_str().unwrap_or("unknown"),
    }
}

/// What a server's session has agreed on, with the client's certificate if that has come.
pub(super) fn agreed(session: &dyn crypto::Session) -> Option<Session> {
    Some(*session.handshake_data()?.downcast::<Session>().ok()?)
}
