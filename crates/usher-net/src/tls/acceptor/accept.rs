//! The handshake with a client.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::AlertDescription;
use rustls::server::UnbufferedServerConnection;

use super::super::error::{HandshakeError, HandshakeErrorKind as Kind};
use super::super::handshake::{Handshake, alert_record};
use super::super::hello::{ClientHello, Peek, peek};
use super::super::session::{Session, shown_certificate};
use super::super::stream::TlsStream;
use super::{CHALLENGE_PROTOCOL, TlsAcceptor};
use crate::transport::Transport;

/// Speaks TLS with a client on a stream of which `ahead` was read already. Has no time limit of its own.
///
/// # Errors
/// Whatever goes wrong; the client was told by an alert.
pub async fn accept<T: Transport>(
    stream: T,
    ahead: Vec<u8>,
    acceptor: &TlsAcceptor,
) -> Result<TlsStream<T>, HandshakeError> {
    accept_at(stream, ahead, acceptor, None).await
}

/// As [`accept`], of a client that connected to `local`: one that names no host gets the certificate for that address, if
/// there is one. Clients name no host where they were given an address (RFC 6066 section 3).
///
/// # Errors
/// Whatever goes wrong; the client was told by an alert.
pub async fn accept_at<T: Transport>(
    stream: T,
    ahead: Vec<u8>,
    acceptor: &TlsAcceptor,
    local: Option<IpAddr>,
) -> Result<TlsStream<T>, HandshakeError> {
    let mut handshake = Handshake::new(stream, ahead);
    let hello = read_hello(&mut handshake).await?;
    let name = hello.server_name();
    let addressed = local.filter(|_| name.is_none()).and_then(|local| acceptor.at_address(local));
    let config = if let Some(config) = &addressed {
        config
    } else if hello.alpn().any(|protocol| protocol == CHALLENGE_PROTOCOL) {
        if name.is_none_or(|name| acceptor.certificates.challenge(name).is_none()) {
            handshake.send(&alert_record(AlertDescription::UnrecognisedName)).await;
            return Err(HandshakeError::new(Kind::UnknownName, "no challenge is open for this name"));
        }
        &acceptor.challenge
    } else {
        if !acceptor.certificates.serves(name) {
            handshake.send(&alert_record(AlertDescription::UnrecognisedName)).await;
            return Err(unknown(name));
        }
        &acceptor.config
    };
    let mut connection = UnbufferedServerConnection::new(Arc::clone(config))
        .map_err(|error| HandshakeError::from_rustls(&error, true))?;
    handshake.run(&mut connection).await?;
    let shown = shown_certificate(connection.peer_certificates(), &*config.time_provider);
    let (client, refusal) = shown.map_or_else(|refusal| (None, Some(refusal)), |client| (client, None));
    let session = Session::new(&connection, name.map(str::to_owned), client);
    let stream = handshake.finish(connection, session)?;
    match refusal {
        Some((alert, reason)) => {
            stream.refuse(alert).await;
            Err(HandshakeError::new(Kind::BadClientCertificate, reason))
        }
        None => Ok(stream),
    }
}

fn unknown(name: Option<&str>) -> HandshakeError {
    match name {
        Some(name) => HandshakeError::new(Kind::UnknownName, format!("there is no certificate for `{name}`")),
        None => HandshakeError::new(
            Kind::UnknownName,
            "the client names no host, and there is no default certificate",
        ),
    }
}

async fn read_hello<T: Transport>(handshake: &mut Handshake<T>) -> Result<ClientHello, HandshakeError> {
    loop {
        match peek(handshake.input()) {
            Peek::Hello(hello) => return Ok(hello),
            Peek::NeedMore => handshake.read().await?,
            Peek::NotTls => return Err(HandshakeError::new(Kind::NotTls, "the first bytes are not TLS")),
            Peek::Malformed(reason) => {
                handshake.send(&alert_record(AlertDescription::DecodeError)).await;
                return Err(HandshakeError::new(Kind::Malformed, reason));
            }
        }
    }
}
