use super::super::tally::Tally;
use super::*;

const TOLERANCE: Tolerance = Tolerance { failures: 0.0, micros: 0, share: 0.0 };

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= expected * 1e-6
}

#[test]
fn tails_are_those_of_the_tables() {
    // Fisher's lady: four cups of eight, three of them right or more: 17 of 70; all right: 1 of 70.
    assert!(close(fisher((3, 4), (1, 4)), 17.0 / 70.0));
    assert!(close(fisher((4, 4), (0, 4)), 1.0 / 70.0));
    assert!(close(fisher((1, 4), (3, 4)), 1.0), "fewer failures than the other side are no evidence");
    assert!(close(fisher((0, 0), (0, 0)), 1.0));
    assert!(close(binomial_tail(10, 0.5, 8), 56.0 / 1024.0));
    assert!(close(binomial_tail(3, 0.01, 3), 1e-6));
    assert!(close(binomial_tail(3, 0.01, 4), 0.0));
    assert!(close(binomial_tail(0, 0.01, 0), 1.0));
    for (new, old) in [((1, 1), (0, 0)), ((0, 5), (3, 9)), ((5, 5), (9, 9)), ((1, u64::MAX >> 12), (1, 1))] {
        assert!((0.0..=1.0).contains(&fisher(new, old)), "{new:?} {old:?}");
    }
    // Large numbers: the normal distribution's tail at four standard deviations is 3.2e-5.
    let found = binomial_tail(1_000_000_000, 0.01, 10_012_585);
    assert!((3.0e-5..3.4e-5).contains(&found), "{found}");
    assert!(fisher((1_000_000, 2_000_000), (1_000_000, 4_000_000)) < 1e-300);
}

#[test]
fn looks_together_err_less_than_they_may() {
    let sum: f64 = (1..=100_000).map(|look| 2.0 * level(0.01, look)).sum();
    assert!(sum < 0.01 && sum > 0.0099, "{sum}");
}

#[test]
fn a_percentile_is_bounded_where_there_are_enough_requests() {
    let tally = Tally::default();
    for at in 0..10_000u64 {
        tally.note(Some(1_000 + at));
    }
    let counts = tally.read();
    let bound = bound(&counts, 1e-3).unwrap();
    assert!((10_900..=11_800).contains(&bound), "at or above the percentile, and not far: {bound}");
    let few = Tally::default();
    (0..400).for_each(|_| few.note(Some(1_000)));
    assert_eq!(super::bound(&few.read(), 1e-3), None, "0.99^400 is more than 0.001");
}

#[test]
fn what_is_tolerated_does_not_count() {
    let (new, old) = (Tally::default(), Tally::default());
    for at in 0..20_000 {
        old.note(if at % 1000 == 0 { None } else { Some(10_000) });
        new.note(if at % 200 == 0 { None } else { Some(13_000) });
    }
    let (new, old) = (new.read(), old.read());
    let found = compare(&new, &old, &TOLERANCE, 1e-4);
    assert_eq!(found.worse, Some(Worse::Failures), "0.5 % against 0.1 %: {found:?}");
    let lax = Tolerance { failures: 0.01, ..TOLERANCE };
    assert_eq!(compare(&new, &old, &lax, 1e-4).worse, Some(Worse::Times), "13 ms against 10 ms");
    for tolerance in [Tolerance { micros: 5_000, ..lax }, Tolerance { share: 0.4, ..lax }] {
        let found = compare(&new, &old, &tolerance, 1e-4);
        assert_eq!(found.worse, None, "{found:?}");
        assert!(found.failures_by_chance < 1e-4, "certain, and tolerated");
    }
    assert_eq!(compare(&old, &new, &TOLERANCE, 1e-4).worse, None, "it does better");
}

/// Requests as they come, looked at again and again; after how many of the new side's it was found to be worse, if ever.
fn is_found_worse(random: &mut Random, (fails, slow): (f64, f64), level: impl Fn(u32) -> f64) -> Option<u64> {
    let (new, old) = (Tally::default(), Tally::default());
    let (mut look, mut next) = (0, 10.0);
    let time = |random: &mut Random, slow: f64| {
        // A long tail: Pareto's, with exponent 2.
        (5_000.0 * slow / (1.0 - random.next()).sqrt()) as u64
    };
    for at in 1..=40_000u64 {
        // One in ten goes to the new one.
        let (side, fails, slow) = if at % 10 == 0 { (&new, fails, slow) } else { (&old, 0.02, 1.0) };
        let failed = random.next() < fails;
        let micros = time(random, slow);
        side.note((!failed).then_some(micros));
        if new.requests() as f64 >= next {
            (look, next) = (look + 1, next * 1.25);
            let found = compare(&new.read(), &old.read(), &TOLERANCE, level(look));
            if found.worse.is_some() {
                return Some(new.requests());
            }
        }
    }
    None
}

#[test]
fn whoever_does_no_worse_is_hardly_ever_taken_back() {
    // 400 releases of the same version, 27 looks at each, of which 5 % may be taken back.
    let mut random = Random(1);
    let mut taken_back = |level: &dyn Fn(u32) -> f64| {
        (0..400).filter(|_| is_found_worse(&mut random, (0.02, 1.0), level).is_some()).count()
    };
    let corrected = taken_back(&|look| level(0.05, look));
    assert!(corrected <= 20, "{corrected} of 400 are more than 5 %");
    let naive = taken_back(&|_| 0.05 / 2.0);
    assert!(naive > 2 * 20, "{naive} of 400: the same test at the same level, but each look for itself");
}

#[test]
fn whoever_does_worse_is_taken_back_soon() {
    let mut random = Random(2);
    for (what, worse, within) in
        [("fails five times as often", (0.10, 1.0), 400), ("takes twice as long", (0.02, 2.0), 3_000)]
    {
        let mut needed: Vec<u64> =
            (0..40).filter_map(|_| is_found_worse(&mut random, worse, |look| level(0.01, look))).collect();
        needed.sort_unstable();
        assert!(needed.len() >= 38, "{what}: found {} of 40 times", needed.len());
        assert!(needed[20] <= within, "{what}: half of them need {}", needed[20]);
    }
}
