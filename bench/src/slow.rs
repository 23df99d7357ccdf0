//! `usher-bench slow-clients`: a crowd of clients that are slow in every way against a ceiling on memory, and what a
//! client sees meanwhile who behaves.
//!
//! Three stages: the client that behaves alone; a crowd that comes and stays, while the client goes on; the same without
//! a ceiling, to see that the crowd would pass it. The first two take turns, as a kernel or a host that takes the core away
//! for some milliseconds is in the slowest hundredth of one or the other. The table is written to a file with `--keep`.

mod encrypted;
mod table;

use std::fs;
use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use usher_testkit::crowd::{Crowd, Manner};

use self::encrypted::Encrypted;
use crate::certificate::Files;
use crate::cpu;
use crate::load::{Job, Load};
use crate::options::{Flags, Options};
use crate::process::{Launch, Process, Scratch};
use crate::run::Endpoint;

/// The crowd, in ninths of all clients.
const MIX: [(Manner, usize); 5] = [
    (Manner::Reader, 3),
    (Manner::Head, 2),
    (Manner::Upload, 1),
    (Manner::Streams, 1),
    (Manner::Handshake, 1),
];
const NINTHS: usize = 9;
/// So many of the crowd do something at a time, and how long it rests then (8,000 in a second). Few at a time, as clients
/// that do not know of each other would, and as the crowd shares its core with whoever measures.
const TURN: usize = NINTHS;
const REST: Duration = Duration::from_micros(1125);
/// Requests per second of the client that behaves, and its connections. One: of several, those that the rate does not need
/// would rest, and near the ceiling what rests is closed.
const RATE: f64 = 100.0;
const CONNECTIONS: usize = 1;
/// What the system sends ahead for each connection to the endpoint (bytes): as the crowd takes nothing, all of it stays
/// where it is, and the memory of all sockets together is limited.
const AHEAD: &str = "16384";
/// How often resident memory is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// The priority of who measures.
const FIRST: i32 = -15;
/// How long the crowd has to gather.
const GATHERING: Duration = Duration::from_secs(10);
/// How long a proxy may take to answer for the first time.
const START: Duration = Duration::from_secs(20);
struct Setting {
    clients: usize,
    memory: String,
    length: Duration,
    /// How often it is measured with and without a crowd.
    rounds: usize,
    keep: Option<PathBuf>,
}

/// What came of all stages.
struct Outcomes {
    /// Alone, and beside the crowd.
    rounds: Vec<[Outcome; 2]>,
    /// The last stage, without a ceiling.
    without: Outcome,
}

/// What came of one stage.
struct Outcome {
    stage: &'static str,
    p50: Duration,
    /// Of those that the kernel's housekeeping did not disturb, and of all.
    p99: Duration,
    p99_of_all: Duration,
    disturbed: usize,
    /// The same of requests that go to the endpoint itself, beside the same crowd: what the machine adds, where the crowd
    /// shares a core with whoever measures.
    past: Duration,
    done: u64,
    errors: u64,
    /// MiB: the highest sample, and what the kernel says was the highest.
    sampled: f64,
    peak: f64,
    /// Of the crowd at the end, and how often somebody of it was ended.
    standing: u64,
    ended: u64,
    actions: String,
}

pub(crate) fn main(arguments: &[String]) -> io::Result<()> {
    let mut flags = Flags::new(arguments);
    let setting = Setting {
        clients: count(flags.number("--clients")?.unwrap_or(9000))?,
        memory: flags.value("--memory")?.unwrap_or_else(|| "96MiB".to_owned()),
        length: Duration::from_secs(flags.number("--seconds")?.unwrap_or(30)),
        rounds: count(flags.number("--rounds")?.unwrap_or(3).max(1))?,
        keep: flags.value("--keep")?.map(PathBuf::from),
    };
    let options = Options::parse(&flags.rest())?;
    usher_net::raise_open_files()?;
    // The threads that are started from here stay there too: nobody but the proxy is on the proxy's core.
    cpu::pin(options.load_core)?;
    let endpoint = Endpoint::start_with(&options, &["--send-buffer", AHEAD])?;
    come_last(endpoint.id(), true);
    // Whoever behaves has an endpoint of its own: how the other one bears the crowd is not what is measured.
    come_first(true);
    let own = Endpoint::start_with(&options, &[])?;
    come_first(false);
    let to = (own.addresses.http, endpoint.addresses.http);
    let at = (&setting, &options, to);
    let mut rounds = Vec::new();
    for _ in 0..setting.rounds {
        let alone = stage("alone", &setting.memory, 0, at)?;
        rounds.push([alone, stage("crowd", &setting.memory, setting.clients, at)?]);
    }
    let without = stage("crowd, no ceiling", "unlimited", setting.clients, at)?;
    let outcomes = Outcomes { rounds, without };
    let table = outcomes.table(&setting);
    print!("{table}");
    if let Some(file) = &setting.keep {
        fs::write(file, &table)?;
    }
    outcomes.verdict(&setting)
}

fn count(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(io::Error::other)
}

fn stage(
    name: &'static str,
    memory: &str,
    clients: usize,
    (setting, options, endpoints): (&Setting, &Options, (SocketAddr, SocketAddr)),
) -> io::Result<Outcome> {
    eprintln!("{name}: {clients} slow clients, memory {memory}");
    let proxy = Proxy::start(memory, options, endpoints)?;
    let job = Job::get("/1k", 1024, false);
    let mut load = Load::open(proxy.plain, CONNECTIONS)?;
    load.at_rate(&job, RATE, Duration::from_secs(1))?;
    let crowd = (clients > 0).then(|| Gathered::start(&proxy, clients)).transpose()?;
    come_first(true);
    if crowd.is_some() {
        load.at_rate(&job, RATE, GATHERING)?;
    }
    let sampler = Sampler::start(proxy.process.id());
    let taken = load.at_rate(&job, RATE, setting.length)?;
    let sampled = sampler.stop() as f64 / 1024.0;
    let past = Load::open(endpoints.0, CONNECTIONS)?.at_rate(&job, RATE, setting.length / 2)?;
    come_first(false);
    let (standing, ended) = crowd.map_or((0, 0), Gathered::stop);
    if let Some(error) = &taken.batch.first_error {
        eprintln!("  the first error: {error}");
    }
    Ok(Outcome {
        stage: name,
        p50: taken.quantile(0.5),
        p99: taken.undisturbed(0.99),
        p99_of_all: taken.quantile(0.99),
        disturbed: taken.disturbed(),
        past: past.undisturbed(0.99),
        done: taken.batch.done,
        errors: taken.batch.errors,
        sampled,
        peak: proxy.peak_kib()? as f64 / 1024.0,
        standing,
        ended,
        actions: proxy.actions()?,
    })
}

/// Whether this thread, and whom it starts, is served before others on its core: the crowd and its endpoint would be on
/// other machines, and not in the way of whoever measures. Without the right to do so, it is measured as it is.
fn come_first(first: bool) {
    let _ = rustix::process::setpriority_process(None, if first { FIRST } else { 0 });
}

/// Lets a thread, or all of a process, run when nobody else on its core wants to, by its number (chrt(1) of util-linux, which
/// needs no right for that): what only has a lower priority keeps the core for the rest of its share, some milliseconds.
fn come_last(number: u32, is_process: bool) {
    let mut chrt = Command::new("chrt");
    chrt.args(["--idle", "--pid"]).args(is_process.then_some("--all-tasks"));
    let set = chrt.args(["0", &number.to_string()]).status();
    if !set.is_ok_and(|status| status.success()) {
        eprintln!("  the crowd is in the way of whoever measures: no chrt");
    }
}

/// Usher with this ceiling, on the proxy's core.
struct Proxy {
    process: Process,
    plain: SocketAddr,
    secure: SocketAddr,
    admin: SocketAddr,
    files: Files,
    _scratch: Scratch,
}

impl Proxy {
    fn start(memory: &str, options: &Options, (own, endpoint): (SocketAddr, SocketAddr)) -> io::Result<Self> {
        let scratch = Scratch::new()?;
        let files = Files::make(scratch.path())?;
        let [plain, secure, admin] = [free()?, free()?, free()?];
        let (certificate, key) = (files.certificate.display(), files.key.display());
        let text = format!(
            "workers = 1\nmemory = \"{memory}\"\naccess_log = \"off\"\nadmin = \"{admin}\"\nautomatic_https = false\n\
             [[certificate]]\ncert = \"{certificate}\"\nkey = \"{key}\"\n\
             [[listener]]\nbind = \"{plain}\"\n[[listener]]\nbind = \"{secure}\"\ntls = true\n\
             [[route]]\nto = \"{own}\"\n\
             [[route]]\npath = \"/big\"\nto = \"{endpoint}\"\nrewrite = {{ path = \"/10m\" }}\n\
             [[route]]\npath = \"/gather\"\nto = \"{endpoint}\"\nbuffer_request = \"1MiB\"\n"
        );
        let config = scratch.path().join("usher.toml");
        fs::write(&config, text)?;
        let file = |name| scratch.path().join(name);
        let process = Process::start(
            &Launch {
                program: options.usher.clone(),
                arguments: vec!["run".into(), "--config".into(), config.into()],
                stdout: file("out"),
                stderr: file("err"),
            },
            options.proxy_core,
        )?;
        let mut proxy = Self { process, plain, secure, admin, files, _scratch: scratch };
        proxy.wait()?;
        Ok(proxy)
    }

    fn wait(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(self.plain).is_err() {
            if begun.elapsed() > START || self.process.ended() {
                return Err(io::Error::other(self.process.complaint()));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn peak_kib(&self) -> io::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak.ok_or_else(|| io::Error::other("no VmHWM"))
    }

    /// What was done for want of memory, as the metrics say.
    fn actions(&self) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let done = text.lines().filter_map(|line| {
            let (action, count) =
                line.strip_prefix("usher_shortage_actions_total{action=\"")?.split_once("\"} ")?;
            (count != "0").then(|| format!("{action} {count}"))
        });
        Ok(done.collect::<Vec<_>>().join(", "))
    }
}

/// A port that nobody has.
fn free() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// A crowd, on a thread of its own.
struct Gathered {
    over: Arc<AtomicBool>,
    thread: JoinHandle<(u64, u64)>,
}

impl Gathered {
    fn start(proxy: &Proxy, clients: usize) -> io::Result<Self> {
        let ninth = clients / NINTHS;
        let to = |manner| if manner == Manner::Handshake { proxy.secure } else { proxy.plain };
        let kinds = MIX.map(|(manner, share)| (manner, share * ninth, to(manner)));
        let mut crowd = Crowd::new(&kinds);
        // What is left takes responses slowly over TLS.
        let rest = clients - MIX.iter().map(|(_, share)| share * ninth).sum::<usize>();
        let mut encrypted = Encrypted::new(proxy.secure, &proxy.files.certificate, rest)?;
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        let thread = thread::spawn(move || {
            come_last(rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned(), false);
            while !seen.load(Relaxed) {
                crowd.turn(TURN * (NINTHS - 1) / NINTHS);
                encrypted.turn(TURN / NINTHS);
                thread::sleep(REST);
            }
            ((crowd.standing() + encrypted.standing()) as u64, crowd.ended + encrypted.ended)
        });
        Ok(Self { over, thread })
    }

    /// How many stand at the end, and how often somebody was ended.
    fn stop(self) -> (u64, u64) {
        self.over.store(true, Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// Looks at resident memory again and again.
struct Sampler {
    over: Arc<AtomicBool>,
    highest: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Sampler {
    fn start(pid: u32) -> Self {
        let (over, highest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (seen, kept) = (over.clone(), highest.clone());
        let thread = thread::spawn(move || {
            while !seen.load(Relaxed) {
                kept.fetch_max(cpu::resident_kib(pid).unwrap_or(0), Relaxed);
                thread::sleep(LOOK);
            }
        });
        Self { over, highest, thread }
    }

    /// The highest (KiB).
    fn stop(self) -> u64 {
        self.over.store(true, Relaxed);
        let _ = self.thread.join();
        self.highest.load(Relaxed)
    }
}
