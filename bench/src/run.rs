//! The run: rounds of each work, the proxies in turn, then the rows that are not CPU per request, then the report.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::{Batch, Client};
use crate::options::{Flags, Options};
use crate::peers::{self, Endpoints, Proxy, Settings};
use crate::process::Scratch;
use crate::report::{self, Report};
use crate::stats::Spread;
use crate::works::{self, Table, Work};
use crate::{cpu, extras, machine};

/// The longest that one window may take.
const WINDOW_WITHIN: Duration = Duration::from_secs(60);
/// Requests before each window, as a share of the window: pools fill, branch predictors and allocators settle.
const WARM_UP_SHARE: u64 = 8;
/// Time for log writers and the like to finish what a window gave them.
const SETTLE: Duration = Duration::from_millis(30);
/// How long `serve` serves unless told, in seconds.
const SERVE_S: u64 = 600;
/// `--quick` divides the requests of a window by this.
const QUICK: u64 = 10;

/// `usher-bench run`.
pub(crate) fn main(arguments: &[String]) -> io::Result<()> {
    let options = Options::parse(arguments)?;
    let mut versions = BTreeMap::new();
    for &proxy in options.proxies.iter().filter(|proxy| **proxy != Proxy::Bare) {
        versions.insert(proxy.name(), proxy.version(&options)?);
    }
    Scratch::sweep();
    let facts = machine::facts();
    cpu::pin(options.load_core)?;
    let endpoint = Endpoint::start(&options)?;
    let bench = Bench { options: &options, endpoints: endpoint.addresses };
    let mut works = Vec::new();
    for &log in &options.logs {
        // A log costs the same over every protocol; and what has no goal is there for perspective.
        let twice = |work: &&Work| work.table == Table::Plain && !work.goals.is_empty();
        let rows = works::ALL.iter().filter(|work| !log || twice(work));
        for work in rows.filter(|work| options.wants(work.name)) {
            let measured = bench.work(work, log)?;
            works.extend((!measured.samples.is_empty()).then_some(measured));
        }
    }
    let rows = extras::all(&bench)?;
    let report = Report { facts, versions, rounds: options.rounds, works, rows };
    print!("\n{}", report.markdown());
    if options.keep {
        report::keep(&report, &options.out)?;
    }
    Ok(())
}

/// `usher-bench serve PROXY --work NAME …`: one proxy as `run` would start it, for profiling by hand.
pub(crate) fn serve(arguments: &[String]) -> io::Result<()> {
    let mut flags = Flags::new(arguments);
    let name = flags.value("--work")?.unwrap_or_default();
    let work = works::named(&name).ok_or_else(|| io::Error::other(format!("there is no work `{name}`")))?;
    let seconds = flags.number("--seconds")?.unwrap_or(SERVE_S);
    let proxy = flags.first().ok_or_else(|| io::Error::other("which proxy? `serve usher --work h2-1k`"))?;
    let proxy = Proxy::named(&proxy)?;
    let options = Options::parse(&flags.rest())?;
    if !work.is_for(proxy) {
        return Err(io::Error::other(format!("{} does not do `{name}`", proxy.title())));
    }
    cpu::pin(options.load_core)?;
    let endpoint = Endpoint::start(&options)?;
    let running = peers::start(proxy, &Settings::of(work, false, endpoint.addresses), &options)?;
    let target = running.target();
    println!("serving {}\nprocess {}", target.address, running.worker());
    println!("certificate {}", target.certificate.display());
    std::thread::sleep(Duration::from_secs(seconds));
    Ok(())
}

/// What every measurement needs.
pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    pub(crate) endpoints: Endpoints,
}

/// One window of one proxy.
pub(crate) struct Sample {
    /// User and system time per request, in nanoseconds.
    pub(crate) ns_per_request: f64,
    /// The user part, 0 to 1.
    pub(crate) user_share: f64,
    /// Requests per second of wall clock; load and endpoint share the other core, so this is no capacity.
    pub(crate) per_second: f64,
    pub(crate) batch: Batch,
}

/// All rounds of one work.
pub(crate) struct Measured {
    pub(crate) work: &'static Work,
    pub(crate) log: bool,
    /// By proxy, one sample per round.
    pub(crate) samples: Vec<(Proxy, Vec<Sample>)>,
}

impl Measured {
    /// Whether a proxy took part.
    pub(crate) fn has(&self, proxy: Proxy) -> bool {
        !self.of(proxy).is_empty()
    }

    fn of(&self, proxy: Proxy) -> &[Sample] {
        self.samples.iter().find(|(name, _)| *name == proxy).map_or(&[], |(_, samples)| samples)
    }

    /// Microseconds of CPU per request over the rounds without errors.
    pub(crate) fn microseconds(&self, proxy: Proxy) -> Option<Spread> {
        Spread::of(
            self.of(proxy).iter().filter(|sample| sample.sound()).map(|sample| sample.ns_per_request / 1e3),
        )
    }

    /// What `proxy` costs as a share of `other`, round by round.
    pub(crate) fn ratio(&self, proxy: Proxy, other: Proxy) -> Option<Spread> {
        let pairs = self.of(proxy).iter().zip(self.of(other));
        let sound = pairs.filter(|(one, two)| one.sound() && two.sound());
        Spread::of(sound.map(|(one, two)| one.ns_per_request / two.ns_per_request))
    }

    /// Errors of all rounds, and the first one.
    pub(crate) fn errors(&self, proxy: Proxy) -> (u64, Option<&str>) {
        let samples = self.of(proxy);
        let first = samples.iter().find_map(|sample| sample.batch.first_error.as_deref());
        (samples.iter().map(|sample| sample.batch.errors).sum(), first)
    }
}

impl Sample {
    /// A window with errors says nothing about cost.
    fn sound(&self) -> bool {
        self.batch.errors == 0 && self.batch.done > 0
    }
}

impl Bench<'_> {
    /// The proxies besides CPU per request, in the order of this round.
    pub(crate) fn turn(&self, round: u64) -> Vec<Proxy> {
        turn_of(self.options.usual_proxies(), round)
    }

    fn work(&self, work: &'static Work, log: bool) -> io::Result<Measured> {
        let all = self.options.proxies.iter().copied();
        let proxies: Vec<Proxy> = all.filter(|proxy| work.is_for(*proxy)).collect();
        let mut samples: Vec<(Proxy, Vec<Sample>)> =
            proxies.iter().map(|&proxy| (proxy, Vec::new())).collect();
        for round in 0..self.options.rounds {
            for proxy in turn_of(proxies.clone(), round) {
                let sample = self.window(work, proxy, log)?;
                if let Some((_, samples)) = samples.iter_mut().find(|(name, _)| *name == proxy) {
                    samples.push(sample);
                }
            }
        }
        let measured = Measured { work, log, samples };
        progress(&measured, &proxies);
        Ok(measured)
    }

    /// Starts a proxy, warms it up, and measures one window.
    fn window(&self, work: &Work, proxy: Proxy, log: bool) -> io::Result<Sample> {
        let settings = Settings::of(work, log, self.endpoints);
        let running = peers::start(proxy, &settings, self.options)?;
        let requests = if self.options.quick { (work.requests / QUICK).max(16) } else { work.requests };
        let (job, deadline) = (work.job(), Instant::now() + WINDOW_WITHIN);
        let mut load = Client::open(&running.target(), work.connections, work.streams)?;
        // At least two on each connection: by the ticket of the first, the second can be resumed.
        let warm_up = (requests / WARM_UP_SHARE).max(2 * work.connections as u64);
        load.batch(&job, warm_up, deadline)?;
        std::thread::sleep(SETTLE);
        let before = cpu::used(&running.pids)?;
        let batch = load.batch(&job, requests, deadline)?;
        std::thread::sleep(SETTLE);
        let after = cpu::used(&running.pids).map_err(|error| {
            let (title, complaint) = (proxy.title(), running.process.complaint());
            io::Error::other(format!("{title} did not survive `{}`: {error}\n{complaint}", work.name))
        })?;
        let used = after - before;
        let ticks = (used.user_ticks + used.system_ticks).max(1);
        Ok(Sample {
            ns_per_request: used.total_ns as f64 / batch.done.max(1) as f64,
            user_share: used.user_ticks as f64 / ticks as f64,
            per_second: batch.done as f64 / batch.elapsed.as_secs_f64(),
            batch,
        })
    }
}

/// The proxies in the order of this round: each is first, second and last equally often.
fn turn_of(mut proxies: Vec<Proxy>, round: u64) -> Vec<Proxy> {
    let by = usize::try_from(round).unwrap_or(0) % proxies.len().max(1);
    proxies.rotate_left(by);
    proxies
}

fn progress(measured: &Measured, proxies: &[Proxy]) {
    let log = if measured.log { ", access log" } else { "" };
    let mut line = format!("{}{log}:", measured.work.name);
    for &proxy in proxies {
        match measured.microseconds(proxy) {
            Some(cost) => line += &format!(" {} {:.1} µs", proxy.title(), cost.median),
            None => line += &format!(" {} failed", proxy.title()),
        }
    }
    eprintln!("{line}");
}

/// The endpoint in a process of its own, on the load's core.
pub(crate) struct Endpoint {
    child: Child,
    pub(crate) addresses: Endpoints,
}

impl Endpoint {
    pub(crate) fn start(options: &Options) -> io::Result<Self> {
        Self::start_with(options, &[])
    }

    /// The same with further arguments.
    pub(crate) fn start_with(options: &Options, arguments: &[&str]) -> io::Result<Self> {
        let me = std::env::current_exe()?;
        let mut command = Command::new(&me);
        command.arg("pinned").arg(options.load_core.to_string()).arg(&me).arg("endpoint").args(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut lines = child.stdout.take().map(|output| BufReader::new(output).lines());
        let mut next = |name: &str| {
            let line = lines.as_mut()?.next()?.ok()?;
            line.strip_prefix(name)?.trim().parse().ok()
        };
        let addresses = next("listening").zip(next("grpc")).map(|(http, grpc)| Endpoints { http, grpc });
        if let Some(addresses) = addresses {
            return Ok(Self { child, addresses });
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(io::Error::other("the endpoint did not start"))
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
