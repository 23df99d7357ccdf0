use usher_api::standing::Standing;
use usher_config::config::Outliers;

use super::*;

fn limits() -> Outliers {
    Outliers { slower_than: 10, min_requests: 10, ..Outliers::default() }
}

/// Requests that took so long each.
fn serve(standing: &Standing, requests: u32, micros: u64) {
    standing.tally.requests.fetch_add(requests, Relaxed);
    standing.tally.micros.fetch_add(u64::from(requests) * micros, Relaxed);
}

#[test]
fn few_requests_are_judged_together_with_those_of_the_next_intervals() {
    let (limits, slow) = (limits(), Standing::default());
    for _ in 0..3 {
        serve(&slow, 3, 400_000);
        assert!(Interval::take(&slow, &limits).is_none());
    }
    serve(&slow, 1, 400_000);
    let own = Interval::take(&slow, &limits).unwrap();
    assert_eq!((own.requests, own.mean()), (10, Some(400_000)));
    assert!(verdict(&own, Some(2_000), &limits).unwrap().contains("400.0 ms"));
    // Nothing of it is counted again.
    assert!(Interval::take(&slow, &limits).is_none());
}

#[test]
fn second_tries_hide_nothing() {
    let (limits, slow) = (limits(), Standing::default());
    // Half of 20 requests wait for 400 ms, the others are given up after 10.
    serve(&slow, 10, 400_000);
    serve(&slow, 10, 10_000);
    slow.tally.outrun.store(10, Relaxed);
    assert_eq!(Interval::take(&slow, &limits).unwrap().mean(), Some(410_000));
    // All of them are given up: nobody knows, but long.
    serve(&slow, 10, 10_000);
    slow.tally.outrun.store(10, Relaxed);
    assert_eq!(Interval::take(&slow, &limits).unwrap().mean(), Some(100_000));
    // One of twenty is, as with any endpoint where p95 is the measure.
    serve(&slow, 19, 2_000);
    serve(&slow, 1, 6_000);
    slow.tally.outrun.store(1, Relaxed);
    assert_eq!(Interval::take(&slow, &limits).unwrap().mean(), Some(2_315));
}

#[test]
fn what_is_too_old_is_forgotten() {
    let (limits, rare) = (limits(), Standing::default());
    serve(&rare, 9, 400_000);
    for _ in 1..MOST_INTERVALS {
        assert!(Interval::take(&rare, &limits).is_none());
    }
    let own = Interval::take(&rare, &limits).unwrap();
    assert_eq!(own.requests, 9);
    assert!(verdict(&own, Some(2_000), &limits).is_none());
    serve(&rare, 10, 2_000);
    assert!(Interval::take(&rare, &limits).is_some());
    assert_eq!(rare.tally.mean.load(Relaxed), 2_000);
    for _ in 1..MOST_INTERVALS {
        assert!(Interval::take(&rare, &limits).is_none());
    }
    serve(&rare, 9, 2_000);
    assert!(Interval::take(&rare, &limits).is_some());
    assert_eq!(rare.tally.mean.load(Relaxed), 0, "too few to be an example to others");
}

#[test]
fn the_others_are_known_by_their_last_interval() {
    assert_eq!(usual(&[0, 1_000, 3_000, 400_000], 3), Some(2_000));
    assert_eq!(usual(&[0, 0, 400_000], 2), None);
    assert_eq!(usual(&[], 0), None);
}

#[test]
fn what_was_before_an_ejection_does_not_count_after_it() {
    let (limits, standing) = (limits(), Standing::default());
    serve(&standing, 9, 2_000);
    standing.tally.failed.store(9, Relaxed);
    standing.tally.mean.store(5, Relaxed);
    Interval::skip(&standing);
    serve(&standing, 10, 2_000);
    let own = Interval::take(&standing, &limits).unwrap();
    assert_eq!((own.requests, own.failed, own.mean()), (10, 0, Some(2_000)));
}
