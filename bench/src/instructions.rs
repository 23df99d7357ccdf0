//! `usher-bench instructions`: how many instructions a request takes, counted by callgrind.
//!
//! CPU time is noisy, above all among neighbours; a count is the same within a few instructions. It says nothing of what
//! the kernel does, nor of caches. What starting takes is left out by the difference of a long and a short run.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::cpu;
use crate::load::Client;
use crate::options::{Flags, Options};
use crate::peers::{self, Endpoints, Proxy, Settings};
use crate::run::Endpoint;
use crate::works::{self, Work};

/// Requests of the short run and of the long one.
const REQUESTS: [u64; 2] = [2_000, 12_000];
/// Connections that are busy at once, unless told: few, as all is slow under callgrind.
const CONNECTIONS: u64 = 16;
/// How long a run may take.
const WITHIN: Duration = Duration::from_secs(180);
/// How long callgrind may take to write down what it counted.
const END_WITHIN: Duration = Duration::from_secs(60);

/// `usher-bench instructions [--work NAME] [--connections N] [--guarded] [--before PATH] …`.
pub(crate) fn main(arguments: &[String]) -> io::Result<()> {
    let mut flags = Flags::new(arguments);
    let name = flags.value("--work")?.unwrap_or_else(|| "1k-16".to_owned());
    let work = works::named(&name).ok_or_else(|| io::Error::other(format!("there is no work `{name}`")))?;
    let connections = flags.number("--connections")?.unwrap_or(CONNECTIONS);
    let guarded = flags.switch("--guarded");
    let options = Options::parse(&flags.rest())?;
    cpu::pin(options.load_core)?;
    let endpoint = Endpoint::start(&options)?;
    let count = |proxy, guarded| {
        let of =
            |requests| total((proxy, guarded), (work, connections), (requests, endpoint.addresses), &options);
        let [few, many] = [of(REQUESTS[0])?, of(REQUESTS[1])?];
        Ok::<_, io::Error>(many.saturating_sub(few) as f64 / (REQUESTS[1] - REQUESTS[0]) as f64)
    };
    let usher = count(Proxy::Usher, guarded || work.guarded)?;
    println!("{name}: {usher:.0} instructions per request");
    let compare = |what: &str, proxy| {
        let other = count(proxy, false)?;
        println!("{what}: {other:.0}, ratio {:.3}", usher / other);
        Ok::<_, io::Error>(())
    };
    if guarded || work.guarded {
        compare("without health, outliers, retries and limits", Proxy::Bare)?;
    }
    if options.before.is_some() {
        compare("before", Proxy::Before)?;
    }
    Ok(())
}

/// All instructions of a run with so many requests.
fn total(
    (proxy, guarded): (Proxy, bool),
    (work, connections): (&'static Work, u64),
    (requests, endpoints): (u64, Endpoints),
    options: &Options,
) -> io::Result<u64> {
    let settings = Settings { guarded, ..Settings::of(work, false, endpoints) };
    let mut running = peers::start_counted(proxy, &settings, options)?;
    let connections = usize::try_from(connections).map_err(io::Error::other)?;
    let mut load = Client::open(&running.target(), connections, work.streams)?;
    let batch = load.batch(&work.job(), requests, Instant::now() + WITHIN)?;
    if let Some(error) = batch.first_error {
        return Err(io::Error::other(format!("{}: {error}", proxy.title())));
    }
    drop(load);
    running.process.signal(Signal::TERM)?;
    let asked = Instant::now();
    while !running.process.ended() && asked.elapsed() < END_WITHIN {
        std::thread::sleep(Duration::from_millis(20));
    }
    let text = running.process.complaint();
    let count = text.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    count.ok_or_else(|| io::Error::other(format!("callgrind has not counted\n{text}")))
}

/// What makes a program be counted; what is found is thrown away but for its sum.
pub(crate) fn arguments(folder: &Path) -> [String; 2] {
    ["--tool=callgrind".to_owned(), format!("--callgrind-out-file={}", folder.join("callgrind").display())]
}
