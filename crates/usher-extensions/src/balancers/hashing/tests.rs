use super::*;
use crate::balancers::testing;

const BOTH: [Algorithm; 2] = [Algorithm::Maglev, Algorithm::Ring];

fn keys() -> impl Iterator<Item = u64> {
    (0..100_000_u64).map(|key| hash(&key.to_le_bytes()))
}

fn named(table: &Table, key: u64) -> usize {
    table.find(key, |_| true).unwrap()
}

fn shares(table: &Table, endpoints: usize) -> Vec<f64> {
    let mut shares = vec![0.0; endpoints];
    keys().for_each(|key| shares[named(table, key)] += 1.0 / 100_000.0);
    shares
}

#[test]
fn hashes_of_near_keys_are_far_apart() {
    let mut seen = std::collections::HashSet::new();
    for length in 0..40 {
        assert!(seen.insert(hash(&vec![0; length])), "zeros of length {length}");
    }
    let mut changed = 0;
    for bit in 0..64 {
        changed += (hash(&7_u64.to_le_bytes()) ^ hash(&(7_u64 ^ (1 << bit)).to_le_bytes())).count_ones();
    }
    assert!((1800..2300).contains(&changed), "{changed} of 4096 bits, expected half");
}

/// What other versions of Usher must find too.
#[test]
fn hashes_are_the_same_for_ever() {
    assert_eq!(hash(b""), 6_799_795_173_133_651_526);
    assert_eq!(hash(b"203.0.113.7"), 14_629_022_457_648_951_889);
}

#[test]
fn addresses_count_up_to_their_prefix() {
    let hash = |text: &str| hash_address(text.parse().unwrap(), (24, 64));
    assert_eq!(hash("192.0.2.1"), hash("192.0.2.200"));
    assert_eq!(hash("192.0.2.1"), hash("::ffff:192.0.2.9"));
    assert_ne!(hash("192.0.2.1"), hash("192.0.3.1"));
    assert_eq!(hash("2001:db8::1"), hash("2001:db8::ffff:1"));
    assert_ne!(hash("2001:db8::1"), hash("2001:db8:0:1::1"));
}

#[test]
fn shares_follow_weights() {
    let table: [(&[u32], f64, f64); 4] = [
        (&[1; 10], 0.02, 0.15),
        (&[1, 2, 3, 4], 0.02, 0.15),
        (&[1000, 300, 10], 0.05, 0.35),
        (&[1, 0, 1], 0.02, 0.15),
    ];
    for (weights, of_maglev, of_ring) in table {
        let all = testing::candidates(weights);
        let total: u32 = weights.iter().sum();
        for (algorithm, most) in BOTH.into_iter().zip([of_maglev, of_ring]) {
            let shares = shares(&Table::new(algorithm, &all), weights.len());
            for (share, weight) in shares.iter().zip(weights) {
                let expected = f64::from(*weight) / f64::from(total);
                assert!((share - expected).abs() <= most * expected, "{algorithm:?} {weights:?} {shares:?}");
            }
        }
    }
}

/// Of *n* endpoints one leaves: at most 1/n of the keys and 5 % of all move. What must move is exactly its own.
#[test]
fn few_keys_move_when_an_endpoint_leaves() {
    for algorithm in BOTH {
        for weights in [vec![1; 3], vec![1; 10], vec![1; 100], vec![3, 1, 1, 2, 2, 1], (1..=20).collect()] {
            let all = testing::candidates(&weights);
            let before = Table::new(algorithm, &all);
            for gone in [0, weights.len() / 2, weights.len() - 1] {
                let mut left = all.clone();
                left.remove(gone);
                let after = Table::new(algorithm, &left);
                let moved = keys().filter(|key| {
                    let now = named(&after, *key);
                    named(&before, *key) != now + usize::from(now >= gone)
                });
                let moved = moved.count() as f64 / 100_000.0;
                let share = f64::from(weights[gone]) / f64::from(weights.iter().sum::<u32>());
                assert!(
                    moved <= share + 0.05,
                    "{algorithm:?} {weights:?} without {gone}: {moved} of {share}"
                );
            }
        }
    }
}

/// An endpoint that cannot be chosen for a while moves its own keys only, and to all others.
#[test]
fn only_the_keys_of_one_that_is_out_move() {
    for algorithm in BOTH {
        let table = Table::new(algorithm, &testing::candidates(&[1; 10]));
        let mut taken_by = [0; 10];
        for key in keys() {
            let (before, after) = (named(&table, key), table.find(key, |i| i != 4).unwrap());
            assert!(before == 4 || before == after);
            taken_by[after] += usize::from(before == 4);
        }
        let moved: usize = taken_by.iter().sum();
        assert!(taken_by.iter().enumerate().all(|(i, taken)| i == 4 || *taken > moved / 20), "{taken_by:?}");
    }
}

/// As while an endpoint starts slowly.
#[test]
fn a_slow_start_moves_only_keys_of_the_fresh() {
    for algorithm in BOTH {
        let before = Table::new(algorithm, &testing::candidates(&[100; 10]));
        let mut weights = [100; 10];
        weights[3] = 10;
        let after = Table::new(algorithm, &testing::candidates(&weights));
        let moved = keys().filter(|key| named(&before, *key) != named(&after, *key)).count();
        assert!(moved < 14_000, "{algorithm:?} {moved}");
    }
}

#[test]
fn an_endpoint_that_is_listed_twice_has_two_places() {
    let mut all = testing::candidates(&[1, 1]);
    all[1].identity = all[0].identity;
    for algorithm in BOTH {
        let shares = shares(&Table::new(algorithm, &all), 2);
        assert!(shares.iter().all(|share| (0.4..0.6).contains(share)), "{algorithm:?} {shares:?}");
    }
}

#[test]
fn nobody_is_found_among_nobody() {
    for algorithm in BOTH {
        for weights in [&[][..], &[0, 0]] {
            let all = testing::candidates(weights);
            assert_eq!(Table::new(algorithm, &all).find(5, |_| true), None);
            assert_eq!(search(&all, 5), None);
        }
    }
}

#[test]
fn a_search_follows_weights_and_moves_little() {
    let all = testing::candidates(&[1, 2, 7]);
    let mut counts = [0_usize; 3];
    for key in keys().take(20_000) {
        let found = search(&all, key).unwrap();
        counts[found] += 1;
        if found != 1 {
            let mut fewer = all.clone();
            fewer[1].usable = false;
            assert_eq!(search(&fewer, key), Some(found));
        }
    }
    for (count, expected) in counts.iter().zip([2000, 4000, 14_000_usize]) {
        assert!(count.abs_diff(expected) < 300, "{counts:?}");
    }
}

#[test]
fn slots_of_maglev_are_by_weight() {
    let weights = [1000, 1, 999, 500];
    let shares = Maglev::new(&testing::candidates(&weights)).shares(4);
    for (share, weight) in shares.iter().zip(weights) {
        let expected = 65_537.0 * f64::from(weight) / 2500.0;
        assert!((*share as f64 - expected).abs() < 3.0, "{shares:?}");
    }
}

#[test]
fn workers_share_a_table_until_it_changes() {
    let (shared, mut all) = (Shared::default(), testing::candidates(&[1, 2]));
    let first = shared.table(Algorithm::Ring, &all);
    assert!(Arc::ptr_eq(&first, &shared.table(Algorithm::Ring, &all)));
    all[0].weight = 2;
    assert!(!Arc::ptr_eq(&first, &shared.table(Algorithm::Ring, &all)));
}
