use super::*;
use crate::balancers::testing;

#[test]
fn follows_weights_exactly() {
    for weights in [vec![1, 1, 1], vec![5, 1, 1], vec![1000, 1, 999], vec![2; 10_000]] {
        testing::follows_weights_exactly(&FACTORY, &weights);
    }
}

#[test]
fn the_rest_keep_their_proportions_when_one_fails() {
    for (weights, down) in [(vec![4, 1, 1, 1], 2), (vec![4000, 1000, 1000, 1001], 3)] {
        let mut all = testing::candidates(&weights);
        let mut balancer = testing::begin(&FACTORY, &all, 0);
        all[down].usable = false;
        let left: Vec<usize> = weights
            .iter()
            .enumerate()
            .map(|(i, weight)| if i == down { 0 } else { *weight as usize })
            .collect();
        assert_eq!(testing::histogram(&mut *balancer, &all, left.iter().sum()), left);
    }
}

#[test]
fn one_that_works_among_thousands_is_found() {
    let mut all = testing::candidates(&[1; 10_000]);
    all.iter_mut().for_each(|one| one.usable = false);
    all[9_000].usable = true;
    let mut balancer = testing::begin(&FACTORY, &all, 0);
    assert_eq!(testing::histogram(&mut *balancer, &all, 5)[9_000], 5);
}
