//! Certificates that handshakes ask for.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use usher_certs::{Manager, OnDemandOptions};

use crate::fake::Fake;
use crate::world::{PATIENCE, World, eventually};

/// An endpoint that allows names of `example.com`, and keeps what it was asked.
fn ask_endpoint() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/ask?from=usher", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = asked.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            let mut stream = BufReader::new(stream);
            stream.read_line(&mut line).unwrap();
            let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let status = match target.rsplit('.').next() {
                _ if target.ends_with(".example.com") => 200,
                Some("down") => 500,
                _ => 404,
            };
            seen.lock().unwrap().push(target);
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.get_mut().write_all(text.as_bytes());
        }
    });
    (url, asked)
}

/// Waits as a handshake does. False if there is nothing to wait for.
fn want(manager: &Manager, name: &str) -> bool {
    let Some(wait) = manager.on_demand().want(name) else { return false };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, wait).await }).expect("it never ended");
    true
}

fn start(world: &World, fake: &Fake, on_demand: OnDemandOptions) -> Manager {
    let mut options = world.options(&[]);
    options.authorities = vec![fake.authority()];
    options.on_demand = Some(on_demand);
    world.start(options)
}

#[test]
fn names_that_the_endpoint_allows_get_one_at_once() {
    let fake = Fake::start();
    let world = World::new();
    let (url, asked) = ask_endpoint();
    let manager =
        start(&world, &fake, OnDemandOptions { ask: Some(url.clone()), ..OnDemandOptions::default() });
    let waiters: Vec<_> = (0..10).map(|_| manager.on_demand().want("a.example.com").unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for waiter in waiters {
        runtime.block_on(async { tokio::time::timeout(PATIENCE, waiter).await }).unwrap();
        assert!(world.served("a.example.com").is_some());
    }
    assert_eq!(fake.orders(), 1);
    assert_eq!(*asked.lock().unwrap(), ["/ask?from=usher&domain=a.example.com"]);
    // Refused, and remembered.
    for _ in 0..3 {
        assert!(want(&manager, "a.example.org"));
    }
    assert!(world.served("a.example.org").is_none());
    assert_eq!(asked.lock().unwrap().len(), 2);
    // What is no name is not even asked for.
    assert!(!want(&manager, "a_b.example.com") && !want(&manager, "*.example.com"));
    let shown = manager.status();
    assert!(shown.len() == 1 && shown[0].on_demand);
    let first = world.served("a.example.com").unwrap();
    manager.stop();
    // It is there after a restart, and gone when it is not configured any more.
    let again = World { folder: world.folder, ..World::new() };
    let manager = start(&again, &fake, OnDemandOptions { ask: Some(url), ..OnDemandOptions::default() });
    assert_eq!(again.served("a.example.com").unwrap().fingerprint(), first.fingerprint());
    manager.update(again.options(&[]));
    eventually("it is gone", || again.served("a.example.com").is_none().then_some(()));
    assert!(!want(&manager, "b.example.com"));
}

#[test]
fn the_rate_and_the_number_of_names_are_limited() {
    let fake = Fake::start();
    let world = World::new();
    let allow = vec!["*.example.com".to_owned(), "one.example.org".to_owned()];
    let limits =
        OnDemandOptions { allow, rate: 2, per: Duration::from_secs(3600), ..OnDemandOptions::default() };
    let manager = start(&world, &fake, limits.clone());
    for name in ["one.example.org", "a.example.com", "b.example.com", "two.example.org"] {
        assert!(want(&manager, name));
    }
    let served = |name: &str| world.served(name).is_some();
    assert!(
        served("one.example.org")
            && served("a.example.com")
            && !served("b.example.com")
            && !served("two.example.org")
    );
    assert_eq!(fake.orders(), 2);
    manager.stop();
    let few = World::new();
    let manager = start(&few, &fake, OnDemandOptions { max_names: 1, rate: 100, ..limits });
    assert!(want(&manager, "a.example.com") && want(&manager, "b.example.com"));
    assert!(few.served("a.example.com").is_some() && few.served("b.example.com").is_none());
}

#[test]
fn a_name_that_failed_waits_for_its_time_and_is_then_forgotten() {
    let fake = Fake::start();
    fake.script.lock().unwrap().refusals.push_back((403, "rejectedIdentifier", None));
    let world = World::new();
    let allow = vec!["a.example.com".to_owned()];
    let manager = start(&world, &fake, OnDemandOptions { allow, ..OnDemandOptions::default() });
    assert!(want(&manager, "a.example.com") && want(&manager, "a.example.com"));
    assert_eq!(fake.orders(), 1);
    assert!(manager.status()[0].last_error.as_ref().unwrap().contains("does not sign this name"));
    world.pass(Duration::from_secs(120));
    eventually("it is forgotten", || manager.status().is_empty().then_some(()));
    assert!(want(&manager, "a.example.com"));
    assert!(world.served("a.example.com").is_some());
}

#[test]
fn an_endpoint_that_is_down_is_not_asked_by_every_handshake() {
    let fake = Fake::start();
    let world = World::new();
    let (url, asked) = ask_endpoint();
    let manager = start(&world, &fake, OnDemandOptions { ask: Some(url), ..OnDemandOptions::default() });
    for _ in 0..3 {
        assert!(want(&manager, "a.down"));
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert_eq!(fake.orders(), 0);
}

#[test]
fn a_restart_does_not_try_again_what_has_just_failed() {
    let fake = Fake::start();
    fake.script.lock().unwrap().refusals.push_back((403, "rejectedIdentifier", None));
    let world = World::new();
    let limits = OnDemandOptions { allow: vec!["a.example.com".to_owned()], ..OnDemandOptions::default() };
    let manager = start(&world, &fake, limits.clone());
    assert!(want(&manager, "a.example.com"));
    manager.stop();
    for _ in 0..3 {
        let manager = start(&world, &fake, limits.clone());
        assert!(want(&manager, "a.example.com"));
        assert_eq!(fake.orders(), 1);
        manager.stop();
    }
    world.pass(Duration::from_secs(120));
    let manager = start(&world, &fake, limits);
    assert!(want(&manager, "a.example.com"));
    assert!(world.served("a.example.com").is_some());
    drop(manager);
}
