//! The client's address settles the endpoint, by a table of Maglev hashing: see [`hashing`].
//!
//! Clients without an address (on Unix sockets, without trusted forwarding fields) go anywhere.

pub mod config;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use usher_api::balancer::Affinity;
use usher_api::{Balance, Balancer, BalancerFactory, Candidate, Exchange, PickInput};
use usher_config::Decode;

use super::hashing::{self, Algorithm, Shared, Table, hash_address};
use super::{Random, may_be_chosen, options};

/// Registration.
pub static FACTORY: BalancerFactory = BalancerFactory {
    name: "ip_hash",
    summary: "The client's address settles the endpoint.",
    schema: config::IpHash::schema,
    build: |section, context| {
        let config: config::IpHash = options(section, context)?;
        let prefixes = (config.ipv4_prefix, config.ipv6_prefix);
        Some(Arc::new(IpHash { prefixes, shared: Arc::default() }) as Arc<dyn Balance>)
    },
};

struct IpHash {
    /// Of IPv4 and IPv6.
    prefixes: (u8, u8),
    shared: Arc<Shared>,
}

struct ByAddress {
    prefixes: (u8, u8),
    table: Arc<Table>,
    shared: Arc<Shared>,
    random: Random,
}

impl Balance for IpHash {
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer> {
        Box::new(ByAddress {
            prefixes: self.prefixes,
            table: self.shared.table(Algorithm::Maglev, candidates),
            shared: self.shared.clone(),
            random: Random::new(seed),
        })
    }
}

impl Balancer for ByAddress {
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize> {
        if input.usable == 0 {
            return None;
        }
        let named = input.client.map(|address| hash_address(address, self.prefixes));
        let key = named.unwrap_or_else(|| self.random.next());
        let open = |i: usize| input.candidates.get(i).is_some_and(may_be_chosen);
        self.table.find(key, open).or_else(|| hashing::search(input.candidates, key))
    }

    fn affinity(&self, client: Option<IpAddr>, _: &Exchange) -> Affinity {
        hashing::affinity(client.map(|address| hash_address(address, self.prefixes)))
    }

    fn reweighted(&mut self, candidates: &[Candidate]) {
        self.table = self.shared.table(Algorithm::Maglev, candidates);
    }
}
