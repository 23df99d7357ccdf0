//! The rows that are not CPU per request: response times at a fixed rate, memory, start-up, reload; and which fields
//! each proxy added, to see that all three were asked for the same.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::load::{Client, Job, Load};
use crate::peers::{self, Proxy, Running, Settings};
use crate::report::Row;
use crate::run::Bench;
use crate::stats::Spread;
use crate::works::{Door, Handshake};
use crate::{cpu, http};

/// What `--only` may name besides the works.
pub(crate) const NAMES: &[&str] = &["latency", "memory", "memory-tls", "memory-h2", "startup", "reload"];
/// The proxies that these rows have.
pub(crate) const PROXIES: &[Proxy] = &[Proxy::Nginx, Proxy::Haproxy, Proxy::Usher];

/// The fixed rate, as a share of what the slowest proxy carries.
const RATE_SHARE: f64 = 0.4;
const LATENCY_CONNECTIONS: usize = 64;
const LATENCY_WINDOW: Duration = Duration::from_secs(3);
const CALIBRATION_REQUESTS: u64 = 20_000;
const IDLE_CONNECTIONS: usize = 10_000;
/// The same over TLS and HTTP/2, where each costs more.
const IDLE_SESSIONS: usize = 2_000;
/// Goal of an idle connection of HTTP/2, in KiB.
const H2_GOAL_KIB: f64 = 20.0;
/// Connections that have their one request at the same time.
const AT_ONCE: usize = 64;
/// How long connections are idle before memory is read: what a proxy gives back in that time is given back.
const SETTLING: Duration = Duration::from_secs(2);
const START_ROUNDS: u64 = 11;
const RELOAD_ROUTES: usize = 10_000;
const RELOAD_ROUNDS: u32 = 5;
/// Goal of a reload with that many routes, in milliseconds.
const RELOAD_GOAL_MS: f64 = 200.0;
const STEP_WITHIN: Duration = Duration::from_secs(60);

type Values = BTreeMap<&'static str, Vec<f64>>;

/// Every extra row that was asked for.
pub(crate) fn all(bench: &Bench<'_>) -> io::Result<Vec<Row>> {
    let mut rows = vec![fields(bench)?];
    for (name, measure) in [
        ("latency", latency as fn(&Bench<'_>) -> io::Result<Vec<Row>>),
        ("memory", memory),
        ("memory-tls", memory_tls),
        ("memory-h2", memory_h2),
        ("startup", startup),
        ("reload", reload),
    ] {
        if bench.options.wants(name) {
            let found = measure(bench)?;
            for row in &found {
                eprintln!("{}", row.line(PROXIES));
            }
            rows.extend(found);
        }
    }
    Ok(rows)
}

/// How many fields the endpoint sees of a request through each proxy, and their names.
fn fields(bench: &Bench<'_>) -> io::Result<Row> {
    let mut row = Row::new("fields", "fields that the endpoint received", "the same for all", "");
    for proxy in bench.options.usual_proxies() {
        let running = peers::start(proxy, &Settings::plain(bench.endpoints), bench.options)?;
        let response = exchange(running.address, &http::get("/echo", true))?;
        let body = memchr::memmem::find(&response, b"\r\n\r\n").map_or(&[][..], |at| &response[at + 4..]);
        let mut names: Vec<String> =
            http::fields(body).map(|(name, _)| String::from_utf8_lossy(name).to_ascii_lowercase()).collect();
        names.retain(|name| name != "connection");
        names.sort();
        row.set(proxy, Spread::of([names.len() as f64]));
        row.notes.push(format!("{}: {}", proxy.title(), names.join(", ")));
    }
    Ok(row)
}

fn latency(bench: &Bench<'_>) -> io::Result<Vec<Row>> {
    let job = Job::get("/1k", 1024, false);
    let mut slowest = f64::INFINITY;
    for proxy in bench.options.usual_proxies() {
        let running = peers::start(proxy, &Settings::plain(bench.endpoints), bench.options)?;
        let mut load = Load::open(running.address, LATENCY_CONNECTIONS)?;
        let batch = load.batch(&job, CALIBRATION_REQUESTS, Instant::now() + STEP_WITHIN)?;
        slowest = slowest.min(batch.done as f64 / batch.elapsed.as_secs_f64());
    }
    let rate = (slowest * RATE_SHARE / 100.0).round().max(1.0) * 100.0;
    let (mut half, mut most, mut all) = (Values::new(), Values::new(), Values::new());
    let mut notes =
        vec![format!("{rate:.0} requests/s, {:.0} % of what the slowest carries", RATE_SHARE * 100.0)];
    for round in 0..bench.options.rounds {
        for proxy in bench.turn(round) {
            let running = peers::start(proxy, &Settings::plain(bench.endpoints), bench.options)?;
            let mut load = Load::open(running.address, LATENCY_CONNECTIONS)?;
            load.at_rate(&job, rate, LATENCY_WINDOW / 8)?;
            let window = if bench.options.quick { LATENCY_WINDOW / 4 } else { LATENCY_WINDOW };
            let taken = load.at_rate(&job, rate, window)?;
            if taken.batch.errors > 0 {
                let first = taken.batch.first_error.as_deref().unwrap_or_default();
                notes.push(format!("{}: {} errors ({first})", proxy.title(), taken.batch.errors));
            }
            for (values, length) in [
                (&mut half, taken.quantile(0.5)),
                (&mut most, taken.undisturbed(0.99)),
                (&mut all, taken.quantile(0.99)),
            ] {
                values.entry(proxy.name()).or_default().push(length.as_secs_f64() * 1e6);
            }
        }
    }
    let goal = "no more than the better peer";
    let mut rows = vec![
        Row::filled("latency-p50", "half of the responses within (p50)", goal, "µs", &half),
        Row::filled(
            "latency-p99",
            "99 of 100 responses within (p99), without the kernel's housekeeping",
            goal,
            "µs",
            &most,
        ),
        Row::filled("latency-p99-all", "the same with those that it may have delayed", "", "µs", &all),
    ];
    for row in rows.iter_mut().take(2) {
        row.met = row.no_more_than(&[Proxy::Nginx, Proxy::Haproxy]);
    }
    rows[0].notes = notes;
    Ok(rows)
}

fn memory(bench: &Bench<'_>) -> io::Result<Vec<Row>> {
    let mut total =
        Row::new("memory", "resident memory with 10,000 idle connections", "no more than nginx", "MiB");
    let mut each = Row::new("memory-each", "of that, per connection", "", "KiB");
    for proxy in bench.options.usual_proxies() {
        let idle = idle(bench, proxy, Door::Http, IDLE_CONNECTIONS)?;
        total.set(proxy, Spread::of([idle.after as f64 / 1024.0]));
        each.set(proxy, Spread::of([idle.each_kib]));
        total.notes.extend(idle.notes);
    }
    total.met = total.no_more_than(&[Proxy::Nginx]);
    Ok(vec![total, each])
}

fn memory_tls(bench: &Bench<'_>) -> io::Result<Vec<Row>> {
    let what = "resident memory per idle TLS connection, of 2,000";
    let mut row = Row::new("memory-tls", what, "no more than nginx", "KiB");
    for proxy in bench.options.usual_proxies() {
        let idle = idle(bench, proxy, Door::Https(Handshake::Full), IDLE_SESSIONS)?;
        row.set(proxy, Spread::of([idle.each_kib]));
        row.notes.extend(idle.notes);
    }
    row.met = row.no_more_than(&[Proxy::Nginx]);
    Ok(vec![row])
}

fn memory_h2(bench: &Bench<'_>) -> io::Result<Vec<Row>> {
    let what = "resident memory per idle HTTP/2 connection over TLS, of 2,000";
    let mut row = Row::new("memory-h2", what, "under 20", "KiB");
    for proxy in bench.options.usual_proxies() {
        let idle = idle(bench, proxy, Door::H2, IDLE_SESSIONS)?;
        row.set(proxy, Spread::of([idle.each_kib]));
        row.notes.extend(idle.notes);
    }
    row.met = row.get(Proxy::Usher).map(|spread| spread.median < H2_GOAL_KIB);
    Ok(vec![row])
}

/// What a proxy holds for idle connections.
struct Idle {
    /// Resident memory with all of them, in KiB.
    after: u64,
    /// What each of them added.
    each_kib: f64,
    /// What went wrong.
    notes: Vec<String>,
}

/// Opens connections, sends one request on each, and looks at the memory a little later.
fn idle(bench: &Bench<'_>, proxy: Proxy, door: Door, connections: usize) -> io::Result<Idle> {
    let job = Job::get("/1k", 1024, false);
    let running = peers::start(proxy, &Settings::behind(door, bench.endpoints), bench.options)?;
    let before = cpu::resident_kib(running.worker())?;
    let mut client = Client::open(&running.target(), connections, 1)?;
    let first = client.one_each(&job, AT_ONCE, Instant::now() + STEP_WITHIN)?;
    std::thread::sleep(SETTLING);
    let after = cpu::resident_kib(running.worker())?;
    let again = client.one_each(&job, AT_ONCE, Instant::now() + STEP_WITHIN)?;
    let failed = [first, again].into_iter().filter(|batch| batch.errors > 0);
    let notes = failed.map(|batch| {
        let error = batch.first_error.unwrap_or_default();
        format!("{}: {} of {connections} failed ({error})", proxy.title(), batch.errors)
    });
    let each_kib = after.saturating_sub(before) as f64 / connections as f64;
    Ok(Idle { after, each_kib, notes: notes.collect() })
}

fn startup(bench: &Bench<'_>) -> io::Result<Vec<Row>> {
    let mut values = Values::new();
    let rounds = if bench.options.quick { 3 } else { START_ROUNDS };
    for round in 0..rounds {
        for proxy in bench.turn(round) {
            let running = peers::start_at_once(proxy, &Settings::plain(bench.endpoints), bench.options)?;
            let milliseconds = running.ready_after.as_secs_f64() * 1e3;
            values.entry(proxy.name()).or_default().push(milliseconds);
        }
    }
    Ok(vec![Row::filled("startup", "from start to the first response", "", "ms", &values)])
}

/// From the signal until the new snapshot answers; seen from outside, by a redirect that names its generation.
fn reload(bench: &Bench<'_>) -> io::Result<Vec<Row>> {
    if !bench.options.proxies.contains(&Proxy::Usher) {
        return Ok(Vec::new());
    }
    let settings = Settings { extra_routes: RELOAD_ROUTES, ..Settings::plain(bench.endpoints) };
    let running = peers::start(Proxy::Usher, &settings, bench.options)?;
    let mut milliseconds = Vec::new();
    for generation in 1..=RELOAD_ROUNDS {
        running.rewrite_usher(&settings, generation)?;
        let begin = Instant::now();
        running.process.signal(Signal::HUP)?;
        await_generation(&running, generation)?;
        milliseconds.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let mut row = Row::new("reload", "reload with 10,000 routes until the new one serves", "under 200", "ms");
    row.set(Proxy::Usher, Spread::of(milliseconds));
    row.met = row.get(Proxy::Usher).map(|spread| spread.median < RELOAD_GOAL_MS);
    Ok(vec![row])
}

fn await_generation(running: &Running, generation: u32) -> io::Result<()> {
    let host = peers::GENERATION_HOST;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let wanted = format!("https://example.com/{generation}");
    let begin = Instant::now();
    while begin.elapsed() < STEP_WITHIN {
        let response = exchange(running.address, request.as_bytes())?;
        let shows = |(name, value): (&[u8], &[u8])| {
            name.eq_ignore_ascii_case(b"location") && value == wanted.as_bytes()
        };
        if http::fields(&response).any(shows) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let complaint = running.process.complaint();
    Err(io::Error::other(format!("generation {generation} never served after SIGHUP\n{complaint}")))
}

/// One request on a connection of its own; the whole response.
fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request)?;
    let mut response = Vec::new();
    stream.take(1 << 20).read_to_end(&mut response)?;
    Ok(response)
}
