//! Limits of our own.

use std::time::Duration;

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
