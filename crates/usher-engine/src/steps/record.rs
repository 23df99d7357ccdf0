//! Step 12: what is known of the exchange goes to the metrics and the access log.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use usher_api::{Exchange, RecordView};
use usher_net::Dialer;
use usher_wire::Downstream;

use crate::path::Visit;

/// Completes the record and hands it over.
pub(crate) fn finish<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange, down: &mut impl Downstream) {
    let (received, sent) = down.take_counts();
    let record = &mut exchange.record;
    record.received += received;
    record.sent += sent;
    let took = Instant::now().duration_since(visit.started);
    record.total = took.as_micros() as u64;
    visit.worker.metrics.requests.record(record);
    let route = record.route.and_then(|index| visit.local.route_metrics.get(index as usize));
    if let Some(metrics) = route {
        metrics.record(record);
    }
    if visit.local.shared.access_log.is_some() {
        log(visit, exchange, took);
    }
}

fn log<D: Dialer>(visit: &Visit<'_, D>, exchange: &Exchange, took: Duration) {
    let snapshot = &visit.local.shared;
    let Some(sink) = &snapshot.access_log else { return };
    let record = &exchange.record;
    let route = snapshot.route(record.route);
    if !route.logged.unwrap_or(visit.listener.logged) {
        return;
    }
    let cluster = record.cluster.and_then(|index| snapshot.clusters.get(index as usize));
    let endpoint = exchange.endpoint.as_deref().unwrap_or_default();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(took);
    // Without a target the head could not be parsed, and nothing of it is known.
    let request = &exchange.request;
    let target = request.raw_target();
    let (method, version) = match target {
        [] => ("", ""),
        _ => (request.method.as_str(), request.version.as_str()),
    };
    sink.record(&RecordView {
        exchange,
        method,
        target,
        version,
        route: &route.name,
        cluster: cluster.map_or("", |cluster| &cluster.name),
        endpoint,
        started_unix_micros: started.as_micros() as u64,
    });
}
