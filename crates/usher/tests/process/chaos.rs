//! Endpoints that are killed, frozen, slow, restarted, that fail, break off and move while requests come: visitors see
//! nothing of it. `cargo xtask chaos` looks at it for longer, at times too, and beside other proxies.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::{TempDir, tempdir};
use usher_testkit::{Client, Endpoint, Port, Reply, Request, Usher};

use crate::harness::{Running, reload, until, usher};

const BODY: &str = "the same from every endpoint";
/// How long each fault lasts, and how long all is well after it.
const A_WHILE: Duration = Duration::from_millis(1200);
const VISITORS: usize = 3;
/// Between two requests of a visitor.
const PAUSE: Duration = Duration::from_millis(2);
/// Of so many requests one may fail.
const ONE_OF: u64 = 10_000;

/// What `docs/endpoints.md` says of clusters that shall show nothing.
fn config(endpoints: &str) -> String {
    format!(
        "workers = 2\naccess_log = {{ path = \"access.log\" }}\n[[listener]]\nbind = \"$LISTEN\"\n\
         [[route]]\ncluster = \"app\"\n[route.retry]\n\
         on = [\"connect_failure\", \"refused_stream\", \"reset\", \"timeout\", 500, 502, 503, 504]\n\
         per_try = \"500ms\"\nbuffer_response = \"64KiB\"\n\
         [cluster.app]\nendpoints = [{endpoints}]\ntimeouts = {{ connect = \"500ms\" }}\n\
         health = {{ path = \"/healthz\", interval = \"1s\", timeout = \"500ms\" }}\n\
         outliers = {{ ejection = \"1s\" }}\n"
    )
}

/// An endpoint that can be killed and stopped: the binary itself.
struct Process {
    folder: TempDir,
    port: Port,
    running: Option<Running>,
}

impl Process {
    fn start() -> Self {
        let (folder, port) = (tempdir().unwrap(), Port::reserve().unwrap());
        let text = format!(
            "workers = 1\nadmin = \"off\"\naccess_log = \"off\"\n[[listener]]\nbind = \"{}\"\n\
             [[route]]\nrespond = {{ status = 200, body = \"{BODY}\" }}\n",
            port.address()
        );
        std::fs::write(folder.path().join("usher.toml"), text).unwrap();
        let mut process = Self { folder, port, running: None };
        process.begin();
        process
    }

    fn begin(&mut self) {
        let arguments = ["run", "--config", "usher.toml"];
        self.running = Some(Running::start(Path::new(self.folder.path()), &arguments));
        let address = self.port.address();
        until("the endpoint", || Client::connect(address).and_then(|mut client| client.get("/")).is_ok());
    }

    fn kill(&mut self) {
        self.running = None;
    }

    fn signal(&self, signal: Signal) {
        let pid = self.running.as_ref().map(Running::id).and_then(|id| Pid::from_raw(id as i32));
        kill_process(pid.unwrap(), signal).unwrap();
    }
}

/// An endpoint that does as it is told, but says that it is well.
struct Told {
    endpoint: Endpoint,
    manner: Arc<AtomicU8>,
}

const FINE: u8 = 0;
const SLOW: u8 = 1;
const FAILS: u8 = 2;
const RESETS: u8 = 3;
const CUTS: u8 = 4;

impl Told {
    fn start() -> Self {
        let manner = Arc::new(AtomicU8::new(FINE));
        let told = manner.clone();
        let endpoint = Endpoint::start(move |request| answer(request, told.load(Ordering::Relaxed))).unwrap();
        Self { endpoint, manner }
    }
}

fn answer(request: &Request, manner: u8) -> Reply {
    let half = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", BODY.len(), &BODY[..9]);
    let moment = Duration::from_millis(10);
    match manner {
        _ if request.target == "/healthz" => Reply::ok("well"),
        SLOW => Reply::default().then_pause(20 * moment).then_bytes(half.replace(&BODY[..9], BODY)),
        FAILS => Reply::status(500, "failed"),
        RESETS => Reply::reset(),
        CUTS => Reply::bytes(half).then_pause(moment).then_reset(),
        _ => Reply::ok(BODY),
    }
}

/// Asks until the end; counts what was asked, and what was not answered in full.
fn visit(usher: &str, is_over: &AtomicBool, (asked, failed): (&AtomicU64, &AtomicU64)) {
    let mut client = None;
    while !is_over.load(Ordering::Relaxed) {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        let mut kept = match client.take() {
            Some(client) => client,
            None => Client::connect(usher).unwrap(),
        };
        match kept.get(&format!("/{number}")) {
            Ok(response) if response.status == 200 && response.message.body == BODY.as_bytes() => {
                client = Some(kept);
            }
            _ => _ = failed.fetch_add(1, Ordering::Relaxed),
        }
        thread::sleep(PAUSE);
    }
}

/// Everything that happens, one after another.
fn happen(usher: &mut Usher, processes: &mut [Process; 2], told: &[Told; 3], endpoints: &[String]) {
    let [first, second] = processes;
    let a_while = || thread::sleep(A_WHILE);
    first.kill();
    a_while();
    first.begin();
    a_while();
    second.signal(Signal::STOP);
    a_while();
    second.signal(Signal::CONT);
    a_while();
    for (endpoint, manner) in [(0, SLOW), (1, FAILS), (2, RESETS), (0, CUTS)] {
        told[endpoint].manner.store(manner, Ordering::Relaxed);
        a_while();
        told[endpoint].manner.store(FINE, Ordering::Relaxed);
    }
    for one in [first, second] {
        one.kill();
        thread::sleep(A_WHILE / 2);
        one.begin();
    }
    // One that leaves the config, and is gone; then it comes back.
    reload(usher, &config(&endpoints[1..].join(", ")));
    processes[0].kill();
    a_while();
    processes[0].begin();
    reload(usher, &config(&endpoints.join(", ")));
    a_while();
}

#[test]
fn visitors_see_nothing_of_what_happens_to_endpoints() {
    let (mut processes, told) = ([Process::start(), Process::start()], [(); 3].map(|()| Told::start()));
    let of_processes = processes.iter().map(|one| format!("\"{}\"", one.port.address()));
    let of_told = told.iter().map(|one| format!("\"{}\"", one.endpoint.address()));
    let endpoints: Vec<String> = of_processes.chain(of_told).collect();
    let mut usher = usher(&config(&endpoints.join(", "))).start().unwrap();
    let address = usher.listen().unwrap().to_string();
    let (is_over, asked, failed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let visitors = [(); VISITORS].map(|()| scope.spawn(|| visit(&address, &is_over, (&asked, &failed))));
        let happened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            happen(&mut usher, &mut processes, &told, &endpoints);
        }));
        is_over.store(true, Ordering::Relaxed);
        visitors.into_iter().for_each(|visitor| visitor.join().expect("a visitor goes on"));
        happened.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let (asked, failed) = (asked.into_inner(), failed.into_inner());
    let log = std::fs::read_to_string(usher.dir().join("access.log")).unwrap();
    let bad: Vec<&str> = log.lines().filter(|line| !line.contains("\"status\":200")).collect();
    assert!(asked > 1000, "{asked}");
    assert!(log.contains("\"retries\":1"), "nothing happened");
    assert!(failed * ONE_OF <= asked, "{failed} of {asked} failed: {bad:#?}");
}
