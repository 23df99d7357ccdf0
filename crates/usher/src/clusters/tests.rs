use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use usher_api::clusters::{ClusterControl as _, EndpointChange, Refused, Wanted};
use usher_api::standing::Out;
use usher_config::{Format, Input, LoadOptions, load};
use usher_engine::cluster::Phase;
use usher_engine::snapshot::ClusterSpec;

use super::board::Board;
use crate::assemble;
use crate::discovery::Discovery;

const CONFIG: &str = "[[route]]\ncluster = 'app'\n[cluster.app]\nslow_start = '10s'\nendpoints = ";

fn clusters(endpoints: &str) -> Vec<Arc<ClusterSpec>> {
    let options = LoadOptions { format: Some(Format::Toml), env: &|_| None, known_filters: &[] };
    let bytes = format!("{CONFIG}{endpoints}").into_bytes();
    let loaded = load(Input::Text { name: "test".to_owned(), bytes }, &options).unwrap();
    assemble::dry(&loaded).unwrap_or_else(|report| panic!("{report}")).snapshot.clusters.clone()
}

fn board(clusters: &[Arc<ClusterSpec>]) -> (Board, Discovery) {
    let mut discovery = Discovery::new(|_| {});
    discovery.follow(clusters).unwrap();
    let board = Board::new(Box::new(|_, _| Err(Refused::Busy(String::new()))), discovery.names());
    board.show(clusters, &discovery);
    (board, discovery)
}

fn change(endpoint: &str, state: Wanted, weight: Option<u32>) -> EndpointChange {
    EndpointChange { endpoint: endpoint.to_owned(), state: Some(state), weight: Some(weight) }
}

#[test]
fn who_joins_begins_slowly() {
    let all = clusters("['10.0.0.1:80', '10.0.0.2:80']");
    let (board, discovery) = board(&all);
    let standings = &all[0].standings;
    let is_fresh = |address: &str| standings.of(address).fresh_since().is_some();
    assert!(!is_fresh("10.0.0.1:80") && !is_fresh("10.0.0.2:80"), "all begin together");
    let more = clusters("['10.0.0.2:80', '10.0.0.3:80']");
    let endpoints = discovery.endpoints(&more[0]);
    let told = board.update("app", (&endpoints, Vec::new()));
    assert_eq!(told.as_deref(), Some("2 endpoints (+10.0.0.3:80, -10.0.0.1:80)"));
    assert!(is_fresh("10.0.0.3:80") && !is_fresh("10.0.0.2:80"));
    assert_eq!(board.update("app", (&endpoints, Vec::new())), None);
    assert_eq!(board.reading().clusters[0].updates.0, 1);
    assert!(board.update("app", (&[], Vec::new())).is_some());
    board.update("app", (&endpoints, Vec::new()));
    assert!(!is_fresh("10.0.0.2:80"), "after nobody, all begin together");
}

#[test]
fn an_answer_in_the_moment_of_a_reload_is_not_lost() {
    let mut all = clusters("['10.0.0.1:80', '10.0.0.2:80']");
    let mut discovery = Discovery::new(|_| {});
    discovery.follow(&all).unwrap();
    let endpoints = discovery.endpoints(&all[0]);
    // The snapshot was made when only one was known, and that is what workers have.
    Arc::get_mut(&mut all[0]).unwrap().resolved.truncate(1);
    let board = Board::new(Box::new(|_, _| Err(Refused::Busy(String::new()))), discovery.names());
    board.show(&all, &discovery);
    assert_eq!(board.reading().clusters[0].by_source, [("config", 1)]);
    let told = board.update("app", (&endpoints, Vec::new()));
    assert_eq!(told.as_deref(), Some("2 endpoints (+10.0.0.2:80)"), "they are told of the other one");
}

#[test]
fn who_is_left_out_of_one_answer_stays_ejected() {
    let all = clusters("['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80']");
    let (board, discovery) = board(&all);
    let standings = &all[0].standings;
    let endpoints = discovery.endpoints(&all[0]);
    endpoints.iter().for_each(|one| drop(standings.of(&one.address.to_string())));
    standings.set(&standings.of("10.0.0.1:80"), Out::Ejected, true, 0);
    board.update("app", (&endpoints[1..], Vec::new()));
    assert_eq!(standings.present().len(), 2, "whoever has left does not count among those that are there");
    board.update("app", (&endpoints[..2], Vec::new()));
    assert!(standings.of("10.0.0.1:80").is(Out::Ejected));
    // What is taken out by hand is a new one when it comes back.
    standings.forget("10.0.0.1:80");
    board.update("app", (&endpoints[1..], Vec::new()));
    board.update("app", (&endpoints, Vec::new()));
    assert!(standings.of("10.0.0.1:80").is_in());
}

#[test]
fn thousands_are_set_at_once() {
    const MANY: usize = 9_000;
    let one = |number: usize| {
        format!("{{ address = '10.1.{}.{}:80', name = 'n{number}' }}", number / 250, number % 250)
    };
    let written: Vec<String> = (0..MANY).map(one).collect();
    let all = clusters(&format!("[{}]", written.join(", ")));
    let (board, discovery) = board(&all);
    let endpoints = discovery.endpoints(&all[0]);
    assert!(board.update("app", (&endpoints[..MANY / 2], Vec::new())).is_some());
    assert!(board.update("app", (&endpoints, Vec::new())).is_some());
    let changes: Vec<_> =
        (0..MANY).map(|number| change(&format!("n{number}"), Wanted::Drain, None)).collect();
    board.change("app", &changes).unwrap();
    assert_eq!(board.set("app", &changes).len(), MANY);
    let standings = &all[0].standings;
    assert!(standings.all().iter().all(|(_, standing)| standing.is(Out::Draining)));
    assert_eq!(standings.all().len(), MANY);
}

#[test]
fn what_was_wanted_goes_to_the_next_process() {
    let all = clusters("['10.0.0.1:80', '10.0.0.2:80']");
    let (board, _) = self::board(&all);
    let first = board.endpoints("app").unwrap().version;
    board.change("app", &[change("10.0.0.1:80", Wanted::Drain, Some(7))]).unwrap();
    board.change("app", &[change("10.0.0.2:80", Wanted::Disable, None)]).unwrap();
    assert!(matches!(board.compare("app", Some(&first)), Err(Refused::Changed(_))));
    board.lock().frozen = true;
    let refused = board.change("app", &[change("10.0.0.2:80", Wanted::Ready, None)]);
    assert!(matches!(refused, Err(Refused::Busy(_))), "it would be lost");

    let others = clusters("['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80']");
    let (next, _) = self::board(&others);
    let mut messages = board.bequeath();
    messages.push(serde_json::json!({ "cluster": "gone", "endpoint": "10.0.0.1:80", "state": "draining" }));
    messages.push(serde_json::json!("of a later version"));
    next.inherit(&others, &messages);
    let standing = |address: &str| others[0].standings.of(address);
    assert!(standing("10.0.0.1:80").is(Out::Draining) && standing("10.0.0.2:80").is(Out::Disabled));
    assert_eq!((standing("10.0.0.1:80").weight(), standing("10.0.0.2:80").weight()), (Some(7), None));
    assert!(standing("10.0.0.3:80").is_in());
    let version = board.endpoints("app").unwrap().version;
    assert_eq!(next.endpoints("app").unwrap().version, version, "who knows the version may go on");
}

#[test]
fn what_was_found_out_goes_to_the_next_process() {
    let endpoints = "['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80']";
    let written = format!("{endpoints}\nhealth = {{}}\noutliers = {{}}\nbreaker = {{}}");
    let all = clusters(&written);
    let (board, _) = self::board(&all);
    let standings = &all[0].standings;
    let (unwell, ejected) = (standings.of("10.0.0.1:80"), standings.of("10.0.0.2:80"));
    standings.set(&unwell, Out::Unhealthy, true, 0);
    ejected.ejected.0.store(60_000, Relaxed);
    ejected.ejected.1.store(3, Relaxed);
    standings.set(&ejected, Out::Ejected, true, 0);
    board.hold("app", Some(true)).unwrap();
    let messages = board.bequeath();
    board.lock().frozen = true;
    assert!(board.hold("app", None).is_err(), "it would be lost");

    let others = clusters(&written);
    let (next, _) = self::board(&others);
    next.inherit(&others, &messages);
    let standing = |address: &str| others[0].standings.of(address);
    assert!(standing("10.0.0.1:80").is(Out::Unhealthy) && !standing("10.0.0.1:80").is(Out::Ejected));
    let ejected = standing("10.0.0.2:80");
    assert!(ejected.is(Out::Ejected) && !ejected.is(Out::Unhealthy));
    assert!((1..120_000).contains(&ejected.ejected.0.load(Relaxed)), "not longer than it was to be");
    assert_eq!(ejected.ejected.1.load(Relaxed), 3);
    assert!(standing("10.0.0.3:80").is_in());
    assert_eq!(others[0].circuit.as_ref().unwrap().breaker.phase(), Phase::HeldOpen);

    // Where nobody would let them in again, they are not left out.
    let plain = clusters(endpoints);
    self::board(&plain).0.inherit(&plain, &messages);
    assert!(plain[0].standings.all().iter().all(|(_, standing)| standing.is_in()));
}

const PARTS: &str = "
[[route]]
cluster = 'app'
[[route]]
path = '/one'
cluster = 'app'
subset = { v = '1' }
[[route]]
path = '/two'
cluster = 'app'
subset = { v = '2' }
[[route]]
path = '/other'
cluster = 'other'
subset = { v = '1' }
[[route]]
path = '/bare'
cluster = 'bare'
[cluster.app]
endpoints = [{ address = '10.0.0.1:80', labels = { v = '1' } }, { address = '10.0.0.2:80', labels = { v = '2' } }]
breaker = true
[cluster.other]
endpoints = { address = '10.0.0.1:80', labels = { v = '1' } }
breaker = true
[cluster.bare]
endpoints = '10.0.0.3:80'
";

#[test]
fn a_circuit_is_held_with_its_parts_and_a_part_for_itself() {
    let options = LoadOptions { format: Some(Format::Toml), env: &|_| None, known_filters: &[] };
    let loaded = load(Input::Text { name: "test".to_owned(), bytes: PARTS.into() }, &options).unwrap();
    let all = assemble::dry(&loaded).unwrap_or_else(|report| panic!("{report}")).snapshot.clusters.clone();
    let (board, _) = board(&all);
    let held = |phase: Phase| -> Vec<&str> {
        let is_so = |spec: &&Arc<ClusterSpec>| {
            spec.circuit.as_ref().is_some_and(|circuit| circuit.breaker.phase() == phase)
        };
        all.iter().filter(is_so).map(|spec| &*spec.name).collect()
    };
    let (app, other) = (["app", "app [v=1]", "app [v=2]"], ["other", "other [v=1]"]);
    for (open, phase) in [(Some(true), Phase::HeldOpen), (Some(false), Phase::HeldClosed)] {
        board.hold("app", open).unwrap();
        assert_eq!(held(phase), app);
        assert_eq!(held(Phase::Closed), other, "those of another cluster are not meant");
        board.hold("app [v=2]", None).unwrap();
        assert_eq!(held(phase), ["app", "app [v=1]"], "a part is held for itself");
        board.hold("app", None).unwrap();
        assert_eq!(held(Phase::Closed).len(), 5);
    }
    board.hold("app [v=1]", Some(true)).unwrap();
    assert_eq!(held(Phase::HeldOpen), ["app [v=1]"]);
    assert!(board.hold("bare", Some(true)).unwrap_err().contains("has no `breaker`"));
    assert!(board.hold("nobody", Some(true)).unwrap_err().contains("there is no cluster"));
}
