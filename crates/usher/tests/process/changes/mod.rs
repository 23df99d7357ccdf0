//! Reloads and upgrades under load, with many WebSockets open: no request may fail, and no message be lost on a reload; on an
//! upgrade, WebSockets are closed in order and come back to the new process.
//!
//! - this file: what is done, and what must have come of it;
//! - `way.rs`: a client's connection, whatever the protocol;
//! - `requests.rs`: those who ask;
//! - `messages.rs`: those who talk over WebSockets, and what they count;
//! - `endpoint.rs`: who answers both;
//! - `frame.rs`: frames of WebSockets, written and read by hand.
//!
//! `cargo xtask changes` runs the whole, and prints the table of docs/upgrade.md.

mod endpoint;
mod frame;
mod messages;
mod requests;
mod way;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use usher_testkit::Authority;

use crate::harness::{run, until_within, usher};
use crate::upgrade::Line;
use messages::Talk;
use requests::Asked;
use way::{Doors, Speech};

/// How much of everything.
struct Scale {
    reloads: usize,
    upgrades: usize,
    sockets: usize,
    /// Of each kind.
    askers: usize,
    /// Between reloads.
    pause: Duration,
    drain: Duration,
    /// Between the messages of a side, on average.
    message_every: Duration,
}

const SMALL: Scale = Scale {
    reloads: 10,
    upgrades: 1,
    sockets: 100,
    askers: 1,
    pause: Duration::from_millis(50),
    drain: Duration::from_secs(8),
    message_every: Duration::from_secs(1),
};

const WHOLE: Scale = Scale {
    reloads: 100,
    upgrades: 3,
    sockets: 1000,
    askers: 2,
    pause: Duration::from_millis(300),
    drain: Duration::from_secs(30),
    message_every: Duration::from_secs(6),
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A config that differs from its neighbours in listeners, routes and clusters, and always serves the same. Routes and
/// clusters of open WebSockets come and go under other names.
fn config(number: usize, drain: Duration) -> String {
    let mut text = format!(
        "workers = 2\nadmin = \"$ADMIN\"\naccess_log = \"access.log\"\nautomatic_https = false\n\
         timeouts.drain = \"{}ms\"\nlimits.connections = 5000\n\
         [[certificate]]\ncert = \"cert.pem\"\nkey = \"key.pem\"\ndefault = true\n\
         [[listener]]\nname = \"plain\"\nbind = \"$LISTEN\"\nredirect_https = false\n\
         [[listener]]\nname = \"secure\"\nbind = \"$LISTEN[secure]\"\ntls = true\n\
         [[route]]\nname = \"all-{}\"\ncluster = \"one-{}\"\n\
         [cluster.one-{}]\nendpoints = [\"$ENDPOINT\"]\n",
        drain.as_millis(),
        number % 4,
        number % 3,
        number % 3,
    );
    if number % 2 == 1 {
        text.push_str("[[listener]]\nname = \"extra\"\nbind = \"$LISTEN[extra]\"\n");
    }
    for route in 0..number % 5 {
        text.push_str(&format!("[[route]]\nname = \"r{route}\"\npath = \"/r{route}\"\nto = \"$ENDPOINT\"\n"));
    }
    text
}

/// Lets the load end, also if the test fails.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where the proxy is, and whom to trust.
type Address = (SocketAddr, SocketAddr, String);

/// What is under way: who asks and who talks, each on a thread of their own.
struct Load {
    asked: Arc<Asked>,
    talk: Arc<Talk>,
    stop: Stop,
    threads: [thread::JoinHandle<()>; 2],
}

impl Load {
    fn start(address: Address, scale: &Scale) -> Self {
        let (asked, talk) = (Arc::<Asked>::default(), Arc::<Talk>::default());
        let stop = Arc::<AtomicBool>::default();
        let (shared, ended, askers) = (asked.clone(), stop.clone(), scale.askers);
        let asking = on_a_thread(address.clone(), move |doors| {
            let kinds = requests::KINDS.into_iter().flat_map(|kind| std::iter::repeat_n(kind, askers));
            let ask = |kind| requests::ask(doors.clone(), kind, shared.clone(), ended.clone());
            kinds.map(|kind| tokio::task::spawn_local(ask(kind))).collect()
        });
        let (shared, ended, sockets, every) =
            (talk.clone(), stop.clone(), scale.sockets, scale.message_every);
        let talking = on_a_thread(address, move |doors| {
            let talk = |number: usize| {
                let speech = Speech::ALL[number % Speech::ALL.len()];
                messages::talk(doors.clone(), (speech, number, every), shared.clone(), ended.clone())
            };
            (0..sockets).map(|number| tokio::task::spawn_local(talk(number))).collect()
        });
        Self { asked, talk, stop: Stop(stop), threads: [asking, talking] }
    }

    /// Everything works, now: each kind of asker was answered again, and each socket heard something more.
    fn goes_on(&self, sockets: usize) {
        let before = (self.asked.counts(), self.talk.heard());
        until_within(PATIENCE, "everybody to be served", || {
            let asked = self.asked.counts().iter().zip(before.0).all(|(now, before)| *now > before + 3);
            asked && self.talk.open() == sockets && self.talk.heard() > before.1 + sockets as u64
        });
    }

    fn end(self) -> (Arc<Asked>, Arc<Talk>) {
        drop(self.stop);
        self.threads.into_iter().for_each(|thread| thread.join().expect("the load does not panic"));
        (self.asked, self.talk)
    }
}

/// Runs tasks to their end.
fn on_a_thread(
    (plain, secure, ca): Address,
    begin: impl FnOnce(Rc<Doors>) -> Vec<JoinHandle<()>> + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        way::local(async move {
            for task in begin(Rc::new(Doors::new(plain, secure, &ca))) {
                task.await.expect("a client does not panic");
            }
        });
    })
}

fn play(scale: &Scale) {
    let talk = Arc::<endpoint::Counts>::default();
    let endpoint = endpoint::start(talk.clone(), scale.message_every);
    let authority = Authority::new("changes").unwrap();
    let leaf = authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let builder = usher(&config(0, scale.drain)).endpoint_address("", &endpoint);
    let mut line = Line::start(builder.file("cert.pem", leaf.cert).file("key.pem", leaf.key));
    let admin = line.usher.admin().unwrap().to_string();
    let doors = (line.listen(), line.usher.listener("secure").unwrap(), authority.pem().to_owned());
    let load = Load::start(doors, scale);
    until_within(PATIENCE, "all WebSockets", || load.talk.open() == scale.sockets);
    load.goes_on(scale.sockets);
    let meter = || Meter {
        at: Instant::now(),
        requests: load.asked.counts(),
        again: load.asked.again(),
        messages: load.talk.heard() + talk.heard(),
        closed: load.talk.closed(),
    };
    let begun = meter();
    for number in 1..=scale.reloads {
        line.usher.write_config(&config(number, scale.drain)).unwrap();
        let done = run(line.usher.dir(), &["reload", "--admin", &admin]);
        assert_eq!(done.code, Some(0), "{done:?}");
        thread::sleep(scale.pause);
    }
    load.goes_on(scale.sockets);
    let reloaded = meter();
    assert_eq!(reloaded.closed, 0, "a reload closes no WebSocket: {:?}", load.talk.ends());
    for number in 1..=scale.upgrades {
        let before = line.pid();
        line.usher.write_config(&config(number, scale.drain)).unwrap();
        let done = line.upgrade();
        assert_eq!(done.code, Some(0), "{done:?}");
        until_within(PATIENCE, "the old process to end", || crate::upgrade::has_ended(before));
        load.goes_on(scale.sockets);
    }
    let upgraded = meter();
    let (asked, talked) = load.end();
    until_within(PATIENCE, "the endpoint to see all ends", || talk.open() == 0);
    let lost = talked.lost(&talk);
    let sum: u64 = lost.values().map(|(forth, back)| forth + back).sum();
    let told = Told::all(&line.output());
    table(scale, [&begun, &reloaded, &upgraded], (&told, sum));
    assert!(asked.failures().is_empty(), "{:?}", asked.failures());
    assert!(talked.failures().is_empty(), "{:?}", talked.failures());
    // Who comes to the old process in its last moment is sent away once more.
    let (ends, closed) = (talked.ends(), told.iter().map(|told| told.closed as u64).sum::<u64>());
    assert!(closed >= (scale.sockets * scale.upgrades) as u64, "{told:?}");
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), [(1012, closed)], "{told:?}");
    assert!(told.iter().all(|told| told.cut == 0), "{told:?}");
    // A side may speak while it is being told; Usher knows of each.
    let log = std::fs::read_to_string(line.usher.dir().join("access.log")).unwrap();
    for (path, counts) in &lost {
        let line = log.lines().find(|line| line.contains(&format!("\"{path}\""))).unwrap_or_default();
        assert!(line.contains("something was said after the end"), "{path} lost {counts:?}: {line}");
    }
}

/// How far everything is.
struct Meter {
    at: Instant,
    requests: [u64; 5],
    again: u64,
    messages: u64,
    closed: u64,
}

/// The table of docs/upgrade.md.
fn table(scale: &Scale, [begun, reloaded, upgraded]: [&Meter; 3], (told, lost): (&[Told], u64)) {
    let row = |name: &str, of: &dyn Fn(&Meter, &Meter) -> String| {
        println!("| {name} | {} | {} |", of(begun, reloaded), of(reloaded, upgraded));
    };
    println!("\n| | {} reloads | {} upgrades |\n|---|---|---|", scale.reloads, scale.upgrades);
    row("took", &|from, to| format!("{} s", (to.at - from.at).as_secs()));
    for (index, name) in requests::NAMES.iter().enumerate() {
        let count = |from: &Meter, to: &Meter| (to.requests[index] - from.requests[index]).to_string();
        row(&format!("requests: {name}"), &count);
    }
    row("of these sent again, as a kept connection was closed at rest", &|from, to| {
        (to.again - from.again).to_string()
    });
    row("failed, refused or reset", &|_, _| "0".to_owned());
    row("WebSockets open", &|_, _| scale.sockets.to_string());
    row("of these closed by Usher", &|from, to| (to.closed - from.closed).to_string());
    row("messages that came", &|from, to| (to.messages - from.messages).to_string());
    let late: usize = told.iter().map(|told| told.late).sum();
    println!(
        "| messages lost, or out of order | 0 | {lost} of {late} sockets, sent while the Close was on its way |"
    );
}

/// What an old process said of its WebSockets.
#[derive(Debug)]
struct Told {
    closed: usize,
    late: usize,
    cut: usize,
}

impl Told {
    fn all(log: &str) -> Vec<Self> {
        let lines = log.lines().filter(|line| line.contains("WebSockets were closed"));
        let told = lines.map(|line| {
            let text = line.split_once(" info ").map_or(line, |(_, text)| text);
            let numbers: Vec<usize> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            Self { closed: numbers[0], late: numbers[1], cut: numbers[2] + numbers[3] }
        });
        told.collect()
    }
}

#[test]
fn nothing_fails_while_configs_and_processes_change() {
    play(&SMALL);
}

/// Minutes.
#[test]
#[ignore = "`cargo xtask changes` runs it"]
fn the_whole() {
    play(&WHOLE);
}
