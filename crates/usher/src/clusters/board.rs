//! All clusters, where the admin listener finds them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use usher_api::clusters::{
    ClusterControl, ClusterReading, DiscoveryReading, Edit, EndpointChange, Refused, Versioned,
};
use usher_engine::snapshot::{ClusterSpec, ResolvedEndpoint};

use super::Editor;
use super::shown::{Shown, describe};
use crate::discovery::Discovery;
use crate::log;
use crate::names::Table;
use crate::serve::came_and_went;

/// All clusters of the snapshot that serves.
pub(super) struct Board {
    inner: Mutex<Inner>,
    editor: Editor,
    names: Table,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) shown: Vec<Shown>,
    /// How often administrators have changed each cluster.
    pub(super) versions: BTreeMap<String, u64>,
    /// Tells the versions of one life of the proxy from those of another.
    pub(super) life: String,
    /// As [`DiscoveryReading::files`].
    pub(super) files: Vec<(String, u64, bool)>,
    /// Another process is about to take over, with what was wanted until now.
    pub(super) frozen: bool,
}

impl Inner {
    fn version(&self, cluster: &str) -> String {
        format!("{}-{}", self.life, self.versions.get(cluster).copied().unwrap_or_default())
    }

    fn find(&self, cluster: &str) -> Option<&Shown> {
        self.shown.iter().find(|shown| *shown.spec.name == *cluster)
    }
}

impl Board {
    pub(super) fn new(editor: Editor, names: Table) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let inner = Inner { life: format!("{:x}", now.as_millis()), ..Inner::default() };
        Self { inner: Mutex::new(inner), editor, names }
    }

    /// Shows these clusters from now on.
    pub(super) fn show(&self, clusters: &[Arc<ClusterSpec>], discovery: &Discovery) {
        let mut inner = self.lock();
        let mut before: HashMap<Arc<str>, Shown> =
            inner.shown.drain(..).map(|shown| (shown.spec.name.clone(), shown)).collect();
        for spec in clusters {
            // What workers have: a name may resolve to others since, which they are about to be told.
            let (endpoints, removed) = (spec.resolved.clone(), discovery.removed(spec));
            let before = before.remove(&spec.name);
            let updates = before.as_ref().map(|before| before.updates).unwrap_or_default();
            let shown = Shown { spec: spec.clone(), endpoints, removed, updates };
            if let Some(before) = &before {
                shown.welcome(&before.endpoints);
                // They have the snapshot already.
                spec.standings.changed();
            }
            inner.shown.push(shown);
        }
        inner.shown.iter().for_each(|shown| forget_others(&shown.spec, &inner.shown));
        let names: HashSet<&str> = clusters.iter().map(|spec| &*spec.name).collect();
        inner.versions.retain(|name, _| names.contains(name.as_str()));
    }

    /// The endpoints of a cluster are others now. Gives what changed, in a few words; none if nothing did.
    pub(super) fn update(
        &self,
        cluster: &str,
        (endpoints, removed): (&[ResolvedEndpoint], Vec<String>),
    ) -> Option<String> {
        let mut inner = self.lock();
        let shown = inner.shown.iter_mut().find(|shown| *shown.spec.name == *cluster)?;
        shown.removed = removed;
        if shown.endpoints == endpoints {
            return None;
        }
        let before = std::mem::replace(&mut shown.endpoints, endpoints.to_vec());
        shown.welcome(&before);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        shown.updates = (shown.updates.0 + 1, now.as_secs());
        let spec = shown.spec.clone();
        forget_others(&spec, &inner.shown);
        let addresses = |all: &[ResolvedEndpoint]| all.iter().map(|one| one.address.to_string()).collect();
        Some(came_and_went("endpoint", &addresses(&before), &addresses(endpoints)))
    }

    /// Whether a version is still that of now.
    pub(super) fn compare(&self, cluster: &str, expected: Option<&str>) -> Result<(), Refused> {
        let now = self.lock().version(cluster);
        if expected.is_none_or(|expected| expected == now) { Ok(()) } else { Err(Refused::Changed(now)) }
    }

    pub(super) fn set(&self, cluster: &str, settings: &[EndpointChange]) -> Vec<String> {
        let inner = self.lock();
        let Some(shown) = inner.find(cluster) else { return Vec::new() };
        let called = shown.called();
        for change in settings {
            called.meant(change).iter().for_each(|standing| shown.apply(change, standing));
        }
        settings.iter().map(describe).collect()
    }

    /// Counts a change that an administrator made; the new version.
    pub(super) fn count(&self, cluster: &str) -> String {
        let mut inner = self.lock();
        *inner.versions.entry(cluster.to_owned()).or_default() += 1;
        inner.version(cluster)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was known of addresses that are gone is forgotten after a while: names may go through very many.
fn forget_others(spec: &ClusterSpec, all: &[Shown]) {
    // Parts of a cluster share what is known with the whole.
    let sharing = all.iter().filter(|shown| Arc::ptr_eq(&shown.spec.standings, &spec.standings));
    let known: HashSet<String> =
        sharing.flat_map(|shown| &shown.endpoints).map(|endpoint| endpoint.address.to_string()).collect();
    let now = spec.standings.millis(Instant::now());
    spec.standings.retain(now, |address| known.contains(address));
}

impl ClusterControl for Board {
    fn json(&self) -> String {
        let inner = self.lock();
        let json = |shown: &Shown| shown.json(&inner.version(&shown.spec.name));
        Value::Array(inner.shown.iter().map(json).collect()).to_string()
    }

    fn endpoints(&self, cluster: &str) -> Option<Versioned> {
        let inner = self.lock();
        let version = inner.version(cluster);
        let json = inner.find(cluster)?.json(&version);
        Some(Versioned { text: json.to_string(), version })
    }

    fn change(&self, cluster: &str, changes: &[EndpointChange]) -> Result<String, Refused> {
        let mut inner = self.lock();
        if inner.frozen {
            return Err(Refused::Busy("another process is about to take over; ask that one".to_owned()));
        }
        let shown = inner
            .find(cluster)
            .ok_or_else(|| Refused::Unknown(format!("there is no cluster `{cluster}`")))?;
        let called = shown.called();
        let unknown = changes.iter().find(|change| called.meant(change).is_empty());
        if let Some(EndpointChange { endpoint, .. }) = unknown {
            let text = format!("the cluster `{cluster}` has no endpoint `{endpoint}`; nothing was changed");
            return Err(Refused::Unknown(text));
        }
        for change in changes {
            called.meant(change).iter().for_each(|standing| shown.apply(change, standing));
        }
        shown.spec.standings.changed();
        *inner.versions.entry(cluster.to_owned()).or_default() += 1;
        let done: Vec<String> = changes.iter().map(describe).collect();
        let done = format!("cluster {cluster}: {}", done.join("; "));
        log::info(format_args!("{done} (by the admin listener)"));
        Ok(done)
    }

    fn edit(&self, cluster: &str, edit: Edit) -> Result<Versioned, Refused> {
        (self.editor)(cluster, edit)
    }

    fn hold(&self, cluster: &str, open: Option<bool>) -> Result<String, String> {
        let inner = self.lock();
        if inner.frozen {
            return Err("another process is about to take over; ask that one".to_owned());
        }
        let spec = &inner.find(cluster).ok_or_else(|| format!("there is no cluster `{cluster}`"))?.spec;
        if spec.circuit.is_none() {
            return Err(format!("the cluster `{cluster}` has no `breaker`"));
        }
        // Parts of a cluster have breakers of their own; whoever names the whole means them too.
        let is_part =
            |other: &ClusterSpec| other.part.is_some() && Arc::ptr_eq(&other.standings, &spec.standings);
        let meant = |other: &ClusterSpec| other.name == spec.name || spec.part.is_none() && is_part(other);
        let now = spec.standings.millis(Instant::now());
        let all = inner.shown.iter().map(|shown| &shown.spec).filter(|other| meant(other));
        all.filter_map(|other| other.circuit.as_ref()).for_each(|circuit| circuit.breaker.hold(open, now));
        let what = match open {
            Some(true) => "is held open: it gets no requests",
            Some(false) => "is held closed: it gets all requests, whatever becomes of them",
            None => "is closed, and opens as its requests go",
        };
        let done = format!("cluster {cluster}: the circuit {what}");
        log::info(format_args!("{done} (by the admin listener)"));
        Ok(done)
    }

    fn readings(&self) -> Vec<ClusterReading> {
        self.lock().shown.iter().map(Shown::protection).collect()
    }

    fn reading(&self) -> DiscoveryReading {
        let inner = self.lock();
        let clusters = inner.shown.iter().map(Shown::reading).collect();
        DiscoveryReading { clusters, names: self.names.reading(), files: inner.files.clone() }
    }
}
