use super::*;

#[tokio::test(start_paused = true)]
async fn longer_after_each_failure_and_forgotten_after_a_success() {
    let endpoint = Avoided::default();
    assert!(!endpoint.is_avoided(Instant::now()));
    for seconds in [1, 2, 4, 8, 10, 10] {
        endpoint.is_tried();
        assert_eq!(endpoint.failed(), seconds == 1, "only the first is news");
        let now = Instant::now();
        assert!(endpoint.is_avoided(now + Duration::from_millis(seconds * 1000 - 1)), "{seconds} s");
        assert!(!endpoint.is_avoided(now + Duration::from_secs(seconds)), "{seconds} s");
    }
    assert!(endpoint.succeeded());
    assert!(!endpoint.is_avoided(Instant::now()) && !endpoint.is_failing());
    assert!(!endpoint.succeeded(), "no news");
}

#[tokio::test(start_paused = true)]
async fn one_tries_and_the_others_wait_for_what_it_finds() {
    let endpoint = Avoided::default();
    endpoint.is_tried();
    assert!(!endpoint.is_avoided(Instant::now()), "all is well: everybody may");
    endpoint.failed();
    tokio::time::advance(FIRST).await;
    assert!(!endpoint.is_avoided(Instant::now()));
    endpoint.is_tried();
    assert!(endpoint.is_avoided(Instant::now()));
    // It may never be heard of the try again: the client may leave.
    tokio::time::advance(LONGEST).await;
    assert!(!endpoint.is_avoided(Instant::now()));
}

#[test]
fn all_are_better_than_none() {
    let open = Candidate { weight: 1, in_flight: 0, usable: true, draining: false, identity: 0 };
    let closed = Candidate { usable: false, ..open };
    let mut candidates = [open, open, closed];
    assert_eq!(pass_over(&mut candidates, 2, |index| index == 0), 1);
    assert_eq!(candidates.map(|candidate| candidate.usable), [false, true, false]);
    let mut candidates = [open, open, closed];
    assert_eq!(pass_over(&mut candidates, 2, |index| index < 2), 2);
    assert_eq!(candidates.map(|candidate| candidate.usable), [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn who_fails_together_fails_once() {
    let endpoint = Avoided::default();
    assert!(endpoint.failed());
    (0..40).for_each(|_| assert!(!endpoint.failed()));
    assert!(!endpoint.is_avoided(Instant::now() + FIRST));
    tokio::time::advance(FIRST).await;
    assert!(endpoint.is_tried(), "this one finds out");
    endpoint.failed();
    endpoint.failed();
    assert!(endpoint.is_avoided(Instant::now() + FIRST) && !endpoint.is_avoided(Instant::now() + 2 * FIRST));
}
