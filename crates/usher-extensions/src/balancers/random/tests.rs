use super::*;
use crate::balancers::testing;

/// The table gives each endpoint exactly its share: its own part and what others' columns hold of it.
#[test]
fn the_table_follows_weights_exactly() {
    for weights in [vec![1], vec![1, 1], vec![5, 1, 1], vec![1000, 0, 999, 1], (0..300).collect::<Vec<u32>>()]
    {
        let all = testing::candidates(&weights);
        let height: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let columns = columns(&all, height);
        let mut shares = vec![0; weights.len()];
        for (i, column) in columns.iter().enumerate() {
            shares[i] += column.own;
            shares[column.alias as usize] += height - column.own;
        }
        let expected: Vec<u64> =
            weights.iter().map(|weight| u64::from(*weight) * weights.len() as u64).collect();
        assert_eq!(shares, expected);
    }
}

#[test]
fn picks_follow_weights_nearly() {
    let mut all = testing::candidates(&[1, 2, 7, 30]);
    let mut balancer = testing::begin(&FACTORY, &all, 5);
    all[3].usable = false;
    let counts = testing::histogram(&mut *balancer, &all, 100_000);
    for (count, expected) in counts.iter().zip([10_000, 20_000, 70_000, 0_usize]) {
        assert!(count.abs_diff(expected) < 600, "{counts:?}");
    }
}
