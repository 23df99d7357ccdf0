//! What the small CA of our own says: when to renew, and when to come back.

use std::time::Duration;

use usher_certs::State;

use crate::fake::Fake;
use crate::world::{World, eventually, failed, status};

const HOUR: Duration = Duration::from_secs(3600);
const SOURCE: &str = "acme:a.example.com";

/// A time so many hours from now, in RFC 3339.
fn hours(from_now: u64) -> String {
    let at = std::time::SystemTime::now() + HOUR * u32::try_from(from_now).unwrap();
    let status = usher_certs::Status {
        source: String::new(),
        names: Vec::new(),
        authority: String::new(),
        state: State::Valid,
        issuer: None,
        serial: None,
        not_before: None,
        not_after: Some(at),
        next_attempt: None,
        failures: 0,
        last_error: None,
        last_error_at: None,
        ocsp_until: None,
        on_demand: false,
    };
    status.to_json()["not_after"].as_str().unwrap().to_owned()
}

#[test]
fn renews_when_the_ca_suggests_and_says_what_is_replaced() {
    let fake = Fake::start();
    fake.script.lock().unwrap().window = Some((hours(100), hours(104), 7200));
    let world = World::new();
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![fake.authority()];
    let manager = world.start(options.clone());
    let first = world.obtained("a.example.com");
    let shown = eventually("the window is known", || {
        let shown = status(&manager, SOURCE);
        let next = shown.next_attempt?.duration_since(world.now()).ok()?;
        (next > HOUR * 99 && next < HOUR * 105).then_some(shown)
    });
    assert_eq!(shown.state, State::Valid);
    let identifier = fake.script.lock().unwrap().asked[0].clone();
    assert!(identifier.contains('.'), "{identifier}");
    // The chosen moment survives a restart, and the CA is not asked again before its time.
    manager.stop();
    let manager = world.start(options);
    assert_eq!(status(&manager, SOURCE).next_attempt, shown.next_attempt);
    assert_eq!(fake.script.lock().unwrap().asked.len(), 1);
    // The CA wants it sooner: it is asked again when it said so, and followed.
    fake.script.lock().unwrap().window = Some((hours(0), hours(1), 7200));
    world.pass(HOUR * 2 + Duration::from_secs(60));
    let second = eventually("another certificate", || {
        world.served("a.example.com").filter(|found| found.fingerprint() != first.fingerprint())
    });
    assert!(second.not_after() >= first.not_after());
    let script = fake.script.lock().unwrap();
    // The window stays in the past, so that the next renewal may have begun already.
    assert!(script.orders[0]["replaces"].is_null());
    assert_eq!(script.orders[1]["replaces"], identifier.as_str());
}

#[test]
fn an_order_that_may_not_replace_is_placed_like_any_other() {
    let fake = Fake::start();
    {
        let mut script = fake.script.lock().unwrap();
        script.window = Some((hours(100), hours(104), 7200));
    }
    let world = World::new();
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![fake.authority()];
    let manager = world.start(options);
    let first = world.obtained("a.example.com");
    eventually("the window is known", || (!fake.script.lock().unwrap().asked.is_empty()).then_some(()));
    eventually("it is taken over", || {
        let next = status(&manager, SOURCE).next_attempt?.duration_since(world.now()).ok()?;
        (next < HOUR * 105).then_some(())
    });
    fake.script.lock().unwrap().refusals.push_back((409, "alreadyReplaced", None));
    manager.renew("a.example.com").unwrap();
    eventually("another certificate", || {
        world.served("a.example.com").filter(|found| found.fingerprint() != first.fingerprint())
    });
    let script = fake.script.lock().unwrap();
    assert_eq!(script.orders.len(), 3);
    assert!(!script.orders[1]["replaces"].is_null() && script.orders[2]["replaces"].is_null());
}

#[test]
fn a_ca_that_limits_is_left_alone_as_long_as_it_says() {
    let fake = Fake::start();
    fake.script.lock().unwrap().refusals.push_back((429, "rateLimited", Some(5 * 3600)));
    let world = World::new();
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![fake.authority()];
    let manager = world.start(options);
    let limited = failed(&manager, SOURCE, 1);
    let wait = limited.next_attempt.unwrap().duration_since(world.now()).unwrap();
    assert!(wait > HOUR * 4 && wait < HOUR * 6, "{wait:?}");
    let error = limited.last_error.unwrap();
    assert!(error.contains("rateLimited") && error.contains("as the test wants"), "{error}");
    world.pass(HOUR * 6);
    world.obtained("a.example.com");
    assert_eq!(fake.orders(), 2);
}

#[test]
fn a_second_ca_is_asked_while_the_first_one_limits() {
    let (first, second) = (Fake::start(), Fake::start());
    first.script.lock().unwrap().refusals.push_back((429, "rateLimited", Some(5 * 3600)));
    let world = World::new();
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![first.authority(), second.authority()];
    let manager = world.start(options);
    failed(&manager, SOURCE, 1);
    world.pass(Duration::from_secs(90));
    world.obtained("a.example.com");
    assert_eq!((first.orders(), second.orders()), (1, 1));
}

#[test]
fn a_broken_answer_is_a_failure_like_any_other() {
    let fake = Fake::start();
    fake.script.lock().unwrap().refusals.push_back((503, "serverInternal", Some(600)));
    let world = World::new();
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![fake.authority()];
    options.authorities[0].profile = Some("shortlived".to_owned());
    fake.script.lock().unwrap().days = 6;
    let manager = world.start(options);
    let failure = failed(&manager, SOURCE, 1);
    let wait = failure.next_attempt.unwrap().duration_since(world.now()).unwrap();
    assert!(wait > HOUR / 10 && wait < HOUR / 5, "{wait:?}");
    world.pass(HOUR / 5);
    world.obtained("a.example.com");
    assert_eq!(fake.script.lock().unwrap().orders[1]["profile"], "shortlived");
    // Half of six days.
    let shown =
        eventually("it is valid", || Some(status(&manager, SOURCE)).filter(|one| one.state == State::Valid));
    let left = shown.not_after.unwrap().duration_since(shown.next_attempt.unwrap()).unwrap();
    assert!(left > HOUR * 71 && left < HOUR * 77, "{left:?}");
}

/// A CA that has trouble while it is asked for the state of an order has not said that a validation failed.
#[test]
fn trouble_at_the_ca_is_no_failed_validation() {
    let fake = Fake::start();
    let world = World::new();
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![fake.authority()];
    {
        let mut script = fake.script.lock().unwrap();
        script.placed = Some("pending");
        script.trouble = 1;
    }
    let manager = world.start(options);
    let failure = failed(&manager, SOURCE, 1);
    assert!(failure.last_error.unwrap().contains("on its side"));
    world.pass(Duration::from_secs(120));
    world.obtained("a.example.com");
    // The same order went on.
    assert_eq!(fake.orders(), 1);
}
