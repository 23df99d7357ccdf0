//! The clusters that serve, for the admin API: how endpoints stand, and changes at run time.

mod board;
mod handover;
mod shown;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;
use usher_api::clusters::{ClusterControl, Edit, EndpointChange, Refused, Versioned};
use usher_engine::snapshot::{ClusterSpec, ResolvedEndpoint};

use crate::discovery::Discovery;
use crate::names::Table;
use crate::outliers::Outliers;
use board::Board;

/// Does an edit where all sources of endpoints are known; waits for that.
pub(crate) type Editor = Box<dyn Fn(&str, Edit) -> Result<Versioned, Refused> + Send + Sync>;

/// The clusters that serve, and who looks after them.
pub(crate) struct Clusters {
    board: Arc<Board>,
    outliers: Outliers,
}

impl Clusters {
    /// None yet. Edits are done by `editor`; `names` is what is known of names.
    pub(crate) fn new(editor: Editor, names: Table) -> Self {
        Self { board: Arc::new(Board::new(editor, names)), outliers: Outliers::default() }
    }

    /// Who tells of them and changes them for the admin API.
    pub(crate) fn board(&self) -> Arc<dyn ClusterControl> {
        self.board.clone()
    }

    /// Looks after exactly these from now on.
    pub(crate) fn follow(&mut self, clusters: &[Arc<ClusterSpec>], discovery: &Discovery) {
        self.board.show(clusters, discovery);
        self.outliers.follow(clusters);
    }

    /// The endpoints of a cluster are these now. Gives what changed, in a few words; none if nothing did.
    pub(crate) fn update(
        &self,
        cluster: &ClusterSpec,
        (endpoints, removed): (&[ResolvedEndpoint], Vec<String>),
    ) -> Option<String> {
        self.board.update(&cluster.name, (endpoints, removed))
    }

    /// What is known of the files, for metrics.
    pub(crate) fn files(&self, reading: Vec<(String, u64, bool)>) {
        self.board.lock().files = reading;
    }

    /// Whether the endpoints of a cluster are still those of a version.
    pub(crate) fn compare(&self, cluster: &str, expected: Option<&str>) -> Result<(), Refused> {
        self.board.compare(cluster, expected)
    }

    /// Sets how endpoints stand; workers look when they are told something else. Gives lines that say what was done.
    pub(crate) fn set(&self, cluster: &str, settings: &[EndpointChange]) -> Vec<String> {
        self.board.set(cluster, settings)
    }

    /// An administrator has changed a cluster; its new version.
    pub(crate) fn changed(&self, cluster: &str) -> String {
        self.board.count(cluster)
    }

    /// From now on nothing can be changed by hand, or it can again.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.board.lock().frozen = frozen;
    }

    /// What administrators want of endpoints and circuits, and which endpoints are out, for the process that takes over: a
    /// message each.
    pub(crate) fn bequeath(&self) -> Vec<Value> {
        self.board.bequeath()
    }

    /// Goes on with what the process before knew.
    pub(crate) fn inherit(&self, clusters: &[Arc<ClusterSpec>], messages: &[Value]) {
        self.board.inherit(clusters, messages);
    }
}
