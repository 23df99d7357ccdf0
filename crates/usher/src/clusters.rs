//! The clusters that serve, for the admin API: how endpoints stand, and changes at run time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use usher_api::clusters::{
    AdaptiveReading, CircuitReading, ClusterControl, ClusterReading, EndpointChange, Wanted,
};
use usher_api::standing::{Out, Standing};
use usher_engine::cluster::Phase;
use usher_engine::snapshot::{ClusterSpec, ResolvedEndpoint};

use crate::log;
use crate::outliers::Outliers;

/// The clusters that serve, and who looks after them.
#[derive(Default)]
pub(crate) struct Clusters {
    board: Arc<Board>,
    outliers: Outliers,
}

impl Clusters {
    /// Who tells of them and changes them for the admin API.
    pub(crate) fn board(&self) -> Arc<dyn ClusterControl> {
        self.board.clone()
    }

    /// Looks after exactly these from now on.
    pub(crate) fn follow(
        &mut self,
        clusters: &[Arc<ClusterSpec>],
        endpoints: impl Fn(&ClusterSpec) -> Vec<ResolvedEndpoint>,
    ) {
        self.board.show(clusters, endpoints);
        self.outliers.follow(clusters);
    }

    /// The endpoints of a cluster are others now.
    pub(crate) fn update(&self, cluster: &str, endpoints: &[ResolvedEndpoint]) {
        self.board.update(cluster, endpoints);
    }
}

/// A cluster, and its endpoints as far as they are known by address.
struct Shown {
    spec: Arc<ClusterSpec>,
    endpoints: Vec<ResolvedEndpoint>,
}

/// All clusters of the snapshot that serves.
#[derive(Default)]
struct Board(Mutex<Vec<Shown>>);

impl Board {
    /// Shows these clusters from now on.
    fn show(&self, clusters: &[Arc<ClusterSpec>], endpoints: impl Fn(&ClusterSpec) -> Vec<ResolvedEndpoint>) {
        let shown = |spec: &Arc<ClusterSpec>| {
            let endpoints = endpoints(spec);
            Shown { spec: spec.clone(), endpoints }
        };
        let all: Vec<Shown> = clusters.iter().map(shown).collect();
        all.iter().for_each(|shown| forget_others(&shown.spec, &all));
        *self.lock() = all;
    }

    /// The endpoints of a cluster are others now.
    fn update(&self, cluster: &str, endpoints: &[ResolvedEndpoint]) {
        let mut all = self.lock();
        let Some(shown) = all.iter_mut().find(|shown| *shown.spec.name == *cluster) else { return };
        shown.endpoints = endpoints.to_vec();
        let spec = shown.spec.clone();
        forget_others(&spec, &all);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Shown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was known of addresses that are gone is forgotten: names may go through very many.
fn forget_others(spec: &ClusterSpec, all: &[Shown]) {
    // Parts of a cluster share what is known with the whole.
    let sharing = all.iter().filter(|shown| Arc::ptr_eq(&shown.spec.standings, &spec.standings));
    let known: HashSet<String> =
        sharing.flat_map(|shown| &shown.endpoints).map(|endpoint| endpoint.address.to_string()).collect();
    spec.standings.retain(|address| known.contains(address));
}

impl Shown {
    fn json(&self) -> Value {
        let endpoints: Vec<Value> = self.endpoints.iter().map(|endpoint| self.endpoint(endpoint)).collect();
        json!({ "name": &*self.spec.name, "balance": self.spec.balance_name, "waiting": self.spec.crowd.waiting(),
                "circuit": self.circuit(), "adaptive": self.adaptive(), "endpoints": endpoints })
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
        let Some(found) = self.reading().adaptive else { return Value::Null };
        let base = Some(found.base_micros).filter(|micros| *micros > 0);
        json!({ "limit": found.limit, "under_way": found.under_way, "base_micros": base })
    }

    fn reading(&self) -> ClusterReading {
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
            "priority": endpoint.priority,
            "zone": endpoint.zone.name.as_deref(),
            "weight": standing.weight().unwrap_or(endpoint.weight),
            "configured_weight": endpoint.weight,
            "state": if out.is_empty() { "ready" } else { "out" },
            "out": out,
        })
    }

    fn standing(&self, endpoint: &ResolvedEndpoint) -> Arc<Standing> {
        self.spec.standings.of(&endpoint.address.to_string())
    }

    /// Those that a change means.
    fn meant(&self, change: &EndpointChange) -> Vec<Arc<Standing>> {
        let is_meant = |one: &&ResolvedEndpoint| {
            one.address.to_string() == change.endpoint || *one.label == *change.endpoint
        };
        self.endpoints.iter().filter(is_meant).map(|endpoint| self.standing(endpoint)).collect()
    }

    fn apply(&self, change: &EndpointChange, standing: &Standing) {
        let standings = &self.spec.standings;
        let now = standings.millis(Instant::now());
        if let Some(state) = change.state {
            standings.set(standing, Out::Draining, state == Wanted::Drain, now);
            standings.set(standing, Out::Disabled, state == Wanted::Disable, now);
        }
        if let Some(weight) = change.weight {
            standings.set_weight(standing, weight);
        }
    }
}

impl ClusterControl for Board {
    fn json(&self) -> String {
        Value::Array(self.lock().iter().map(Shown::json).collect()).to_string()
    }

    fn change(&self, cluster: &str, changes: &[EndpointChange]) -> Result<String, String> {
        let all = self.lock();
        let shown = all.iter().find(|shown| *shown.spec.name == *cluster);
        let shown = shown.ok_or_else(|| format!("there is no cluster `{cluster}`"))?;
        let mut found = Vec::new();
        for change in changes {
            let meant = shown.meant(change);
            if meant.is_empty() {
                return Err(format!(
                    "the cluster `{cluster}` has no endpoint `{}`; nothing was changed",
                    change.endpoint
                ));
            }
            found.push((change, meant));
        }
        let mut done = Vec::new();
        for (change, meant) in found {
            meant.iter().for_each(|standing| shown.apply(change, standing));
            done.push(describe(change));
        }
        let done = format!("cluster {cluster}: {}", done.join("; "));
        log::info(format_args!("{done} (by the admin listener)"));
        Ok(done)
    }

    fn hold(&self, cluster: &str, open: Option<bool>) -> Result<String, String> {
        let all = self.lock();
        let shown = all.iter().find(|shown| *shown.spec.name == *cluster);
        let spec = &shown.ok_or_else(|| format!("there is no cluster `{cluster}`"))?.spec;
        let circuit = spec.circuit.as_ref();
        let circuit = circuit.ok_or_else(|| format!("the cluster `{cluster}` has no `breaker`"))?;
        circuit.breaker.hold(open, spec.standings.millis(Instant::now()));
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
        self.lock().iter().map(Shown::reading).collect()
    }
}

fn describe(change: &EndpointChange) -> String {
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
