//! The ceiling on memory: no crowd of slow clients passes it, and who behaves is served.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use usher_testkit::crowd::{Crowd, Fountain, Manner};
use usher_testkit::{Client, Endpoint, Reply, Usher};

use crate::harness::{PATIENCE, reload, until, usher};

/// What the endpoint sends to whoever asks for much (bytes).
const BIG: usize = 10 << 20;
/// How long the crowd stays.
const STAY: Duration = Duration::from_secs(12);
/// Of the crowd, so many have a turn at a time; then all rest a moment.
const TURN: usize = 50;
const REST: Duration = Duration::from_millis(3);
/// A rest after which connections may be closed, near the ceiling; a little less.
const RESTED: Duration = Duration::from_millis(800);

/// `CEILING` stands for what is tried.
const CONFIG: &str = "workers = 2\nadmin = \"$ADMIN\"\naccess_log = \"off\"\nmemory = \"CEILING\"\n\
    [[listener]]\nbind = \"$LISTEN\"\n\
    [[route]]\nto = \"$ENDPOINT\"\n\
    [[route]]\npath = \"/big\"\nto = \"$ENDPOINT[big]\"\n\
    [[route]]\npath = \"/low\"\nto = \"$ENDPOINT\"\ncriticality = \"low\"\n\
    [[route]]\npath = \"/high\"\nto = \"$ENDPOINT\"\ncriticality = \"high\"\n\
    [[route]]\npath = \"/gather\"\nto = \"$ENDPOINT\"\nbuffer_request = \"1MiB\"\n";

fn start(ceiling: &str) -> (Endpoint, Usher) {
    start_with(&CONFIG.replace("CEILING", ceiling))
}

fn start_with(config: &str) -> (Endpoint, Usher) {
    let endpoint = Endpoint::start(|_| Reply::ok("small")).unwrap();
    let big = Fountain::start(BIG).unwrap().address().to_string();
    let usher = usher(config).endpoint(&endpoint).endpoint_address("big", &big);
    (endpoint, usher.start().unwrap())
}

/// A line of `/proc/PID/status` (KiB).
fn status(usher: &Usher, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", usher.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

fn metric(usher: &Usher, name: &str) -> u64 {
    usher.metric(name).unwrap().unwrap_or_default() as u64
}

fn action(usher: &Usher, name: &str) -> u64 {
    metric(usher, &format!("usher_shortage_actions_total{{action=\"{name}\"}}"))
}

/// What became of a crowd.
struct Outcome {
    /// The most that was resident (MiB).
    peak: u64,
    /// Answers to a client that behaves, and what else it got.
    served: usize,
    failed: Vec<String>,
}

/// Lets a crowd come, while somebody asks for something small every now and then, on one connection, until `enough`.
fn meet(usher: &Usher, kinds: &[(Manner, usize)], enough: impl Fn(Instant) -> bool) -> Outcome {
    let to = usher.listen().unwrap();
    let kinds: Vec<_> = kinds.iter().map(|(manner, count)| (*manner, *count, to)).collect();
    let over = AtomicBool::new(false);
    let connect = || {
        let mut client = Client::connect(to).unwrap();
        client.set_timeout(PATIENCE);
        client
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut crowd = Crowd::new(&kinds);
            while !over.load(Relaxed) {
                crowd.turn(TURN);
                thread::sleep(REST);
            }
        });
        let (mut served, mut failed) = (0, Vec::new());
        let mut client = connect();
        let begun = Instant::now();
        let mut last = begun;
        while !enough(begun) {
            // Where this machine stood still for so long, the connection has rested, and may be closed for it.
            let rested = last.elapsed() > RESTED;
            match client.get("/").map(|response| response.status) {
                Ok(200) => served += 1,
                Err(_) if rested => client = connect(),
                other => {
                    failed.push(format!("{other:?} after {served} answers"));
                    client = connect();
                }
            }
            last = Instant::now();
            thread::sleep(REST);
        }
        over.store(true, Relaxed);
        Outcome { peak: status(usher, "VmHWM") >> 10, served, failed }
    })
}

/// What two routes answer, and whether the client is told when to come back.
fn answers(usher: &Usher) -> [(u16, bool); 3] {
    ["/low", "/", "/high"].map(|target| {
        let response = Client::connect(usher.listen().unwrap()).unwrap().get(target).unwrap();
        (response.status, response.fields.get("Retry-After").is_some())
    })
}

#[test]
fn routes_are_refused_by_their_criticality_and_a_reload_sets_the_ceiling() {
    // So many workers that even a small build needs more than the lowest ceiling there may be.
    let config = |ceiling: &str| CONFIG.replace("workers = 2", "workers = 64").replace("CEILING", ceiling);
    let (_endpoint, mut usher) = start_with(&config("unlimited"));
    let (served, refused) = ((200, false), (503, true));
    assert_eq!(answers(&usher), [served; 3]);
    // The process alone fills the ceiling: to four fifths, and whole.
    for (percent, wanted) in [(83, [refused, served, served]), (99, [refused, refused, served])] {
        // The first reloads touch memory that was not needed before: the ceiling follows.
        until(&format!("the answers at {percent} %"), || {
            let ceiling = status(&usher, "VmRSS") * 100 / percent;
            reload(&mut usher, &config(&format!("{ceiling}KiB")));
            answers(&usher) == wanted
        });
        until("a line in the log", || usher.output().contains("shortage: "));
    }
    assert!(action(&usher, "refused_low") > 0 && action(&usher, "refused_normal") > 0);
    reload(&mut usher, &config("unlimited"));
    assert_eq!(answers(&usher), [served; 3], "without a ceiling nothing is short");
    assert_eq!(metric(&usher, "usher_shortage_level{of=\"memory\"}"), 0);
}

/// Who holds what a proxy has most of: 1,500 in all.
const MIX: [(Manner, usize); 4] =
    [(Manner::Reader, 500), (Manner::Head, 400), (Manner::Upload, 400), (Manner::Streams, 200)];

#[test]
fn no_crowd_passes_the_ceiling_and_who_behaves_is_served() {
    // What a process has to begin with is not known here, nor how much comes in of the code of one that is built without
    // optimisation as soon as it is used: more than ten MiB.
    let (_endpoint, usher) = start("unlimited");
    let ceiling = status(&usher, "VmRSS") / 1024 + 64;
    let beyond = ceiling * 3 / 2;
    let passed = |begun: Instant| status(&usher, "VmRSS") >> 10 > beyond || begun.elapsed() > 3 * STAY;
    let without = meet(&usher, &MIX, passed);
    assert!(without.peak > beyond, "{} MiB: this crowd does not try the ceiling", without.peak);
    drop(usher);
    let (_endpoint, usher) = start(&format!("{ceiling}MiB"));
    let with = meet(&usher, &MIX, |begun| begun.elapsed() > STAY);
    let output = usher.output();
    assert!(
        with.peak < ceiling,
        "{} of {ceiling} MiB; without a ceiling {}\n{output}",
        with.peak,
        without.peak
    );
    assert_eq!(with.failed, Vec::<String>::new(), "{output}");
    assert!(with.served > 100, "{} answers", with.served);
    assert!(action(&usher, "ended_slow") > 0, "{output}");
    assert!(output.contains("shortage: "), "{output}");
    // When they are gone, so is the shortage.
    until("calm", || metric(&usher, "usher_shortage_level{of=\"memory\"}") == 0);
}
