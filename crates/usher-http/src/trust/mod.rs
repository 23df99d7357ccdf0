//! The trust boundary: what the proxy tells endpoints about the client, and whose word it takes for it.
//!
//! A client's own forwarding fields are believed only if its peer is a trusted proxy; otherwise they are replaced, so
//! that nobody can claim another address.

#[cfg(test)]
mod tests;

use std::cell::{Cell, OnceCell};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

pub use crate::fields::is_claim;
use crate::fields::{FieldId, Fields};
use crate::forwarded::{self, Hop, Node};
use crate::head::Request;

/// Text that stays the same for all requests of a connection, so that it is formatted once.
#[derive(Debug, Default)]
pub struct ClientText {
    /// The peer's address as X-Forwarded-For writes it; empty on Unix sockets.
    ip: Vec<u8>,
    address: Option<IpAddr>,
    /// The port that the client connected to, in digits; empty on Unix sockets.
    port: Vec<u8>,
    /// The address that the client connected to; none on Unix sockets.
    local: Option<SocketAddr>,
    /// What [`replace`] writes for every request alike.
    lines: Lines,
}

/// Forwarding fields that differ between requests of one connection by scheme and protocol only: written once, on the
/// second request, as many connections see just one.
#[derive(Debug, Default)]
struct Lines {
    /// Whether there was a request.
    used: Cell<bool>,
    /// Scheme, protocol and the lines for them.
    written: OnceCell<(&'static str, &'static str, Fields)>,
}

impl ClientText {
    /// For a connection from `peer` to `local`.
    pub fn new(peer: Option<IpAddr>, local: Option<SocketAddr>) -> Self {
        let mut ip = Vec::new();
        if let Some(address) = peer {
            forwarded::write_ip(address, &mut ip);
        }
        let port = local.map(|local| local.port().to_string().into_bytes()).unwrap_or_default();
        Self { ip, address: peer, port, local, lines: Lines::default() }
    }

    /// Whether it is the text of this client.
    pub fn is_of(&self, peer: IpAddr) -> bool {
        self.address == Some(peer)
    }
}

/// Gives a request without Host (HTTP/1.0) the authority that RFC 9112 section 3.3 names: the address and port that the
/// client connected to. On a Unix socket it is `localhost`.
pub fn name_host(request: &mut Request, client: &ClientText) {
    if !request.authority.is_empty() {
        return;
    }
    let Request { host, authority, scheme, .. } = request;
    // Writing to a `String` cannot fail.
    let _ = match client.local.map(|local| local.ip().to_canonical()) {
        Some(IpAddr::V6(ip)) => write!(host, "[{ip}]"),
        Some(ip) => write!(host, "{ip}"),
        None => write!(host, "localhost"),
    };
    authority.push_str(host);
    let usual = if *scheme == "https" { 443 } else { 80 };
    if let Some(port) = client.local.map(|local| local.port()).filter(|port| *port != usual) {
        let _ = write!(authority, ":{port}");
    }
}

/// The client's address: the peer's, or what trusted proxies say (RFC 7239, X-Forwarded-For), from the right. Without
/// `peer`, a trusted proxy on a Unix socket is the first of them; none if it names nobody.
pub fn client_address(
    request: &Request,
    peer: Option<IpAddr>,
    trusted: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let fields = &request.fields;
    if fields.may_have(FieldId::XForwardedFor) {
        let mut lines: Vec<&[u8]> = fields.all(FieldId::XForwardedFor).collect();
        lines.reverse();
        return forwarded::client_address(peer, lines, trusted);
    }
    if fields.may_have(FieldId::Forwarded) {
        let mut lines: Vec<&[u8]> = fields.all(FieldId::Forwarded).collect();
        lines.reverse();
        return forwarded::client_address_forwarded(peer, lines, trusted);
    }
    peer.map(|peer| peer.to_canonical())
}

/// What a client could claim about where it comes from, of the names that the proxy writes itself. Others that endpoints
/// may believe ([`is_claim`]) are taken away with these.
const CLAIMS: [FieldId; 6] = [
    FieldId::XForwardedFor,
    FieldId::XForwardedProto,
    FieldId::XForwardedHost,
    FieldId::XForwardedPort,
    FieldId::XRealIp,
    FieldId::Forwarded,
];

/// Writes the forwarding fields of a request that came from a stranger: whatever it claimed is replaced.
pub fn replace(request: &mut Request, client: &ClientText, protocol: &'static str) {
    request.fields.remove_all(&CLAIMS);
    request.fields.remove_claims();
    let scheme = request.scheme;
    let fields = &mut request.fields;
    if client.lines.used.replace(true) {
        let write = || {
            let mut lines = Fields::default();
            write_same(&mut lines, client, (scheme, protocol));
            (scheme, protocol, lines)
        };
        match client.lines.written.get_or_init(write) {
            (same, as_before, lines) if (*same, *as_before) == (scheme, protocol) => fields.append_all(lines),
            _ => write_same(fields, client, (scheme, protocol)),
        }
    } else {
        write_same(fields, client, (scheme, protocol));
    }
    if !request.authority.is_empty() {
        fields.push(FieldId::XForwardedHost, request.authority.as_bytes());
    }
}

/// The fields that say the same of every request of a client by one scheme and protocol.
fn write_same(fields: &mut Fields, client: &ClientText, (scheme, protocol): (&str, &str)) {
    if !client.ip.is_empty() {
        fields.push(FieldId::XForwardedFor, &client.ip);
        fields.push(FieldId::XRealIp, &client.ip);
    }
    fields.push(FieldId::XForwardedProto, scheme.as_bytes());
    if !client.port.is_empty() {
        fields.push(FieldId::XForwardedPort, &client.port);
    }
    fields.push_parts(FieldId::Via, &[protocol.as_bytes(), b" usher"]);
}

/// Adds this hop to the forwarding fields that a trusted proxy sent, keeping what it said of scheme, host and port.
///
/// `real` is the client's address; where only Forwarded told it, X-Forwarded-For begins with it.
pub fn append(request: &mut Request, client: &ClientText, real: Option<IpAddr>, protocol: &str) {
    let mut before = joined(request, FieldId::XForwardedFor);
    let hops = joined(request, FieldId::Forwarded);
    if before.is_empty()
        && let Some(real) = real.filter(|real| client.address.is_none_or(|peer| peer.to_canonical() != *real))
    {
        forwarded::write_ip(real, &mut before);
    }
    let fields = &mut request.fields;
    fields.remove(FieldId::XForwardedFor);
    match (before.is_empty(), client.ip.is_empty()) {
        (false, false) => fields.push_parts(FieldId::XForwardedFor, &[&before, b", ", &client.ip]),
        (false, true) => fields.push(FieldId::XForwardedFor, &before),
        (true, false) => fields.push(FieldId::XForwardedFor, &client.ip),
        (true, true) => {}
    }
    if !hops.is_empty() {
        let mut value = hops;
        value.extend_from_slice(b", ");
        let client = client.address.map_or(Node::Unknown, |ip| Node::Ip(ip, None));
        Hop { client, host: Some(&request.authority), proto: Some(request.scheme) }.write_to(&mut value);
        fields.remove(FieldId::Forwarded);
        fields.push(FieldId::Forwarded, &value);
    }
    if let Some(real) = real {
        let mut text = Vec::new();
        forwarded::write_ip(real, &mut text);
        fields.remove(FieldId::XRealIp);
        fields.push(FieldId::XRealIp, &text);
    }
    for (id, value) in [
        (FieldId::XForwardedProto, request.scheme.as_bytes()),
        (FieldId::XForwardedHost, request.authority.as_bytes()),
        (FieldId::XForwardedPort, &client.port),
    ] {
        if !value.is_empty() && fields.get(id).is_none() {
            fields.push(id, value);
        }
    }
    fields.push_parts(FieldId::Via, &[protocol.as_bytes(), b" usher"]);
}

/// The lines of a list as one.
fn joined(request: &Request, id: FieldId) -> Vec<u8> {
    let mut all = Vec::new();
    for line in request.fields.all(id).filter(|line| !line.is_empty()) {
        if !all.is_empty() {
            all.extend_from_slice(b", ");
        }
        all.extend_from_slice(line);
    }
    all
}
