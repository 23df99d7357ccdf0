//! Something of the request settles the endpoint: its client, its path, a field, a cookie, a parameter.
//!
//! The tables are those of [`hashing`]. With `bounded_load`, an endpoint that has its share of the requests under way,
//! times a factor, is passed over (Mirrokni, Thorup, Zadimoghaddam: "Consistent Hashing with Bounded Loads", 2018): a
//! key that everybody asks for does not drown its endpoint.

pub mod config;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use usher_api::balancer::{Affinity, Outcome};
use usher_api::{Balance, Balancer, BalancerFactory, Candidate, Exchange, PickInput};
use usher_config::Decode;
use usher_http::{FieldId, cookie};

use self::config::{ConsistentHash, Key, WithoutKey};
use super::hashing::{self, Algorithm, Shared, Table, hash, hash_address};
use super::{Random, may_be_chosen, options};

/// Registration.
pub static FACTORY: BalancerFactory = BalancerFactory {
    name: "consistent_hash",
    summary: "Something of the request settles the endpoint, and few change theirs when endpoints come and go.",
    schema: ConsistentHash::schema,
    build: |section, context| {
        let config: Arc<ConsistentHash> = Arc::new(options(section, context)?);
        let algorithm = match config.algorithm {
            config::Algorithm::Maglev => Algorithm::Maglev,
            config::Algorithm::Ring => Algorithm::Ring,
        };
        Some(Arc::new(Consistent { config, algorithm, shared: Arc::default() }) as Arc<dyn Balance>)
    },
};

/// Leading bits of addresses that count, of IPv4 and IPv6.
const PREFIXES: (u8, u8) = (32, 64);

/// How many choices pass, per endpoint, between two counts of what is under way: what is added up in between could only
/// be wrong after a mistake elsewhere.
const PICKS_PER_COUNT: usize = 4;

struct Consistent {
    config: Arc<ConsistentHash>,
    algorithm: Algorithm,
    shared: Arc<Shared>,
}

struct ByKey {
    config: Arc<ConsistentHash>,
    algorithm: Algorithm,
    table: Arc<Table>,
    shared: Arc<Shared>,
    load: Load,
    random: Random,
}

/// What all endpoints have together.
struct Load {
    /// Requests that this worker has under way.
    in_flight: u64,
    /// The sum of the weights.
    weight: u64,
    /// Endpoints with a weight.
    endpoints: usize,
    /// Choices until the next count.
    left: usize,
}

impl Balance for Consistent {
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer> {
        Box::new(ByKey {
            config: self.config.clone(),
            algorithm: self.algorithm,
            table: self.shared.table(self.algorithm, candidates),
            shared: self.shared.clone(),
            load: Load::new(candidates),
            random: Random::new(seed),
        })
    }
}

impl Balancer for ByKey {
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize> {
        if input.usable == 0 {
            return None;
        }
        let key = self.key(input.client, input.exchange).unwrap_or_else(|| self.random.next());
        match self.config.bounded_load {
            Some(factor) => self.pick_bounded(input, key, factor),
            None => {
                let open = |i: usize| input.candidates.get(i).is_some_and(may_be_chosen);
                self.table.find(key, open).or_else(|| hashing::search(input.candidates, key))
            }
        }
    }

    fn affinity(&self, client: Option<IpAddr>, exchange: &Exchange) -> Affinity {
        hashing::affinity(self.key(client, exchange))
    }

    fn finished(&mut self, _outcome: Outcome) {
        self.load.in_flight = self.load.in_flight.saturating_sub(1);
    }

    fn reweighted(&mut self, candidates: &[Candidate]) {
        self.table = self.shared.table(self.algorithm, candidates);
        self.load = Load::new(candidates);
    }
}

impl ByKey {
    /// The hash of the request's key; `None` if it has none.
    fn key(&self, client: Option<IpAddr>, exchange: &Exchange) -> Option<u64> {
        let by_address = || client.map(|address| hash_address(address, PREFIXES));
        let request = &exchange.request;
        let named = match &self.config.key {
            Key::ClientIp => return by_address(),
            Key::Path => Some(request.path.as_bytes()),
            Key::Header(name) if name.eq_ignore_ascii_case("host") => Some(request.host.as_bytes()),
            Key::Header(name) => request.fields.get_named(name.as_bytes()),
            Key::Cookie(name) => cookie::find(request.fields.all(FieldId::Cookie), name.as_bytes()),
            Key::Query(name) => parameter(request.query.as_deref(), name).map(str::as_bytes),
        };
        match named.filter(|value| !value.is_empty()) {
            Some(value) => Some(hash(value)),
            None if self.config.without_key == WithoutKey::ClientIp => by_address(),
            None => None,
        }
    }

    /// The first endpoint for the key that has room; if none of those that the key names has, the least loaded of them.
    fn pick_bounded(&mut self, input: &PickInput<'_>, key: u64, factor: f64) -> Option<usize> {
        self.load.count_now_and_then(input.candidates);
        let per_weight = self.load.bound_per_weight(factor, input.usable);
        let mut least: Option<(usize, f64)> = None;
        let has_room = |i: usize| {
            let Some(one) = input.candidates.get(i).filter(|one| may_be_chosen(one)) else { return false };
            let bound = (per_weight * f64::from(one.weight)).ceil();
            let load = f64::from(one.in_flight) / f64::from(one.weight);
            if least.is_none_or(|(_, least)| load < least) {
                least = Some((i, load));
            }
            f64::from(one.in_flight) + 1.0 <= bound
        };
        let found = self.table.find(key, has_room).or(least.map(|(i, _)| i));
        let picked = found.or_else(|| hashing::search(input.candidates, key))?;
        self.load.in_flight += 1;
        Some(picked)
    }
}

impl Load {
    fn new(candidates: &[Candidate]) -> Self {
        Self {
            in_flight: candidates.iter().map(|one| u64::from(one.in_flight)).sum(),
            weight: candidates.iter().map(|one| u64::from(one.weight)).sum(),
            endpoints: candidates.iter().filter(|one| one.weight > 0).count(),
            left: candidates.len() * PICKS_PER_COUNT,
        }
    }

    fn count_now_and_then(&mut self, candidates: &[Candidate]) {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => *self = Self::new(candidates),
        }
    }

    /// The requests that an endpoint of weight 1 may have, the next one among them. Those that cannot be used are taken
    /// to have the mean weight: to know better would cost a look at each.
    fn bound_per_weight(&self, factor: f64, usable: usize) -> f64 {
        let share = usable as f64 / self.endpoints.max(1) as f64;
        factor * (self.in_flight + 1) as f64 / (self.weight.max(1) as f64 * share)
    }
}

/// The first value of a parameter, as written.
fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}
