//! Step 12: what is known of the exchange goes to the metrics and the access log.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use usher_api::{Client, Exchange, RecordView};
use usher_net::Dialer;
use usher_wire::Downstream;

use crate::connection::Door;
use crate::path::Visit;
use crate::steps::choose;
use crate::worker::Worker;

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
    choose::note_outcome(exchange, visit.local.shared.route(exchange.record.route));
    if visit.local.shared.access_log.is_some() {
        log(visit, exchange, took);
    }
}

/// Writes a line about a connection that ended before there was a request, or for another reason than a request's. It
/// counts as none.
pub(crate) fn connection<D: Dialer>(worker: &Worker<D>, door: &Door, (reason, detail): (&'static str, &str)) {
    let snapshot = worker.local().shared.clone();
    let Some(sink) = snapshot.access_log.as_ref().filter(|_| door.listener.logged) else { return };
    let mut exchange = worker.take_exchange();
    exchange.client = Client {
        ip: door.peer.map(|peer| peer.ip()),
        peer: door.peer,
        local: door.local,
        trusted: false,
        listener: door.listener.name.clone(),
        tls: door.session.clone(),
    };
    exchange.record.reason = reason;
    exchange.failures.say(detail);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    sink.record(&RecordView {
        exchange: &exchange,
        method: "",
        target: b"",
        version: "",
        route: "",
        cluster: "",
        endpoint: "",
        started_unix_micros: now.as_micros() as u64,
    });
    exchange.client = Client::default();
    worker.give_exchange(exchange);
}

/// Writes a line about a connection that was passed on, at its end. What it carried is no request: it has no method, no
/// target and no status.
pub(crate) fn passed<D: Dialer>(
    worker: &Worker<D>,
    door: &Door,
    (exchange, version, cluster): (&Exchange, &str, &str),
    took: Duration,
) {
    let snapshot = worker.local().shared.clone();
    let Some(sink) = snapshot.access_log.as_ref().filter(|_| door.listener.logged) else { return };
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(took);
    sink.record(&RecordView {
        exchange,
        method: "",
        target: b"",
        version,
        route: "",
        cluster,
        endpoint: exchange.endpoint.as_deref().unwrap_or_default(),
        started_unix_micros: started.as_micros() as u64,
    });
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
