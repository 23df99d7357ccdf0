//! Which endpoints clusters have: those of the config, those of `endpoints_file`, and those that an administrator added,
//! without those that one removed; and where their names say that they are.
//!
//! The control thread asks here after the start and a reload, and whenever one of the sources has something new; what comes
//! out goes to all workers as one set.

mod document;
mod files;
mod hand;
mod index;
mod plan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use usher_api::clusters::{Edit, EndpointChange};
use usher_engine::snapshot::{ClusterSpec, EndpointSpec, Origin, ResolvedEndpoint};

use crate::names::{Names, Question, Table};
use files::Files;
pub(crate) use files::{check, read};
use hand::{Changes, Hand};
use index::{Called, Index};

/// All sources of endpoints.
pub(crate) struct Discovery {
    names: Names,
    files: Files,
    hand: Hand,
}

/// What an administrator wants, after it was found to be possible.
pub(crate) struct Plan {
    changes: Changes,
    /// How endpoints shall stand.
    pub(crate) settings: Vec<EndpointChange>,
}

impl Discovery {
    /// Knows nothing yet. `changed` is told of answers of name servers that change.
    pub(crate) fn new(changed: impl Fn(Question) + Send + 'static) -> Self {
        Self { names: Names::new(changed), files: Files::default(), hand: Hand::default() }
    }

    /// Looks after exactly these clusters from now on: reads their files, and waits for names that are new.
    pub(crate) fn follow(&mut self, clusters: &[Arc<ClusterSpec>]) -> io::Result<()> {
        self.files.follow(clusters);
        let Self { hand, files, .. } = self;
        hand.follow(clusters, |cluster| files.of(&cluster.name));
        self.follow_names(clusters)
    }

    /// Reads the files again; the clusters whose files say something else now.
    pub(crate) fn read_files(&mut self, clusters: &[Arc<ClusterSpec>]) -> io::Result<Vec<Arc<str>>> {
        let changed = self.files.look(clusters);
        if !changed.is_empty() {
            let Self { hand, files, .. } = self;
            hand.follow(clusters, |cluster| files.of(&cluster.name));
            self.follow_names(clusters)?;
        }
        Ok(changed)
    }

    fn follow_names(&mut self, clusters: &[Arc<ClusterSpec>]) -> io::Result<()> {
        let all: Vec<_> = clusters.iter().map(|cluster| (self.written(cluster), &cluster.dns)).collect();
        let endpoints = all.iter().flat_map(|(written, dns)| written.iter().map(|one| (&one.address, *dns)));
        self.names.follow(endpoints)
    }

    /// The endpoints of a cluster as somebody wrote them.
    fn written<'c>(&self, cluster: &'c ClusterSpec) -> Cow<'c, [EndpointSpec]> {
        self.named(cluster, &self.hand.of(whole(cluster)).removed)
    }

    /// All that sources name, without those at these addresses.
    fn named<'c>(&self, cluster: &'c ClusterSpec, removed: &BTreeSet<String>) -> Cow<'c, [EndpointSpec]> {
        let (file, changes) = (self.files.of(whole(cluster)), self.hand.of(whole(cluster)));
        if file.is_empty() && changes.is_nothing() {
            return Cow::Borrowed(&cluster.endpoints);
        }
        let is_part = |one: &EndpointSpec| cluster.part.as_ref().is_none_or(|part| one.has(&part.labels));
        let declared = cluster.endpoints.iter().chain(file.iter().filter(|one| is_part(one))).cloned();
        let added = changes.added.values().filter_map(|one| cluster.endpoint(one, Origin::Hand).ok());
        let mut seen = HashSet::new();
        let mut written = Vec::new();
        for one in declared.chain(added.filter(is_part)) {
            let address = one.address.to_string();
            let is_removed = removed.contains(&address);
            // What the config says twice counts twice.
            let is_first = seen.insert(address) || one.origin == Origin::Config;
            if is_first && !is_removed {
                written.push(one);
            }
        }
        Cow::Owned(written)
    }

    /// The cluster's endpoints by address, as far as they are known.
    pub(crate) fn endpoints(&self, cluster: &ClusterSpec) -> Vec<ResolvedEndpoint> {
        let changes = self.hand.of(whole(cluster));
        let written = self.written(cluster);
        let all = written.iter().flat_map(|endpoint| self.names.endpoints(endpoint));
        if changes.is_nothing() {
            return all.collect();
        }
        // Those that were added by hand are the last: where a name leads to the same address, the name counts.
        let mut seen = HashSet::new();
        let is_there = |one: &ResolvedEndpoint| {
            let address = one.address.to_string();
            !changes.removed.contains(&address) && (seen.insert(address) || one.origin != Origin::Hand)
        };
        all.filter(is_there).collect()
    }

    /// Of what was removed by hand: what would be there otherwise. A name may lead elsewhere since.
    fn hidden(&self, cluster: &ClusterSpec) -> HashSet<String> {
        let removed = &self.hand.of(whole(cluster)).removed;
        if removed.is_empty() {
            return HashSet::new();
        }
        let named = self.named(cluster, &BTreeSet::new());
        let resolved =
            named.iter().flat_map(|one| self.names.endpoints(one)).map(|one| one.address.to_string());
        let all = named.iter().map(|one| one.address.to_string()).chain(resolved);
        all.filter(|address| removed.contains(address)).collect()
    }

    /// Whether the answer to a question matters to a cluster.
    pub(crate) fn asks(&self, cluster: &ClusterSpec, question: &Question) -> bool {
        self.written(cluster).iter().any(|one| Question::of(&one.address).as_ref() == Some(question))
    }

    /// What was taken out of a cluster by hand.
    pub(crate) fn removed(&self, cluster: &ClusterSpec) -> Vec<String> {
        self.hand.of(whole(cluster)).removed.iter().cloned().collect()
    }

    /// The files that are read.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.files.paths()
    }

    /// By cluster: how often its file could not be used, and whether it cannot now.
    pub(crate) fn file_reading(&self) -> Vec<(String, u64, bool)> {
        self.files.reading()
    }

    /// What is known of names.
    pub(crate) fn names(&self) -> Table {
        self.names.table()
    }

    /// What an edit comes to; nothing is changed yet.
    ///
    /// # Errors
    /// All mistakes, each with its place.
    pub(crate) fn plan(&self, cluster: &ClusterSpec, edit: &Edit) -> Result<Plan, Vec<(String, String)>> {
        let known = plan::Known {
            cluster,
            written: Index::new(self.written(cluster).into_owned()),
            resolved: Called::new(&self.endpoints(cluster)),
            changes: self.hand.of(&cluster.name).clone(),
            hidden: self.hidden(cluster),
        };
        plan::plan(known, edit)
    }

    /// Does what was planned. Gives the addresses that it took out.
    pub(crate) fn apply(
        &mut self,
        cluster: &ClusterSpec,
        plan: Plan,
        clusters: &[Arc<ClusterSpec>],
    ) -> io::Result<Vec<String>> {
        let addresses = |discovery: &Self| -> HashSet<String> {
            discovery.endpoints(cluster).iter().map(|one| one.address.to_string()).collect()
        };
        let before = addresses(self);
        self.hand.set(&cluster.name, plan.changes);
        // Before names are waited for: what they leave out for a moment was not taken out by hand.
        let after = addresses(self);
        self.follow_names(clusters)?;
        Ok(before.difference(&after).cloned().collect())
    }

    /// What the process that takes over could not find out: what administrators added and removed, and what files said that
    /// cannot be used now. A message each.
    pub(crate) fn bequeath(&self) -> Vec<Value> {
        let mut all = self.hand.bequeath();
        all.extend(self.files.bequeath());
        all
    }

    /// Goes on with what the process before knew.
    pub(crate) fn inherit(&mut self, messages: &[Value]) {
        self.hand.inherit(messages);
        self.files.inherit(messages);
        self.names.table().inherit(messages);
    }
}

fn whole(cluster: &ClusterSpec) -> &str {
    cluster.part.as_ref().map_or(&cluster.name, |part| &part.whole)
}
