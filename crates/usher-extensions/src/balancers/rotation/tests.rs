use super::*;
use crate::balancers::testing::candidates;

fn rotation(weights: &[u32], seed: u64) -> Rotation {
    Rotation::new(&candidates(weights), seed)
}

fn counts(rotation: &mut Rotation, endpoints: usize, turns: u64) -> Vec<u32> {
    let mut counts = vec![0; endpoints];
    for _ in 0..turns {
        counts[rotation.next().unwrap()] += 1;
    }
    counts
}

#[test]
fn a_short_cycle_is_smooth() {
    let names: String = {
        let mut r = rotation(&[5, 1, 1], 0);
        (0..7).map(|_| ['a', 'b', 'c'][r.next().unwrap()]).collect()
    };
    assert_eq!(names, "aabacaa");
}

#[test]
fn each_comes_as_often_as_its_weight_says_in_any_cycle() {
    let many: Vec<u32> = (1..=500).collect();
    let small: Vec<u32> = (0..600).map(|i| 1 + i % 7).collect();
    let tables: [&[u32]; 10] = [
        &small,
        &[1],
        &[1, 1, 1],
        &[7, 7, 7, 7],
        &[3, 1],
        &[1, 0, 2],
        &[1000, 1, 999],
        &[65_535, 1, 2, 3, 40_000],
        &[5000, 300, 20],
        &many,
    ];
    for weights in tables {
        for seed in [0, 1, 12_345, u64::MAX] {
            let mut rotation = rotation(weights, seed);
            let common = weights.iter().copied().fold(0, greatest_common_divisor);
            let expected: Vec<u32> = weights.iter().map(|weight| weight / common).collect();
            let cycle = rotation.cycle();
            assert_eq!(counts(&mut rotation, weights.len(), cycle), expected, "first cycle, {seed}");
            assert_eq!(counts(&mut rotation, weights.len(), cycle), expected, "second cycle, {seed}");
        }
    }
}

#[test]
fn the_plan_fits_the_weights() {
    assert!(matches!(rotation(&[], 0).plan, Plan::Empty));
    assert!(matches!(rotation(&[0, 0], 0).plan, Plan::Empty));
    assert!(matches!(rotation(&[900; 5000], 0).plan, Plan::Equal(_)));
    assert!(matches!(rotation(&[9, 10], 0).plan, Plan::Sequence(_)));
    assert!(matches!(rotation(&[1000, 999], 0).plan, Plan::Classes(_)));
    let many: Vec<u32> = (0..5000).map(|i| 1 + i % 10).collect();
    assert!(matches!(rotation(&many, 0).plan, Plan::Sequence(_)));
    assert_eq!(rotation(&[0, 0], 3).next(), None);
}

#[test]
fn seeds_begin_at_different_places() {
    let first: std::collections::BTreeSet<_> = (0..4).map(|seed| rotation(&[1; 4], seed).next()).collect();
    assert_eq!(first.len(), 4);
}
