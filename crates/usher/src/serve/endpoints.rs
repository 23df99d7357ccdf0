//! Endpoints that come and go while the process serves: names, files, administrators. Whoever says so, all workers are told
//! the whole set of a cluster at once.

use std::sync::{Arc, mpsc};

use usher_api::clusters::{Edit, Refused, Versioned};
use usher_api::standing::Out;
use usher_engine::snapshot::{ClusterSpec, ResolvedEndpoint};

use super::control::Control;
use super::event::Event;
use super::watch::{Fingerprint, Watch};
use super::worker::Order;
use crate::clusters::Editor;
use crate::log;
use crate::names::Question;

/// Who waits for what became of an edit.
pub(super) type EditAnswer = mpsc::Sender<Result<Versioned, Refused>>;

/// Lets the control thread do what the admin listener is asked for.
pub(super) fn editor(events: mpsc::Sender<Event>) -> Editor {
    Box::new(move |cluster: &str, edit: Edit| {
        let gone = || Refused::Busy("the process is ending".to_owned());
        let (answer, answered) = mpsc::channel();
        let event = Event::Edit { cluster: cluster.to_owned(), edit, answer };
        events.send(event).map_err(|_| gone())?;
        answered.recv().unwrap_or_else(|_| Err(gone()))
    })
}

impl Control {
    /// A name server says something else.
    pub(super) fn resolved(&mut self, question: &Question) {
        let discovery = &self.discovery;
        let asks = |cluster: &&Arc<ClusterSpec>| discovery.asks(cluster, question);
        let clusters: Vec<_> = self.built.snapshot.clusters.iter().filter(asks).cloned().collect();
        self.renew(&clusters, Some(&format!("`{question}` resolves to others")));
    }

    /// Files of endpoints may say something else.
    pub(super) fn read_endpoint_files(&mut self) {
        let clusters = self.built.snapshot.clusters.clone();
        let changed = self.discovery.read_files(&clusters);
        self.clusters.files(self.discovery.file_reading());
        match changed {
            Ok(changed) => {
                for name in changed {
                    self.renew(&family(&clusters, &name), Some("its file has changed"));
                }
            }
            Err(error) => log::error(format_args!("cannot start resolving names: {error}")),
        }
    }

    /// Does what an administrator wants, all of it or nothing.
    pub(super) fn edit(&mut self, cluster: &str, edit: &Edit) -> Result<Versioned, Refused> {
        if self.upgrade.is_some() {
            return Err(Refused::Busy("another process is about to take over; ask that one".to_owned()));
        }
        let clusters = self.built.snapshot.clusters.clone();
        let spec = clusters.iter().find(|spec| *spec.name == *cluster && spec.part.is_none());
        let spec = spec.ok_or_else(|| Refused::Unknown(format!("there is no cluster `{cluster}`")))?;
        self.clusters.compare(cluster, edit.expected.as_deref())?;
        let mut plan = self.discovery.plan(spec, edit).map_err(Refused::Wrong)?;
        let settings = std::mem::take(&mut plan.settings);
        let applied = self.discovery.apply(spec, plan, &clusters);
        let gone =
            applied.map_err(|error| Refused::Busy(format!("cannot start resolving names: {error}")))?;
        // Workers look at that when they are told of the endpoints: both are one to them.
        let mut done = self.clusters.set(cluster, &settings);
        release(spec, &gone);
        let family = family(&clusters, cluster);
        let renewed = self.renew(&family, None);
        if renewed.is_empty() {
            spec.standings.changed();
        } else if !settings.is_empty() {
            let others = family.iter().filter(|one| !renewed.iter().any(|(name, _)| *name == one.name));
            others.for_each(|one| self.tell_endpoints(one, &Arc::new(self.discovery.endpoints(one))));
        }
        done.extend(renewed.into_iter().filter(|(name, _)| **name == *cluster).map(|(_, change)| change));
        let version = self.clusters.changed(cluster);
        if done.is_empty() {
            done.push("everything is so already".to_owned());
        }
        let text = format!("cluster {cluster}: {}", done.join("; "));
        log::info(format_args!("{text} (by the admin listener)"));
        Ok(Versioned { text, version })
    }

    /// Tells all workers which endpoints these clusters have now, if they are others. Gives what changed of each, and logs it
    /// with its cause, if that is not told otherwise.
    fn renew(&mut self, clusters: &[Arc<ClusterSpec>], cause: Option<&str>) -> Vec<(Arc<str>, String)> {
        let mut told = Vec::new();
        for cluster in clusters {
            let endpoints = Arc::new(self.discovery.endpoints(cluster));
            let removed = self.discovery.removed(cluster);
            let Some(change) = self.clusters.update(cluster, (&endpoints, removed)) else { continue };
            self.tell_endpoints(cluster, &endpoints);
            // What a part of a cluster has follows from the whole.
            if let Some(cause) = cause.filter(|_| cluster.part.is_none()) {
                log::info(format_args!("cluster {}: {change}, as {cause}", cluster.name));
            }
            told.push((cluster.name.clone(), change));
        }
        if !told.is_empty() {
            self.probe();
        }
        told
    }

    fn tell_endpoints(&self, cluster: &ClusterSpec, endpoints: &Arc<Vec<ResolvedEndpoint>>) {
        self.tell_all(|| Order::Endpoints(cluster.name.clone(), endpoints.clone()));
    }

    /// Probes the endpoints that serve, as far as they are known.
    pub(super) fn probe(&mut self) {
        let Self { built, discovery, health, .. } = self;
        let probed = built.snapshot.clusters.iter().filter(|cluster| cluster.health.is_some());
        health.follow(probed.map(|cluster| (&**cluster, discovery.endpoints(cluster))));
    }

    /// Watches the files that name endpoints now, whatever `watch` of the config says: it is what they are for.
    pub(super) fn watch_endpoint_files(&mut self, seen: Fingerprint) -> Option<String> {
        self.clusters.files(self.discovery.file_reading());
        let files = self.discovery.paths();
        if files.is_empty() {
            self.endpoints_watch = None;
        } else if !self.endpoints_watch.as_ref().is_some_and(|watch| watch.covers(&files)) {
            match Watch::start(&files, seen, (self.events.clone(), || Event::EndpointFiles)) {
                Ok(watch) => self.endpoints_watch = Some(watch),
                Err(error) => {
                    return Some(format!(
                        "cannot watch the files of endpoints: {error}; reload after changes"
                    ));
                }
            }
        }
        None
    }
}

/// Takes back what was set of endpoints that were taken out by hand: if they come back, they are new ones. Nothing else that is
/// known of them is remembered either.
fn release(spec: &ClusterSpec, gone: &[String]) {
    let standings = &spec.standings;
    for address in gone {
        let standing = standings.of(address);
        for why in [Out::Draining, Out::Disabled] {
            standings.set_silently(&standing, why, false, 0);
        }
        standings.set_weight_silently(&standing, None);
        standings.forget(address);
    }
}

/// A cluster and its parts.
fn family(clusters: &[Arc<ClusterSpec>], name: &str) -> Vec<Arc<ClusterSpec>> {
    let is_of_it = |spec: &&Arc<ClusterSpec>| {
        *spec.name == *name || spec.part.as_ref().is_some_and(|part| *part.whole == *name)
    };
    let mut all: Vec<_> = clusters.iter().filter(is_of_it).cloned().collect();
    all.sort_by_key(|spec| spec.part.is_some());
    all
}
