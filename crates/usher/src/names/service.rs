//! Services: their records, the hosts that these name, and the endpoints that come of it (RFC 2782).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hickory_resolver::lookup::Lookup;
use hickory_resolver::proto::rr::{Name, RData};
use tokio::task::JoinSet;
use usher_engine::snapshot::{EndpointSpec, ResolvedEndpoint};
use usher_net::Address;

use super::Bounds;
use super::follow::{Heard, MIN_RETRY, Shared, clamp};
use super::question::{Found, Record};
use crate::log;

/// Records of a service that count, and endpoints that come of them: the first ones by priority.
const MAX_RECORDS: usize = 1024;
/// How much less a record of weight 0 gets than one of weight 1, where there are both: "a very small chance".
const SMALL: u32 = 100;

/// What is known of a service, each part for as long as it holds.
#[derive(Default)]
pub(super) struct Memory {
    records: Vec<Record>,
    /// Until when the records hold; none if they were never had.
    until: Option<Instant>,
    hosts: BTreeMap<String, Host>,
}

/// A host that records name.
struct Host {
    addresses: Vec<IpAddr>,
    until: Instant,
    failed: bool,
}

/// Asks for what holds no more. Gives where the service is, and how long that holds.
pub(super) async fn ask(
    shared: &Rc<Shared>,
    name: &str,
    (memory, bounds): (&mut Memory, Bounds),
) -> (Result<Vec<Found>, String>, Duration) {
    let now = Instant::now();
    if memory.until.is_none_or(|until| until <= now) {
        match shared.lookup_service(name).await {
            Ok(answer) => memory.learn(&answer, bounds),
            Err(why) => return (Err(why), Duration::ZERO),
        }
    }
    ask_hosts(shared, name, (memory, bounds)).await;
    let found = memory.found();
    let latest = memory.hosts.values().map(|host| host.until).chain(memory.until).min();
    let wait = latest.map_or(Duration::ZERO, |latest| latest.saturating_duration_since(Instant::now()));
    if found.is_empty() && memory.records.iter().any(|record| !record.target.is_empty()) {
        return (Err("none of the hosts that it names has an address".to_owned()), Duration::ZERO);
    }
    (Ok(found), wait)
}

/// Asks for all hosts whose addresses hold no more, at once. One that fails keeps the addresses that it had.
async fn ask_hosts(shared: &Rc<Shared>, name: &str, (memory, bounds): (&mut Memory, Bounds)) {
    let now = Instant::now();
    let mut asked = JoinSet::new();
    for host in memory.outdated(now) {
        let shared = shared.clone();
        let known = memory.hosts.get(&host).map(|host| host.addresses.clone()).unwrap_or_default();
        asked.spawn_local(async move {
            let answer = shared.ask(&host, &known).await;
            (host, answer)
        });
    }
    while let Some(Ok((host, (answer, ttl)))) = asked.join_next().await {
        let known = memory.hosts.entry(host.clone()).or_insert(Host {
            addresses: Vec::new(),
            until: now,
            failed: false,
        });
        let fault = match answer {
            Ok(Heard { addresses, fault }) => {
                (known.addresses, known.until) = (addresses, Instant::now() + clamp(ttl, bounds));
                fault
            }
            Err(why) => {
                known.until = Instant::now() + bounds.min.max(MIN_RETRY);
                Some(why)
            }
        };
        let has_failed = std::mem::replace(&mut known.failed, fault.is_some());
        if let Some(why) = fault.filter(|_| !has_failed) {
            log::warn(format_args!("cannot resolve `{host}`, which `srv:{name}` names: {why}"));
        }
    }
}

impl Memory {
    /// Hosts as they were found before; all of them are asked for again.
    pub(super) fn of(found: &[Found]) -> Self {
        let until = Instant::now();
        let mut hosts: BTreeMap<String, Host> = BTreeMap::new();
        for (address, record) in found.iter().filter_map(|one| Some((one.address, one.record.as_ref()?))) {
            let new = || Host { addresses: Vec::new(), until, failed: false };
            let host = hosts.entry(record.target.to_string()).or_insert_with(new);
            if !host.addresses.contains(&address) {
                host.addresses.push(address);
            }
        }
        Self { hosts, ..Self::default() }
    }

    /// Takes an answer, with the addresses that came with it.
    fn learn(&mut self, answer: &Lookup, bounds: Bounds) {
        let now = Instant::now();
        let record = |data: &RData| match data {
            RData::SRV(srv) => Some(Record {
                priority: srv.priority,
                target: host_of(&srv.target).into(),
                port: srv.port,
                weight: srv.weight,
            }),
            _ => None,
        };
        let records: BTreeSet<Record> = answer.answers().iter().filter_map(|one| record(&one.data)).collect();
        self.records = records.into_iter().take(MAX_RECORDS).collect();
        self.until = Some(now + clamp(answer.valid_until().saturating_duration_since(now), bounds));
        let named: BTreeSet<&str> = self.records.iter().map(|record| &*record.target).collect();
        self.hosts.retain(|host, _| named.contains(host.as_str()));
        let mut told: BTreeMap<String, (Vec<IpAddr>, u32)> = BTreeMap::new();
        for one in answer.additionals() {
            let host = host_of(&one.name);
            if let (Some(address), true) = (one.data.ip_addr(), named.contains(host.as_str())) {
                let (addresses, ttl) = told.entry(host).or_insert((Vec::new(), one.ttl));
                addresses.push(address);
                *ttl = one.ttl.min(*ttl);
            }
        }
        for (host, (mut addresses, ttl)) in told {
            addresses.sort_unstable();
            addresses.dedup();
            let until = now + clamp(Duration::from_secs(ttl.into()), bounds);
            self.hosts.insert(host, Host { addresses, until, failed: false });
        }
    }

    /// The hosts that must be asked for.
    fn outdated(&self, now: Instant) -> BTreeSet<String> {
        let named = self.records.iter().map(|record| &*record.target).filter(|target| !target.is_empty());
        let holds = |host: &str| self.hosts.get(host).is_some_and(|host| host.until > now);
        named.filter(|host| !holds(host)).map(str::to_owned).collect()
    }

    fn found(&self) -> Vec<Found> {
        let addresses =
            |record: &Record| self.hosts.get(&*record.target).into_iter().flat_map(|one| &one.addresses);
        let at =
            |record: &Record, address: &IpAddr| Found { address: *address, record: Some(record.clone()) };
        let all = self.records.iter();
        all.flat_map(|record| addresses(record).map(|address| at(record, address)).collect::<Vec<_>>())
            .take(MAX_RECORDS)
            .collect()
    }
}

/// In lower case, without the final dot; empty for the root, which stands for nobody.
fn host_of(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// The endpoints of a service. The lowest priority of the records is the endpoint's own group, the next one the group
/// behind that. Each has the record's weight, times the endpoint's own.
pub(super) fn endpoints(spec: &EndpointSpec, found: &[Found]) -> Vec<ResolvedEndpoint> {
    let records = || found.iter().filter_map(|one| one.record.as_ref());
    let priorities: BTreeSet<u16> = records().map(|record| record.priority).collect();
    let group =
        |record: &Record| priorities.iter().position(|one| *one == record.priority).unwrap_or_default();
    let weighs: BTreeSet<(u16, bool)> =
        records().map(|record| (record.priority, record.weight > 0)).collect();
    let mut seen = HashSet::new();
    let mut resolved: Vec<ResolvedEndpoint> = Vec::new();
    for one in found {
        let Some(record) = &one.record else { continue };
        // Two hosts at one address are one endpoint.
        if !seen.insert((one.address, record.port)) {
            continue;
        }
        let mixed = [false, true].iter().all(|any| weighs.contains(&(record.priority, *any)));
        let weight = match (record.weight, mixed) {
            (0, _) => 1,
            (weight, false) => u32::from(weight),
            (weight, true) => u32::from(weight) * SMALL,
        };
        let named = format!("{}:{}", record.target, record.port);
        let endpoint = spec.at(Address::Ip((one.address, record.port).into()));
        let endpoint = ResolvedEndpoint {
            weight: weight.saturating_mul(spec.weight),
            priority: u8::try_from(group(record))
                .map_or(u8::MAX, |group| spec.priority.saturating_add(group)),
            label: if spec.is_named { spec.label.clone() } else { named.as_str().into() },
            host: named.into(),
            ..endpoint
        };
        resolved.push(endpoint);
    }
    resolved
}

#[cfg(test)]
mod tests;
