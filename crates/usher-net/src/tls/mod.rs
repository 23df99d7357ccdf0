//! TLS (RFC 8446, RFC 5246) on both sides of the proxy.
//!
//! rustls does the handshakes; once one is done, the keys are taken over by the record layer in [`stream`], which
//! decrypts straight into the buffer of the reader and encrypts straight into the buffer of the socket, and owns no
//! memory while nothing is to be read or written.
//!
//! - [`peek`]: what the first bytes of a connection say, before anything is answered.
//! - [`TlsAcceptor`] and [`accept`]: the side of a server.
//! - [`TlsConnector`]: the side of a client.
//! - [`Certificates`]: which certificate goes with which name, changed while connections come in.
//! - [`TicketKeys`]: what lets clients resume their sessions.
//! - [`Secured`]: a stream that may be encrypted.

mod acceptor;
mod certificate;
mod certificates;
mod connector;
mod error;
mod facts;
mod handshake;
mod hello;
mod policy;
mod secured;
mod session;
mod stream;
#[cfg(test)]
mod testing;
mod tickets;
mod trust;
mod verifier;

pub use rustls::ServerConfig as QuicTls;

pub use acceptor::{AcceptorOptions, TlsAcceptor, accept, accept_at};
pub use certificate::{Certificate, CertificateError};
pub use certificates::{CertificateSet, Certificates};
pub use connector::{ConnectorOptions, TlsConnector};
pub use error::{HandshakeError, HandshakeErrorKind, TlsError};
pub use hello::{ClientHello, MAX_CLIENT_HELLO, Peek, peek};
pub use policy::Policy;
pub use secured::Secured;
pub(crate) use session::shown_certificate;
pub use session::{ClientCertificate, Session};
pub use stream::TlsStream;
pub use tickets::{MIN_TICKET_SECRET, TicketKeys};
pub use trust::ClientAuth;
