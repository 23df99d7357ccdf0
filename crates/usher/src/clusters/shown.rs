//! A cluster as the admin API shows it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use usher_api::clusters::{
    AdaptiveReading, CircuitReading, ClusterReading, EndpointChange, SourcesReading, Wanted,
};
use usher_api::standing::{Out, Standing};
use usher_engine::cluster::Phase;
use usher_engine::snapshot::{ClusterSpec, ResolvedEndpoint};
use usher_net::Address;

/// A cluster, and its endpoints as far as they are known by address.
pub(super) struct Shown {
    pub(super) spec: Arc<ClusterSpec>,
    pub(super) endpoints: Vec<ResolvedEndpoint>,
    /// What was removed by hand.
    pub(super) removed: Vec<String>,
    /// How often its endpoints became others while it served, and when that was last (seconds since 1970).
    pub(super) updates: (u64, u64),
}

impl Shown {
    pub(super) fn json(&self, version: &str) -> Value {
        let endpoints: Vec<Value> = self.endpoints.iter().map(|endpoint| self.endpoint(endpoint)).collect();
        json!({ "name": &*self.spec.name, "balance": self.spec.balance_name, "waiting": self.spec.crowd.waiting(),
                "circuit": self.circuit(), "adaptive": self.adaptive(), "version": version, "endpoints": endpoints,
                "removed": &self.removed })
    }

    /// How the breaker stands; null where there is none.
    fn circuit(&self) -> Value {
        let Some(circuit) = &self.spec.circuit else { return Value::Null };
        let now = self.spec.standings.millis(Instant::now());
        json!({
            "state": circuit.breaker.phase().as_str(),
            "open_for_millis": circuit.breaker.left(now),
            "opened": circuit.breaker.opened(),
            "refused": circuit.breaker.refused(),
        })
    }

    /// The limit that finds itself; null where there is none.
    fn adaptive(&self) -> Value {
        let Some(found) = self.protection().adaptive else { return Value::Null };
        let base = Some(found.base_micros).filter(|micros| *micros > 0);
        json!({ "limit": found.limit, "under_way": found.under_way, "base_micros": base })
    }

    /// Numbers of what protects the cluster.
    pub(super) fn protection(&self) -> ClusterReading {
        let spec = &self.spec;
        let circuit = spec.circuit.as_ref().map(|circuit| CircuitReading {
            state: match circuit.breaker.phase() {
                Phase::Closed | Phase::HeldClosed => 0,
                Phase::Open | Phase::HeldOpen => 1,
                Phase::HalfOpen => 2,
            },
            opened: circuit.breaker.opened(),
            refused: circuit.breaker.refused(),
        });
        let adaptive = spec.limits.adaptive.on().map(|settings| AdaptiveReading {
            limit: spec.crowd.adaptive.limit(settings),
            under_way: spec.crowd.under_way(),
            base_micros: spec.crowd.adaptive.base_micros().unwrap_or_default(),
        });
        ClusterReading { name: spec.name.clone(), circuit, adaptive }
    }

    fn endpoint(&self, endpoint: &ResolvedEndpoint) -> Value {
        let standing = self.standing(endpoint);
        let out: Vec<&str> = standing.reasons().map(Out::as_str).collect();
        json!({
            "address": endpoint.address.to_string(),
            "name": &*endpoint.label,
            "source": endpoint.origin.as_str(),
            "priority": endpoint.priority,
            "zone": endpoint.zone.name.as_deref(),
            "weight": standing.weight().unwrap_or(endpoint.weight),
            "configured_weight": endpoint.weight,
            "state": if out.is_empty() { "ready" } else { "out" },
            "out": out,
        })
    }

    pub(super) fn reading(&self) -> SourcesReading {
        let mut by_source = BTreeMap::new();
        for endpoint in &self.endpoints {
            *by_source.entry(endpoint.origin.as_str()).or_insert(0) += 1;
        }
        if by_source.is_empty() {
            by_source.insert("config", 0);
        }
        let (cluster, updates) = (self.spec.name.clone(), self.updates);
        SourcesReading { cluster, by_source: by_source.into_iter().collect(), updates }
    }

    fn standing(&self, endpoint: &ResolvedEndpoint) -> Arc<Standing> {
        self.spec.standings.of(&endpoint.address.to_string())
    }

    /// Finds those that changes mean.
    pub(super) fn called(&self) -> Called<'_> {
        let mut called: HashMap<String, Vec<&ResolvedEndpoint>> = HashMap::new();
        for endpoint in &self.endpoints {
            let address = endpoint.address.to_string();
            if *endpoint.label != *address {
                called.entry(endpoint.label.to_string()).or_default().push(endpoint);
            }
            called.entry(address).or_default().push(endpoint);
        }
        Called { shown: self, called }
    }

    /// Does a change; workers look at it when they are told.
    pub(super) fn apply(&self, change: &EndpointChange, standing: &Standing) {
        let standings = &self.spec.standings;
        let now = standings.millis(Instant::now());
        if let Some(state) = change.state {
            standings.set_silently(standing, Out::Draining, state == Wanted::Drain, now);
            standings.set_silently(standing, Out::Disabled, state == Wanted::Disable, now);
        }
        if let Some(weight) = change.weight {
            standings.set_weight_silently(standing, weight);
        }
    }

    /// Endpoints that join others begin slowly, where the cluster wants that. Where all are new, nobody is. Workers look
    /// when they are told.
    pub(super) fn welcome(&self, before: &[ResolvedEndpoint]) {
        if self.spec.care.slow_start.is_zero() || before.is_empty() {
            return;
        }
        let standings = &self.spec.standings;
        let before: HashSet<&Address> = before.iter().map(|one| &one.address).collect();
        let is_new = |one: &&ResolvedEndpoint| !before.contains(&one.address);
        let now = standings.millis(Instant::now());
        for endpoint in self.endpoints.iter().filter(is_new) {
            standings.freshen(&self.standing(endpoint), now);
        }
    }
}

/// The endpoints of a cluster by what they are called: address, or name.
pub(super) struct Called<'a> {
    shown: &'a Shown,
    called: HashMap<String, Vec<&'a ResolvedEndpoint>>,
}

impl Called<'_> {
    /// Those that a change means.
    pub(super) fn meant(&self, change: &EndpointChange) -> Vec<Arc<Standing>> {
        let meant = self.called.get(&change.endpoint).into_iter().flatten();
        meant.map(|endpoint| self.shown.standing(endpoint)).collect()
    }
}

/// What was done, in a line.
pub(super) fn describe(change: &EndpointChange) -> String {
    let state = change.state.map(|state| match state {
        Wanted::Ready => "takes requests".to_owned(),
        Wanted::Drain => "takes no new visitors".to_owned(),
        Wanted::Disable => "takes no requests".to_owned(),
    });
    let weight = change.weight.map(|weight| match weight {
        Some(weight) => format!("has weight {weight}"),
        None => "has its configured weight".to_owned(),
    });
    let both: Vec<String> = state.into_iter().chain(weight).collect();
    format!(
        "{} {}",
        change.endpoint,
        if both.is_empty() { "stays as it is".to_owned() } else { both.join(" and ") }
    )
}
