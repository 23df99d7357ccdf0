//! What administrators want of endpoints, from one process to the next.

use std::sync::Arc;

use serde_json::{Value, json};
use usher_api::standing::{Out, Standing};
use usher_engine::snapshot::ClusterSpec;

use super::board::Board;

impl Board {
    pub(super) fn bequeath(&self) -> Vec<Value> {
        let inner = self.lock();
        let mut all = vec![json!({ "life": inner.life })];
        all.extend(
            inner.versions.iter().map(|(name, version)| json!({ "cluster": name, "version": version })),
        );
        // Parts of a cluster share what is known with the whole.
        for spec in inner.shown.iter().map(|shown| &shown.spec).filter(|spec| spec.part.is_none()) {
            let wanted = spec.standings.all().into_iter();
            all.extend(wanted.filter_map(|(address, standing)| message(&spec.name, &address, &standing)));
        }
        all
    }

    pub(super) fn inherit(&self, clusters: &[Arc<ClusterSpec>], messages: &[Value]) {
        let mut inner = self.lock();
        for message in messages {
            if let Some(life) = message["life"].as_str() {
                inner.life = life.to_owned();
            }
            let Some(name) = message["cluster"].as_str() else { continue };
            let Some(spec) = clusters.iter().find(|spec| *spec.name == *name) else { continue };
            if let Some(version) = message["version"].as_u64() {
                inner.versions.insert(name.to_owned(), version);
            }
            let Some(address) = message["endpoint"].as_str() else { continue };
            let standing = spec.standings.of(address);
            for why in [Out::Draining, Out::Disabled] {
                if message["state"].as_str() == Some(why.as_str()) {
                    spec.standings.set(&standing, why, true, 0);
                }
            }
            let weight = message["weight"].as_u64().and_then(|weight| u32::try_from(weight).ok());
            if weight.is_some() {
                spec.standings.set_weight(&standing, weight);
            }
        }
    }
}

/// What is wanted of an endpoint; none if that is nothing.
fn message(cluster: &str, address: &str, standing: &Standing) -> Option<Value> {
    let state = [Out::Draining, Out::Disabled].into_iter().find(|why| standing.is(*why)).map(Out::as_str);
    let weight = standing.weight();
    (state.is_some() || weight.is_some())
        .then(|| json!({ "cluster": cluster, "endpoint": address, "state": state, "weight": weight }))
}
