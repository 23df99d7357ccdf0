//! What TLS on listeners is made of: certificates, keys of tickets, and how they are asked for.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use usher_config::config::{ClientCertificateMode, Listener, ListenerTls, Protocol};
use usher_config::{Diagnostic, Span};
use usher_net::tls::{AcceptorOptions, ClientAuth, TicketKeys, TlsAcceptor, TlsError};

use super::connectors::policy;
use super::{Building, Clusters};
use crate::snapshot::{ListenerProtocols, TlsSpec, Trust};

/// The largest file with certificates or keys (bytes): a list of revoked ones may be long.
const MAX_FILE: u64 = 16 << 20;

/// The bytes of a file, up to a size that makes sense.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE { Err(format!("it has more than {MAX_FILE} bytes")) } else { Ok(bytes) }
}

/// The versions of HTTP that a listener speaks.
pub(super) fn protocols(listener: &Listener) -> ListenerProtocols {
    ListenerProtocols {
        h1: listener.speaks(Protocol::H1),
        h2: listener.speaks(Protocol::H2),
        // A load balancer in front says who the client is on TCP only.
        h3: listener.speaks(Protocol::H3) && listener.tls.on().is_some() && listener.proxy_protocol.is_none(),
    }
}

/// The file that is at fault, else the listener.
fn place_of(error: &TlsError, listener: &Listener, tls: &ListenerTls) -> Span {
    let client = tls.client_certificate.as_ref();
    let file = match error {
        TlsError::Roots(_) => client.and_then(|client| client.ca.first()),
        TlsError::RevocationList(_) => client.and_then(|client| client.crl.first()),
        _ => None,
    };
    let bind = || listener.bind.first().map_or(Span::NONE, |bind| bind.span);
    file.map_or_else(bind, |file| file.span)
}

impl Building<'_> {
    /// What all listeners share and a reload keeps.
    pub(super) fn trust(&mut self) -> Arc<Trust> {
        self.carry.keep("trust".to_owned(), Trust::default)
    }

    /// The keys of session tickets; none if a file of them cannot be used.
    pub(super) fn tickets(&mut self) -> Option<Arc<TicketKeys>> {
        let Some(files) = &self.loaded.config.tls.ticket_keys else {
            return Some((*self.carry.keep("session tickets".to_owned(), TicketKeys::new)).clone());
        };
        let read: Vec<Option<Vec<u8>>> = files.iter().map(|path| self.bytes_of(path)).collect();
        let secrets: Option<Vec<Vec<u8>>> = read.into_iter().collect();
        match TicketKeys::from_secrets(secrets?) {
            Ok(keys) => Some(keys),
            Err(error) => {
                let place = files.first().map_or(Span::NONE, |file| file.span);
                self.push(Diagnostic::error(error.to_string()).at(place, ""));
                None
            }
        }
    }

    /// TLS on a listener; none where it is off or cannot be built.
    pub(super) fn tls(
        &mut self,
        listener: &Listener,
        tickets: Option<&Arc<TicketKeys>>,
        clusters: &mut Clusters,
    ) -> Option<TlsSpec> {
        let tls = listener.tls.on()?;
        let client_auth = self.client_auth(tls)?;
        let spoken = protocols(listener);
        let mut alpn = Vec::new();
        if spoken.h2 {
            alpn.push(b"h2".to_vec());
        }
        if spoken.h1 {
            alpn.push(b"http/1.1".to_vec());
        }
        let global = &self.loaded.config.tls;
        let options = AcceptorOptions {
            policy: policy(tls.policy.unwrap_or(global.policy)),
            alpn,
            client_auth,
            session_tickets: global.session_tickets,
            ..AcceptorOptions::new(self.trust().certificates.clone(), tickets?.clone())
        };
        let made = TlsAcceptor::new(options).and_then(|acceptor| {
            let quic = spoken.h3.then(|| acceptor.quic(tls.early_data)).transpose()?;
            Ok((acceptor, quic))
        });
        match made {
            Ok((acceptor, quic)) => {
                Some(TlsSpec { acceptor, quic, passthrough: self.passthrough(listener, tls, clusters) })
            }
            Err(error) => {
                let place = place_of(&error, listener, tls);
                self.push(Diagnostic::error(format!("no TLS on this listener: {error}")).at(place, ""));
                None
            }
        }
    }

    /// How clients' certificates are checked; none if a file cannot be read.
    fn client_auth(&mut self, tls: &ListenerTls) -> Option<Option<ClientAuth>> {
        let Some(client) = &tls.client_certificate else { return Some(None) };
        // All of them, so that all that cannot be read are reported.
        let roots: Vec<Option<Vec<u8>>> = client.ca.iter().map(|path| self.bytes_of(path)).collect();
        let crls: Vec<Option<Vec<u8>>> = client.crl.iter().map(|path| self.bytes_of(path)).collect();
        let roots = roots.into_iter().collect::<Option<Vec<_>>>()?.join(&b'\n');
        let crls = crls.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Some(ClientAuth { roots, required: client.mode == ClientCertificateMode::Required, crls }))
    }
}

#[cfg(test)]
mod tests;
