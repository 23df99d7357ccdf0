use super::*;
use crate::balancers::testing;

fn loaded(weights: &[u32], in_flight: &[u32]) -> Vec<Candidate> {
    let mut all = testing::candidates(weights);
    all.iter_mut().zip(in_flight).for_each(|(one, count)| one.in_flight = *count);
    all
}

#[test]
fn the_least_loaded_by_weight_is_next() {
    let table: [(&[u32], &[u32], usize); 5] = [
        (&[1, 1, 1], &[3, 1, 2], 1),
        (&[1, 4], &[1, 3], 1),
        (&[1, 4], &[1, 5], 0),
        (&[1, 1], &[u32::MAX, u32::MAX - 1], 1),
        (&[0, 1], &[0, 9], 1),
    ];
    for (weights, in_flight, expected) in table {
        let all = loaded(weights, in_flight);
        let mut balancer = testing::begin(&FACTORY, &all, 1);
        for _ in 0..5 {
            assert_eq!(testing::pick(&mut *balancer, &all), Some(expected), "{weights:?} {in_flight:?}");
        }
    }
}

#[test]
fn an_idle_cluster_is_used_evenly() {
    for weights in [vec![1; 3], vec![3, 1], vec![2; 5000]] {
        testing::follows_weights_exactly(&FACTORY, &weights);
    }
}

#[test]
fn equals_take_turns_while_others_are_busy() {
    let all = loaded(&[1, 1, 1, 1], &[1, 0, 7, 0]);
    let mut balancer = testing::begin(&FACTORY, &all, 1);
    assert_eq!(testing::histogram(&mut *balancer, &all, 10), [0, 5, 0, 5]);
}

/// Requests that never end: the counts must stay close together.
#[test]
fn many_endpoints_fill_up_evenly() {
    let mut all = testing::candidates(&[1; 1000]);
    all[3].in_flight = 500;
    let mut balancer = testing::begin(&FACTORY, &all, 1);
    for _ in 0..20_000 {
        let picked = testing::pick(&mut *balancer, &all).unwrap();
        all[picked].in_flight += 1;
    }
    let others = || all.iter().enumerate().filter(|(i, _)| *i != 3).map(|(_, one)| one.in_flight);
    let (low, high) = (others().min().unwrap(), others().max().unwrap());
    assert!(low >= 14 && high <= 24, "{low} to {high}");
    assert!(all[3].in_flight < 510, "{}", all[3].in_flight);
}
