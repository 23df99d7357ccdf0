//! Certificates by each challenge, and what makes it hard.

use std::time::Duration;

use usher_certs::dns::{CommandOptions, DnsOptions};
use usher_certs::{By, ChallengeKind, ExternalAccount, KeyType, Managed, Options, State};

use crate::pebble::{Pebble, Settings};
use crate::site::Site;
use crate::world::{World, eventually, failed, status};

fn options(world: &World, pebble: &Pebble, names: &[&str], challenges: &[ChallengeKind]) -> Options {
    let mut options = world.options(names);
    options.authorities = vec![pebble.authority()];
    options.challenges = challenges.to_vec();
    options
}

#[test]
fn http01_and_a_restart_uses_what_there_is() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    let site = Site::http(&world, pebble.http);
    let mut options =
        options(&world, &pebble, &["one.example.com", "two.example.com"], &[ChallengeKind::Http01]);
    options.email = Some("admin@example.com".to_owned());
    let manager = world.start(options.clone());
    let first = world.obtained("one.example.com");
    let second = world.obtained("two.example.com");
    assert_eq!(
        (first.names(), second.names()),
        (&["one.example.com".to_owned()][..], &["two.example.com".to_owned()][..])
    );
    let shown = eventually("both are valid", || {
        let all = manager.status();
        all.iter().all(|status| status.state == State::Valid).then_some(all)
    });
    assert_eq!(shown.len(), 2);
    assert!(shown[0].not_after > Some(world.now()) && shown[0].last_error.is_none());
    assert!(shown[0].next_attempt > Some(world.now()) && shown[0].next_attempt < shown[0].not_after);
    assert_eq!(shown[0].to_json()["state"], "valid");
    // Pebble looks several times.
    assert!(site.answered() >= 2);
    // The answers are gone when they are not needed any more.
    assert_eq!(world.challenges.answer("/.well-known/acme-challenge/"), None);
    manager.stop();
    assert_eq!(pebble.accounts(), 1);
    assert_eq!(pebble.orders(), 2);

    let after = World { folder: world.folder, ..World::new() };
    let manager = after.start(options.clone());
    // At once, without waiting for anything.
    assert_eq!(after.served("one.example.com").unwrap().fingerprint(), first.fingerprint());
    options.managed.push(Managed::name("three.example.com"));
    let site = Site::http(&after, pebble_http(&pebble, site));
    manager.update(options);
    after.obtained("three.example.com");
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 3));
    assert!(site.answered() > 0);
}

/// The port is free again when the site before is dropped.
fn pebble_http(pebble: &Pebble, before: Site) -> std::net::SocketAddr {
    drop(before);
    pebble.http
}

#[test]
fn tls_alpn01_for_a_group_of_names() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    let site = Site::tls(&world, pebble.tls);
    let mut options = options(&world, &pebble, &[], &[ChallengeKind::TlsAlpn01]);
    let names = ["a.example.com", "b.example.com"].map(str::to_owned).to_vec();
    options.managed = vec![Managed { names: names.clone(), by: By::Auto }];
    options.key_type = KeyType::Rsa2048;
    let _manager = world.start(options);
    let certificate = world.obtained("b.example.com");
    let mut found = certificate.names().to_vec();
    found.sort();
    assert_eq!(found, names);
    assert!(!certificate.is_ecdsa());
    assert!(site.answered() >= 2);
    assert_eq!(pebble.orders(), 1);
}

#[test]
fn dns01_for_a_wildcard_and_its_parent() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    // Names that another certificate covers need none.
    let mut options =
        options(&world, &pebble, &["x.wild.example.com"], &[ChallengeKind::Http01, ChallengeKind::Dns01]);
    let names = ["*.wild.example.com", "wild.example.com"].map(str::to_owned).to_vec();
    options.managed.push(Managed { names, by: By::Auto });
    options.dns = Some(DnsOptions::Command(CommandOptions::new(pebble.hook())));
    options.propagation.resolvers = vec![pebble.dns];
    let manager = world.start(options);
    let certificate = world.obtained("x.wild.example.com");
    assert_eq!(certificate.names().len(), 2);
    assert!(world.served("wild.example.com").is_some());
    assert_eq!(manager.status().len(), 1);
    assert_eq!(pebble.orders(), 1);
}

#[test]
fn rejected_nonces_are_overcome() {
    let settings = Settings { environment: &[("PEBBLE_WFE_NONCEREJECT", "50")], ..Settings::default() };
    let Some(pebble) = Pebble::start(&settings) else { return };
    let world = World::new();
    let _site = Site::http(&world, pebble.http);
    let names = ["a.example.com", "b.example.com", "c.example.com", "d.example.com"];
    let manager = world.start(options(&world, &pebble, &names, &[ChallengeKind::Http01]));
    for name in names {
        world.obtained(name);
    }
    assert!(manager.status().iter().all(|status| status.failures == 0));
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 4));
}

const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

#[test]
fn external_accounts_are_bound() {
    let Some(pebble) = Pebble::start(&Settings { external: Some(("kid-1", KEY)), ..Settings::default() })
    else {
        return;
    };
    let world = World::new();
    let _site = Site::http(&world, pebble.http);
    let good = options(&world, &pebble, &["a.example.com"], &[ChallengeKind::Http01]);
    let manager = world.start(good.clone());
    let status = failed(&manager, "acme:a.example.com", 1);
    assert!(status.last_error.unwrap().contains("external account"));

    let mut bound = good.clone();
    let account = |key: &str| Some(ExternalAccount { key_id: "kid-1".to_owned(), hmac_key: key.to_owned() });
    bound.authorities[0].external_account = account("d3Jvbmc");
    manager.update(bound.clone());
    let status = failed(&manager, "acme:a.example.com", 2);
    assert!(status.last_error.unwrap().contains("check the key id and HMAC key"));

    bound.authorities[0].external_account = account(KEY);
    manager.update(bound.clone());
    let first = world.obtained("a.example.com");
    manager.stop();

    // A process that was killed after the CA had made the account, and before that was kept, left no more than the key.
    let accounts = world.storage().join("accounts");
    let folder = std::fs::read_dir(accounts).unwrap().next().unwrap().unwrap().path();
    let file = folder.join("account.json");
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let left = serde_json::json!({ "pending_key": kept["credentials"]["key_pkcs8"] });
    std::fs::write(&file, left.to_string()).unwrap();
    let manager = world.start(bound);
    manager.renew("a.example.com").unwrap();
    eventually("another certificate", || {
        world.served("a.example.com").filter(|now| now.fingerprint() != first.fingerprint())
    });
    let again: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(again["credentials"], kept["credentials"]);
    assert_eq!(pebble.accounts(), 1);
}

#[test]
fn another_challenge_is_tried_and_remembered() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    // Nobody listens where HTTP-01 is looked for.
    let site = Site::tls(&world, pebble.tls);
    let kinds = [ChallengeKind::Http01, ChallengeKind::TlsAlpn01];
    let manager = world.start(options(&world, &pebble, &["a.example.com"], &kinds));
    let first = world.obtained("a.example.com");
    assert!(site.answered() > 0);
    assert_eq!(pebble.orders(), 2);
    assert!(world.logged("by http-01"));
    // The renewal begins with what worked.
    eventually("it is valid", || {
        (status(&manager, "acme:a.example.com").state == State::Valid).then_some(())
    });
    manager.renew("A.example.com.").unwrap();
    eventually("it is renewed", || {
        (world.served("a.example.com").unwrap().fingerprint() != first.fingerprint()).then_some(())
    });
    assert_eq!((pebble.orders(), world.count_logged("by http-01")), (3, 1));
    assert!(manager.renew("b.example.com").is_err());
}

#[test]
fn a_failure_is_explained_and_waits_and_hurts_nobody_else() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    let options = options(&world, &pebble, &["a.example.com", "localhost"], &[ChallengeKind::Http01]);
    let manager = world.start(options.clone());
    assert!(world.served("localhost").is_some());
    let failure = failed(&manager, "acme:a.example.com", 1);
    let error = failure.last_error.unwrap();
    assert!(error.contains("is port 80 open, and does `a.example.com` point here?"), "{error}");
    assert!(
        error.contains("http-01") && error.contains("Connection refused")
            || error.contains("connection refused"),
        "{error}"
    );
    let wait = failure.next_attempt.unwrap().duration_since(world.now()).unwrap();
    assert!(wait > Duration::from_secs(30) && wait < Duration::from_secs(80), "{wait:?}");
    manager.stop();
    // A restart does not begin anew.
    let manager = world.start(options);
    let again = status(&manager, "acme:a.example.com");
    assert_eq!((again.state, again.failures, again.last_error), (State::Failed, 1, Some(error)));
    assert_eq!(pebble.orders(), 1);
    // When the cause is mended, the next attempt succeeds.
    let _site = Site::http(&world, pebble.http);
    world.pass(Duration::from_secs(90));
    world.obtained("a.example.com");
    let fine = eventually("it is valid", || {
        Some(status(&manager, "acme:a.example.com")).filter(|status| status.state == State::Valid)
    });
    assert_eq!((fine.failures, fine.last_error), (0, None));
}

#[test]
fn the_preferred_chain_is_taken() {
    let settings = Settings { environment: &[("PEBBLE_ALTERNATE_ROOTS", "2")], ..Settings::default() };
    let Some(pebble) = Pebble::start(&settings) else { return };
    let world = World::new();
    let _site = Site::http(&world, pebble.http);
    let mut options = options(&world, &pebble, &["a.example.com"], &[ChallengeKind::Http01]);
    let manager = world.start(options.clone());
    let first = world.obtained("a.example.com");
    manager.stop();
    // Pebble names its roots at random, so that the alternates are found in what it logs of them.
    let roots: Vec<String> = root_names(&pebble.log());
    assert_eq!(roots.len(), 3, "{roots:?}");
    for root in roots {
        options.authorities[0].preferred_chain = Some(root.clone());
        options.storage = world.folder.path().join(root.replace(' ', "-"));
        let manager = world.start(options.clone());
        let before = first.fingerprint();
        let found = eventually("another certificate", || {
            world
                .served("a.example.com")
                .filter(|found| found.fingerprint() != before && issued_by(found, &root))
        });
        assert!(issued_by(&found, &root));
        manager.stop();
    }
}

fn root_names(log: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Pebble Root CA ") {
            let id: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
            let name = format!("Pebble Root CA {id}");
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

fn issued_by(certificate: &usher_net::tls::Certificate, root: &str) -> bool {
    certificate.der_chain().iter().any(|der| der.windows(root.len()).any(|part| part == root.as_bytes()))
}
