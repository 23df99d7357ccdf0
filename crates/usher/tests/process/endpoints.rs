//! `usher endpoints`: who is in and who is out, and changes by hand; outliers through the whole process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use usher_testkit::{Endpoint, Reply, Usher};

use crate::harness::{PATIENCE, reload, run, until, usher};

const CONFIG: &str = r#"
admin = "$ADMIN"
workers = 2
[[listener]]
bind = "$LISTEN"
[[route]]
cluster = "app"
[cluster.app]
endpoints = ["$ENDPOINT[one]", { address = "$ENDPOINT[two]", name = "second" }]
"#;

fn named(name: &'static str) -> Endpoint {
    Endpoint::start(move |_| Reply::ok(name)).unwrap()
}

/// Who answers, over new connections, so that all workers are asked.
fn asked(usher: &Usher) -> BTreeSet<String> {
    (0..24).map(|_| usher.client().unwrap().get("/").unwrap().text()).collect()
}

fn all(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn endpoints_are_taken_out_and_in_by_hand() {
    let (one, two) = (named("one"), named("two"));
    let mut usher = usher(CONFIG).endpoint_named("one", &one).endpoint_named("two", &two).start().unwrap();
    let admin = usher.admin().unwrap().to_string();
    let dir = usher.dir().to_owned();
    let endpoints = |more: &[&str]| run(&dir, &[&["endpoints", "--admin", &admin], more].concat());
    assert_eq!(asked(&usher), all(&["one", "two"]));
    let address = one.address().to_string();
    let shown = endpoints(&[]);
    assert!(shown.out.starts_with("app (round_robin)\n") && shown.out.contains("(second)"), "{shown:?}");

    let done = endpoints(&["app", &address, "--state", "drain"]);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
    until("the endpoint to be out", || asked(&usher) == all(&["two"]));
    assert!(endpoints(&[]).out.contains("draining"));
    reload(
        &mut usher,
        &CONFIG.replace("workers", "max_connections = 1000\nworkers").replace("max_connections = 1000\n", ""),
    );
    assert_eq!(asked(&usher), all(&["two"]), "a reload keeps it");

    // By its name, and with a weight; all or none.
    let refused = endpoints(&["app", &address, "third", "--state", "ready"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("has no endpoint `third`; nothing was changed"), "{refused:?}");
    assert_eq!(asked(&usher), all(&["two"]));
    let done = endpoints(&["app", &address, "second", "--state", "ready", "--weight", "7"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    until("both to be in", || asked(&usher) == all(&["one", "two"]));
    let shown = endpoints(&["--json"]).out;
    assert!(shown.contains("\"weight\": 7") && shown.contains("\"configured_weight\": 1"), "{shown}");
    for (wrong, said) in [
        (vec!["other", "second", "--weight", "1"], "there is no cluster `other`"),
        (vec!["app", "second", "--weight", "many"], "`many` is not a weight"),
        (vec!["app", "second"], "nothing is to be changed"),
    ] {
        let refused = endpoints(&wrong);
        assert!(refused.code == Some(1) && refused.err.contains(said), "{refused:?}");
    }
    assert_eq!(endpoints(&["app", "second", "--state", "off"]).code, Some(2));
}

#[test]
fn outliers_are_left_out_by_all_workers() {
    let fails = Arc::new(AtomicBool::new(true));
    let flag = fails.clone();
    let bad = Endpoint::start(move |_| match flag.load(Ordering::SeqCst) {
        true => Reply::status(500, "bad"),
        false => Reply::ok("bad"),
    });
    let (good, bad) = (named("good"), bad.unwrap());
    let config = format!("{CONFIG}outliers = {{ failures = 3, ejection = \"1s\", max_ejection = \"1s\" }}\n");
    let mut usher = usher(&config).endpoint_named("one", &good).endpoint_named("two", &bad).start().unwrap();
    until("the endpoint to be left out", || asked(&usher) == all(&["good"]));
    usher.wait_for_output("is left out for 1s: 3 failures in a row", PATIENCE).unwrap();
    fails.store(false, Ordering::SeqCst);
    until("the endpoint to be asked again", || asked(&usher) == all(&["bad", "good"]));
    usher.wait_for_output("is asked again", PATIENCE).unwrap();
}

#[test]
fn a_circuit_opens_for_all_workers_and_an_administrator_holds_it() {
    let ill = Arc::new(AtomicBool::new(true));
    let flag = ill.clone();
    let status = move || if flag.load(Ordering::SeqCst) { 503 } else { 200 };
    let one = Endpoint::start(move |_| Reply::status(status(), "")).unwrap();
    let config = CONFIG.replace(r#", { address = "$ENDPOINT[two]", name = "second" }"#, "")
        + "breaker = { min_requests = 10, open = \"1h\", max_open = \"1h\" }\n";
    let mut usher = usher(&config).endpoint_named("one", &one).start().unwrap();
    let admin = usher.admin().unwrap().to_string();
    let dir = usher.dir().to_owned();
    let endpoints = |more: &[&str]| run(&dir, &[&["endpoints", "--admin", &admin], more].concat());
    let get = |usher: &Usher| usher.client().unwrap().get("/").unwrap();
    (0..10).for_each(|_| drop(get(&usher)));
    let asked = one.requests().len();
    for _ in 0..20 {
        let answer = get(&usher);
        assert_eq!(answer.status, 503);
        let seconds: u64 = answer.message.fields.get("Retry-After").expect("a time").parse().unwrap();
        assert!((1000..=3600).contains(&seconds), "{seconds}");
    }
    assert_eq!(one.requests().len(), asked, "nobody was asked");
    assert!(endpoints(&[]).out.starts_with("app (round_robin), circuit open for "), "{:?}", endpoints(&[]));
    ill.store(false, Ordering::SeqCst);
    reload(&mut usher, &config.replace("workers = 2", "workers = 2\nwatch = false"));
    assert_eq!(get(&usher).status, 503, "a reload keeps it");
    let done = endpoints(&["app", "--breaker", "auto"]);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
    assert!((0..20).all(|_| get(&usher).status == 200));
    assert_eq!(endpoints(&["app", "--breaker", "open"]).code, Some(0));
    assert!((0..20).all(|_| get(&usher).status == 503));
    assert_eq!(endpoints(&["other", "--breaker", "open"]).code, Some(1));
    let state = usher.metric("usher_cluster_circuit_state{cluster=\"app\"}").unwrap();
    assert_eq!(state, Some(1.0));
}
