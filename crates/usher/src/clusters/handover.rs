//! What is known and wanted of endpoints, and of circuits, from one process to the next.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use serde_json::{Map, Value, json};
use usher_api::standing::{Out, Standing, Standings};
use usher_engine::cluster::Phase;
use usher_engine::snapshot::ClusterSpec;

use super::board::Board;

impl Board {
    pub(super) fn bequeath(&self) -> Vec<Value> {
        let inner = self.lock();
        let mut all = vec![json!({ "life": inner.life })];
        all.extend(
            inner.versions.iter().map(|(name, version)| json!({ "cluster": name, "version": version })),
        );
        all.extend(inner.shown.iter().filter_map(|shown| held(&shown.spec)));
        // Parts of a cluster share what is known with the whole.
        for spec in inner.shown.iter().map(|shown| &shown.spec).filter(|spec| spec.part.is_none()) {
            let known = spec.standings.all().into_iter();
            all.extend(known.filter_map(|(address, standing)| message(spec, &address, &standing)));
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
            if let (Some(open), Some(circuit)) = (message["held_open"].as_bool(), &spec.circuit) {
                circuit.breaker.hold(Some(open), spec.standings.millis(Instant::now()));
            }
            let Some(address) = message["endpoint"].as_str() else { continue };
            let standing = spec.standings.of(address);
            inherit_wishes(&spec.standings, &standing, message);
            inherit_findings(spec, &standing, message);
        }
    }
}

/// What an administrator wants of a cluster's circuit; none if that is nothing.
fn held(spec: &ClusterSpec) -> Option<Value> {
    let open = match spec.circuit.as_ref()?.breaker.phase() {
        Phase::HeldOpen => true,
        Phase::HeldClosed => false,
        Phase::Closed | Phase::Open | Phase::HalfOpen => return None,
    };
    Some(json!({ "cluster": &*spec.name, "held_open": open }))
}

/// What is wanted of an endpoint, and why it is out; none if that is nothing.
fn message(spec: &ClusterSpec, address: &str, standing: &Standing) -> Option<Value> {
    let mut known = Map::new();
    if let Some(why) = [Out::Draining, Out::Disabled].into_iter().find(|why| standing.is(*why)) {
        known.insert("state".to_owned(), why.as_str().into());
    }
    if let Some(weight) = standing.weight() {
        known.insert("weight".to_owned(), weight.into());
    }
    if standing.is(Out::Unhealthy) {
        known.insert(Out::Unhealthy.as_str().to_owned(), true.into());
    }
    if standing.is(Out::Ejected) {
        let (until, times) = &standing.ejected;
        let left = until.load(Relaxed).saturating_sub(spec.standings.millis(Instant::now()));
        known.insert(
            Out::Ejected.as_str().to_owned(),
            json!({ "left_millis": left, "times": times.load(Relaxed) }),
        );
    }
    if known.is_empty() {
        return None;
    }
    known.insert("cluster".to_owned(), (*spec.name).into());
    known.insert("endpoint".to_owned(), address.into());
    Some(Value::Object(known))
}

/// What an administrator wants of an endpoint.
fn inherit_wishes(standings: &Standings, standing: &Standing, message: &Value) {
    for why in [Out::Draining, Out::Disabled] {
        if message["state"].as_str() == Some(why.as_str()) {
            standings.set(standing, why, true, 0);
        }
    }
    let weight = message["weight"].as_u64().and_then(|weight| u32::try_from(weight).ok());
    if weight.is_some() {
        standings.set_weight(standing, weight);
    }
}

/// What probes and requests have said of an endpoint, where somebody here lets it in again.
fn inherit_findings(spec: &ClusterSpec, standing: &Standing, message: &Value) {
    let standings = &spec.standings;
    if spec.health.is_some() && message[Out::Unhealthy.as_str()] == true {
        standings.set(standing, Out::Unhealthy, true, 0);
    }
    let ejected = &message[Out::Ejected.as_str()];
    let (Some(limits), Some(left)) = (&spec.outliers, ejected["left_millis"].as_u64()) else { return };
    let left = left.min(limits.max_ejection.as_millis() as u64);
    let (until, times) = &standing.ejected;
    until.store(standings.millis(Instant::now()).saturating_add(left), Relaxed);
    let known = ejected["times"].as_u64().and_then(|times| u32::try_from(times).ok());
    times.store(known.unwrap_or(1), Relaxed);
    standings.set(standing, Out::Ejected, true, 0);
}
