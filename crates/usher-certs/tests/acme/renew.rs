//! Renewal by lifetime, and another CA when one fails.

use std::time::Duration;

use usher_certs::dns::{CommandOptions, DnsOptions};
use usher_certs::{Authority, ChallengeKind, Managed, State};

use crate::fake::Fake;
use crate::pebble::{Pebble, Settings};
use crate::site::Site;
use crate::world::{World, eventually, failed, free_address, status};

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn renews_in_time_and_serves_the_old_one_until_then() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    let site = Site::http(&world, pebble.http);
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![pebble.authority()];
    options.challenges = vec![ChallengeKind::Http01];
    let manager = world.start(options);
    let first = world.obtained("a.example.com");
    let valid = eventually("it is valid", || {
        Some(status(&manager, "acme:a.example.com")).filter(|status| status.state == State::Valid)
    });
    let life = first.not_after().duration_since(first.not_before()).unwrap();
    let left = first.not_after().duration_since(valid.next_attempt.unwrap()).unwrap();
    // To the second: shares are rounded.
    let (left, life_left) = (left.as_secs() + 1, life.as_secs());
    assert!(left >= life_left / 3 && left < life_left * 2 / 5, "{left} s of {life:?}");
    // The time has come, but nobody answers: the old one is served on.
    drop(site);
    world.pass(life * 7 / 10);
    let failure = failed(&manager, "acme:a.example.com", 1);
    // Pebble takes an old authorization for one order in a hundred, even when told never to (it demands a random number
    // from 0 to 99 *above* the share). That order needs no site; the one after it fails.
    let kept = world.served("a.example.com").unwrap();
    assert_eq!(failure.not_after, Some(kept.not_after()));
    assert!(kept.fingerprint() == first.fingerprint() || pebble.orders() > 2, "{}", pebble.log());
    let _site = Site::http(&world, pebble.http);
    world.pass(Duration::from_secs(120));
    let second = eventually("another certificate", || {
        world.served("a.example.com").filter(|found| found.fingerprint() != kept.fingerprint())
    });
    assert_eq!(second.names(), first.names());
    assert_eq!(pebble.accounts(), 1);
}

#[test]
fn another_key_type_or_another_ca_is_a_reason_to_renew() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    let _site = Site::http(&world, pebble.http);
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![pebble.authority()];
    options.challenges = vec![ChallengeKind::Http01];
    let manager = world.start(options.clone());
    let first = world.obtained("a.example.com");
    // The same options change nothing.
    manager.update(options.clone());
    options.key_type = usher_certs::KeyType::EcdsaP384;
    manager.update(options.clone());
    eventually("another certificate", || {
        world.served("a.example.com").filter(|found| found.fingerprint() != first.fingerprint())
    });
    assert_eq!(pebble.orders(), 2);
    options.managed.clear();
    manager.update(options);
    eventually("it is gone", || world.served("a.example.com").is_none().then_some(()));
    assert!(manager.status().is_empty());
}

#[test]
fn another_authority_is_asked_when_one_fails() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    let _site = Site::http(&world, pebble.http);
    let mut options = world.options(&["a.example.com"]);
    let mut dead = Authority::named(&format!("https://{}/dir", free_address()));
    dead.roots = pebble.authority().roots;
    options.authorities = vec![dead, pebble.authority()];
    options.challenges = vec![ChallengeKind::Http01];
    let manager = world.start(options);
    let error = failed(&manager, "acme:a.example.com", 1).last_error.unwrap();
    assert!(error.contains("cannot be reached"), "{error}");
    world.pass(Duration::from_secs(120));
    failed(&manager, "acme:a.example.com", 2);
    assert_eq!(pebble.orders(), 0);
    world.pass(Duration::from_secs(240));
    world.obtained("a.example.com");
    let fine = eventually("it is valid", || {
        Some(status(&manager, "acme:a.example.com")).filter(|status| status.state == State::Valid)
    });
    assert_eq!(fine.authority, pebble.authority().label());
    // It is renewed in time, and the first one is asked for it again.
    world.pass(DAY);
    assert_eq!(status(&manager, "acme:a.example.com").state, State::Valid);
}

#[test]
fn a_name_keeps_its_certificate_until_that_of_the_wildcard_is_there() {
    let fake = Fake::start();
    let world = World::new();
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![fake.authority()];
    let manager = world.start(options.clone());
    let own = world.obtained("a.example.com");
    fake.script.lock().unwrap().refusals.push_back((403, "rejectedIdentifier", None));
    options.managed.insert(0, Managed::name("*.example.com"));
    options.dns = Some(DnsOptions::Command(CommandOptions::new("/bin/true")));
    manager.update(options.clone());
    eventually("the wildcard has failed", || {
        let all = manager.status();
        all.iter().any(|one| one.source == "acme:*.example.com" && one.failures == 1).then_some(())
    });
    assert_eq!(world.served("a.example.com").unwrap().fingerprint(), own.fingerprint());
    // After a restart too.
    manager.stop();
    let manager = world.start(options);
    assert_eq!(world.served("a.example.com").unwrap().fingerprint(), own.fingerprint());
    world.pass(Duration::from_secs(120));
    eventually("the wildcard is there, and nothing else", || {
        let found = world.served("a.example.com")?;
        (found.names() == ["*.example.com"] && manager.status().len() == 1).then_some(())
    });
    assert_eq!(fake.orders(), 3);
}
