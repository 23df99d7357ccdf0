//! Which numbers there are, and what they are called.

use std::time::UNIX_EPOCH;

use usher_api::ProbeReading;
use usher_api::metrics::{
    EndpointKey, EndpointMetrics, MAX_ENDPOINTS, Reading, Refusal, Registry, RouteMetrics, Totals,
};

use super::exposition::Exposition;

type Routes = [(Box<str>, RouteMetrics)];
type Endpoints = [(EndpointKey, EndpointMetrics)];

pub(super) fn process(out: &mut Exposition, registry: &Registry, reading: &Reading) {
    let process = &registry.process;
    out.gauge("usher_build_info", "Always 1; the labels tell what runs.")
        .sample(&[("version", process.version())], 1);
    out.gauge("usher_start_time_seconds", "When the process started, in seconds since 1970.")
        .sample(&[], process.start_seconds());
    out.gauge("usher_workers", "Worker threads.").sample(&[], reading.workers);
    out.gauge(
        "usher_config_generation",
        "The number of the snapshot that serves; each reload makes a new one.",
    )
    .sample(&[], process.generation());
    let (ok, failed) = process.reloads();
    out.counter("usher_reloads_total", "Reloads of the config, by result.")
        .sample(&[("result", "ok")], ok)
        .sample(&[("result", "failed")], failed);
    if let Some((at, ok)) = process.last_reload() {
        out.gauge(
            "usher_config_last_reload_timestamp_seconds",
            "When the last reload ended, in seconds since 1970.",
        )
        .sample(&[], at);
        out.gauge("usher_config_last_reload_success", "1 if the last reload succeeded, 0 if it failed.")
            .sample(&[], u8::from(ok));
    }
    out.counter(
        "usher_access_log_dropped_total",
        "Records that access logs could not keep up with or not write.",
    )
    .sample(&[], reading.access_log_dropped);
}

pub(super) fn connections(out: &mut Exposition, totals: &Totals) {
    let connections = &totals.connections;
    out.counter("usher_connections_accepted_total", "Connections from clients.")
        .sample(&[], connections.accepted.get());
    out.gauge("usher_connections_active", "Connections from clients that are open.")
        .sample(&[], connections.active.get());
    out.gauge("usher_connections_idle", "Of the open connections, those at rest until their client asks.")
        .sample(&[], connections.idle.get());
    out.counter("usher_connections_refused_total", "Connections that were not served, by reason.");
    for refusal in Refusal::ALL {
        out.sample(&[("reason", refusal.as_str())], connections.refused.of(refusal).get());
    }
    let handshakes = &totals.handshakes;
    out.counter("usher_tls_handshakes_total", "TLS handshakes with clients that were completed.")
        .sample(&[], handshakes.done.get());
    out.counter("usher_tls_handshakes_resumed_total", "Of these, those that resumed an earlier session.")
        .sample(&[], handshakes.resumed.get());
    out.counter("usher_tls_handshakes_failed_total", "TLS handshakes with clients that failed, by reason.");
    for (reason, counter) in handshakes.failed.iter() {
        out.sample(&[("reason", reason)], counter.get());
    }
    out.counter("usher_tls_passed_through_total", "Connections that were passed on still encrypted.")
        .sample(&[], handshakes.passed_through.get());
    out.counter("usher_tunnels_opened_total", "Connections that were upgraded, such as WebSockets.")
        .sample(&[], totals.tunnels.opened.get());
    out.gauge("usher_tunnels_active", "Upgraded connections that are open.")
        .sample(&[], totals.tunnels.active.get());
    out.counter(
        "usher_tunnels_drained_total",
        "Tunnels that the end of the process, or of their endpoint, ended.",
    )
    .sample(&[("end", "closed")], totals.tunnels.drained.get())
    .sample(&[("end", "late")], totals.tunnels.late.get())
    .sample(&[("end", "cut")], totals.tunnels.cut.get());
}

pub(super) fn passed(out: &mut Exposition, totals: &Totals) {
    let passed = &totals.passed;
    out.counter("usher_tcp_connections_total", "Connections that were passed on as TCP, or still encrypted.")
        .sample(&[], passed.opened.get());
    out.gauge("usher_tcp_connections_active", "Of these, those that are open.")
        .sample(&[], passed.active.get());
    out.counter("usher_tcp_connections_broken_total", "Of these, those that neither side ended, by reason.");
    for (reason, counter) in passed.by_reason.iter() {
        out.sample(&[("reason", reason)], counter.get());
    }
    out.histogram("usher_tcp_connection_duration_seconds", "How long they lasted.")
        .durations(&[], &passed.duration);
    out.counter("usher_tcp_received_bytes_total", "Bytes from clients that endpoints were sent.")
        .sample(&[], passed.received.get());
    out.counter("usher_tcp_sent_bytes_total", "Bytes to clients.").sample(&[], passed.sent.get());
}

pub(super) fn udp(out: &mut Exposition, totals: &Totals) {
    let udp = &totals.udp;
    let sessions = &udp.sessions;
    out.counter("usher_udp_sessions_total", "Sessions of UDP that have begun.")
        .sample(&[], sessions.opened.get());
    out.gauge("usher_udp_sessions_active", "Of these, those that are open.")
        .sample(&[], sessions.active.get());
    out.counter(
        "usher_udp_sessions_broken_total",
        "Of these, those that ended because of something, by reason.",
    );
    for (reason, counter) in sessions.by_reason.iter() {
        out.sample(&[("reason", reason)], counter.get());
    }
    out.histogram("usher_udp_session_duration_seconds", "How long they lasted.")
        .durations(&[], &sessions.duration);
    out.counter("usher_udp_received_datagrams_total", "Datagrams of clients that endpoints were sent.")
        .sample(&[], udp.received_datagrams.get());
    out.counter("usher_udp_sent_datagrams_total", "Datagrams to clients.")
        .sample(&[], udp.sent_datagrams.get());
    out.counter("usher_udp_received_bytes_total", "Bytes of clients that endpoints were sent.")
        .sample(&[], sessions.received.get());
    out.counter("usher_udp_sent_bytes_total", "Bytes to clients.").sample(&[], sessions.sent.get());
    out.counter("usher_udp_dropped_datagrams_total", "Datagrams that went nowhere, by reason.");
    for (reason, counter) in udp.dropped.iter() {
        out.sample(&[("reason", reason)], counter.get());
    }
}

pub(super) fn certificates(out: &mut Exposition, registry: &Registry) {
    let readings = registry.certificates().map(|report| report.readings()).unwrap_or_default();
    if readings.is_empty() {
        return;
    }
    out.gauge(
        "usher_certificate_expiry_timestamp_seconds",
        "When a certificate expires, in seconds since 1970.",
    );
    for one in &readings {
        if let Some(after) = one.not_after.and_then(|at| at.duration_since(UNIX_EPOCH).ok()) {
            out.sample(&[("source", &one.source)], after.as_secs());
        }
    }
    out.gauge(
        "usher_certificate_failures",
        "Attempts to obtain a certificate that failed since the last success.",
    );
    for one in &readings {
        out.sample(&[("source", &one.source)], one.failures);
    }
    out.gauge("usher_certificate_state", "1 for the state that a certificate is in.");
    for one in &readings {
        out.sample(&[("source", &one.source), ("state", one.state)], 1_u32);
    }
}

pub(super) fn requests(out: &mut Exposition, totals: &Totals) {
    let requests = &totals.requests;
    out.counter("usher_requests_total", "Requests by class of status; `none` if no response was sent.");
    for (class, counter) in requests.by_class.iter() {
        out.sample(&[("class", class)], counter.get());
    }
    out.counter("usher_responses_total", "Responses sent to clients, by status.");
    for (status, counter) in requests.by_status.iter().filter(|(_, counter)| counter.get() > 0) {
        out.sample(&[("code", &status.to_string())], counter.get());
    }
    out.gauge("usher_requests_in_flight", "Requests under way.").sample(&[], requests.in_flight.get());
    out.histogram(
        "usher_request_duration_seconds",
        "From the end of a request's head to the end of its response.",
    )
    .durations(&[], &requests.latency);
    out.counter(
        "usher_proxy_responses_total",
        "Requests that the proxy answered itself or broke off, by reason.",
    );
    for (reason, counter) in requests.by_reason.iter() {
        out.sample(&[("reason", reason)], counter.get());
    }
    out.counter("usher_received_bytes_total", "Bytes from clients, heads included.")
        .sample(&[], requests.received.get());
    out.counter("usher_sent_bytes_total", "Bytes to clients, heads included.")
        .sample(&[], requests.sent.get());
}

pub(super) fn upstream(out: &mut Exposition, totals: &Totals) {
    let upstream = &totals.upstream;
    out.counter("usher_upstream_connects_total", "Connections made to endpoints.")
        .sample(&[], upstream.connects.get());
    out.counter("usher_upstream_reuses_total", "Requests sent on connections that were there already.")
        .sample(&[], upstream.reuses.get());
    out.gauge("usher_upstream_idle_connections", "Connections to endpoints that wait for a request.")
        .sample(&[], upstream.idle.get());
    out.gauge("usher_upstream_requests_in_flight", "Requests under way at endpoints.")
        .sample(&[], upstream.in_flight.get());
    out.counter("usher_upstream_errors_total", "Connections and requests to endpoints that failed, by kind.");
    for (kind, counter) in upstream.errors.iter() {
        out.sample(&[("kind", kind)], counter.get());
    }
    out.counter("usher_upstream_retries_total", "Requests that were sent again, by `retry`.")
        .sample(&[], upstream.retries.get());
    out.counter(
        "usher_upstream_retries_refused_total",
        "Requests that were not sent again, as the retry budget of their cluster was used up.",
    )
    .sample(&[], upstream.retries_refused.get());
    out.counter(
        "usher_upstream_hedges_total",
        "Second tries beside first ones that took long, by `retry.hedge`.",
    )
    .sample(&[], upstream.hedges.get());
    out.counter("usher_upstream_hedges_won_total", "Second tries whose response came first.")
        .sample(&[], upstream.hedges_won.get());
}

pub(super) fn routes(out: &mut Exposition, routes: &Routes) {
    if routes.is_empty() {
        return;
    }
    out.counter("usher_route_requests_total", "Requests by route and class of status.");
    for (name, route) in routes {
        for (class, counter) in route.by_class.iter().filter(|(_, counter)| counter.get() > 0) {
            out.sample(&[("route", name), ("class", class)], counter.get());
        }
    }
    out.histogram("usher_route_request_duration_seconds", "As usher_request_duration_seconds, by route.");
    for (name, route) in routes.iter().filter(|(_, route)| route.latency.count() > 0) {
        out.durations(&[("route", name)], &route.latency);
    }
    type Number = fn(&RouteMetrics) -> u64;
    let numbers: [(&str, &str, Number); 2] = [
        ("usher_route_received_bytes_total", "Bytes from clients, by route.", |route| route.received.get()),
        ("usher_route_sent_bytes_total", "Bytes to clients, by route.", |route| route.sent.get()),
    ];
    for (name, help, number) in numbers {
        out.counter(name, help);
        for (route, metrics) in routes {
            out.sample(&[("route", route)], number(metrics));
        }
    }
}

pub(super) fn endpoints(out: &mut Exposition, endpoints: &Endpoints) {
    if endpoints.is_empty() {
        return;
    }
    type Number = fn(&EndpointMetrics) -> u64;
    let numbers: [(&str, &str, Number); 6] = [
        ("usher_endpoint_requests_total", "Requests sent to an endpoint.", |one| one.requests.get()),
        ("usher_endpoint_errors_total", "Connections and requests that failed.", |one| one.errors.get()),
        ("usher_endpoint_connects_total", "Connections made to an endpoint.", |one| one.connects.get()),
        ("usher_endpoint_reuses_total", "Requests sent on connections that were there.", |one| {
            one.reuses.get()
        }),
        ("usher_endpoint_requests_in_flight", "Requests under way at an endpoint.", |one| {
            one.in_flight.get()
        }),
        ("usher_endpoint_idle_connections", "Connections that wait for a request.", |one| one.idle.get()),
    ];
    for (name, help, number) in numbers {
        if name.ends_with("_total") {
            out.counter(name, help)
        } else {
            out.gauge(name, help)
        };
        for (key, metrics) in endpoints {
            out.sample(&labels(key), number(metrics));
        }
    }
    out.histogram(
        "usher_endpoint_first_byte_seconds",
        "From sending a request to the end of the response's head.",
    );
    for (key, metrics) in endpoints.iter().filter(|(_, one)| one.first_byte.count() > 0) {
        out.durations(&labels(key), &metrics.first_byte);
    }
}

fn labels(key: &EndpointKey) -> [(&'static str, &str); 2] {
    [("cluster", &key.cluster), ("endpoint", &key.address)]
}

pub(super) fn probes(out: &mut Exposition, registry: &Registry) {
    let mut readings = registry.probes().map(|report| report.readings()).unwrap_or_default();
    readings.truncate(MAX_ENDPOINTS);
    if readings.is_empty() {
        return;
    }
    type Number = fn(&ProbeReading) -> u64;
    let numbers: [(&str, &str, Number); 3] = [
        ("usher_endpoint_healthy", "1 if probes say that an endpoint is well, 0 if not.", |one| {
            one.well.into()
        }),
        ("usher_endpoint_probes_total", "Probes of an endpoint.", |one| one.probes.0),
        ("usher_endpoint_probe_failures_total", "Probes of an endpoint that failed.", |one| one.probes.1),
    ];
    for (name, help, number) in numbers {
        if name.ends_with("_total") {
            out.counter(name, help)
        } else {
            out.gauge(name, help)
        };
        for one in &readings {
            let labels = [("cluster", &*one.cluster), ("endpoint", &one.label), ("address", &one.address)];
            out.sample(&labels, number(one));
        }
    }
}
