//! The proxies that are compared: how each is configured, started and found ready.

mod haproxy;
mod nginx;
mod usher;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cpu;
use crate::load::{Job, Load};
use crate::options::Options;
use crate::process::{Launch, Process, Scratch};
use crate::works::Tuning;

pub(crate) use self::usher::GENERATION_HOST;

/// How long a proxy may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Idle upstream connections that each proxy may keep.
const POOL: usize = 256;
/// Client connections that each proxy must carry: 10,000 idle ones and some to spare.
const MAX_CONNECTIONS: usize = 12_288;

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    Nginx,
    Haproxy,
    Usher,
}

/// What all three are told alike.
pub(crate) struct Settings {
    pub(crate) endpoint: SocketAddr,
    /// Whether each request is logged, to a file in memory.
    pub(crate) access_log: bool,
    /// How nginx and HAProxy are set besides.
    pub(crate) tuning: Tuning,
    /// Routes besides the one that serves; Usher only.
    pub(crate) extra_routes: usize,
}

impl Settings {
    pub(crate) fn plain(endpoint: SocketAddr) -> Self {
        Self { endpoint, access_log: false, tuning: Tuning::Usual, extra_routes: 0 }
    }
}

/// Where a proxy's files are and where it listens.
struct Place<'a> {
    folder: &'a Path,
    listen: SocketAddr,
}

impl Place<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Proxy {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 3] = [Self::Nginx, Self::Haproxy, Self::Usher];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Usher => "usher",
        }
    }

    /// What the table calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Usher => "Usher",
        }
    }

    pub(crate) fn named(name: &str) -> io::Result<Self> {
        let found = Self::ALL.into_iter().find(|proxy| proxy.name() == name);
        found.ok_or_else(|| io::Error::other(format!("there is no proxy `{name}`: nginx, haproxy or usher")))
    }

    fn program(self, options: &Options) -> PathBuf {
        match self {
            Self::Nginx => "/usr/sbin/nginx".into(),
            Self::Haproxy => "/usr/sbin/haproxy".into(),
            Self::Usher => options.usher.clone(),
        }
    }

    /// The first line of what the program says about itself, or why it cannot be used.
    pub(crate) fn version(self, options: &Options) -> io::Result<String> {
        let program = self.program(options);
        let flag = if self == Self::Usher { "--version" } else { "-v" };
        let output = Command::new(&program).arg(flag).output().map_err(|error| {
            let repair = match self {
                Self::Usher => {
                    "build it with `cargo build --release`, or leave it out with `--proxies nginx,haproxy`"
                }
                _ => "install it with `apt-get install nginx haproxy`",
            };
            io::Error::other(format!("cannot start `{}`: {error}; {repair}", program.display()))
        })?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().next().unwrap_or("unknown");
        Ok(line.split(" - http").next().unwrap_or(line).trim_start_matches("nginx version: ").to_owned())
    }
}

/// A proxy that serves.
pub(crate) struct Running {
    /// Dropped, and so ended, before its folder goes.
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// The process and its workers.
    pub(crate) pids: Vec<u32>,
    /// From just before the program was started to its first right response.
    pub(crate) ready_after: Duration,
    scratch: Scratch,
}

/// Starts a proxy and waits until it serves `/1k`.
pub(crate) fn start(proxy: Proxy, settings: &Settings, options: &Options) -> io::Result<Running> {
    run(proxy, settings, options, Process::start)
}

/// The same without the detour that would count as start-up time.
pub(crate) fn start_at_once(proxy: Proxy, settings: &Settings, options: &Options) -> io::Result<Running> {
    run(proxy, settings, options, |launch, core| Process::start_at_once(launch, core, options.load_core))
}

fn run(
    proxy: Proxy,
    settings: &Settings,
    options: &Options,
    spawn: impl Fn(&Launch, usize) -> io::Result<Process>,
) -> io::Result<Running> {
    let scratch = Scratch::new()?;
    let place = Place { folder: scratch.path(), listen: free_address()? };
    let launch = launch(proxy, &place, settings, options)?;
    let begin = Instant::now();
    let mut process = spawn(&launch, options.proxy_core)?;
    await_response(&mut process, place.listen)
        .map_err(|error| io::Error::other(format!("{}: {error}\n{}", proxy.title(), process.complaint())))?;
    let ready_after = begin.elapsed();
    let (address, pids) = (place.listen, cpu::family(process.id())?);
    Ok(Running { process, address, pids, ready_after, scratch })
}

impl Running {
    /// The process that serves: nginx's worker, not its master.
    pub(crate) fn worker(&self) -> u32 {
        self.pids.last().copied().unwrap_or(self.process.id())
    }

    /// Writes Usher's config anew, so that a reload shows as generation `generation`.
    pub(crate) fn rewrite_usher(&self, settings: &Settings, generation: u32) -> io::Result<()> {
        let place = Place { folder: self.scratch.path(), listen: self.address };
        usher::write(&place, settings, generation)
    }
}

fn launch(proxy: Proxy, place: &Place<'_>, settings: &Settings, options: &Options) -> io::Result<Launch> {
    let arguments = match proxy {
        Proxy::Nginx => nginx::configure(place, settings)?,
        Proxy::Haproxy => haproxy::configure(place, settings)?,
        Proxy::Usher => usher::configure(place, settings)?,
    };
    // HAProxy writes its access log to standard output.
    let stdout = if proxy == Proxy::Haproxy { place.file("access.log") } else { place.file("stdout") };
    let stderr = place.file("stderr");
    Ok(Launch { program: proxy.program(options), arguments, stdout, stderr })
}

/// A loopback address with a port that is free at this moment.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn await_response(process: &mut Process, address: SocketAddr) -> io::Result<()> {
    let begin = Instant::now();
    let job = Job::get("/1k", 1024, false);
    loop {
        let deadline = Instant::now() + Duration::from_secs(5);
        let batch = Load::open(address, 1).and_then(|mut load| load.batch(&job, 1, deadline));
        match batch {
            Ok(batch) if batch.done == 1 => return Ok(()),
            _ if process.ended() => return Err(io::Error::other("ended by itself")),
            Ok(batch) if begin.elapsed() > READY_WITHIN => {
                let why = batch.first_error.unwrap_or_default();
                return Err(io::Error::other(format!("does not serve `/1k`: {why}")));
            }
            Err(error) if begin.elapsed() > READY_WITHIN => return Err(error),
            _ => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}
