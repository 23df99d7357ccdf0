use usher_api::Exchange;

use super::super::{Names, Side, Tolerance, WHOLE};
use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn settings() -> Settings {
    Settings {
        route: "shop".to_owned(),
        names: Names { old: "stable".to_owned(), new: "next".to_owned(), release: None },
        steps: vec![10_000, 250_000, WHOLE],
        every: MINUTE,
        min_requests: 100,
        advances_unsure: false,
        tolerance: Tolerance { failures: 0.01, micros: 50_000, share: 0.2 },
        false_alarms: 0.01,
        manual: false,
    }
}

/// So many requests of a side; every `fails`th fails (0: none).
fn requests(shift: &Shift, side: Side, count: u64, fails: u64) {
    let mut exchange = Exchange::default();
    for at in 1..=count {
        exchange.record.status = if fails > 0 && at % fails == 0 { 500 } else { 200 };
        exchange.record.first_byte = 20_000;
        shift.note(side, &exchange);
    }
}

/// A shift on its first step, one minute after the beginning of time.
fn begun(settings: &Settings) -> Shift {
    let shift = Shift::default();
    let line = shift.look(settings, MINUTE).unwrap().line;
    assert_eq!(
        line,
        "shift of `shop`: `next` takes 1% now, `stable` the rest; 25% after 1m, if it does no worse"
    );
    assert_eq!((shift.share(), shift.saved().state), (10_000, State::Running));
    shift
}

#[test]
fn whoever_does_well_reaches_the_end() {
    let settings = settings();
    let shift = begun(&settings);
    for (at, share, told) in [
        (
            2,
            250_000,
            "takes 25% now, up from 1%: in 1m it failed 0 of 150 (0%), `stable` 1 of 1500 (0.07%); p99 20 ms against 20 ms",
        ),
        (3, WHOLE, "takes 100% now, up from 25%"),
    ] {
        assert_eq!(shift.look(&settings, MINUTE * at - MINUTE / 2), None, "not before its time");
        requests(&shift, Side::New, 150, 0);
        requests(&shift, Side::Old, 1500, 1000);
        assert_eq!(shift.look(&settings, MINUTE * at - MINUTE / 3), None, "not before its time");
        let moved = shift.look(&settings, MINUTE * at).unwrap();
        assert!(moved.line.contains(told) && !moved.alarm, "{}", moved.line);
        assert_eq!(shift.share(), share);
    }
    assert_eq!(shift.saved().state, State::Finished);
    requests(&shift, Side::New, 1000, 1);
    assert_eq!(shift.look(&settings, MINUTE * 9), None, "there is nobody to compare it with");
}

#[test]
fn whoever_fails_goes_back_at_once_and_stays_there() {
    let settings = settings();
    let shift = begun(&settings);
    requests(&shift, Side::Old, 2000, 1000);
    requests(&shift, Side::New, 60, 6);
    let moved = shift.look(&settings, MINUTE + MINUTE / 10).unwrap();
    let told = "shift of `shop`: back to `stable`, `next` takes nothing: it fails more often: 10 of 60 (16.67%) of its \
                requests in 6s, and 2 of 2000 (0.1%) of those of `stable`; the probability of that by chance is ";
    assert!(moved.alarm && moved.line.starts_with(told), "{}", moved.line);
    assert_eq!((shift.share(), shift.saved().state), (0, State::Back));
    requests(&shift, Side::Old, 2000, 1000);
    assert_eq!(shift.look(&settings, MINUTE * 100), None);
    shift.order(&settings, Order::Resume, MINUTE * 101).unwrap();
    assert_eq!((shift.share(), shift.saved().state), (10_000, State::Running), "from the first step");
    assert_eq!(shift.look(&settings, MINUTE * 101), None, "what was is forgotten");
}

#[test]
fn whoever_fails_as_often_as_the_other_goes_on() {
    let settings = settings();
    let shift = begun(&settings);
    // Both depend on a database that is ill.
    requests(&shift, Side::Old, 5000, 3);
    requests(&shift, Side::New, 500, 3);
    assert!(shift.look(&settings, MINUTE * 2).unwrap().line.contains("takes 25% now"));
}

#[test]
fn too_few_requests_hold_a_step() {
    let mut settings = settings();
    let shift = begun(&settings);
    requests(&shift, Side::Old, 5000, 0);
    requests(&shift, Side::New, 99, 0);
    let held = shift.look(&settings, MINUTE * 2).unwrap();
    assert!(held.line.contains("99 requests, and 5000 of `stable`, are too few"), "{}", held.line);
    assert_eq!(shift.look(&settings, MINUTE * 3), None, "it is said once");
    let standing = shift.standing(&settings, MINUTE * 3);
    assert!(standing.held && standing.state == State::Running && standing.left == Some(Duration::ZERO));
    requests(&shift, Side::New, 1, 0);
    assert!(shift.look(&settings, MINUTE * 4).unwrap().line.contains("takes 25% now"));
    settings.advances_unsure = true;
    assert!(shift.look(&settings, MINUTE * 5).unwrap().line.contains("takes 100% now"));
}

#[test]
fn looks_do_not_grow_with_time() {
    let settings = settings();
    let shift = begun(&settings);
    requests(&shift, Side::New, 500, 0);
    // Held, as the old side has too few.
    (1..1000).for_each(|at| drop(shift.look(&settings, MINUTE + MINUTE * at)));
    assert_eq!(shift.saved().looks, 1);
    let paused = begun(&settings);
    paused.order(&settings, Order::Pause, MINUTE).unwrap();
    for at in 2..100 {
        requests(&paused, Side::New, 200, 0);
        requests(&paused, Side::Old, 200, 0);
        assert_eq!(paused.look(&settings, MINUTE * at), None);
    }
    assert_eq!(paused.share(), 10_000);
    requests(&paused, Side::New, 200, 2);
    assert!(
        paused.look(&settings, MINUTE * 100).is_none(),
        "without the other side there is nothing to compare"
    );
    requests(&paused, Side::Old, 200, 0);
    requests(&paused, Side::New, 200, 2);
    assert!(paused.look(&settings, MINUTE * 100).unwrap().alarm, "it goes back all the same");
}

#[test]
fn a_last_step_that_is_not_the_whole_is_still_looked_at() {
    let settings = Settings { steps: vec![10_000, 250_000], ..settings() };
    let shift = begun(&settings);
    shift.order(&settings, Order::Promote, MINUTE).unwrap();
    for at in 2..5 {
        requests(&shift, Side::Old, 500, 0);
        requests(&shift, Side::New, 500, 0);
        assert_eq!(shift.look(&settings, MINUTE * at), None);
        assert_eq!((shift.saved().state, shift.share()), (State::Finished, 250_000));
    }
    requests(&shift, Side::Old, 500, 0);
    requests(&shift, Side::New, 500, 10);
    assert!(shift.look(&settings, MINUTE * 6).unwrap().alarm);
    assert_eq!(shift.share(), 0);
}

#[test]
fn orders_do_what_they_say() {
    let settings = settings();
    let shift = begun(&settings);
    for (order, state, share) in [
        (Order::Pause, State::Paused, 10_000),
        (Order::Resume, State::Running, 10_000),
        (Order::Advance, State::Running, 250_000),
        (Order::Abort, State::Back, 0),
        (Order::Promote, State::Finished, WHOLE),
        (Order::Abort, State::Back, 0),
        (Order::Restart, State::Running, 10_000),
        (Order::Advance, State::Running, 250_000),
        (Order::Advance, State::Finished, WHOLE),
        (Order::Restart, State::Running, 10_000),
    ] {
        let moved = shift.order(&settings, order, MINUTE * 2).unwrap();
        assert!(!moved.alarm && moved.line.starts_with("shift of `shop`: "), "{}", moved.line);
        assert_eq!((shift.saved().state, shift.share()), (state, share), "{order:?}");
        assert_eq!(shift.saved().last, moved.line);
    }
    assert!(shift.order(&settings, Order::Resume, MINUTE * 2).unwrap_err().contains("is running"));
    shift.order(&settings, Order::Promote, MINUTE * 2).unwrap();
    for order in [Order::Pause, Order::Resume, Order::Advance, Order::Promote] {
        assert!(shift.order(&settings, order, MINUTE * 2).is_err(), "{order:?}");
    }
}

#[test]
fn what_was_taken_back_stays_so_over_a_restart() {
    let settings = settings();
    for state in State::ALL {
        let shift = Shift::default();
        let saved = Saved { state, share: 250_000, looks: 7, last: "why".to_owned() };
        shift.restore(&saved, MINUTE);
        let takes = if matches!(state, State::Waiting | State::Back) { 0 } else { 250_000 };
        assert_eq!(shift.share(), takes, "{state:?}");
        assert_eq!(State::named(state.as_str()), Some(state));
        if state != State::Waiting {
            assert_eq!(shift.look(&settings, MINUTE), None, "{state:?}");
            let state = if state == State::Finished { State::Running } else { state };
            assert_eq!(shift.saved().state, state, "a config with more steps goes on");
        }
    }
    let unsure = Shift::default();
    unsure.doubt("the file cannot be read");
    assert_eq!(unsure.look(&settings, MINUTE), None);
    assert_eq!(unsure.share(), 0);
    unsure.order(&settings, Order::Resume, MINUTE).unwrap();
    assert_eq!(unsure.share(), 10_000);
}

#[test]
fn a_visitor_who_has_moved_stays() {
    let settings = settings();
    let shift = Shift::default();
    let mut moved: Vec<u32> = Vec::new();
    for at in 1..=3 {
        assert!(moved.iter().all(|number| shift.side_of(*number) == Side::New));
        shift.order(&settings, Order::Advance, MINUTE * at).unwrap();
        moved = (0..WHOLE).step_by(997).filter(|number| shift.side_of(*number) == Side::New).collect();
        for random in [0, u64::MAX, 1 << 40] {
            for side in [Side::New, Side::Old] {
                let number = shift.number_on(side, random);
                assert!(number.is_none_or(|number| shift.side_of(number) == side && number < WHOLE));
            }
        }
    }
    assert_eq!(shift.number_on(Side::Old, 5), None, "all have moved");
    shift.order(&settings, Order::Abort, MINUTE).unwrap();
    assert_eq!(shift.side_of(0), Side::Old);
}
