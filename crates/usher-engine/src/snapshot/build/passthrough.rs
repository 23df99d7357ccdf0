//! Connections that are passed on as they come: TCP, and TLS that is not ended here.

use std::collections::HashMap;
use std::net::IpAddr;

use usher_config::config::{self, Carries, Listener, ListenerTls, RouteTimeouts};
use usher_config::{Diagnostic, OneOrMany, Scheme, Span, Spanned, closest};
use usher_route::HostPattern;

use super::{Building, Clusters};
use crate::snapshot::{Destination, Onward, Passthrough};

impl Building<'_> {
    /// Whose connections a listener passes on, the most specific hosts first.
    pub(super) fn passthrough(
        &mut self,
        listener: &Listener,
        tls: &ListenerTls,
        clusters: &mut Clusters,
    ) -> Vec<Passthrough> {
        let mut all = Vec::new();
        let mut seen: HashMap<Box<str>, Span> = HashMap::new();
        for one in &tls.passthrough {
            if one.cluster.is_some() == one.to.is_some() {
                let error = Diagnostic::error("`passthrough` needs either `to` or `cluster`");
                let found = if one.to.is_some() { "both are set" } else { "neither is set" };
                self.push(error.at(one.span, found).help("write `to = \"10.0.0.1:443\"`, for instance"));
            }
            let onward = self.past(listener, one, clusters);
            for host in &one.host {
                let Some(name) = self.past_host(host) else { continue };
                if let Some(first) = seen.insert(name.clone(), host.span) {
                    let error = Diagnostic::error(format!("`{}` is passed on twice", host.value));
                    let error = error.at(host.span, "again here").at(first, "first here");
                    self.push(error.help("keep one; for several endpoints, list them in its `to`"));
                }
                all.extend(onward.clone().map(|onward| Passthrough { host: name, onward }));
            }
        }
        all.sort_by_key(|one| (one.host.starts_with('*'), std::cmp::Reverse(one.host.len())));
        all
    }

    /// A host as it stands in a handshake; none if no handshake has such a one.
    fn past_host(&mut self, host: &Spanned<String>) -> Option<Box<str>> {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        if is_address || name == "*" || name.starts_with('~') {
            let error = Diagnostic::error(format!("`{}` is no host of a TLS handshake", host.value));
            let help = match is_address {
                true => {
                    "clients name a host only where they have a name: write `example.com` or `*.example.com`"
                }
                false => "write `example.com` or `*.example.com`",
            };
            self.push(error.at(host.span, "").help(help));
            return None;
        }
        let error = match HostPattern::parse(host) {
            Ok(_) => return Some(name.into()),
            Err(error) => error,
        };
        let place = self.within(host, error.span);
        let error = Diagnostic::error(format!("`{}` is no host of a TLS handshake", host.value))
            .at(place, error.message);
        let scheme = ["http://", "https://"].into_iter().find(|scheme| host.starts_with(scheme));
        self.push(error.maybe_help(scheme.map(|scheme| format!("leave out `{scheme}`"))));
        None
    }

    fn past(
        &mut self,
        listener: &Listener,
        one: &config::Passthrough,
        clusters: &mut Clusters,
    ) -> Option<Onward> {
        for endpoint in one.to.iter().flatten().filter(|endpoint| endpoint.address.scheme == Scheme::H2c) {
            let found = format!("`{}` speaks no TLS", endpoint.address.value);
            let error = Diagnostic::error(found).at(endpoint.address.span, "");
            self.push(error.help("what is passed on is encrypted: leave out `h2c://`"));
        }
        self.onward(listener, (&one.cluster, &one.to), clusters)
    }

    /// Where a listener's connections go, if it carries TCP.
    pub(super) fn tcp(&mut self, listener: &Listener, clusters: &mut Clusters) -> Option<Onward> {
        match listener.protocol {
            Carries::Http | Carries::Udp => None,
            Carries::Tcp => self.onward(listener, (&listener.cluster, &listener.to), clusters),
        }
    }

    pub(super) fn onward(
        &mut self,
        listener: &Listener,
        target: (&Option<Spanned<String>>, &Option<OneOrMany<Spanned<config::Endpoint>>>),
        clusters: &mut Clusters,
    ) -> Option<Onward> {
        let config = &self.loaded.config;
        let (cluster, own) = match target {
            (Some(name), None) => match config.clusters.get(name) {
                // One that could not be built was reported.
                Some(cluster) => (clusters.named(name)?, &cluster.timeouts),
                None => {
                    // Nor one that could not be read.
                    if self.loaded.mistakes.is_empty() {
                        self.push(no_cluster(name, config.clusters.names()));
                    }
                    return None;
                }
            },
            (None, Some(to)) => (self.unnamed(to, clusters)?, &RouteTimeouts::default()),
            // Both or neither was reported.
            _ => return None,
        };
        let destination = Destination { cluster, timeouts: config.timeouts.with_route(own).upstream };
        let idle = config.timeouts.with_listener(&listener.timeouts).with_route(own).tunnel_idle;
        Some(Onward { destination, idle })
    }
}

fn no_cluster<'n>(name: &Spanned<String>, known: impl Iterator<Item = &'n str>) -> Diagnostic {
    let error = Diagnostic::error(format!("there is no cluster `{}`", name.value)).at(name.span, "");
    let near = closest(name, known).map(|near| format!("did you mean `{near}`?"));
    error.help(near.unwrap_or_else(|| "define it as `[cluster.NAME]`, or write `to`".to_owned()))
}

#[cfg(test)]
mod tests;
