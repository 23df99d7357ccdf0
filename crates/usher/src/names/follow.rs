//! The thread that asks: one task per name, each asking again when its answer grows old.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::lookup_ip::LookupIp;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::system_conf::read_system_conf;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{AbortHandle, LocalSet};

use super::question::{Found, Question};
use super::table::Table;
use super::{Bounds, Changed, Wanted, service};
use crate::log;

#[cfg(test)]
mod tests;

/// Names that are asked for at once.
const AT_ONCE: usize = 64;
/// Addresses of a host that count: the first ones in their own order, which is the same in every answer.
const MAX_ADDRESSES: usize = 1024;
/// After a failure: not more often than this, whatever the bounds say.
pub(super) const MIN_RETRY: Duration = Duration::from_millis(500);
/// How long one question may take, all servers and tries together.
const ONE_ANSWER: Duration = Duration::from_secs(10);

/// Name servers, search domains, and how they are asked.
type Settings = (ResolverConfig, ResolverOpts);

/// The addresses of a host.
pub(super) struct Heard {
    pub(super) addresses: Vec<IpAddr>,
    /// Why those of one family are what was known before, if they are.
    pub(super) fault: Option<String>,
}

/// What all tasks of the thread share.
pub(super) struct Shared {
    settings: RefCell<Settings>,
    permits: Semaphore,
    table: Table,
    changed: Changed,
}

/// Follows what is wanted until nobody can want anything.
pub(super) async fn run(mut wanted: UnboundedReceiver<Wanted>, table: Table, changed: Changed) {
    let (settings, permits) = (RefCell::default(), Semaphore::new(AT_ONCE));
    let shared = Rc::new(Shared { settings, permits, table, changed });
    let tasks = LocalSet::new();
    let orders = async {
        let mut followed = BTreeMap::new();
        while let Some(order) = wanted.recv().await {
            // The system's settings may have changed since: they are read on every reload.
            *shared.settings.borrow_mut() = system_settings();
            change(&shared, &mut followed, order);
        }
    };
    tasks.run_until(orders).await;
}

/// Starts and ends tasks so that exactly the wanted names are followed.
fn change(shared: &Rc<Shared>, followed: &mut BTreeMap<Question, (Bounds, AbortHandle)>, order: Wanted) {
    let Wanted { questions, first } = order;
    followed.retain(|question, (bounds, task)| {
        let stays = questions.get(question) == Some(bounds);
        if !stays {
            task.abort();
        }
        stays
    });
    shared.table.keep(|question| questions.contains_key(question));
    for (question, bounds) in questions {
        if followed.contains_key(&question) {
            continue;
        }
        // A name that is known already is not waited for.
        let first = (!shared.table.knows(&question)).then(|| first.clone());
        let task = tokio::task::spawn_local(follow(shared.clone(), question.clone(), bounds, first));
        followed.insert(question, (bounds, task.abort_handle()));
    }
}

async fn follow(shared: Rc<Shared>, question: Question, bounds: Bounds, mut first: Option<mpsc::Sender<()>>) {
    let mut memory = service::Memory::of(&shared.table.found(&question));
    loop {
        let (found, fault, ttl) = match &question {
            Question::Host(host) => {
                let known: Vec<IpAddr> =
                    shared.table.found(&question).iter().map(|one| one.address).collect();
                match shared.ask(host, &known).await {
                    (Ok(Heard { addresses, fault }), ttl) => {
                        (Some(addresses.into_iter().map(Found::from).collect()), fault, ttl)
                    }
                    (Err(why), ttl) => (None, Some(why), ttl),
                }
            }
            Question::Service(name) => match service::ask(&shared, name, (&mut memory, bounds)).await {
                (Ok(found), ttl) => (Some(found), None, ttl),
                (Err(why), ttl) => (None, Some(why), ttl),
            },
        };
        let wait = match &found {
            Some(_) => clamp(ttl, bounds),
            None => bounds.min.max(MIN_RETRY),
        };
        if shared.table.note(&question, found, fault) {
            (shared.changed)(question.clone());
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
    /// The records of a service.
    pub(super) async fn lookup_service(&self, name: &str) -> Result<Lookup, String> {
        let Ok(_permit) = self.permits.acquire().await else { return Err("the process ends".to_owned()) };
        let resolver = resolver(self.settings.borrow().clone()).map_err(|error| error.to_string())?;
        match tokio::time::timeout(ONE_ANSWER, resolver.srv_lookup(name)).await {
            Ok(Err(error)) if error.is_no_records_found() && !error.is_nx_domain() => {
                Err("it has no SRV record".to_owned())
            }
            Ok(answer) => answer.map_err(|error| reason(&error)),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    /// The addresses of a host and how long they hold. `known` are those that it had: where only one family can be asked for,
    /// those of the other one go on to hold.
    pub(super) async fn ask(&self, host: &str, known: &[IpAddr]) -> (Result<Heard, String>, Duration) {
        let Ok(_permit) = self.permits.acquire().await else { return failed("the process ends") };
        if is_this_machine(host) {
            return this_machine(host).await;
        }
        let resolver = match resolver(self.settings.borrow().clone()) {
            Ok(resolver) => resolver,
            Err(error) => return failed(&error.to_string()),
        };
        let found = match tokio::time::timeout(ONE_ANSWER, resolver.lookup_ip(host)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return failed(&reason(&error)),
            Err(_) => return failed("no answer in time"),
        };
        let mut addresses: BTreeSet<IpAddr> = found.iter().collect();
        if addresses.is_empty() {
            return failed("it has no address");
        }
        let mut until = found.valid_until();
        let mut fault = None;
        match other_family(&resolver, &found, known).await {
            Ok(None) => {}
            Ok(Some(more)) => {
                addresses.extend(more.answers().iter().filter_map(|one| one.data.ip_addr()));
                until = until.min(more.valid_until());
            }
            Err((why, kept)) => {
                addresses.extend(kept);
                until = Instant::now() + MIN_RETRY;
                fault = Some(why);
            }
        }
        let addresses = addresses.into_iter().take(MAX_ADDRESSES).collect();
        (Ok(Heard { addresses, fault }), until.saturating_duration_since(Instant::now()))
    }
}

/// What of a family was `known` and is not in an answer, although there is one: the resolver does not say whether that
/// family has gone, or could not be asked for. So it is asked for alone; none if it was not missing, or is gone.
///
/// # Errors
/// It cannot be asked for: why, and what was known of it.
async fn other_family(
    resolver: &TokioResolver,
    found: &LookupIp,
    known: &[IpAddr],
) -> Result<Option<Lookup>, (String, Vec<IpAddr>)> {
    let is_six = !found.iter().any(|one| one.is_ipv6());
    let of_it = |one: &IpAddr| one.is_ipv6() == is_six;
    if found.iter().any(|one| of_it(&one)) || !known.iter().any(of_it) {
        return Ok(None);
    }
    let (kind, called) = if is_six { (RecordType::AAAA, "IPv6") } else { (RecordType::A, "IPv4") };
    let asked = resolver.lookup(found.query().name().clone(), kind);
    let why = match tokio::time::timeout(ONE_ANSWER, asked).await {
        Ok(Ok(more)) => return Ok(Some(more)),
        Ok(Err(error)) if error.is_no_records_found() => return Ok(None),
        Ok(Err(error)) => reason(&error),
        Err(_) => "no answer in time".to_owned(),
    };
    Err((format!("{called}: {why}"), known.iter().copied().filter(of_it).collect()))
}

/// Whether a name is the machine's own, which is never asked of a name server (RFC 6761 section 6.3).
pub(super) fn is_this_machine(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// What the system says of itself: its hosts file may give `localhost` one of the two loopback addresses only, and
/// mostly an application listens on that one.
async fn this_machine(host: &str) -> (Result<Heard, String>, Duration) {
    let found = tokio::net::lookup_host((host, 0)).await;
    let addresses = match found.map(|found| found.map(|address| address.ip()).collect::<Vec<_>>()) {
        Ok(addresses) if !addresses.is_empty() => addresses,
        // Systems whose C library does not know of names below `localhost`.
        _ => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
    };
    (Ok(Heard { addresses, fault: None }), Duration::MAX)
}

fn failed(reason: &str) -> (Result<Heard, String>, Duration) {
    (Err(reason.to_owned()), Duration::ZERO)
}

fn reason(error: &NetError) -> String {
    if error.is_nx_domain() {
        return "there is no such name".to_owned();
    }
    if error.is_no_records_found() { "it has no address".to_owned() } else { error.to_string() }
}

/// The system's settings; its hosts file is read for each question.
fn system_settings() -> Settings {
    let (config, mut options) = read_system_conf().unwrap_or_else(|error| {
        log::warn(format_args!("cannot read the system's name servers: {error}; only the hosts file counts"));
        Settings::default()
    });
    for_names(&mut options);
    (config, options)
}

fn for_names(options: &mut ResolverOpts) {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // Each name is asked for when its time is over; a cache could only answer with what is known.
    options.cache_size = 0;
}

/// A resolver for one question. One for all would keep its connections: after an answer too long for UDP, all names
/// would be asked for over that connection, and dnsmasq answers there with what it knew when it was opened.
fn resolver((config, options): Settings) -> Result<TokioResolver, NetError> {
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options).build()
}
