//! TLS 1.3 for the connections of HTTP/1.1, and the check that each made the handshake that is to be measured.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};

use crate::http::HOST;
use crate::works::Handshake;

/// How the connections of a load speak TLS. The client offers one suite and one group, so that all proxies use the same.
pub(crate) struct Tls {
    /// One for all connections, or one for each where each resumes its own sessions.
    configs: Vec<Arc<ClientConfig>>,
    handshake: Handshake,
}

impl Tls {
    /// For `connections` to a server that shows the certificate in this file.
    pub(crate) fn new(certificate: &Path, handshake: Handshake, connections: usize) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        let der = CertificateDer::from_pem_slice(&fs::read(certificate)?).map_err(io::Error::other)?;
        roots.add(der).map_err(io::Error::other)?;
        let group: &'static dyn SupportedKxGroup = match handshake {
            Handshake::PostQuantum => kx_group::X25519MLKEM768,
            Handshake::Full | Handshake::Resumed => kx_group::X25519,
        };
        let suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
        let provider = CryptoProvider { cipher_suites: suites, kx_groups: vec![group], ..default_provider() };
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(io::Error::other)?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        let configs = match handshake {
            Handshake::Resumed => (0..connections).map(|_| resuming(&config)).collect(),
            Handshake::Full | Handshake::PostQuantum => vec![Arc::new(config)],
        };
        Ok(Self { configs, handshake })
    }

    /// The session of the connection with this index.
    pub(crate) fn begin(&self, index: usize) -> io::Result<Box<Session>> {
        let config = self.configs.get(index).or_else(|| self.configs.first());
        let config = config.ok_or_else(|| io::Error::other("no connections, no configuration"))?;
        let name = ServerName::try_from(HOST).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Box::new(Session { connection, handshake: self.handshake }))
    }
}

/// The same with tickets of its own: a ticket is used once, and connections must not take each other's.
fn resuming(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.resumption = Resumption::in_memory_sessions(1);
    Arc::new(config)
}

/// TLS on one connection, over a socket that does not block.
pub(crate) struct Session {
    connection: ClientConnection,
    handshake: Handshake,
}

impl Session {
    /// Takes bytes to be sent; they leave as far as the handshake and the socket allow.
    pub(crate) fn write(&mut self, socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let count = self.connection.writer().write(bytes)?;
        self.flush(socket)?;
        if count == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(count)
    }

    /// Sends what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads payload; goes on with the handshake where that is what comes.
    pub(crate) fn read(&mut self, socket: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            self.connection.read_tls(socket)?;
            let processed = self.connection.process_new_packets();
            self.flush(socket)?;
            processed.map_err(io::Error::other)?;
        }
    }

    /// Whether the handshake is not complete yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the handshake was the one that is to be measured. Suite and group need no look: no other was offered.
    pub(super) fn check(&self) -> io::Result<()> {
        let wanted = match self.handshake {
            Handshake::Resumed => HandshakeKind::Resumed,
            Handshake::Full | Handshake::PostQuantum => HandshakeKind::Full,
        };
        match self.connection.handshake_kind() {
            Some(kind) if kind == wanted => Ok(()),
            kind => Err(io::Error::other(format!("a handshake of another kind: {kind:?}"))),
        }
    }
}
