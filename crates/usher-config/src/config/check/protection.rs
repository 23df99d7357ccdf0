//! What a cluster's breaker, limits and zone say about one another.

use std::collections::BTreeSet;

use super::exists;
use crate::config::{Cluster, Config};
use crate::decode::Context;
use crate::document::Key;

/// Looks at one cluster.
pub(super) fn of(
    (key, cluster): (&Key, &Cluster),
    clusters: &BTreeSet<&str>,
    config: &Config,
    cx: &mut Context<'_>,
) {
    breaker((key, cluster), clusters, cx);
    if let Some(adaptive) = cluster.limits.adaptive.on()
        && adaptive.min > adaptive.max
    {
        let name = &key.name;
        let error =
            format!("in the cluster `{name}`, `limits.adaptive.min` is greater than `limits.adaptive.max`");
        cx.error(key.span, error);
    }
    if cluster.locality.on().is_some() && config.zone.is_none() {
        let error = "the zone of this proxy is not known, so no endpoint can be preferred";
        cx.error_help(cluster.locality.span, error, "write it at the top of the config: `zone = \"eu-1a\"`");
    }
}

fn breaker((key, cluster): (&Key, &Cluster), clusters: &BTreeSet<&str>, cx: &mut Context<'_>) {
    let Some(breaker) = cluster.breaker.on() else { return };
    let name = &key.name;
    if breaker.open > breaker.max_open {
        let error = format!("in the cluster `{name}`, `breaker.open` is longer than `breaker.max_open`");
        cx.error(key.span, error);
    }
    if let Some(fallback) = &breaker.fallback {
        exists("cluster", fallback, clusters, "define it as `[cluster.NAME]`", cx);
        if fallback.value == *name {
            let error = "a cluster cannot take its own place";
            cx.error_help(fallback.span, error, "name another cluster, or remove `fallback`");
        }
    }
}
