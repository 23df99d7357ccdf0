use super::*;
use crate::balancers::testing;

#[test]
fn an_idle_cluster_is_used_by_weight() {
    let all = testing::candidates(&[1, 2, 7]);
    let counts = testing::histogram(&mut *testing::begin(&FACTORY, &all, 5), &all, 100_000);
    for (count, expected) in counts.iter().zip([10_000, 20_000, 70_000_usize]) {
        assert!(count.abs_diff(expected) < 600, "{counts:?}");
    }
}

#[test]
fn of_two_the_less_loaded_is_taken() {
    // By weight: 5 of 4 is less than 2 of 1.
    let table: [(&[u32], &[u32], usize); 3] =
        [(&[1, 1], &[4, 3], 1), (&[1, 4], &[2, 5], 1), (&[1, 4], &[1, 5], 0)];
    for (weights, in_flight, expected) in table {
        let mut all = testing::candidates(weights);
        all.iter_mut().zip(in_flight).for_each(|(one, count)| one.in_flight = *count);
        let counts = testing::histogram(&mut *testing::begin(&FACTORY, &all, 1), &all, 100);
        // Weight 4 is drawn twice in a row now and then.
        assert!(counts[expected] > 95, "{weights:?} {in_flight:?} {counts:?}");
    }
}

/// Requests that never end fill up endpoints far more evenly than chance does.
#[test]
fn the_fullest_is_close_to_the_mean() {
    let fullest = |factory| {
        let mut all = testing::candidates(&[1; 1000]);
        let mut balancer = testing::begin(factory, &all, 1);
        for _ in 0..20_000 {
            let picked = testing::pick(&mut *balancer, &all).unwrap();
            all[picked].in_flight += 1;
        }
        all.iter().map(|one| one.in_flight).max().unwrap()
    };
    let (two, one) = (fullest(&FACTORY), fullest(testing::named("random")));
    assert!(two <= 24 && one >= 32, "{two} and {one}");
}

#[test]
fn new_weights_are_followed() {
    let mut all = testing::candidates(&[1, 1]);
    let mut balancer = testing::begin(&FACTORY, &all, 1);
    all[0].weight = 9;
    balancer.reweighted(&all);
    let counts = testing::histogram(&mut *balancer, &all, 10_000);
    assert!(counts[0].abs_diff(9000) < 200, "{counts:?}");
}
