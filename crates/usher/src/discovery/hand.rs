//! What administrators have added and removed. It outlives reloads and upgrades, not restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use usher_config::Decode as _;
use usher_config::config::Endpoint;
use usher_engine::snapshot::{ClusterSpec, EndpointSpec, Origin};

use super::document;
use crate::log;
use crate::names::Question;

/// Endpoints of one cluster that may be added and removed by hand.
pub(super) const MAX_BY_HAND: usize = 10_000;

/// By cluster.
#[derive(Default)]
pub(super) struct Hand(BTreeMap<String, Changes>);

/// What was changed of the endpoints of a cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// By address as it is written.
    pub(super) added: BTreeMap<String, Endpoint>,
    /// Addresses as they are written, or that a name resolves to.
    pub(super) removed: BTreeSet<String>,
}

static NOTHING: Changes = Changes { added: BTreeMap::new(), removed: BTreeSet::new() };

impl Hand {
    /// What was changed of a cluster.
    pub(super) fn of(&self, cluster: &str) -> &Changes {
        self.0.get(cluster).unwrap_or(&NOTHING)
    }

    pub(super) fn set(&mut self, cluster: &str, changes: Changes) {
        self.0.insert(cluster.to_owned(), changes);
    }

    /// Forgets what has no meaning any more: clusters that are gone, what was added and is named by the config or the file
    /// now, what was removed and is named by neither.
    pub(super) fn follow<'f>(
        &mut self,
        clusters: &[Arc<ClusterSpec>],
        file: impl Fn(&ClusterSpec) -> &'f [EndpointSpec],
    ) {
        self.0.retain(|name, changes| {
            let whole = |cluster: &&Arc<ClusterSpec>| *cluster.name == **name && cluster.part.is_none();
            let Some(cluster) = clusters.iter().find(whole) else {
                log::warn(format_args!("cluster {name} is gone, and with it what was changed of it by hand"));
                return false;
            };
            changes.follow(cluster, file(cluster));
            !changes.is_nothing()
        });
    }

    pub(super) fn bequeath(&self) -> Vec<Value> {
        let of_one = |(name, changes): (&String, &Changes)| {
            let added = changes.added.values().map(|one| json!({ "cluster": name, "add": one.encode() }));
            let removed = changes.removed.iter().map(|one| json!({ "cluster": name, "remove": one }));
            added.chain(removed).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_one).collect()
    }

    pub(super) fn inherit(&mut self, messages: &[Value]) {
        for message in messages {
            let Some(cluster) = message["cluster"].as_str() else { continue };
            let added = message.get("add").and_then(|one| document::endpoint(&one.to_string()));
            let removed = message["remove"].as_str();
            if added.is_none() && removed.is_none() {
                continue;
            }
            let changes = self.0.entry(cluster.to_owned()).or_default();
            changes.removed.extend(removed.map(str::to_owned));
            changes.added.extend(added.map(|one| (one.address.address.to_string(), one)));
        }
    }
}

impl Changes {
    pub(super) fn is_nothing(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    fn follow(&mut self, cluster: &ClusterSpec, file: &[EndpointSpec]) {
        let named = || cluster.endpoints.iter().chain(file);
        let written: BTreeSet<String> = named().map(|one| one.address.to_string()).collect();
        // A name may leave out an address for a moment.
        let mut addresses =
            named().map(|one| &one.address).chain(self.added.values().map(|one| &one.address.address));
        let has_names = addresses.any(|address| Question::of(address).is_some());
        self.removed.retain(|address| written.contains(address) || has_names);
        let name = &cluster.name;
        self.added.retain(|address, one| {
            if written.contains(address) {
                log::info(format_args!(
                    "endpoint {address} of cluster {name} was added by hand; now the config names it, which counts"
                ));
                return false;
            }
            match cluster.endpoint(one, Origin::Hand) {
                Ok(_) => true,
                Err(fault) => {
                    log::warn(format_args!(
                        "endpoint {address} of cluster {name}, which was added by hand, is left out: {}",
                        fault.message
                    ));
                    false
                }
            }
        });
    }
}
