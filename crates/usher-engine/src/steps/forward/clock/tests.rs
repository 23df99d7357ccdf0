use tokio::time::advance;

use super::*;

const USUAL: (Duration, Duration) = (secs(60), secs(5));

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn policy(per_try: Option<u64>, deadline: Option<u64>) -> RetryPolicy {
    let header = Some("X-Left".into());
    RetryPolicy {
        per_try: per_try.map(secs),
        deadline: deadline.map(secs),
        deadline_header: header,
        ..RetryPolicy::default()
    }
}

/// What an endpoint is told: `grpc-timeout`, and milliseconds.
fn told(clock: &Clock<'_>) -> (String, String) {
    let mut exchange = Exchange::default();
    exchange.request.fields.add(b"Grpc-Timeout", b"as it was").unwrap();
    exchange.request.fields.add(b"X_Left", b"forged").unwrap();
    clock.tell(&mut exchange);
    let fields = &exchange.request.fields;
    assert_eq!(fields.iter().count(), 2);
    let get = |name: &[u8]| String::from_utf8(fields.get_named(name).unwrap().to_vec()).unwrap();
    (get(grpc::TIMEOUT), get(b"X-Left"))
}

#[tokio::test(start_paused = true)]
async fn what_is_usual_holds_where_nothing_else_is_said() {
    let policy = policy(None, None);
    let clock = Clock::of(&policy, USUAL, (Instant::now, None));
    clock.begin_try();
    advance(secs(1000)).await;
    assert!(!clock.is_set());
    assert_eq!((clock.first_byte(), clock.connect(), clock.left()), (secs(60), secs(5), None));
    assert_eq!(clock.first_byte_after(secs(1)), secs(59));
    assert_eq!(told(&clock), ("as it was".into(), "60000".into()));
}

#[tokio::test(start_paused = true)]
async fn a_try_ends_with_the_first_of_all_ends() {
    let policy = policy(Some(10), Some(25));
    let clock = Clock::of(&policy, USUAL, (Instant::now, None));
    for (left, connect) in [(10, 5), (10, 5), (5, 5)] {
        clock.begin_try();
        assert_eq!((clock.first_byte(), clock.connect()), (secs(left), secs(connect)));
        advance(secs(8)).await;
        assert_eq!(clock.connect(), secs(left.saturating_sub(8)));
        advance(secs(2)).await;
    }
    assert_eq!((clock.left(), clock.first_byte()), (Some(Duration::ZERO), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn only_a_first_try_that_was_not_waited_for_begins_with_the_request() {
    let policy = policy(None, None);
    for waits in [false, true] {
        let clock = Clock::of(&policy, USUAL, (Instant::now, None));
        let started = Instant::now();
        clock.begun.set(Some(started));
        if waits {
            clock.wait();
        }
        advance(secs(1)).await;
        assert_eq!(clock.begin_try() - started, secs(u64::from(waits)));
        assert_eq!(clock.begin_try() - started, secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_client_sends_the_clock_stands_still() {
    let policy = policy(Some(10), Some(25));
    let clock = Clock::of(&policy, USUAL, (Instant::now, None));
    clock.begin_try();
    advance(secs(100)).await;
    clock.stood_still(secs(100));
    assert_eq!((clock.first_byte(), clock.left()), (secs(10), Some(secs(25))));
}

#[tokio::test(start_paused = true)]
async fn calls_are_told_what_is_left_of_their_time() {
    for (deadline, first, second) in [
        (None, ("as it was", "20000"), ("12000000u", "12000")),
        (Some(15), ("15000000u", "15000"), ("7000000u", "7000")),
        (Some(30), ("as it was", "20000"), ("12000000u", "12000")),
    ] {
        let policy = policy(None, deadline);
        let call = Some((Instant::now(), secs(20)));
        let clock = Clock::of(&policy, USUAL, (Instant::now, call));
        let expected = |(timeout, millis): (&str, &str)| (timeout.to_owned(), millis.to_owned());
        assert_eq!(told(&clock), expected(first), "{deadline:?}");
        advance(secs(8)).await;
        assert_eq!(told(&clock), expected(second), "{deadline:?}");
        advance(secs(100)).await;
        assert_eq!(told(&clock), expected(("1u", "1")), "{deadline:?}");
    }
}
