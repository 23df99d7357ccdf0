//! Endpoints that are written by name: resolved before a snapshot serves, and again when the answers grow old.
//!
//! One thread asks; the control thread waits for first answers, for a bounded time, and hears of changes. A name that
//! stops resolving keeps the addresses that it had; one that never did leaves its clusters without endpoints, and
//! only them.

mod follow;
mod table;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use usher_config::EndpointAddress;
use usher_engine::Snapshot;
use usher_engine::snapshot::{ClusterSpec, ResolvedEndpoint};
use usher_net::Address;

use table::Table;

/// How long a start or a reload waits for names that were never asked for.
pub(crate) const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// Between which bounds an answer's own time to live counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    min: Duration,
    max: Duration,
}

/// The names to follow from now on; `first` is dropped when each has had an answer, good or bad.
struct Wanted {
    hosts: BTreeMap<String, Bounds>,
    first: mpsc::Sender<()>,
}

/// Is told of every host whose addresses change.
type Changed = Box<dyn Fn(String) + Send>;

/// Follows the names of the snapshot that serves.
pub(crate) struct Names {
    table: Table,
    /// Until the thread takes it.
    changed: Option<Changed>,
    thread: Option<UnboundedSender<Wanted>>,
}

impl Names {
    /// Follows nothing yet. `changed` is told of hosts whose addresses change later.
    pub(crate) fn new(changed: impl Fn(String) + Send + 'static) -> Self {
        Self { table: Table::default(), changed: Some(Box::new(changed)), thread: None }
    }

    /// Follows exactly the names of these clusters and waits, for at most [`FIRST_ANSWER`], for those that are new.
    pub(crate) fn follow(&mut self, clusters: &[std::sync::Arc<ClusterSpec>]) -> std::io::Result<()> {
        let hosts = hosts(clusters);
        if let Some(changed) = self.changed.take_if(|_| !hosts.is_empty()) {
            self.thread = Some(start(self.table.clone(), changed)?);
        }
        let Some(orders) = &self.thread else { return Ok(()) };
        let (first, answered) = mpsc::channel();
        let _ = orders.send(Wanted { hosts, first });
        // Nothing is ever sent: the wait ends when the last follower has dropped its end.
        let _ = answered.recv_timeout(FIRST_ANSWER);
        Ok(())
    }

    /// The cluster's endpoints by address, as far as they are known.
    pub(crate) fn endpoints(&self, cluster: &ClusterSpec) -> Vec<ResolvedEndpoint> {
        let mut resolved = Vec::new();
        for endpoint in &cluster.endpoints {
            match &endpoint.address {
                EndpointAddress::Name { host, port } => {
                    let at = |ip| endpoint.at(Address::Ip((ip, *port).into()));
                    resolved.extend(self.table.addresses(host).into_iter().map(at));
                }
                _ => resolved.extend(endpoint.fixed()),
            }
        }
        resolved
    }

    /// The clusters that have an endpoint of this name.
    pub(crate) fn users<'a>(snapshot: &'a Snapshot, host: &str) -> impl Iterator<Item = &'a ClusterSpec> {
        let uses = move |cluster: &&ClusterSpec| names(cluster).any(|name| name == host);
        snapshot.clusters.iter().map(|cluster| &**cluster).filter(uses)
    }
}

/// The names in a cluster.
fn names(cluster: &ClusterSpec) -> impl Iterator<Item = &str> {
    cluster.endpoints.iter().filter_map(|endpoint| match &endpoint.address {
        EndpointAddress::Name { host, .. } => Some(host.as_str()),
        _ => None,
    })
}

/// All names; one that several clusters have is asked for as often as the most curious of them wants.
fn hosts(clusters: &[std::sync::Arc<ClusterSpec>]) -> BTreeMap<String, Bounds> {
    let mut hosts: BTreeMap<String, Bounds> = BTreeMap::new();
    for cluster in clusters {
        let (min, max) = cluster.dns;
        for name in names(cluster) {
            let bounds = hosts.entry(name.to_owned()).or_insert(Bounds { min, max });
            *bounds = Bounds { min: bounds.min.min(min), max: bounds.max.min(max) };
        }
    }
    hosts
}

fn start(table: Table, changed: Changed) -> std::io::Result<UnboundedSender<Wanted>> {
    let (orders, wanted) = unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("names".to_owned()).spawn(move || {
        runtime.block_on(follow::run(wanted, table, changed));
    })?;
    Ok(orders)
}
