//! How the endpoints of a cluster are spoken to: of those in its config, and of those that are found while it serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use usher_config::config::{self, ClusterTls, ProxyVersion, Switch, UpstreamProtocol};
use usher_config::{Diagnostic, EndpointAddress, EndpointUrl, Scheme};

use super::{ClusterSpec, EndpointSpec, Origin, Speech, Zone};

/// What a cluster says of all its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Those speak TLS whose addresses say nothing else.
    pub secure: bool,
    /// The name that their certificates have.
    pub server_name: Option<Arc<str>>,
    /// The version of HTTP.
    pub protocol: UpstreamProtocol,
    /// The PROXY header that connections begin with.
    pub proxy: Option<ProxyVersion>,
    /// Endpoints in the zone of this proxy are preferred.
    pub is_local: bool,
    /// The zone of this proxy.
    pub zone: Option<Arc<str>>,
}

impl Manner {
    pub(super) fn new(
        tls: &Switch<ClusterTls>,
        (protocol, proxy): (UpstreamProtocol, Option<ProxyVersion>),
        is_local: bool,
    ) -> Self {
        let named = tls.on().and_then(|tls| tls.server_name.as_ref());
        let server_name = named.map(|name| name.value.as_str().into());
        Self { secure: tls.on().is_some(), server_name, protocol, proxy, is_local, zone: None }
    }

    /// Where an endpoint is.
    pub(super) fn zone_of(&self, labels: &BTreeMap<String, String>) -> Zone {
        let name = labels.get("zone").map(String::as_str);
        Zone { name: name.map(Arc::from), elsewhere: self.is_local && name != self.zone.as_deref() }
    }

    /// How an endpoint is spoken to.
    pub(super) fn speech(&self, url: &EndpointUrl) -> Speech {
        let Self { secure, server_name, protocol, proxy, .. } = self;
        let protocol = match (*protocol, url.scheme) {
            (UpstreamProtocol::Auto, Scheme::H2c) => UpstreamProtocol::H2,
            (chosen, _) => chosen,
        };
        let secure = url.scheme == Scheme::Https || *secure && url.scheme == Scheme::Http;
        let tls = secure.then(|| server_name.clone().unwrap_or_else(|| identity(&url.address)));
        let protocol = match (protocol, &tls) {
            // Nothing is negotiated without TLS; and behind a PROXY header there are requests of one client only.
            (UpstreamProtocol::Auto, None) => UpstreamProtocol::H1,
            (UpstreamProtocol::Auto, _) if proxy.is_some() => UpstreamProtocol::H1,
            (chosen, _) => chosen,
        };
        Speech { tls, protocol, proxy: *proxy }
    }

    /// What is wrong with an endpoint of a cluster that speaks like this: the message, and the repair.
    pub(super) fn misfit(
        &self,
        url: &EndpointUrl,
        some_secure: bool,
    ) -> Option<(&'static str, &'static str)> {
        let is_clear = url.scheme == Scheme::H2c;
        let is_unix = matches!(url.address, EndpointAddress::Unix(_));
        let plain = self.speech(url).tls.is_none();
        match self.protocol {
            UpstreamProtocol::H3 if is_unix => Some((
                "HTTP/3 needs UDP, which a Unix socket has not",
                "write an address or a name, or set another `protocol`",
            )),
            UpstreamProtocol::H3 if plain && some_secure => Some(("HTTP/3 needs TLS", "write `https://…`")),
            UpstreamProtocol::H1 if is_clear => {
                Some(("`h2c://` is HTTP/2, and `protocol` says HTTP/1.1", "leave out one of them"))
            }
            _ if is_clear && self.secure => Some((
                "`h2c://` has no TLS, and the cluster has `tls`",
                "write `https://…`, or leave out `tls`",
            )),
            _ => None,
        }
    }
}

/// The name that an endpoint's certificate must have, where the config says none. Of a service it is the domain that was
/// asked for the records, as those could name anybody (RFC 9525, section 6.1: what is derived from an insecure lookup is
/// no identity).
fn identity(address: &EndpointAddress) -> Arc<str> {
    match address {
        EndpointAddress::Name { host, .. } => host.trim_end_matches('.').into(),
        EndpointAddress::Service { name } => {
            let mut rest = name.trim_end_matches('.');
            while let Some((label, behind)) = rest.split_once('.')
                && label.starts_with('_')
            {
                rest = behind;
            }
            rest.into()
        }
        EndpointAddress::Socket(address) => address.ip().to_string().into(),
        EndpointAddress::Unix(_) => "localhost".into(),
    }
}

impl ClusterSpec {
    /// An endpoint of this cluster that is not in the config.
    ///
    /// # Errors
    /// It cannot be spoken to as its address says, at the address's place.
    pub fn endpoint(&self, one: &config::Endpoint, origin: Origin) -> Result<EndpointSpec, Diagnostic> {
        let url = &one.address;
        let fault = |(found, help): (&str, &str)| Err(Diagnostic::error(found).at(url.span, "").help(help));
        if let Some(misfit) = self.manner.misfit(url, true) {
            return fault(misfit);
        }
        let spec = EndpointSpec::new(one, &self.manner, origin);
        if spec.speech.tls.is_some() && self.tls.is_none() {
            return fault(("this cluster has no TLS to endpoints", "set `tls = true` at the cluster"));
        }
        Ok(spec)
    }
}
