//! Splits that move by themselves: to the end, and back, with the evidence; over reloads and restarts; by hand.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use serde_json::Value;
use usher_testkit::{Client, Endpoint, Reply, Signal, Usher};

use crate::harness::{PATIENCE, Running, binary, reload, run, until, usher};
use crate::upgrade::Line;

// Without the access log: what is kept of a process's output would be full of it on a fast machine.
const CONFIG: &str = r#"
admin = "$ADMIN"
access_log = "off"
workers = 2
automatic_https = { storage = "$DIR/state" }
[[listener]]
bind = "$LISTEN"
[[route]]
name = "shop"
[route.split]
between = [{ cluster = "stable" }, { cluster = "next" }]
sticky = "version"
shift = { to = "next", steps = ["20%", "60%", "100%"], every = "200ms", min_requests = 200 }
[cluster.stable]
endpoints = "$ENDPOINT[stable]"
[cluster.next]
endpoints = "$ENDPOINT[next]"
"#;

/// An old version, and a new one of whose requests every so many fail (0: none).
struct World {
    usher: Usher,
    _endpoints: (Endpoint, Endpoint),
    fails: Arc<AtomicU64>,
}

impl World {
    fn start(config: &str, fails: u64) -> Self {
        Self::start_from(&binary(), config, fails)
    }

    fn start_from(program: &Path, config: &str, fails: u64) -> Self {
        let stable = Endpoint::start(|_| Reply::ok("stable")).unwrap();
        let (fails, asked) = (Arc::new(AtomicU64::new(fails)), AtomicU64::new(0));
        let every = fails.clone();
        let next = Endpoint::start(move |_| match (asked.fetch_add(1, SeqCst), every.load(SeqCst)) {
            (number, every @ 1..) if number.is_multiple_of(every) => Reply::status(500, "next"),
            _ => Reply::ok("next"),
        });
        let next = next.unwrap();
        let usher = usher(config).binary(program).endpoint_named("stable", &stable);
        let usher = usher.endpoint_named("next", &next).start().unwrap();
        Self { usher, _endpoints: (stable, next), fails }
    }

    /// Sends requests of many visitors until something is so.
    fn until_under_load(&self, what: &str, is_so: impl FnMut() -> bool) {
        let (address, over) = (self.usher.listen().unwrap(), Arc::new(AtomicBool::new(false)));
        let visitor = || {
            let over = over.clone();
            thread::spawn(move || {
                let mut client = Client::connect(address).unwrap();
                while !over.load(SeqCst) {
                    client.get("/").unwrap();
                }
            })
        };
        let visitors: Vec<_> = (0..4).map(|_| visitor()).collect();
        until(what, is_so);
        over.store(true, SeqCst);
        visitors.into_iter().for_each(|visitor| visitor.join().unwrap());
    }

    fn command(&self, more: &[&str]) -> crate::harness::Done {
        let admin = self.usher.admin().unwrap().to_string();
        run(self.usher.dir(), &[&["shift", "--admin", &admin], more].concat())
    }

    /// What the admin API says of the shift.
    fn told(&self) -> Value {
        told(&self.usher)
    }

    fn is(&self, state: &str, share: f64) -> bool {
        let told = self.told();
        told["state"] == state && told["share"] == share
    }
}

fn told(usher: &Usher) -> Value {
    let mut client = Client::connect(usher.admin().unwrap()).unwrap();
    let body = client.request("GET", "/shifts", &[("Host", "localhost")], b"").unwrap().text();
    let all: Value = serde_json::from_str(&body).unwrap();
    all[0].clone()
}

fn answer(usher: &Usher) -> String {
    usher.client().unwrap().get("/").unwrap().text()
}

#[test]
fn a_good_version_reaches_everybody() {
    let mut world = World::start(CONFIG, 0);
    world.until_under_load("the end of the shift", || world.is("finished", 1.0));
    for line in [
        "shift of `shop`: `next` takes 20% now, `stable` the rest; 60% after 200ms, if it does no worse",
        "shift of `shop`: `next` takes 60% now, up from 20%: in ",
        "shift of `shop`: `next` takes 100% now, up from 60%: in ",
        "this was the last step, and the shift is finished",
    ] {
        // The log is written by a thread of its own.
        until(line, || world.usher.output().contains(line));
    }
    assert!((0..20).all(|_| answer(&world.usher) == "next"));
    // A reload changes nothing, and a restart neither.
    reload(&mut world.usher, &CONFIG.replace("min_requests = 200", "min_requests = 300"));
    assert!(world.is("finished", 1.0));
    world.usher.signal(Signal::Term).unwrap();
    world.usher.wait_exit(PATIENCE).unwrap();
    let _again = Running::start(world.usher.dir(), &["run", "--config", "usher.toml"]);
    until("it serves again", || Client::connect(world.usher.listen().unwrap()).is_ok());
    assert!((0..20).all(|_| answer(&world.usher) == "next"));
    until("the admin listener", || Client::connect(world.usher.admin().unwrap()).is_ok());
    assert!(world.is("finished", 1.0));
}

#[test]
fn a_bad_version_goes_back_by_itself_and_stays_there() {
    let mut world = World::start(CONFIG, 10);
    world.until_under_load("the way back", || world.is("rolled_back", 0.0));
    world
        .usher
        .wait_for_output("back to `stable`, `next` takes nothing: it fails more often: ", PATIENCE)
        .unwrap();
    let told = world.told();
    let evidence = &told["evidence"];
    assert_eq!(evidence["worse"], "failures", "{told:#}");
    let (failed, requests) = (&evidence["new"]["failed"], &evidence["new"]["requests"]);
    assert!(failed.as_f64().unwrap() / requests.as_f64().unwrap() > 0.05, "{told:#}");
    let chance = evidence["failures"]["probability_by_chance"].as_f64().unwrap();
    assert!(chance < evidence["counts_below"].as_f64().unwrap(), "{told:#}");
    for name in ["usher_shift_share", "usher_shift_failures_total"] {
        assert!(world.usher.metric(name).unwrap().is_some(), "{name}");
    }
    assert_eq!(world.usher.metric("usher_shift_share").unwrap(), Some(0.0));
    // Nobody is sent there again: after a reload, with another config of the same shift, and after a restart.
    reload(&mut world.usher, &CONFIG.replace("200ms", "100ms"));
    world.until_under_load("requests", {
        let mut looks = 0..20;
        move || looks.next().is_none()
    });
    assert!(world.is("rolled_back", 0.0));
    let shown = world.command(&[]);
    assert!(shown.out.starts_with("shop: rolled_back, at 0%, next 20%\n"), "{shown:?}");
    world.usher.signal(Signal::Term).unwrap();
    world.usher.wait_exit(PATIENCE).unwrap();
    let again = Running::start(world.usher.dir(), &["run", "--config", "usher.toml"]);
    until("it serves again", || Client::connect(world.usher.admin().unwrap()).is_ok());
    assert!(world.is("rolled_back", 0.0));
    assert!((0..50).all(|_| answer(&world.usher) == "stable"));
    // It was mended, and somebody says so.
    world.fails.store(0, SeqCst);
    let done = world.command(&["resume"]);
    assert!(done.code == Some(0) && done.out.contains("`next` takes 20% now"), "{done:?}");
    world.until_under_load("the end of the shift", || world.is("finished", 1.0));
    drop(again);
}

#[test]
fn a_slow_version_goes_back() {
    let stable = Endpoint::start(|_| Reply::ok("stable")).unwrap();
    let asked = AtomicU64::new(0);
    let next = Endpoint::start(move |_| {
        // One in ten, which no average shows.
        if asked.fetch_add(1, SeqCst).is_multiple_of(10) {
            thread::sleep(std::time::Duration::from_millis(400));
        }
        Reply::ok("next")
    });
    let config =
        CONFIG.replace("200ms", "1h").replace("min_requests = 200", "tolerate = { time = \"100ms\" }");
    let next = next.unwrap();
    let usher =
        usher(&config).endpoint_named("stable", &stable).endpoint_named("next", &next).start().unwrap();
    let world = World { usher, _endpoints: (stable, next), fails: Arc::default() };
    world.until_under_load("the way back", || world.is("rolled_back", 0.0));
    let told = world.told();
    assert_eq!(told["evidence"]["worse"], "times", "{told:#}");
    assert!(told["last"].as_str().unwrap().contains("it is slower"), "{told:#}");
}

#[test]
fn visitors_who_have_moved_stay() {
    let config = CONFIG.replace("200ms", "1h");
    let world = World::start(&config, 0);
    until("the first step", || world.is("running", 0.2));
    let mut visitors: Vec<(String, String)> = Vec::new();
    for _ in 0..60 {
        let response = world.usher.client().unwrap().get("/").unwrap();
        let set = response.message.fields.all("Set-Cookie").next().unwrap().to_owned();
        let cookie = set.split(';').next().unwrap().to_owned();
        assert!(cookie.starts_with("version=v") && cookie.len() == "version=v123456".len(), "{cookie}");
        visitors.push((cookie, response.text()));
    }
    let ask = |cookie: &str| {
        let response =
            world.usher.client().unwrap().request("GET", "/", &[("Host", "a"), ("Cookie", cookie)], b"");
        let response = response.unwrap();
        assert_eq!(response.message.fields.all("Set-Cookie").count(), 0, "who has one gets no other");
        response.text()
    };
    let moved = |visitors: &[(String, String)]| visitors.iter().filter(|one| one.1 == "next").count();
    let mut count = moved(&visitors);
    assert!((1..40).contains(&count), "{count}");
    for (order, all) in [("pause", false), ("advance", false), ("promote", true)] {
        assert_eq!(world.command(&[order, "shop"]).code, Some(0));
        for (cookie, version) in &mut visitors {
            let now = ask(cookie);
            assert!(*version == "stable" || now == "next", "{order}: {cookie} went back");
            *version = now;
        }
        assert!(moved(&visitors) >= count && (moved(&visitors) == visitors.len()) == all, "{order}");
        count = moved(&visitors);
    }
    assert_eq!(world.command(&["abort"]).code, Some(0));
    assert!(visitors.iter().all(|(cookie, _)| ask(cookie) == "stable"));
    for (wrong, said) in [
        (vec!["abort"], "was taken back already"),
        (vec!["pause", "shop"], "is rolled_back"),
        (vec!["pause", "other"], "the route `other` has no shift"),
    ] {
        let refused = world.command(&wrong);
        assert!(refused.code == Some(1) && refused.err.contains(said), "{refused:?}");
    }
    assert_eq!(world.command(&["explode"]).code, Some(2));
}

#[test]
fn an_upgrade_goes_on_where_the_shift_was() {
    let config = CONFIG.replace("200ms", "1h");
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("usher");
    std::os::unix::fs::symlink(binary(), &program).unwrap();
    let World { usher, _endpoints, .. } = World::start_from(&program, &config, 0);
    let mut line = Line { usher };
    let is = |line: &Line, state: &str, share: f64| {
        let told = told(&line.usher);
        told["state"] == state && told["share"] == share
    };
    let order = |line: &Line, order: &str| {
        let done = run(&line.dir(), &["shift", order, "--admin", &line.admin()]);
        assert_eq!(done.code, Some(0), "{done:?}");
    };
    until("the first step", || is(&line, "running", 0.2));
    let states = [
        (&["advance"][..], "running", 0.6, &["next", "stable"][..]),
        (&["pause"], "paused", 0.6, &["next", "stable"]),
        (&["abort"], "rolled_back", 0.0, &["stable"]),
        (&["promote"], "finished", 1.0, &["next"]),
    ];
    // The next process finds no file: it is another one's, as its config says.
    for ((orders, state, share, versions), storage) in states.into_iter().zip(["a", "b", "c", "d"]) {
        orders.iter().for_each(|one| order(&line, one));
        let (pid, last) = (line.pid(), told(&line.usher)["last"].clone());
        line.usher.write_config(&config.replace("$DIR/state", &format!("$DIR/{storage}"))).unwrap();
        let done = line.upgrade();
        assert_eq!(done.code, Some(0), "{done:?}");
        line.has_ended(pid);
        assert!(is(&line, state, share), "{state}: {:#}", told(&line.usher));
        assert_eq!(told(&line.usher)["last"], last);
        assert!((0..20).all(|_| versions.contains(&&*answer(&line.usher))), "{state}");
    }
    // One that comes to nothing holds nothing up.
    line.usher.write_config(&config.replace("[[route]]", "[[rout]]")).unwrap();
    assert_eq!(line.upgrade().code, Some(1));
    order(&line, "restart");
    assert!(is(&line, "running", 0.2));
    // Neither does one that cannot even begin.
    std::fs::remove_file(&program).unwrap();
    std::fs::write(&program, "no program").unwrap();
    let done = line.upgrade();
    assert!(done.code == Some(1) && done.err.contains("cannot start it"), "{done:?}");
    order(&line, "advance");
    assert!(is(&line, "running", 0.6));
}

#[test]
fn another_release_begins_anew_and_a_lost_state_does_not() {
    let config = CONFIG.replace("200ms", "1h");
    let mut world = World::start(&config, 0);
    until("the first step", || world.is("running", 0.2));
    world.command(&["abort"]);
    reload(&mut world.usher, &config.replace("every =", "release = \"v2\", every ="));
    until("the first step", || world.is("running", 0.2));
    assert_eq!(world.told()["release"], "v2");
    // One that was in the config no more is another one when it comes back.
    world.command(&["promote"]);
    reload(
        &mut world.usher,
        &config
            .replace("shift =", "#")
            .replace("\"stable\" }", "\"stable\", weight = 1 }")
            .replace("\"next\" }]", "\"next\", weight = 1 }]"),
    );
    reload(&mut world.usher, &config);
    until("the first step", || world.is("running", 0.2));
    world.usher.signal(Signal::Term).unwrap();
    world.usher.wait_exit(PATIENCE).unwrap();
    let folder = std::fs::read_dir(world.usher.dir().join("state/shifts")).unwrap();
    let files: Vec<_> = folder.map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    std::fs::write(&files[0], "{").unwrap();
    let again = Running::start(world.usher.dir(), &["run", "--config", "usher.toml"]);
    until("it serves again", || Client::connect(world.usher.admin().unwrap()).is_ok());
    until("a line about it", || again.output().contains("it does not begin by itself"));
    assert!(world.is("waiting", 0.0), "{:#}", world.told());
}
