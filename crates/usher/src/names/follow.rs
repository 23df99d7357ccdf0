//! The thread that asks: one task per name, each asking again when its answer grows old.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{AbortHandle, LocalSet};

use super::table::Table;
use super::{Bounds, Changed, Wanted};
use crate::log;

/// Names that are asked for at once.
const AT_ONCE: usize = 64;
/// After a failure: not more often than this, whatever the bounds say.
const MIN_RETRY: Duration = Duration::from_millis(500);
/// How long one question may take, all servers and tries together.
const ONE_ANSWER: Duration = Duration::from_secs(10);

/// What all tasks of the thread share.
struct Shared {
    resolver: RefCell<Option<TokioResolver>>,
    permits: Semaphore,
    table: Table,
    changed: Changed,
}

/// Follows what is wanted until nobody can want anything.
pub(super) async fn run(mut wanted: UnboundedReceiver<Wanted>, table: Table, changed: Changed) {
    let shared =
        Rc::new(Shared { resolver: RefCell::new(None), permits: Semaphore::new(AT_ONCE), table, changed });
    let tasks = LocalSet::new();
    let orders = async {
        let mut followed = BTreeMap::new();
        while let Some(order) = wanted.recv().await {
            // The system's settings may have changed since: they are read on every reload.
            *shared.resolver.borrow_mut() = resolver();
            change(&shared, &mut followed, order);
        }
    };
    tasks.run_until(orders).await;
}

/// Starts and ends tasks so that exactly the wanted names are followed.
fn change(shared: &Rc<Shared>, followed: &mut BTreeMap<String, (Bounds, AbortHandle)>, order: Wanted) {
    let Wanted { hosts, first } = order;
    followed.retain(|host, (bounds, task)| {
        let stays = hosts.get(host) == Some(bounds);
        if !stays {
            task.abort();
        }
        stays
    });
    shared.table.keep(|host| hosts.contains_key(host));
    for (host, bounds) in hosts {
        if followed.contains_key(&host) {
            continue;
        }
        // A name that is known already is not waited for.
        let first = (!shared.table.knows(&host)).then(|| first.clone());
        let task = tokio::task::spawn_local(follow(shared.clone(), host.clone(), bounds, first));
        followed.insert(host, (bounds, task.abort_handle()));
    }
}

async fn follow(shared: Rc<Shared>, host: String, bounds: Bounds, mut first: Option<mpsc::Sender<()>>) {
    loop {
        let (found, ttl) = shared.ask(&host).await;
        let wait = match &found {
            Ok(_) => clamp(ttl, bounds),
            Err(_) => bounds.min.max(MIN_RETRY),
        };
        if shared.table.note(&host, found) {
            (shared.changed)(host.clone());
        }
        first.take();
        tokio::time::sleep(wait).await;
    }
}

/// The time to live within the bounds; crossed bounds (two clusters) count as the lower.
pub(super) fn clamp(ttl: Duration, bounds: Bounds) -> Duration {
    ttl.max(bounds.min).min(bounds.max)
}

impl Shared {
    /// The addresses of a host and how long they hold.
    async fn ask(&self, host: &str) -> (Result<Vec<IpAddr>, String>, Duration) {
        let Ok(_permit) = self.permits.acquire().await else { return failed("the process ends") };
        let Some(resolver) = self.resolver.borrow().clone() else { return failed("there is no resolver") };
        match tokio::time::timeout(ONE_ANSWER, resolver.lookup_ip(host)).await {
            Ok(Ok(found)) => {
                let addresses: Vec<IpAddr> = found.iter().collect();
                if addresses.is_empty() {
                    return failed("it has no address");
                }
                (Ok(addresses), found.valid_until().saturating_duration_since(Instant::now()))
            }
            Ok(Err(error)) => failed(&reason(&error)),
            Err(_) => failed("no answer in time"),
        }
    }
}

fn failed(reason: &str) -> (Result<Vec<IpAddr>, String>, Duration) {
    (Err(reason.to_owned()), Duration::ZERO)
}

fn reason(error: &hickory_resolver::net::NetError) -> String {
    if error.is_nx_domain() {
        return "there is no such name".to_owned();
    }
    if error.is_no_records_found() { "it has no address".to_owned() } else { error.to_string() }
}

/// A resolver by the system's settings: its name servers, search domains and hosts file.
fn resolver() -> Option<TokioResolver> {
    let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
        log::warn(format_args!("cannot read the system's name servers: {error}; only the hosts file counts"));
        TokioResolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default())
    });
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // Each name is asked for when its time is over; a cache could only answer with what is known.
    options.cache_size = 0;
    let built = builder.build();
    built.map_err(|error| log::error(format_args!("cannot resolve names: {error}"))).ok()
}
