//! TLS towards endpoints: which of them speak it, and with whose certificates.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use usher_config::config::{Carries, ClusterTls, Endpoint, Listener, TlsPolicy, UpstreamProtocol};
use usher_config::{Diagnostic, Scheme, Span, Spanned};
use usher_net::tls::{Certificate, ConnectorOptions, Policy, TlsConnector};
use usher_route::HostPattern;

use super::Building;
use super::clusters::Draft;
use super::secrets::read;
use crate::snapshot::Connectors;

/// The policy as the TLS stack knows it.
pub(super) fn policy(policy: TlsPolicy) -> Policy {
    match policy {
        TlsPolicy::Intermediate => Policy::Intermediate,
        TlsPolicy::Modern => Policy::Modern,
    }
}

/// Different for different options.
fn identity(options: &ConnectorOptions) -> u64 {
    let ConnectorOptions { verify, roots, client, alpn, policy, .. } = options;
    let mut hasher = DefaultHasher::new();
    let client = client.as_ref().map(|certificate| certificate.fingerprint());
    (verify, roots, client, alpn, *policy == Policy::Modern).hash(&mut hasher);
    hasher.finish()
}

impl Building<'_> {
    /// What a cluster's endpoints are connected to with, if some of them speak TLS; none if it cannot be built.
    pub(super) fn connector(&mut self, draft: &Draft<'_>) -> Option<Option<Connectors>> {
        let manner = draft.manner();
        // Endpoints that are found later may speak it too.
        let secure =
            manner.secure || draft.endpoints.iter().any(|one| manner.speech(&one.address).tls.is_some());
        self.fit_together(draft);
        if draft.protocol == UpstreamProtocol::H3 && !secure {
            let error = Diagnostic::error("HTTP/3 needs TLS").at(draft.place, "endpoints without it");
            self.push(error.help("set `tls = true`, or write `https://…` for the endpoints"));
            return None;
        }
        if !secure {
            return Some(None);
        }
        let tls = draft.tls.on().cloned().unwrap_or_default();
        self.check_name(&tls);
        let roots = self.pem(tls.ca.as_ref())?;
        let client = self.client_certificate(&tls)?;
        let alpn: &[&[u8]] = match draft.protocol {
            UpstreamProtocol::Auto if draft.proxy.is_some() => &[b"http/1.1"],
            UpstreamProtocol::Auto => &[b"h2", b"http/1.1"],
            UpstreamProtocol::H1 => &[b"http/1.1"],
            UpstreamProtocol::H2 => &[b"h2"],
            UpstreamProtocol::H3 => &[b"h3"],
        };
        let options = ConnectorOptions {
            verify: tls.verify,
            roots,
            client,
            alpn: alpn.iter().map(|name| name.to_vec()).collect(),
            policy: policy(tls.policy.unwrap_or(self.loaded.config.tls.policy)),
            ..ConnectorOptions::default()
        };
        let http1 = ConnectorOptions { alpn: vec![b"http/1.1".to_vec()], ..options.clone() };
        let place = tls.ca.as_ref().map_or(draft.place, |ca| ca.span);
        let carries_tcp = |listener: &Spanned<Listener>| listener.protocol == Carries::Tcp;
        let bare = ConnectorOptions { alpn: Vec::new(), ..options.clone() };
        let bare = match self.loaded.config.listeners.iter().any(carries_tcp) {
            true => Some(self.made(bare, (draft, place))?),
            false => None,
        };
        let usual = self.made(options, (draft, place))?;
        Some(Some(Connectors { usual, http1: self.made(http1, (draft, place))?, bare }))
    }

    /// Each endpoint must speak what its cluster does.
    fn fit_together(&mut self, draft: &Draft<'_>) {
        let manner = draft.manner();
        let is_https = |one: &Spanned<Endpoint>| one.address.scheme == Scheme::Https;
        let some_secure = manner.secure || draft.endpoints.iter().any(is_https);
        for one in draft.endpoints {
            if let Some((found, help)) = manner.misfit(&one.address, some_secure) {
                self.push(Diagnostic::error(found).at(one.address.span, "").help(help));
            }
        }
    }

    /// The name that endpoints' certificates must have.
    fn check_name(&mut self, tls: &ClusterTls) {
        let Some(name) = &tls.server_name else { return };
        let is_name = !name.starts_with(['*', '~', '[']) && HostPattern::parse(name).is_ok();
        if !is_name && name.parse::<IpAddr>().is_err() {
            let error =
                Diagnostic::error(format!("`{}` is no name that a certificate could be for", name.value));
            self.push(
                error
                    .at(name.span, "")
                    .help("write `app.internal` or an IP address, without scheme and port"),
            );
        }
    }

    /// Endpoints' sessions are remembered over a reload that changes nothing about them.
    fn made(
        &mut self,
        options: ConnectorOptions,
        (draft, place): (&Draft<'_>, Span),
    ) -> Option<Arc<TlsConnector>> {
        let key = format!("tls of cluster {}: {:x}", draft.name, identity(&options));
        let made = self.carry.keep(key, || TlsConnector::new(options).map(Arc::new));
        match &*made {
            Ok(connector) => Some(connector.clone()),
            Err(error) => {
                let error = Diagnostic::error(format!("no TLS to endpoints of `{}`: {error}", draft.name));
                self.push(error.at(place, ""));
                None
            }
        }
    }

    /// A file with certificates, if one is named; none if it cannot be read.
    fn pem(&mut self, path: Option<&Spanned<std::path::PathBuf>>) -> Option<Option<Vec<u8>>> {
        match path {
            None => Some(None),
            Some(path) => self.bytes_of(path).map(Some),
        }
    }

    fn client_certificate(&mut self, tls: &ClusterTls) -> Option<Option<Arc<Certificate>>> {
        match (&tls.cert, &tls.key) {
            (None, None) => Some(None),
            (Some(cert), Some(key)) => {
                let (chain, secret) = (self.bytes_of(cert), self.bytes_of(key));
                let certificate = Certificate::from_pem(&chain?, &secret?);
                match certificate {
                    Ok(certificate) => Some(Some(Arc::new(certificate))),
                    Err(error) => {
                        let at = if error.is_about_key() { key } else { cert };
                        let error = format!("`{}` cannot be used: {error}", at.value.display());
                        self.push(Diagnostic::error(error).at(at.span, ""));
                        None
                    }
                }
            }
            (Some(one), None) | (None, Some(one)) => {
                let error = Diagnostic::error("a certificate for endpoints needs both `cert` and `key`");
                self.push(error.at(one.span, "only one is set"));
                None
            }
        }
    }

    /// The bytes of a file; what cannot be read is reported.
    pub(super) fn bytes_of(&mut self, path: &Spanned<std::path::PathBuf>) -> Option<Vec<u8>> {
        self.uses_file(path.value.clone());
        match read(Path::new(&path.value)) {
            Ok(bytes) => Some(bytes),
            Err(why) => {
                let error = format!("cannot read `{}`: {why}", path.value.display());
                self.push(Diagnostic::error(error).at(path.span, ""));
                None
            }
        }
    }
}
