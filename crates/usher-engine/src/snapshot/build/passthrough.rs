//! Connections that are passed on still encrypted.

use usher_config::config::{self, ListenerTls, RouteTimeouts};
use usher_config::{Diagnostic, Spanned};

use super::{Building, Clusters};
use crate::snapshot::{Destination, Passthrough};

impl Building<'_> {
    /// Whose connections a listener passes on, the most specific hosts first.
    pub(super) fn passthrough(&mut self, tls: &ListenerTls, clusters: &mut Clusters) -> Vec<Passthrough> {
        let mut all = Vec::new();
        for one in &tls.passthrough {
            let Some(destination) = self.past(one, clusters) else { continue };
            for host in &one.host {
                let name = host.value.to_ascii_lowercase();
                let stem = name.strip_prefix("*.").unwrap_or(&name);
                if stem.is_empty() || stem.contains('*') || stem.starts_with('~') {
                    let error = Diagnostic::error(format!("`{}` is no host of a TLS handshake", host.value));
                    self.push(error.at(host.span, "").help("write `example.com` or `*.example.com`"));
                    continue;
                }
                all.push(Passthrough { host: name.into(), destination: destination.clone() });
            }
        }
        all.sort_by_key(|one| (one.host.starts_with('*'), std::cmp::Reverse(one.host.len())));
        all
    }

    fn past(&mut self, one: &Spanned<config::Passthrough>, clusters: &mut Clusters) -> Option<Destination> {
        let config = &self.loaded.config;
        let (cluster, own) = match (&one.cluster, &one.to) {
            (Some(name), None) => match (clusters.named(name), config.clusters.get(name)) {
                (Some(index), Some(cluster)) => (index, &cluster.timeouts),
                _ => {
                    let error = Diagnostic::error(format!("there is no cluster `{}`", name.value));
                    self.push(error.at(name.span, ""));
                    return None;
                }
            },
            (None, Some(to)) => (self.unnamed(to, clusters)?, &RouteTimeouts::default()),
            _ => {
                let error = Diagnostic::error("`passthrough` needs either `to` or `cluster`");
                self.push(error.at(one.span, ""));
                return None;
            }
        };
        Some(Destination { cluster, timeouts: config.timeouts.with_route(own).upstream })
    }
}
