//! What a killed process leaves behind, and processes that share a storage.

use std::time::Duration;

use usher_certs::dns::{CommandOptions, DnsOptions};
use usher_certs::{ChallengeKind, Managed, Options};

use crate::fake::Fake;
use crate::pebble::{Pebble, Settings};
use crate::site::Site;
use crate::world::{World, eventually};

const DAY: Duration = Duration::from_secs(86_400);

fn dns_options(world: &World, pebble: &Pebble) -> Options {
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![pebble.authority()];
    options.challenges = vec![ChallengeKind::Dns01];
    options.dns = Some(DnsOptions::Command(CommandOptions::new(pebble.hook())));
    options.propagation.resolvers = vec![pebble.dns];
    options
}

fn meta(world: &World) -> serde_json::Value {
    let text =
        std::fs::read(world.storage().join("certificates/a.example.com/meta.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

#[test]
fn an_order_is_gone_on_with_after_a_kill() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    let good = dns_options(&world, &pebble);
    // It waits for a name server that never answers with the record.
    let mut stuck = good.clone();
    stuck.propagation.delay = Duration::from_secs(3600);
    let manager = world.start(stuck);
    let order = eventually("the record is about to be written", || {
        let meta = meta(&world);
        (meta["records"][0][0] == "_acme-challenge.a.example.com").then(|| meta["order"].clone())
    });
    manager.stop();
    assert!(world.served("a.example.com").is_none());
    let _manager = world.start(good);
    world.obtained("a.example.com");
    assert!(world.logged("going on with an earlier order"));
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 1));
    let after = eventually("the order is over", || Some(meta(&world)).filter(|meta| meta["order"].is_null()));
    assert_eq!(after["failures"], 0);
    assert!(order["url"].as_str().unwrap().starts_with("https://"));
}

#[test]
fn an_order_that_the_ca_does_not_know_is_given_up() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    let mut stuck = dns_options(&world, &pebble);
    stuck.propagation.delay = Duration::from_secs(3600);
    let manager = world.start(stuck);
    eventually("there is an order", || meta(&world)["order"]["url"].as_str().map(str::to_owned));
    manager.stop();
    // The CA has lost all it knew: account and order.
    drop(pebble);
    let pebble = Pebble::start(&Settings::default()).unwrap();
    let mut options = dns_options(&world, &pebble);
    let path = world.storage().join("certificates/a.example.com/meta.json");
    let mut left = meta(&world);
    left["order"]["authority"] = pebble.authority().url().into();
    left["order"]["url"] = pebble.authority().url().replace("/dir", "/my-order/unknown").into();
    std::fs::write(&path, left.to_string()).unwrap();
    options.authorities = vec![pebble.authority()];
    let _manager = world.start(options);
    world.obtained("a.example.com");
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 1));
}

#[test]
fn an_account_that_the_ca_has_lost_is_made_again() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    let site = Site::http(&world, pebble.http);
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![pebble.authority()];
    options.challenges = vec![ChallengeKind::Http01];
    let manager = world.start(options.clone());
    world.obtained("a.example.com");
    manager.stop();
    drop(site);
    // The same directory, with another pebble behind it, is not to be had: so the account of the one is given to the other.
    let other = Pebble::start(&Settings::default()).unwrap();
    let accounts = world.storage().join("accounts");
    let before = std::fs::read_dir(&accounts).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(before.join("account.json")).unwrap();
    let moved = text.replace(address(&pebble), address(&other));
    let _site = Site::http(&world, other.http);
    options.authorities = vec![other.authority()];
    // A first attempt makes the folder; then the account in it is replaced by one that the CA does not know.
    let manager = world.start(options.clone());
    eventually("the other CA has signed", || (other.orders() == 1).then_some(()));
    let folder =
        std::fs::read_dir(&accounts).unwrap().map(|entry| entry.unwrap().path()).find(|path| *path != before);
    let file = folder.unwrap().join("account.json");
    eventually("it is over", || {
        (manager.status()[0].failures == 0 && manager.status()[0].state.as_str() == "valid").then_some(())
    });
    std::fs::write(&file, moved).unwrap();
    manager.renew("a.example.com").unwrap();
    eventually("the account is not known", || world.logged("a new account is made").then_some(()));
    world.pass(Duration::from_secs(120));
    eventually("another account was made", || (other.accounts() == 2 && other.orders() == 2).then_some(()));
}

fn address(pebble: &Pebble) -> &'static str {
    let url = pebble.authority().url().to_owned();
    Box::leak(url.trim_start_matches("https://").trim_end_matches("/dir").to_owned().into_boxed_str())
}

#[test]
fn two_processes_with_one_storage_order_once() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let one = World::new();
    let two = World::new();
    let options = dns_options(&one, &pebble);
    // Two processes have their own descriptors of the lock, as two managers have.
    let first = one.start(options.clone());
    let second = two.start(options);
    one_of(&one, &two);
    one.pass(Duration::from_secs(60));
    two.pass(Duration::from_secs(60));
    let (a, b) = (one.obtained("a.example.com"), two.obtained("a.example.com"));
    assert_eq!(a.fingerprint(), b.fingerprint());
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 1));
    drop((first, second));
}

fn one_of(one: &World, two: &World) {
    eventually("one of them has it", || {
        [one, two].iter().any(|world| world.served("a.example.com").is_some()).then_some(())
    });
}

#[test]
fn what_another_process_has_noted_is_not_overwritten() {
    let fake = Fake::start();
    let world = World::new();
    let soon = "2099-01-01T00:00:00Z".to_owned();
    let mut options = world.options(&["a.example.com"]);
    options.authorities = vec![fake.authority()];
    fake.script.lock().unwrap().window = Some((soon, "2099-01-03T00:00:00Z".to_owned(), 7200));
    let _manager = world.start(options);
    world.obtained("a.example.com");
    eventually("the window is kept", || (!meta(&world)["window"].is_null()).then_some(()));
    // Another process is in the middle of something.
    let path = world.storage().join("certificates/a.example.com/meta.json");
    let mut other = meta(&world);
    other["failed_validations"] = serde_json::json!([1, 2, 3]);
    std::fs::write(&path, other.to_string()).unwrap();
    fake.script.lock().unwrap().window.as_mut().unwrap().1 = "2099-01-04T00:00:00Z".to_owned();
    world.pass(Duration::from_secs(3 * 3600));
    let after = eventually("the new window is kept", || {
        Some(meta(&world)).filter(|meta| meta["window"]["end"] != other["window"]["end"])
    });
    assert_eq!(after["failed_validations"], other["failed_validations"]);
}

/// A DNS host that is asked too often refuses for an hour: the record is removed the next time that it is asked at all.
#[test]
fn a_record_that_could_not_be_removed_is_removed_later() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    let mut options = dns_options(&world, &pebble);
    let (hook, refuses) = (pebble.hook(), world.folder.path().join("refuses"));
    std::fs::write(&refuses, "").unwrap();
    let script =
        format!("[ $1 = set ] || [ ! -e {} ] || exit 9; exec {} \"$@\"", refuses.display(), hook.display());
    let mut command = CommandOptions::new("/bin/sh");
    command.arguments = ["-c", &script, "hook"].map(str::to_owned).to_vec();
    options.dns = Some(DnsOptions::Command(command));
    let manager = world.start(options);
    world.obtained("a.example.com");
    let left = eventually("the order is over", || Some(meta(&world)).filter(|meta| meta["order"].is_null()));
    assert_eq!(left["records"][0][0], "_acme-challenge.a.example.com", "{left}");
    std::fs::remove_file(&refuses).unwrap();
    manager.renew("a.example.com").unwrap();
    eventually("nothing is left", || {
        meta(&world)["records"].as_array().filter(|left| left.is_empty()).map(drop)
    });
}

/// Records of two orders at the same name, by a program that can only do one thing at a time.
#[test]
fn a_wildcard_and_its_parent_share_whoever_writes_the_records() {
    let Some(pebble) = Pebble::start(&Settings::default()) else { return };
    let world = World::new();
    let mut options = dns_options(&world, &pebble);
    options.managed = ["wild.example.com", "*.wild.example.com"].map(Managed::name).to_vec();
    let script = format!(
        "mkdir {0} || exit 9; sleep 0.3; [ $1 = remove ] || curl -sf -d '{{\"host\":\"'$2'.\",\"value\":\"'$3'\"}}' http://{1}/set-txt; \
         rmdir {0}",
        world.folder.path().join("busy").display(),
        pebble.management
    );
    let mut hook = CommandOptions::new("/bin/sh");
    hook.arguments = ["-c", &script, "hook"].map(str::to_owned).to_vec();
    options.dns = Some(DnsOptions::Command(hook));
    let manager = world.start(options);
    world.obtained("wild.example.com");
    world.obtained("a.wild.example.com");
    assert!(manager.status().iter().all(|status| status.failures == 0), "{:?}", manager.status());
}

#[test]
fn what_nobody_wants_is_removed_weeks_after_its_end() {
    let fake = Fake::start();
    let world = World::new();
    let mut options = world.options(&["a.example.com", "b.example.com"]);
    options.authorities = vec![fake.authority()];
    fake.script.lock().unwrap().days = 90;
    let manager = world.start(options.clone());
    world.obtained("a.example.com");
    world.obtained("b.example.com");
    let folder = |name: &str| world.storage().join("certificates").join(name).exists();
    // It comes back, and is still there.
    options.managed.remove(0);
    manager.update(options.clone());
    eventually("it is gone", || world.served("a.example.com").is_none().then_some(()));
    world.pass(DAY * 100);
    fake.script.lock().unwrap().days = 900;
    options.managed.insert(0, Managed::name("c.example.com"));
    manager.update(options);
    world.obtained("c.example.com");
    assert!(folder("a.example.com") && folder("b.example.com"));
    world.pass(DAY * 20);
    eventually("it was removed", || (!folder("a.example.com")).then_some(()));
    assert!(folder("b.example.com") && folder("c.example.com"));
}
