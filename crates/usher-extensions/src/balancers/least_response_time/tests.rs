use super::*;
use crate::balancers::testing;

fn next(weights: &[u32], in_flight: &[u32], micros: &[Option<u64>]) -> Vec<usize> {
    let mut all = testing::candidates(weights);
    all.iter_mut().zip(in_flight).for_each(|(one, count)| one.in_flight = *count);
    let mut balancer = testing::begin(&FACTORY, &all, 1);
    for (endpoint, micros) in micros.iter().enumerate() {
        balancer.finished(Outcome { endpoint, micros: *micros, failed: micros.is_none(), now: 0 });
    }
    testing::histogram(&mut *balancer, &all, 100)
}

#[test]
fn the_lowest_wait_of_all_is_next() {
    let ms = |ms: u64| Some(ms * 1000);
    type Case<'a> = (&'a [u32], &'a [u32], &'a [Option<u64>], usize);
    let table: [Case<'_>; 4] = [
        (&[1, 1, 1], &[0, 0, 0], &[ms(9), ms(5), ms(7)], 1),
        (&[1, 1, 1], &[0, 1, 0], &[ms(9), ms(5), ms(7)], 2),
        (&[1, 20, 1], &[0, 1, 0], &[ms(9), ms(5), ms(7)], 1),
        (&[1, 1], &[3, 0], &[ms(9), None], 0),
    ];
    for (weights, in_flight, micros, expected) in table {
        let counts = next(weights, in_flight, micros);
        assert_eq!(counts[expected], 100, "{weights:?} {in_flight:?} {micros:?} {counts:?}");
    }
}

#[test]
fn equals_have_equal_chances() {
    let counts = next(&[1; 4], &[0; 4], &[]);
    assert!(counts.iter().all(|count| (10..=40).contains(count)), "{counts:?}");
}

/// It is typical, so faster than the slower ones and slower than the faster ones.
#[test]
fn one_that_was_never_measured_gets_its_chance() {
    let counts = next(&[1; 3], &[1, 0, 0], &[Some(1000), Some(9000)]);
    assert_eq!(counts, [0, 0, 100]);
}
