//! From a config to a process that serves.

use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, mpsc};
use std::thread;

use usher_api::AccessSink;
use usher_api::metrics::Registry;
use usher_config::{Config, Loaded};
use usher_engine::snapshot::Built;
use usher_net::{allowed_cores, raise_open_files};

use super::admin::BoundAdmin;
use super::banner;
use super::control::Control;
use super::endpoints::editor;
use super::event::{self, Event};
use super::inheritance::Inheritance;
use super::notify::Notify;
use super::pid_file::PidFile;
use super::reload::{endpoint_files, files};
use super::sockets::{Plan, Sockets};
use super::watch::Fingerprint;
use super::worker::{self, Hand, Order, Seat};
use crate::assemble::{self, Assembled, OpenLog};
use crate::certificates::Keeper;
use crate::clusters::Clusters;
use crate::demo::Demo;
use crate::discovery::Discovery;
use crate::former_logs::FormerLogs;
use crate::health::Health;
use crate::log;
use crate::origin::Origin;
use crate::shifts::{Shifts, Store};
use crate::shortage;
use crate::terminal::{Failure, warn};

/// Open files beside those of connections: sockets, logs, pipes.
const OTHER_FILES: u64 = 200;

/// Starts everything; when this returns, requests are served.
pub(crate) fn start(origin: Origin, demo: Option<&Demo>) -> Result<Control, Failure> {
    start_on(origin, demo, Inheritance::default())
}

/// The same, with sockets that are there already.
pub(super) fn start_on(
    origin: Origin,
    demo: Option<&Demo>,
    inheritance: Inheritance,
) -> Result<Control, Failure> {
    // Before it is read: what comes later is another change.
    let before = Fingerprint::of(&origin.files());
    let loaded = origin.load()?;
    let Assembled { mut built, log } = assemble::live(&loaded, None, None)?;
    let seen = Seen::of((&loaded, &built), &before);
    warn(&loaded.warnings, &loaded.sources);
    warn(&built.warnings, &loaded.sources);
    let memory = follow_limits(&loaded, &built)?;

    // Before anybody can connect: a signal is an event from here on.
    let (events, heard) = mpsc::channel();
    event::signals(events.clone())?;
    let registry = Registry::new(env!("CARGO_PKG_VERSION"));
    let cores = allowed_cores().unwrap_or_default();
    let count = worker_count(&loaded, cores.len());
    let mut sockets = Sockets::with(inheritance);
    let admin = BoundAdmin::bind(&loaded.config.admin, &sockets.inheritance)?;
    let known = sockets.inheritance.known();
    let (discovery, clusters) = find_endpoints(&mut built, &events, &known)?;
    let mut shifts = Shifts::default();
    shifts.inherit(&known);
    let (plan, Beginning { pid_file, keeper }) = bind(&sockets, (&loaded, &built), count)?;
    shifts.follow(&built.snapshot, Store::of(&origin, &loaded.config));
    registry.use_clusters(clusters.board());
    registry.use_shifts(shifts.board());
    show(&registry, &built, (log.as_ref(), keeper.as_ref()));
    let workers = start_workers(&built, &registry, &events, &pinning(&loaded.config, &cores, count))?;
    let (open, _) = sockets.adopt(plan);
    for (worker, open) in workers.iter().zip(open) {
        worker.tell(Order::Change { snapshot: None, open, close: Vec::new() });
    }
    let mut control = Control {
        origin,
        loaded,
        built,
        log,
        former_logs: FormerLogs::default(),
        registry,
        workers,
        sockets,
        discovery,
        clusters,
        health: Health::default(),
        shifts,
        keeper,
        admin: None,
        watch: None,
        endpoints_watch: None,
        pid_file,
        notify: Notify::find(),
        upgrade: None,
        successor: None,
        has_elder: false,
        events,
        heard,
    };
    control.look_after(seen, admin)?;
    banner::show(&control, &memory, demo);
    // Most of what ran so far never runs again. Where it cannot be given back, it stays.
    let _ = usher_net::release_code();
    Ok(control)
}

/// How the files were that were read.
struct Seen {
    config: Fingerprint,
    endpoints: Fingerprint,
}

impl Seen {
    /// As they are now; those that were looked at `before`, as they were then.
    fn of((loaded, built): (&Loaded, &Built), before: &Fingerprint) -> Self {
        Self {
            config: Fingerprint::of(&files(loaded, built)).with(before),
            endpoints: Fingerprint::of(&endpoint_files(built)),
        }
    }
}

impl Control {
    /// Begins what goes on beside serving: looking at files, answering administrators, asking endpoints.
    fn look_after(&mut self, seen: Seen, admin: Option<BoundAdmin>) -> Result<(), Failure> {
        let warnings = [self.rewatch(seen.config), self.watch_endpoint_files(seen.endpoints)];
        for warning in warnings.into_iter().flatten() {
            log::warn(format_args!("{warning}"));
        }
        // Not before: another process may answer on the same socket, and says that it is ready.
        self.admin = admin.map(|admin| admin.serve(&self.registry, &self.events)).transpose()?;
        self.registry.use_probes(self.health.report());
        self.probe();
        Ok(())
    }
}

/// Follows what the machine allows: open files, and memory. Gives the latter in words.
fn follow_limits(loaded: &Loaded, built: &Built) -> Result<String, Failure> {
    check_open_files(built.snapshot.max_connections);
    let memory = shortage::follow(&loaded.config);
    shortage::watch().map_err(|error| Failure::of("cannot watch the memory", error))?;
    Ok(memory)
}

/// Binds sockets, and leaves files and certificates. What listens beside another process's sockets gets connections at once,
/// which a failure would reset. Where there is no other process, an address that is taken is to be found before anything is
/// written.
fn bind(
    sockets: &Sockets,
    (loaded, built): (&Loaded, &Built),
    workers: usize,
) -> Result<(Plan, Beginning), Failure> {
    let early = sockets.inheritance.is_predecessors().then(|| Beginning::new(loaded, built)).transpose()?;
    let plan = sockets.plan(&built.snapshot, workers).map_err(|errors| bind_failure(&errors))?;
    sockets.inheritance.close_rest();
    Ok((plan, early.map_or_else(|| Beginning::new(loaded, built), Ok)?))
}

/// Lets metrics tell of all that serves from now on.
fn show(registry: &Registry, built: &Built, (log, keeper): (Option<&OpenLog>, Option<&Keeper>)) {
    if let Some(keeper) = keeper {
        registry.use_certificates(keeper.report());
    }
    registry.use_mirrors(built.snapshot.mirrors());
    registry
        .use_access_logs(log.into_iter().map(|log| -> Arc<dyn AccessSink> { log.sink.clone() }).collect());
    registry.process.serving(built.snapshot.generation);
}

/// Finds endpoints, waiting for names for a bounded time, and begins to look after those that are known. `known` is what
/// the process before knew.
fn find_endpoints(
    built: &mut Built,
    events: &mpsc::Sender<Event>,
    known: &[serde_json::Value],
) -> Result<(Discovery, Clusters), Failure> {
    let changed = events.clone();
    let mut discovery = Discovery::new(move |question| drop(changed.send(Event::Resolved(question))));
    discovery.inherit(known);
    let followed = discovery.follow(&built.snapshot.clusters);
    followed.map_err(|error| Failure::of("cannot start resolving names", error))?;
    built.resolve(|cluster| Some(discovery.endpoints(cluster)));
    let mut clusters = Clusters::new(editor(events.clone()), discovery.names());
    clusters.inherit(&built.snapshot.clusters, known);
    clusters.follow(&built.snapshot.clusters, &discovery);
    Ok((discovery, clusters))
}

/// What this process leaves outside of itself.
struct Beginning {
    pid_file: Option<PidFile>,
    keeper: Option<Keeper>,
}

impl Beginning {
    fn new(loaded: &Loaded, built: &Built) -> Result<Self, Failure> {
        let pid_file = loaded.config.pid_file.as_deref().map(PidFile::write).transpose()?;
        let keeper = Keeper::start(loaded, &built.snapshot);
        let keeper =
            keeper.map_err(|error| Failure::Message(format!("cannot keep certificates: {error}")))?;
        Ok(Self { pid_file, keeper })
    }
}

/// As the config says; else one for each CPU that this process may use, cgroup quotas counted.
fn worker_count(loaded: &Loaded, cores: usize) -> usize {
    let usable = thread::available_parallelism().map_or(1, usize::from).min(cores.max(1));
    loaded.config.workers.map_or(usable, usize::from).max(1)
}

/// The core of each worker, of those that this process may use. They stay on theirs only where each gets one of its own:
/// one alone is left to the scheduler (and to `taskset`), as are more or fewer than there are cores.
fn pinning(config: &Config, cores: &[usize], workers: usize) -> Vec<Option<usize>> {
    let own = config.pin_workers && workers > 1 && workers == cores.len();
    (0..workers).map(|index| cores.get(index).copied().filter(|_| own)).collect()
}

fn start_workers(
    built: &Built,
    registry: &Registry,
    events: &mpsc::Sender<Event>,
    cores: &[Option<usize>],
) -> Result<Vec<Hand>, Failure> {
    let total = Arc::new(AtomicU32::new(0));
    let start = |(index, core): (usize, &Option<usize>)| {
        worker::start(Seat {
            index,
            core: *core,
            snapshot: built.snapshot.clone(),
            metrics: registry.register_worker(),
            total: total.clone(),
            events: events.clone(),
        })
    };
    let workers: io::Result<Vec<Hand>> = cores.iter().enumerate().map(start).collect();
    workers.map_err(|error| Failure::of("cannot start a worker", error))
}

/// Everything that could not be bound.
pub(super) fn bind_failure(errors: &[io::Error]) -> Failure {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Failure::Message(lines.join("\nerror: "))
}

/// Raises the limit on open files, and says so if that is not enough: a connection needs two, one to each side.
fn check_open_files(connections: u32) {
    if connections == usher_config::config::Limits::default().connections {
        // Nobody asked for that many: what the system allows is enough.
        let _ = raise_open_files();
        return;
    }
    let wanted = u64::from(connections) * 2 + OTHER_FILES;
    match raise_open_files() {
        Ok(Some(limit)) if limit < wanted => log::warn(format_args!(
            "`limits.connections` is {connections}, which takes {wanted} open files, but the system allows {limit}: \
             raise it (`ulimit -n`, `LimitNOFILE=`) or lower `limits.connections`"
        )),
        Ok(_) => {}
        Err(error) => log::warn(format_args!("cannot raise the limit on open files: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::pinning;
    use usher_config::Config;

    #[test]
    fn workers_stay_on_cores_only_if_each_has_one() {
        let config = Config::default();
        assert_eq!(pinning(&config, &[3], 1), [None]);
        assert_eq!(pinning(&config, &[0, 4], 2), [Some(0), Some(4)]);
        assert_eq!(pinning(&config, &[0, 4], 1), [None]);
        assert_eq!(pinning(&config, &[0, 4], 3), [None, None, None]);
        assert_eq!(pinning(&config, &[], 2), [None, None]);
        let free = Config { pin_workers: false, ..config };
        assert_eq!(pinning(&free, &[0, 4], 2), [None, None]);
    }
}
