//! Numbers of clusters: breakers, and limits that find themselves.

use usher_api::clusters::{AdaptiveReading, CircuitReading, ClusterReading};
use usher_api::metrics::{MAX_ENDPOINTS, Registry};

use super::exposition::Exposition;

pub(super) fn all(out: &mut Exposition, registry: &Registry) {
    let mut readings = registry.clusters().map(|clusters| clusters.readings()).unwrap_or_default();
    readings.truncate(MAX_ENDPOINTS);
    circuits(out, &readings);
    limits(out, &readings);
}

fn circuits(out: &mut Exposition, readings: &[ClusterReading]) {
    type Number = fn(&CircuitReading) -> u64;
    let numbers: [(&str, &str, Number); 3] = [
        ("usher_cluster_circuit_state", "The circuit of a cluster: 0 closed, 1 open, 2 half-open.", |one| {
            one.state.into()
        }),
        ("usher_cluster_circuit_opened_total", "How often the circuit of a cluster was opened.", |one| {
            one.opened
        }),
        (
            "usher_cluster_circuit_refused_total",
            "Requests that were not sent to a cluster, as its circuit was open.",
            |one| one.refused,
        ),
    ];
    let all: Vec<_> = readings.iter().filter_map(|one| Some((&one.name, one.circuit.as_ref()?))).collect();
    for (name, help, number) in numbers.into_iter().filter(|_| !all.is_empty()) {
        if name.ends_with("_total") {
            out.counter(name, help)
        } else {
            out.gauge(name, help)
        };
        for (cluster, circuit) in &all {
            out.sample(&[("cluster", &***cluster)], number(circuit));
        }
    }
}

fn limits(out: &mut Exposition, readings: &[ClusterReading]) {
    type Number = fn(&AdaptiveReading) -> f64;
    let numbers: [(&str, &str, Number); 3] = [
        (
            "usher_cluster_adaptive_limit",
            "Requests that a cluster may have at once, as the limit found itself.",
            |one| one.limit.into(),
        ),
        ("usher_cluster_adaptive_in_flight", "Requests that such a cluster has.", |one| one.under_way.into()),
        (
            "usher_cluster_adaptive_base_seconds",
            "How long its responses take to begin without load; 0 if that is not known yet.",
            |one| one.base_micros as f64 / 1e6,
        ),
    ];
    let all: Vec<_> = readings.iter().filter_map(|one| Some((&one.name, one.adaptive.as_ref()?))).collect();
    for (name, help, number) in numbers.into_iter().filter(|_| !all.is_empty()) {
        out.gauge(name, help);
        for (cluster, adaptive) in &all {
            out.sample(&[("cluster", &***cluster)], number(adaptive));
        }
    }
}
