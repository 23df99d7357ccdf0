//! From a config to live objects: everything is built, every error is collected, nothing that serves is touched.
//!
//! - `build/names.rs`: names for what users gave none;
//! - `build/listeners.rs`, `build/clusters.rs`, `build/probes.rs`, `build/pages.rs`: one kind of object each;
//! - `build/udp.rs`: listeners of UDP;
//! - `build/secrets.rs`, `build/connectors.rs`, `build/passthrough.rs`: TLS on listeners, towards endpoints, and past us;
//! - `filters.rs`: a route's filters, and that exactly one thing answers its requests;
//! - `routes.rs`: the routes, and their rules for the router; `split.rs`, `mirror.rs`: where else their requests go;
//! - `habits.rs`: patterns that are meant as other servers read them.

mod clusters;
mod connectors;
mod listeners;
mod names;
mod pages;
mod passthrough;
mod probes;
mod secrets;
mod udp;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use usher_api::{AccessSink, BalancerFactory, BuildContext, Carry, FilterFactory, OnRoute, ProbeFactory};
use usher_config::{Context, Diagnostic, Loaded, Report, Span, Spanned};

pub(super) use clusters::Clusters;
pub(super) use names::Names;
pub(super) use pages::Pages;

use super::{ClusterSpec, ResolvedEndpoint, Snapshot};

/// Errors, and likewise warnings, that are kept.
const MAX_FINDINGS: usize = 100;

/// Builds snapshots. Which extensions exist is the caller's knowledge.
pub struct Builder<'a> {
    /// The filters that routes may have.
    pub filters: &'a [&'a FilterFactory],
    /// The balancers that clusters may have; the first is the default.
    pub balancers: &'a [&'a BalancerFactory],
    /// The probes that clusters may have; the first is the default.
    pub probes: &'a [&'static ProbeFactory],
}

/// A snapshot, and what the next build takes from this one.
pub struct Built {
    /// Serves.
    pub snapshot: Arc<Snapshot>,
    /// The state of extensions that outlives a reload.
    pub carry: Carry,
    /// What is likely not meant so, beside what [`Loaded`] warns of already.
    pub warnings: Vec<Diagnostic>,
    /// Files that were read while building, beside those of [`Loaded`]: what `watch` watches.
    pub files: Vec<PathBuf>,
}

impl Builder<'_> {
    /// Builds a snapshot. State of `previous` is carried over by key, and its generation is counted on.
    ///
    /// # Errors
    /// All that is wrong, at once: the mistakes that loading found, which no snapshot is made of, and those found here.
    pub fn build(
        &self,
        loaded: &Loaded,
        previous: Option<&Built>,
        access_log: Option<Arc<dyn AccessSink>>,
    ) -> Result<Built, Report> {
        let config = &loaded.config;
        let mut building = Building::new(self, loaded, previous);
        let mut clusters = building.clusters();
        let listeners = building.listeners(&mut clusters);
        let (routes, unrouted, router) = building.routes(&mut clusters);
        let trust = building.trust();
        let Building { mut errors, warnings, carry, files, .. } = building;
        let sound = errors.is_empty() && loaded.mistakes.is_empty();
        let Some(router) = router.filter(|_| sound) else {
            // With stand-ins for what could not be read, a warning may be one of these.
            errors.extend(warnings.into_iter().filter(|_| loaded.mistakes.is_empty()));
            return Err(loaded.report(errors));
        };
        let told = |spec: &Arc<ClusterSpec>| spec.endpoints.iter().any(|one| one.speech.proxy.is_some());
        let snapshot = Snapshot {
            introduces: clusters.specs.iter().any(told),
            generation: previous.map_or(0, |previous| previous.snapshot.generation) + 1,
            listeners,
            router,
            routes,
            unrouted,
            clusters: clusters.specs,
            trust,
            trusted_proxies: config.trusted_proxies.to_vec(),
            access_log,
            drain: config.timeouts.drain,
            max_connections: config.limits.connections,
        };
        Ok(Built { snapshot: Arc::new(snapshot), carry, warnings, files })
    }
}

impl Built {
    /// Puts in what names of endpoints are known to resolve to, so that a reload begins with it. `known` answers with
    /// all endpoints of a cluster, or with nothing to leave it as it is. Call it before the snapshot is shared;
    /// afterwards it changes nothing.
    pub fn resolve(&mut self, known: impl Fn(&ClusterSpec) -> Option<Vec<ResolvedEndpoint>>) {
        let Some(snapshot) = Arc::get_mut(&mut self.snapshot) else { return };
        for cluster in snapshot.clusters.iter_mut().filter_map(Arc::get_mut) {
            if let Some(resolved) = known(cluster) {
                cluster.resolved = resolved;
            }
        }
    }
}

/// A build under way.
pub(super) struct Building<'a> {
    pub(super) builder: &'a Builder<'a>,
    pub(super) loaded: &'a Loaded,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    pub(super) carry: Carry,
    files: Vec<PathBuf>,
}

impl<'a> Building<'a> {
    fn new(builder: &'a Builder<'a>, loaded: &'a Loaded, previous: Option<&Built>) -> Self {
        let carry = previous.map_or_else(Carry::default, |previous| Carry::from_previous(&previous.carry));
        Self { builder, loaded, errors: Vec::new(), warnings: Vec::new(), carry, files: Vec::new() }
    }

    /// Notes a finding, once: what a route inherits from a bundle is built, and refused, for each route.
    pub(super) fn push(&mut self, found: Diagnostic) {
        let list = if found.is_error() { &mut self.errors } else { &mut self.warnings };
        if list.len() < MAX_FINDINGS && !list.contains(&found) {
            list.push(found);
        }
    }

    /// Whether there is an error so far.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty() || !self.loaded.mistakes.is_empty()
    }

    /// Lets an extension read its section. An error if it found one; `Ok(None)` if it is switched off.
    pub(super) fn extension<T>(
        &mut self,
        scope: &str,
        build: impl FnOnce(&mut BuildContext<'_, '_>) -> Option<T>,
    ) -> Result<Option<T>, ()> {
        self.extension_of_route((scope, OnRoute::default()), build)
    }

    /// The same, for one that is told what its route says.
    pub(super) fn extension_of_route<T>(
        &mut self,
        (scope, route): (&str, OnRoute<'_>),
        build: impl FnOnce(&mut BuildContext<'_, '_>) -> Option<T>,
    ) -> Result<Option<T>, ()> {
        let mut config = Context::new(&self.loaded.sources);
        let built = build(&mut BuildContext { config: &mut config, carry: &mut self.carry, scope, route });
        for file in config.take_files() {
            self.uses_file(file);
        }
        let failed = config.has_errors();
        config.finish().into_iter().for_each(|found| self.push(found));
        if failed { Err(()) } else { Ok(built) }
    }

    fn uses_file(&mut self, file: PathBuf) {
        if !self.files.contains(&file) && !self.loaded.files.contains(&file) {
            self.files.push(file);
        }
    }

    /// The place of a part of a text.
    pub(super) fn within(&self, text: &Spanned<String>, part: Range<usize>) -> Span {
        self.loaded.sources.part(text.span, text, part)
    }
}

#[cfg(test)]
mod tests;
