//! Limits of our own.

use std::time::{Duration, SystemTime};

use usher_certs::ChallengeKind;

use crate::fake::Fake;
use crate::pebble::{Pebble, Settings};
use crate::world::{World, eventually, failed, status};

const SOURCE: &str = "acme:a.example.com";

#[test]
fn failed_validations_cannot_burn_the_limit_of_the_ca() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![pebble.authority()];
    // Nobody answers either.
    options.challenges = vec![ChallengeKind::Http01, ChallengeKind::TlsAlpn01];
    let manager = world.start(options);
    failed(&manager, SOURCE, 1);
    assert_eq!(pebble.orders(), 2);
    // However often an operator asks, there are four orders within the hour.
    for attempt in 2..6 {
        manager.renew("a.example.com").unwrap();
        failed(&manager, SOURCE, attempt);
    }
    assert_eq!(pebble.orders(), 4);
    let limited = status(&manager, SOURCE);
    let wait = limited.next_attempt.unwrap().duration_since(world.now()).unwrap();
    assert!(wait > Duration::from_secs(3000), "{wait:?}");
    let error = limited.last_error.unwrap();
    assert!(error.contains("within an hour") && error.contains("a.example.com"), "{error}");
    assert!(error.len() < 1500, "{error}");
}

#[test]
fn the_same_names_are_not_ordered_again_and_again() {
    let fake = Fake::start();
    let world = World::new();
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![fake.authority()];
    let manager = world.start(options);
    let mut last = world.obtained("a.example.com").fingerprint();
    for _ in 0..3 {
        manager.renew("a.example.com").unwrap();
        last = eventually("another certificate", || {
            world.served("a.example.com").map(|found| found.fingerprint()).filter(|found| *found != last)
        });
    }
    manager.renew("a.example.com").unwrap();
    let limited = failed(&manager, SOURCE, 1);
    assert!(limited.last_error.unwrap().contains("within a week"));
    assert_eq!(fake.orders(), 4);
    // The last one is served on.
    assert_eq!(world.served("a.example.com").unwrap().fingerprint(), last);
}

/// What a process that was killed leaves behind.
fn leave(world: &World, meta: &serde_json::Value) {
    let folder = world.storage().join("certificates/a.example.com");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("meta.json"), meta.to_string()).unwrap();
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// A process that is killed and started again every few seconds never notes that a validation has failed.
#[test]
fn failures_of_a_process_that_was_killed_count() {
    let fake = Fake::start();
    fake.script.lock().unwrap().state = Some("invalid");
    let world = World::new();
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![fake.authority()];
    let url = fake.authority().url().to_owned();
    let now = seconds(world.now());
    leave(
        &world,
        &serde_json::json!({
            "failed_validations": [now - 30, now - 20, now - 10],
            "order": { "url": url.replace("directory", "order/0"), "authority": url, "names": ["a.example.com"] },
        }),
    );
    let manager = world.start(options);
    let limited = failed(&manager, SOURCE, 1);
    assert!(limited.last_error.as_ref().unwrap().contains("within an hour"), "{limited:?}");
    assert_eq!(fake.orders(), 0);
}

/// What a CA has signed counts against its limits, whether it can be used here or not.
#[test]
fn certificates_that_cannot_be_used_count_as_issued() {
    let fake = Fake::start();
    fake.script.lock().unwrap().days = 1;
    let world = World::new();
    // A clock that is years ahead: everything has expired already.
    world.pass(Duration::from_secs(86_400 * 4000));
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![fake.authority()];
    let manager = world.start(options);
    for attempt in 1..7 {
        failed(&manager, SOURCE, attempt);
        manager.renew("a.example.com").unwrap();
    }
    let limited = failed(&manager, SOURCE, 7);
    assert!(limited.last_error.unwrap().contains("within a week"));
    assert_eq!(fake.orders(), 4);
    // The clock is right again: what it has left behind stops nothing.
    world.ahead.store(0, std::sync::atomic::Ordering::Relaxed);
    world.obtained("a.example.com");
    assert!(world.logged("the clock was set back"));
}

#[test]
fn a_restart_after_a_wrong_clock_does_not_wait_for_years() {
    let fake = Fake::start();
    let world = World::new();
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![fake.authority()];
    let far = seconds(world.now()) + 86_400 * 4000;
    let blocked = serde_json::json!({ fake.authority().url(): far });
    leave(
        &world,
        &serde_json::json!({ "failures": 3, "next_attempt": far, "blocked": blocked, "issued": [far, far, far, far] }),
    );
    let _manager = world.start(options);
    world.obtained("a.example.com");
}
