use std::sync::Arc;

use super::histogram::bucket_of;
use super::tables::KINDS;
use super::*;
use crate::error::ErrorKind;
use crate::record::{AccessSink, Record, RecordView};

#[test]
fn a_duration_falls_into_the_first_bucket_whose_bound_it_does_not_exceed() {
    let powers = (0..u64::BITS).map(|digits| 1 << digits);
    let around = |at: u64| [at.saturating_sub(1), at, at.saturating_add(1)];
    for micros in BOUNDS_MICROS.into_iter().chain(powers).chain([0, u64::MAX]).flat_map(around) {
        let expected = BOUNDS_MICROS.iter().filter(|bound| micros > **bound).count();
        assert_eq!(bucket_of(micros), expected, "{micros}");
    }
    assert!(BOUNDS_MICROS.is_sorted_by(|one, next| one * 2 <= *next));
}

#[test]
fn a_histogram_counts_and_adds() {
    let histogram = Histogram::default();
    [50, 100, 700, 70_000_000].into_iter().for_each(|micros| histogram.observe(micros));
    let buckets = histogram.buckets();
    assert_eq!((buckets[0], buckets[3], buckets[18]), (2, 1, 1));
    assert_eq!((histogram.count(), histogram.sum_micros()), (4, 70_000_850));
}

#[test]
fn a_kind_is_its_own_index() {
    for (i, kind) in KINDS.into_iter().enumerate() {
        assert_eq!(kind as usize, i, "{}", kind.as_str());
    }
    assert_eq!(ErrorKind::Internal as usize, KINDS.len() - 1, "a kind is missing from KINDS");
}

#[test]
fn a_status_belongs_to_its_class() {
    for (status, name) in
        [(0, "none"), (101, "1xx"), (200, "2xx"), (308, "3xx"), (451, "4xx"), (599, "5xx"), (600, "none")]
    {
        let classes = ByClass::default();
        classes.class(status).increment();
        let counted: Vec<_> =
            classes.iter().filter(|(_, counter)| counter.get() > 0).map(|(name, _)| name).collect();
        assert_eq!(counted, [name], "{status}");
    }
}

#[test]
fn a_status_is_counted_as_itself() {
    let statuses = ByStatus::default();
    for status in [0, 99, 100, 404, 404, 599, 600, u16::MAX] {
        if let Some(counter) = statuses.of(status) {
            counter.increment();
        }
    }
    let sum = ByStatus::default();
    [&statuses, &statuses].into_iter().for_each(|one| sum.absorb(one));
    let counted = sum.iter().map(|(status, counter)| (status, counter.get()));
    let counted: Vec<_> = counted.filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted, [(100, 2), (404, 4), (599, 2)]);
}

#[test]
fn a_gauge_does_not_fall_below_zero() {
    let gauge = Gauge::default();
    gauge.decrement();
    assert_eq!(gauge.get(), 0);
    gauge.increment();
    assert_eq!(gauge.get(), 1);
}

#[test]
fn reasons_are_told_apart_up_to_a_limit() {
    let reasons = ByReason::default();
    for i in 0..MAX_REASONS + 3 {
        reasons.of(Box::leak(format!("reason{i}").into_boxed_str())).increment();
    }
    reasons.of("reason0").increment();
    let all: Vec<_> = reasons.iter().map(|(name, counter)| (name, counter.get())).collect();
    assert_eq!(all.len(), MAX_REASONS + 1);
    assert_eq!((all[0], all[MAX_REASONS]), (("reason0", 2), (OTHER, 3)));
}

#[test]
fn workers_are_added_up() {
    let registry = Registry::new("1");
    let (a, b) = (registry.register_worker(), registry.register_worker());
    let record = Record {
        status: 502,
        total: 300,
        received: 10,
        sent: 20,
        reason: "connect_failed",
        ..Record::default()
    };
    for worker in [&a, &a, &b] {
        worker.connections.opened();
        worker.requests.started();
        worker.requests.record(&record);
        worker.upstream.failed(ErrorKind::ConnectFailed);
    }
    b.connections.closed();
    b.requests.started();
    b.connections.refused(Refusal::ClientLimit);
    let Reading { workers, totals, .. } = registry.read();
    assert_eq!(workers, 2);
    assert_eq!((totals.connections.accepted.get(), totals.connections.active.get()), (3, 2));
    assert_eq!(totals.connections.refused.of(Refusal::ClientLimit).get(), 1);
    assert_eq!((totals.requests.in_flight.get(), totals.requests.latency.count()), (1, 3));
    assert_eq!((totals.requests.received.get(), totals.requests.sent.get()), (30, 60));
    assert_eq!(totals.requests.by_reason.of("connect_failed").get(), 3);
    assert_eq!(totals.upstream.errors.of(ErrorKind::ConnectFailed).get(), 3);
}

#[test]
fn numbers_of_a_route_survive_a_reload_and_go_when_unused() {
    let registry = Registry::new("1");
    let (a, b) = (registry.register_worker(), registry.register_worker());
    let (old_a, old_b) = (a.route("api"), b.route("api"));
    old_a.finished(200, 1);
    old_b.finished(200, 1);
    let new_a = a.route("api");
    assert!(Arc::ptr_eq(&old_a, &new_a) && !Arc::ptr_eq(&old_a, &old_b));
    drop((old_a, old_b));
    let total =
        || registry.read().routes.iter().map(|(_, route)| route.by_class.class(200).get()).sum::<u64>();
    assert_eq!((total(), total()), (2, 2), "in use by one worker: the sum must not shrink");
    drop(new_a);
    assert_eq!((total(), total()), (2, 0), "unused: told once more, then gone");
}

#[test]
fn names_beyond_the_limit_share_one() {
    let registry = Registry::with_limits("1", 2, 2);
    let worker = registry.register_worker();
    let kept: Vec<_> = ["a", "b", "c", "d"].into_iter().map(|name| worker.route(name)).collect();
    assert!(Arc::ptr_eq(&kept[2], &kept[3]) && !Arc::ptr_eq(&kept[0], &kept[2]));
    let names: Vec<_> = registry.read().routes.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["a", "b", OTHER]);

    let _held = worker.endpoint("api", "10.0.0.1:80");
    drop(worker.endpoint("api", "10.0.0.2:80"));
    worker.make_room();
    let _third = worker.endpoint("api", "10.0.0.3:80");
    let addresses: Vec<_> =
        registry.read().endpoints.iter().map(|(key, _)| key.address.to_string()).collect();
    assert_eq!(addresses, ["10.0.0.1:80", "10.0.0.3:80"], "an unused name makes room");
}

struct Drops(u64);

impl AccessSink for Drops {
    fn record(&self, _: &RecordView<'_>) {}
    fn dropped(&self) -> u64 {
        self.0
    }
}

#[test]
fn dropped_records_are_counted_across_reloads() {
    let registry = Registry::new("1");
    let (first, second): (Arc<dyn AccessSink>, Arc<dyn AccessSink>) =
        (Arc::new(Drops(3)), Arc::new(Drops(4)));
    registry.use_access_logs(vec![first.clone()]);
    assert_eq!(registry.read().access_log_dropped, 3);
    registry.use_access_logs(vec![first, second.clone()]);
    assert_eq!(registry.read().access_log_dropped, 7);
    registry.use_access_logs(vec![second]);
    assert_eq!(registry.read().access_log_dropped, 7);
}

#[test]
fn reloads_are_told() {
    let registry = Registry::new("1");
    assert_eq!(registry.process.last_reload(), None);
    registry.process.reloaded(true);
    registry.process.reloaded(false);
    assert_eq!(registry.process.reloads(), (1, 1));
    assert!(registry.process.last_reload().is_some_and(|(at, ok)| at > 1_600_000_000 && !ok));
    registry.process.serving(7);
    assert_eq!(registry.process.generation(), 7);
}
