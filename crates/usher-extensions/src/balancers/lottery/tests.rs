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
fn two_are_different_and_open() {
    let mut all = testing::candidates(&[1, 2, 3, 4]);
    all[2].usable = false;
    let (lottery, mut random) = (Lottery::new(&all), Random::new(1));
    for _ in 0..1000 {
        let (first, second) = lottery.draw_two(&all, &mut random).unwrap();
        assert!(first != 2 && second != Some(2) && second != Some(first));
    }
    all[0].usable = false;
    all[1].usable = false;
    assert_eq!(lottery.draw_two(&all, &mut random), Some((3, None)));
}
