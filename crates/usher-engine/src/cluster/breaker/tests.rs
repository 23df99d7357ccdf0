use super::*;
use usher_config::value::Percent;

fn settings() -> config::Breaker {
    config::Breaker { min_requests: 10, slow: Some(Duration::from_secs(1)), ..config::Breaker::default() }
}

const GOOD: Verdict = Verdict { failed: false, slow: false };
const BAD: Verdict = Verdict { failed: true, slow: false };
const SLOW: Verdict = Verdict { failed: false, slow: true };

/// Asks, and tells that. None if it was refused.
fn ask(
    breaker: &Arc<Breaker>,
    settings: &config::Breaker,
    verdict: Verdict,
    now: u64,
) -> Option<Option<String>> {
    breaker.admit(settings, now).ok().map(|permit| permit.tell(settings, verdict, (now, 0)))
}

fn asks(breaker: &Arc<Breaker>, verdicts: &[(usize, Verdict)], now: u64) {
    for (count, verdict) in verdicts {
        (0..*count).for_each(|_| drop(ask(breaker, &settings(), *verdict, now)));
    }
}

#[test]
fn opens_when_a_share_of_enough_requests_fails_or_is_slow() {
    for (verdicts, opens) in [
        (&[(9, BAD)][..], false),
        (&[(10, BAD)], true),
        (&[(10, GOOD), (9, BAD)], false),
        (&[(10, GOOD), (10, BAD)], true),
        (&[(1, GOOD), (30, SLOW)], false),
        (&[(10, SLOW)], true),
        (&[(100, GOOD)], false),
    ] {
        let breaker = Arc::<Breaker>::default();
        asks(&breaker, verdicts, 5_000);
        let expected = if opens { Phase::Open } else { Phase::Closed };
        assert_eq!(breaker.phase(), expected, "{verdicts:?}");
        assert_eq!(breaker.opened(), u64::from(opens));
    }
}

#[test]
fn looks_back_for_a_window() {
    let breaker = Arc::<Breaker>::default();
    asks(&breaker, &[(100, GOOD)], 5_000);
    asks(&breaker, &[(50, BAD)], 14_000);
    assert_eq!(breaker.phase(), Phase::Closed, "what was good is in the window yet");
    asks(&breaker, &[(1, BAD)], 16_000);
    assert_eq!(breaker.phase(), Phase::Open);
}

/// Opens it at this moment, and gives how long it is open.
fn opened(breaker: &Arc<Breaker>, now: u64) -> u64 {
    asks(breaker, &[(10, BAD)], now);
    breaker.left(now).expect("it is open")
}

#[test]
fn refuses_until_its_time_is_over_and_then_lets_a_few_try() {
    let (breaker, settings) = (Arc::<Breaker>::default(), settings());
    assert_eq!(opened(&breaker, 1_000), 10_000);
    assert_eq!(breaker.admit(&settings, 1_001).unwrap_err(), 10);
    assert_eq!(breaker.admit(&settings, 10_500).unwrap_err(), 1);
    let trials: Vec<_> = (0..3).map(|_| breaker.admit(&settings, 11_000).expect("a trial")).collect();
    assert_eq!(breaker.phase(), Phase::HalfOpen);
    assert_eq!(breaker.admit(&settings, 11_000).unwrap_err(), 1);
    assert_eq!(breaker.refused(), 3);
    let lines: Vec<_> =
        trials.into_iter().filter_map(|trial| trial.tell(&settings, GOOD, (11_100, 0))).collect();
    assert_eq!(lines, ["the circuit is closed: 3 requests were served"]);
    assert_eq!(breaker.phase(), Phase::Closed);
    asks(&breaker, &[(9, BAD)], 11_200);
    assert_eq!(breaker.phase(), Phase::Closed, "what was before it opened is forgotten");
}

#[test]
fn a_failed_trial_opens_it_for_longer_up_to_a_cap() {
    let (breaker, settings) = (Arc::<Breaker>::default(), settings());
    let mut now = opened(&breaker, 0);
    for seconds in [20, 40, 80, 120, 120] {
        let slow = breaker.admit(&settings, now).expect("a trial");
        assert!(ask(&breaker, &settings, BAD, now).flatten().is_some());
        assert_eq!(breaker.left(now), Some(seconds * 1000));
        assert_eq!(slow.tell(&settings, GOOD, (now, 0)), None, "of the last time");
        now += seconds * 1000;
    }
    asks(&breaker, &[(3, GOOD)], now);
    assert_eq!(breaker.phase(), Phase::Closed);
    assert_eq!(opened(&breaker, now + 100), 120_000, "it was closed for a moment only");
    asks(&breaker, &[(3, GOOD)], now + 120_100);
    assert_eq!(opened(&breaker, now + 300_000), 10_000, "it was closed for long");
}

#[test]
fn up_to_a_fifth_of_the_time_is_taken_off_at_random() {
    for (random, left) in [(0, 10_000), (u64::MAX / 2, 9_001), (u64::MAX, 8_001)] {
        let (breaker, settings) = (Arc::<Breaker>::default(), settings());
        for _ in 0..10 {
            let permit = breaker.admit(&settings, 0).expect("closed");
            permit.tell(&settings, BAD, (0, random));
        }
        assert_eq!(breaker.left(0), Some(left));
    }
}

#[test]
fn a_trial_that_tells_nothing_is_another_ones() {
    let (breaker, settings) = (Arc::<Breaker>::default(), settings());
    let now = opened(&breaker, 0);
    let mut trials: Vec<_> = (0..3).map(|_| breaker.admit(&settings, now).expect("a trial")).collect();
    trials.pop();
    trials.push(breaker.admit(&settings, now).expect("the place of the one that left"));
    assert!(breaker.admit(&settings, now).is_err());
    trials.into_iter().for_each(|trial| drop(trial.tell(&settings, GOOD, (now, 0))));
    assert_eq!(breaker.phase(), Phase::Closed);
}

#[test]
fn trials_that_say_nothing_are_not_waited_for() {
    let (breaker, settings) = (Arc::<Breaker>::default(), settings());
    let now = opened(&breaker, 0);
    let admit = |now| breaker.admit(&settings, now);
    let mut silent: Vec<_> = (0..3).map(|_| admit(now).expect("a trial")).collect();
    let first = silent.pop().expect("three");
    assert_eq!(first.tell(&settings, GOOD, (now, 0)), None);
    assert!(admit(now + 9_999).is_err());
    let others: Vec<_> = (0..2).map(|_| admit(now + 10_000).expect("another trial")).collect();
    assert!(admit(now + 10_000).is_err(), "one has succeeded, so two are missing");
    let late = admit(now + 20_000).expect("another trial");
    drop((silent, others));
    let free: Vec<_> = (0..3).filter_map(|_| admit(now + 20_000).ok()).collect();
    assert_eq!(free.len(), 2, "places that are given back twice are not twice as many");
    assert_eq!(late.tell(&settings, GOOD, (now + 20_000, 0)), None);
    assert_eq!(breaker.phase(), Phase::HalfOpen);
    free.into_iter().for_each(|trial| drop(trial.tell(&settings, GOOD, (now + 20_000, 0))));
    assert_eq!(breaker.phase(), Phase::Closed);
}

#[test]
fn a_reload_that_wants_more_trials_gets_them() {
    let (breaker, many) = (Arc::<Breaker>::default(), settings());
    let few = config::Breaker { trials: 1, ..settings() };
    let now = opened(&breaker, 0);
    let trial = breaker.admit(&few, now).expect("a trial");
    assert_eq!(trial.tell(&many, GOOD, (now, 0)), None);
    assert!(breaker.admit(&many, now + 1).is_err());
    for _ in 0..2 {
        ask(&breaker, &many, GOOD, now + 10_000).expect("a trial");
    }
    assert_eq!(breaker.phase(), Phase::Closed);
}

#[test]
fn what_began_before_a_change_says_nothing_about_now() {
    let (breaker, settings) = (Arc::<Breaker>::default(), settings());
    let late: Vec<_> = (0..50).map(|_| breaker.admit(&settings, 0).expect("closed")).collect();
    let now = opened(&breaker, 0);
    assert!(late.iter().all(|permit| !permit.holds()));
    asks(&breaker, &[(3, GOOD)], now);
    assert!(late.iter().all(Permit::holds), "it may be sent again");
    late.into_iter().for_each(|permit| assert_eq!(permit.tell(&settings, BAD, (now, 0)), None));
    assert_eq!(breaker.phase(), Phase::Closed);
}

#[test]
fn an_administrator_holds_it() {
    let (breaker, settings) = (Arc::<Breaker>::default(), settings());
    breaker.hold(Some(false), 0);
    asks(&breaker, &[(100, BAD)], 0);
    assert_eq!(breaker.phase(), Phase::HeldClosed);
    breaker.hold(Some(true), 0);
    assert_eq!(breaker.admit(&settings, 3_600_000).unwrap_err(), 10);
    breaker.hold(None, 0);
    asks(&breaker, &[(9, BAD)], 0);
    assert_eq!(breaker.phase(), Phase::Closed, "it begins anew");
    asks(&breaker, &[(1, BAD)], 0);
    assert_eq!(breaker.phase(), Phase::Open);
}

#[test]
fn statuses_that_fail_are_those_of_gateways_unless_told() {
    let usual = settings();
    let told = config::Breaker {
        statuses: usher_config::OneOrMany(vec![config::FailedStatus(StatusPattern::Class(5))]),
        failure_rate: Percent::ALL,
        ..settings()
    };
    for (status, fails) in [(200, [false; 2]), (404, [false; 2]), (500, [false, true]), (503, [true; 2])] {
        assert_eq!([is_failure(&usual, status), is_failure(&told, status)], fails, "{status}");
    }
}

#[test]
fn what_breaks_off_later_counts() {
    let (breaker, settings) = (Arc::<Breaker>::default(), settings());
    let soon = Duration::from_secs(9);
    asks(&breaker, &[(12, GOOD)], 0);
    for _ in 0..12 {
        assert_eq!(
            breaker.broke_off(&settings, settings.window, (0, 0)),
            None,
            "it is in the window no more"
        );
    }
    let lines: Vec<_> = (0..6).filter_map(|_| breaker.broke_off(&settings, soon, (0, 0))).collect();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("6 of 12 requests failed"), "{lines:?}");
    assert_eq!(breaker.broke_off(&settings, soon, (0, 0)), None);
}
