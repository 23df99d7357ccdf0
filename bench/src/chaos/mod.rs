//! `usher-bench chaos`: what visitors see while endpoints die, freeze, slow down, fail, restart and move.
//!
//! Each proxy in turn carries the same requests at the same rate to five endpoints, while the same things happen to these
//! at the same times. All of it runs in a network of its own (`ground.rs`), so that the name of the endpoints can be
//! answered by a name server here.
//!
//! - `faults.rs`: what happens, and when;
//! - `endpoint.rs`, `fleet.rs`: an endpoint, a process of its own that misbehaves when told to; and all of them;
//! - `names.rs`: the name server;
//! - `load.rs`: the visitors, at a fixed rate whatever comes back;
//! - `proxies.rs`: how each proxy is set up;
//! - `verdict.rs`, `report.rs`, `picture.rs`: what became of the requests, in figures, as a page, as a picture.

pub(crate) mod endpoint;
mod faults;
mod fleet;
mod ground;
mod load;
mod names;
mod picture;
mod proxies;
mod report;
mod verdict;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use self::faults::{Act, Fault};
use self::fleet::Fleet;
use self::load::{Outcome, Sample, Visits};
use self::names::Names;
use self::verdict::Told;
use crate::machine;
use crate::options::{Flags, Options};
use crate::peers::Proxy;

/// In the order of the tables; [`Proxy::Bare`] is Usher with endpoints and not a word more.
const PROXIES: [Proxy; 4] = [Proxy::Usher, Proxy::Nginx, Proxy::Haproxy, Proxy::Bare];
/// Requests per second, unless told.
const RATE: u64 = 500;
/// Traffic before the first fault, which nobody looks at: connections are opened, caches fill.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long the last responses may take.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// Failed requests that are written out for each proxy.
const SHOWN: usize = 40;

/// What the tables call a proxy.
fn title(proxy: Proxy) -> &'static str {
    if proxy == Proxy::Bare { "Usher, defaults" } else { proxy.title() }
}

/// What all proxies meet.
struct Trial {
    rate: u64,
    faults: Vec<Fault>,
}

impl Trial {
    /// From the first request to the last.
    fn length(&self) -> Duration {
        WARM_UP + self.faults.iter().map(|fault| fault.length()).sum::<Duration>() + AFTERWARDS
    }
}

/// `usher-bench chaos …`.
pub(crate) fn main(arguments: &[String]) -> io::Result<()> {
    if !ground::is_own() {
        return ground::enter(arguments);
    }
    let mut flags = Flags::new(arguments);
    let rate = flags.number("--rate")?.unwrap_or(RATE).max(1);
    let wanted = flags.values("--faults")?;
    let options = Options::parse(&flags.rest())?;
    let faults = faults::named(&wanted)?;
    let keep = options.keep && wanted.is_empty();
    let trial = Trial { rate, faults };
    let facts = machine::facts();
    let (mut told, mut versions) = (Vec::new(), Vec::new());
    for proxy in PROXIES.into_iter().filter(|proxy| options.proxies.contains(proxy)) {
        if proxy != Proxy::Bare {
            versions.push(proxy.version(&options)?);
        }
        let one = carry(proxy, &trial, &options)?;
        eprintln!("{}", report::line(&one));
        told.push(one);
    }
    let page = report::page(&trial.faults, &told, (&facts, &versions, rate));
    println!("\n{page}");
    if keep {
        report::keep(&page, &told, &facts, &options.out)?;
    }
    Ok(())
}

/// One proxy, from the first request to the last.
fn carry(proxy: Proxy, trial: &Trial, options: &Options) -> io::Result<Told> {
    let names = Names::start()?;
    let mut fleet = Fleet::start()?;
    names.answer(fleet.addresses(faults::USUAL));
    let running = proxies::start(proxy, options)?;
    let start = Instant::now();
    let visits = Visits { target: running.address, rate: trial.rate, start, length: trial.length() };
    let samples = thread::scope(|scope| {
        let load = scope.spawn(|| load::run(&visits));
        let mut at = WARM_UP;
        let mut done = Ok(());
        for fault in &trial.faults {
            for (after, act) in fault.acts {
                thread::sleep((start + at + *after).saturating_duration_since(Instant::now()));
                done = done.and_then(|()| perform(*act, &mut fleet, &names, &running));
            }
            at += fault.length();
        }
        let samples = load.join().map_err(|_| io::Error::other("the load ended early"))??;
        done.map(|()| samples)
    })?;
    let told = verdict::of(proxy, &trial.faults, (WARM_UP, samples));
    explain(&told, &running);
    Ok(told)
}

fn perform(act: Act, fleet: &mut Fleet, names: &Names, running: &proxies::Running) -> io::Result<()> {
    match act {
        Act::Kill(index) => fleet.kill(index),
        Act::Start(index) => fleet.begin(index),
        Act::Freeze(index) => fleet.freeze(index),
        Act::Thaw(index) => fleet.thaw(index),
        Act::Tell(index, manner) => fleet.tell(index, manner),
        Act::Answer(members) => {
            names.answer(fleet.addresses(members));
            Ok(())
        }
        Act::Noticed => running.noticed(),
        Act::Nothing => Ok(()),
    }
}

/// Says which requests failed, and what the proxy's log says of them.
fn explain(told: &Told, running: &proxies::Running) {
    for Sample { number, at, kind, outcome, took } in told.failed.iter().take(SHOWN) {
        let (at, took) = (at.as_secs_f64(), took.as_secs_f64());
        eprintln!("{:>8.3} s  {} {number}: {outcome:?} after {took:.3} s", at, kind.method());
        if let Some(line) = running.logged(*number).filter(|_| *outcome != Outcome::Fine) {
            eprintln!("            {line}");
        }
    }
    if told.failed.len() > SHOWN {
        eprintln!("            and {} more", told.failed.len() - SHOWN);
    }
}
