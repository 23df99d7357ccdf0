//! The PROXY header that a connection to an endpoint begins with: who the client is.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;

use usher_api::Client;
use usher_config::config::ProxyVersion;
use usher_net::Transport;
use usher_net::proxy_protocol::{Details, Endpoints, Shown, encode_v1, encode_v2};
use usher_net::tls::Session;

/// Writes the header, before anything else is sent. `host` is what the client asked for in a TLS handshake that was not
/// ended here.
///
/// # Errors
/// What writing says.
pub(crate) async fn write<T: Transport>(
    stream: &mut T,
    version: ProxyVersion,
    client: (&Client, &str),
) -> io::Result<()> {
    let header = header(version, client);
    let mut rest = &header[..];
    while !rest.is_empty() {
        match poll_fn(|cx| stream.poll_write(cx, rest)).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => rest = rest.get(written..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// The header. A client without an address, on a Unix socket, is not told of: the endpoint sees our own connection.
fn header(version: ProxyVersion, (client, host): (&Client, &str)) -> Vec<u8> {
    let mut header = Vec::new();
    let endpoints = match (source(client), client.local) {
        (Some(source), Some(destination)) => Endpoints::Tcp { source, destination },
        _ => Endpoints::Own,
    };
    match version {
        ProxyVersion::V1 => encode_v1(&endpoints, &mut header),
        ProxyVersion::V2 => {
            let whole = encode_v2(&endpoints, &details(client, host), false, &mut header);
            // A host that no header may carry is left out; addresses alone always fit.
            if whole.is_err() {
                let _ = encode_v2(&endpoints, &Details::default(), false, &mut header);
            }
        }
    }
    header
}

/// The client's address: what a trusted proxy said of it has no port.
fn source(client: &Client) -> Option<SocketAddr> {
    match (client.peer, client.ip) {
        (Some(peer), Some(ip)) if peer.ip() != ip => Some(SocketAddr::new(ip, 0)),
        (peer, _) => peer,
    }
}

fn details(client: &Client, host: &str) -> Details {
    let session = client.tls.as_deref();
    let named = session.and_then(|session| session.server_name.as_deref()).unwrap_or(host);
    Details {
        authority: Some(named).filter(|name| !name.is_empty()).map(str::to_owned),
        alpn: session.and_then(|session| session.alpn.clone()),
        over_tls: session.is_some(),
        certificate: session.and_then(shown),
        ..Details::default()
    }
}

/// When the client of a session showed its certificate, which was verified then.
fn shown(session: &Session) -> Option<Shown> {
    session.client.as_ref().map(|_| if session.resumed { Shown::Before } else { Shown::Now })
}

#[cfg(test)]
mod tests;
