use std::collections::BTreeSet;

use usher_api::ErrorKind;
use usher_api::metrics::Registry;

use super::exposition::{Exposition, seconds};
use super::*;

fn lines(text: &str, name: &str) -> Vec<String> {
    let of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    text.lines().filter(of).map(str::to_owned).collect()
}

#[test]
fn everything_that_was_counted_is_told() {
    let registry = Registry::new("1.2.3");
    let worker = registry.register_worker();
    let (route, endpoint) = (worker.route("api"), worker.endpoint("app", "10.0.0.1:80"));
    worker.connections.opened();
    worker.requests.started();
    worker.requests.finished(502, 1_500);
    worker.requests.reason("connect_failed");
    worker.upstream.failed(ErrorKind::ConnectFailed);
    route.finished(502, 1_500);
    endpoint.started(false);
    endpoint.failed();
    endpoint.first_byte(400);
    registry.process.serving(3);
    registry.process.reloaded(false);
    let text = render(&registry);
    for expected in [
        "usher_build_info{version=\"1.2.3\"} 1",
        "usher_config_generation 3",
        "usher_reloads_total{result=\"failed\"} 1",
        "usher_config_last_reload_success 0",
        "usher_connections_accepted_total 1",
        "usher_connections_refused_total{reason=\"client_limit\"} 0",
        "usher_requests_total{class=\"5xx\"} 1",
        "usher_responses_total{code=\"502\"} 1",
        "usher_requests_in_flight 0",
        "usher_request_duration_seconds_bucket{le=\"0.001\"} 0",
        "usher_request_duration_seconds_bucket{le=\"0.0025\"} 1",
        "usher_request_duration_seconds_bucket{le=\"+Inf\"} 1",
        "usher_request_duration_seconds_sum 0.0015",
        "usher_request_duration_seconds_count 1",
        "usher_proxy_responses_total{reason=\"connect_failed\"} 1",
        "usher_upstream_errors_total{kind=\"connect_failed\"} 1",
        "usher_route_requests_total{route=\"api\",class=\"5xx\"} 1",
        "usher_route_request_duration_seconds_count{route=\"api\"} 1",
        "usher_endpoint_errors_total{cluster=\"app\",endpoint=\"10.0.0.1:80\"} 1",
        "usher_endpoint_first_byte_seconds_bucket{cluster=\"app\",endpoint=\"10.0.0.1:80\",le=\"0.0005\"} 1",
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected} is missing in\n{text}");
    }
}

/// Each family once, announced before its samples, and every line a comment or a sample.
#[test]
fn the_text_is_well_formed() {
    let registry = Registry::new("1");
    let worker = registry.register_worker();
    let (_route, _endpoint) = (worker.route("a"), worker.endpoint("b", "c"));
    registry.process.reloaded(true);
    let text = render(&registry);
    let (mut seen, mut family) = (BTreeSet::new(), "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(seen.insert(name), "{name} twice");
            assert!(name.starts_with("usher_") || name.starts_with("process_"), "{name}");
            assert!(!help.contains('\\') && !help.is_empty(), "{help}");
            family = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(family), "{line} under {family}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(text.ends_with('\n'));
}

#[test]
fn buckets_add_up() {
    let registry = Registry::new("1");
    let worker = registry.register_worker();
    [90, 90, 400, 70_000_000].into_iter().for_each(|micros| worker.requests.latency.observe(micros));
    let counts: Vec<u64> = lines(&render(&registry), "usher_request_duration_seconds_bucket")
        .iter()
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    assert!(counts.is_sorted());
    assert_eq!((counts[0], counts[2], counts[counts.len() - 2], counts[counts.len() - 1]), (2, 3, 3, 4));
}

#[test]
fn values_of_labels_are_escaped() {
    let mut out = Exposition::default();
    out.gauge("g", "help").sample(&[("a", "x\\y\"z\nw"), ("b", "ü")], 1);
    assert_eq!(out.finish(), "# HELP g help\n# TYPE g gauge\ng{a=\"x\\\\y\\\"z\\nw\",b=\"ü\"} 1\n");
}

#[test]
fn seconds_are_exact() {
    for (micros, text) in [
        (0, "0"),
        (100, "0.0001"),
        (2_500, "0.0025"),
        (1_000_000, "1"),
        (12_000_001, "12.000001"),
        (60_000_000, "60"),
    ] {
        assert_eq!(seconds(micros), text);
    }
}

#[test]
fn what_the_kernel_says_is_read() {
    let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
    assert_eq!(process::cpu_micros(stat), Some(2_000_000));
    assert_eq!(process::cpu_micros("7 (a"), None);
    assert_eq!(process::resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
    assert_eq!(process::max_fds("Limit Soft\nMax open files            1024    4096   files\n"), Some(1024));
    if cfg!(target_os = "linux") {
        let text = render(&Registry::new("1"));
        for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
            assert_eq!(lines(&text, name).len(), 1, "{name}");
        }
    }
}
