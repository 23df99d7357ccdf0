use super::*;
use crate::balancers::testing;

const SECOND: u64 = 1_000_000;

/// Every endpoint answers in its time, or fails, for ten seconds; then counts who is chosen.
fn counts_after(options: &str, weights: &[u32], micros: &[Option<u64>]) -> Vec<usize> {
    let all = testing::candidates(weights);
    let mut balancer = testing::build_with(&FACTORY, options).begin(&all, 1);
    for round in 0..100 {
        for (endpoint, micros) in micros.iter().enumerate() {
            balancer.finished(Outcome {
                endpoint,
                micros: *micros,
                failed: micros.is_none(),
                now: round * SECOND / 10,
            });
        }
    }
    let exchange = usher_api::Exchange::default();
    let now = 10 * SECOND;
    let mut counts = vec![0; all.len()];
    for _ in 0..10_000 {
        let usable = all.len();
        let input = PickInput { candidates: &all, usable, group: 0, client: None, exchange: &exchange, now };
        counts[balancer.pick(&input).unwrap()] += 1;
    }
    counts
}

#[test]
fn a_slow_endpoint_is_chosen_only_against_itself() {
    let counts = counts_after("", &[1; 4], &[Some(5000), Some(100_000), Some(5000), Some(5000)]);
    assert!(counts[1] < 20, "drawn with nobody else: {counts:?}");
}

#[test]
fn one_that_fails_fast_does_not_look_fast() {
    let counts = counts_after("", &[1; 3], &[Some(5000), None, Some(5000)]);
    assert!(counts[1] < 20, "{counts:?}");
    let counts = counts_after("failure = '1ms'", &[1; 3], &[Some(5000), None, Some(5000)]);
    assert!(counts[1] > 5000, "{counts:?}");
}

#[test]
fn weights_count_where_latencies_do_not_differ() {
    let counts = counts_after("", &[1, 3], &[Some(5000), Some(5000)]);
    assert!(counts[1].abs_diff(7500) < 300, "{counts:?}");
}

#[test]
fn what_was_learned_outlives_new_weights() {
    let mut all = testing::candidates(&[1; 2]);
    let mut balancer = testing::begin(&FACTORY, &all, 1);
    balancer.finished(Outcome { endpoint: 0, micros: Some(50_000), failed: false, now: 0 });
    balancer.finished(Outcome { endpoint: 1, micros: Some(1000), failed: false, now: 0 });
    all[0].weight = 2;
    balancer.reweighted(&all);
    let counts = testing::histogram(&mut *balancer, &all, 1000);
    assert!(counts[1] > 950, "{counts:?}");
}

#[test]
fn requests_under_way_count() {
    let mut all = testing::candidates(&[1; 2]);
    all[0].in_flight = 3;
    let counts = testing::histogram(&mut *testing::begin(&FACTORY, &all, 1), &all, 1000);
    assert!(counts[1] > 990, "{counts:?}");
}
