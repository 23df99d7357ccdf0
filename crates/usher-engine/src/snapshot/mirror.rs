//! Mirrors: where copies of a route's requests go.

use std::sync::Arc;
use std::time::Duration;

use usher_api::metrics::{MirrorMetrics, ShownMirror};
use usher_config::Diagnostic;
use usher_config::config::{self, MirrorHost, RouteSettings, RouteTimeouts};

use super::build::{Building, Clusters};
use super::{Destination, RetryPolicy, Snapshot, Target};

/// Where copies of a route's requests go.
pub struct Mirror {
    /// The cluster.
    pub destination: Destination,
    /// Of how many requests there is a copy (parts of a million).
    pub share: u32,
    /// How much of a body is kept for the cluster to take (bytes).
    pub buffer: usize,
    /// Copies under way at once, over all workers.
    pub max_in_flight: u32,
    /// How long a copy may take in all.
    pub timeout: Duration,
    /// What its Host says.
    pub host: MirrorHost,
    /// The field that tells it from a visitor's request.
    pub mark: Box<str>,
    /// Copies are never sent again.
    pub policy: RetryPolicy,
    /// What became of its copies; the same over all reloads.
    pub metrics: Arc<MirrorMetrics>,
}

impl Target {
    /// Whether requests may go to this cluster.
    fn has(&self, cluster: u32) -> bool {
        match self {
            Self::Cluster(destination) => destination.cluster == cluster,
            Self::Split { between, .. } => between.iter().any(|(to, _)| to.cluster == cluster),
        }
    }
}

impl Snapshot {
    /// Everything that copies are sent to.
    pub fn mirrors(&self) -> Vec<ShownMirror> {
        let of_route = |route: &super::Route| {
            let shown = |mirror: &Mirror| {
                let cluster = self.clusters.get(mirror.destination.cluster as usize)?.name.clone();
                Some(ShownMirror { route: route.name.clone(), cluster, metrics: mirror.metrics.clone() })
            };
            route.mirrors.iter().filter_map(shown).collect::<Vec<_>>()
        };
        self.routes.iter().flat_map(of_route).collect()
    }
}

impl<'a> Building<'a> {
    /// The mirrors of a route.
    pub(super) fn mirrors(
        &mut self,
        (route, name, own): (&config::Route, &str, Option<&Target>),
        settings: &RouteSettings<'_>,
        clusters: &mut Clusters,
    ) -> Vec<Mirror> {
        // What their clusters say of clients is nothing to visitors.
        let mut waits = RouteTimeouts::default();
        let mut mirrors = Vec::new();
        for (mirror, number) in route.mirror.iter().zip(1..) {
            let Some(target) = mirror.target() else { continue };
            let target = (target, mirror.subset.as_ref());
            let Some(destination) = self.destination(target, settings, clusters, &mut waits) else {
                continue;
            };
            if own.is_some_and(|own| own.has(destination.cluster)) {
                let error = Diagnostic::error("the mirror is where the requests go already");
                let help = "give its endpoints a cluster of their own: visitors would share connections with their copies, and wait \
                            for them";
                self.push(error.at(mirror.span, "").help(help));
                continue;
            }
            let cluster = clusters.specs().get(destination.cluster as usize).map(|spec| spec.name.clone());
            let key = format!("mirror {number} of route {name} to {}", cluster.unwrap_or_default());
            mirrors.push(Mirror {
                destination,
                share: mirror.share.millionths(),
                buffer: mirror.buffer.bytes(),
                max_in_flight: mirror.max_in_flight,
                timeout: mirror.timeout,
                host: mirror.host,
                mark: mirror.mark.as_str().into(),
                policy: RetryPolicy { tries: 1, ..RetryPolicy::default() },
                metrics: self.carry.keep(key, MirrorMetrics::default),
            });
        }
        mirrors
    }
}
