//! Copies of requests, and splits that move by themselves.

use usher_api::metrics::{MirrorOutcome, Registry};

use super::exposition::{Exposition, seconds};

/// The states of a shift.
const STATES: [&str; 5] = ["waiting", "running", "paused", "finished", "rolled_back"];

pub(super) fn mirrors(out: &mut Exposition, registry: &Registry) {
    let all = registry.mirrors();
    if all.is_empty() {
        return;
    }
    out.counter(
        "usher_mirror_requests_total",
        "Copies of requests, by how they ended, or why there was none.",
    );
    for one in &all {
        for outcome in MirrorOutcome::ALL {
            let labels = [("route", &*one.route), ("cluster", &*one.cluster), ("outcome", outcome.as_str())];
            out.sample(&labels, one.metrics.of(outcome));
        }
    }
    out.gauge("usher_mirror_in_flight", "Copies of requests that are under way.");
    for one in &all {
        out.sample(&[("route", &*one.route), ("cluster", &*one.cluster)], one.metrics.in_flight());
    }
}

pub(super) fn shifts(out: &mut Exposition, registry: &Registry) {
    let all = registry.shifts().map(|shifts| shifts.readings()).unwrap_or_default();
    if all.is_empty() {
        return;
    }
    out.gauge("usher_shift_share", "What the new target of a shift takes: 0 to 1.");
    for one in &all {
        out.sample(&[("route", &one.route)], one.share);
    }
    out.gauge("usher_shift_state", "1 for the state that a shift is in.");
    for one in &all {
        for state in STATES {
            out.sample(&[("route", &one.route), ("state", state)], u8::from(state == one.state));
        }
    }
    out.counter("usher_shift_moves_total", "Steps of a shift: forth, and back to the old target.");
    for one in &all {
        out.sample(&[("route", &one.route), ("direction", "forth")], one.moves.0);
        out.sample(&[("route", &one.route), ("direction", "back")], one.moves.1);
    }
    let sides = || all.iter().flat_map(|one| one.sides.iter().map(|side| (&*one.route, side)));
    out.counter("usher_shift_requests_total", "Requests to each side of a shift.");
    for (route, side) in sides() {
        let labels = [("route", route), ("side", side.side), ("target", &side.target)];
        out.sample(&labels, side.requests.0);
    }
    out.counter("usher_shift_failures_total", "Of these, those that failed.");
    for (route, side) in sides() {
        let labels = [("route", route), ("side", side.side), ("target", &side.target)];
        out.sample(&labels, side.requests.1);
    }
    out.gauge(
        "usher_shift_first_byte_p99_seconds",
        "99th percentile of the time to the first byte, in this step.",
    );
    for (route, side) in sides() {
        if let Some(p99) = side.p99 {
            let labels = [("route", route), ("side", side.side), ("target", &side.target)];
            out.sample(&labels, seconds(p99));
        }
    }
}
