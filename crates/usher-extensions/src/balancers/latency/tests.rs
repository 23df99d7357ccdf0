use super::*;

const SECOND: u64 = 1_000_000;

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= expected / 100.0
}

#[test]
fn a_peak_counts_at_once_and_fades() {
    let mut peaks = Latencies::new(2, 10 * SECOND, Estimate::Peak);
    for second in 0..60 {
        peaks.note(0, 5000, second * SECOND);
        peaks.note(1, 5000, second * SECOND);
    }
    peaks.note(0, 100_000, 60 * SECOND);
    assert!(close(peaks.expected(0, 60 * SECOND), 100_000.0));
    let after = peaks.expected(0, 70 * SECOND);
    assert!((30_000.0..50_000.0).contains(&after), "about 1/e is left: {after}");
    peaks.note(0, 5000, 70 * SECOND);
    let after = peaks.expected(0, 70 * SECOND);
    assert!((15_000.0..30_000.0).contains(&after), "a good one counts by the time since the last: {after}");
}

#[test]
fn a_mean_moves_by_time_not_by_number() {
    let mut means = Latencies::new(1, 10 * SECOND, Estimate::Mean);
    means.note(0, 1000, 0);
    for request in 0..1000 {
        means.note(0, 9000, request * 1000);
    }
    let soon = means.expected(0, SECOND);
    assert!((1500.0..2500.0).contains(&soon), "a second is a tenth of the decay: {soon}");
    means.note(0, 9000, 60 * SECOND);
    assert!(means.expected(0, 60 * SECOND) > 8900.0);
}

#[test]
fn what_is_not_known_is_typical() {
    let mut means = Latencies::new(3, SECOND, Estimate::Mean);
    assert!(means.expected(0, 0) > 0.0 && means.expected(7, 0) > 0.0);
    for now in 0..1000 {
        means.note(0, 2000, now);
    }
    assert!(close(means.expected(1, 1000), 2000.0));
    means.note(2, 1_000_000, 1000);
    let (slow, typical) = (means.expected(2, 20 * SECOND), means.expected(1, 20 * SECOND));
    assert!(close(slow, typical), "forgotten after twenty times the decay: {slow} {typical}");
}
