//! How many endpoints there are, and whether those who tell of them can be heard.

use usher_api::metrics::{MAX_ENDPOINTS, Registry};

use super::exposition::Exposition;

pub(super) fn render(out: &mut Exposition, registry: &Registry) {
    let Some(mut reading) = registry.clusters().map(|clusters| clusters.reading()) else { return };
    reading.clusters.truncate(MAX_ENDPOINTS);
    reading.names.truncate(MAX_ENDPOINTS);
    reading.files.truncate(MAX_ENDPOINTS);
    if !reading.clusters.is_empty() {
        out.gauge("usher_cluster_endpoints", "Endpoints of a cluster, by who names them.");
        for one in &reading.clusters {
            for (source, count) in &one.by_source {
                out.sample(&[("cluster", &one.cluster), ("source", source)], *count);
            }
        }
        out.counter(
            "usher_cluster_updates_total",
            "How often a cluster had other endpoints, without a reload.",
        );
        for one in &reading.clusters {
            out.sample(&[("cluster", &one.cluster)], one.updates.0);
        }
        out.gauge(
            "usher_cluster_last_update_timestamp_seconds",
            "When that was last, in seconds since 1970.",
        );
        for one in reading.clusters.iter().filter(|one| one.updates.0 > 0) {
            out.sample(&[("cluster", &one.cluster)], one.updates.1);
        }
    }
    if !reading.names.is_empty() {
        out.counter(
            "usher_name_failures_total",
            "Questions for a name of endpoints that got no good answer.",
        );
        for (name, failures, _) in &reading.names {
            out.sample(&[("name", name)], *failures);
        }
        out.gauge("usher_name_failing", "1 if the last question for a name got no good answer, 0 if it did.");
        for (name, _, fails) in &reading.names {
            out.sample(&[("name", name)], u8::from(*fails));
        }
    }
    if reading.files.is_empty() {
        return;
    }
    out.counter(
        "usher_endpoints_file_failures_total",
        "How often a cluster's file of endpoints could not be used.",
    );
    for (cluster, failures, _) in &reading.files {
        out.sample(&[("cluster", cluster)], *failures);
    }
    out.gauge(
        "usher_endpoints_file_failing",
        "1 if a cluster's file of endpoints cannot be used, 0 if it can.",
    );
    for (cluster, _, fails) in &reading.files {
        out.sample(&[("cluster", cluster)], u8::from(*fails));
    }
}
