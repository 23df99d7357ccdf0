//! Balancers, states of their endpoints, and visitors.

use std::net::IpAddr;
use std::sync::Arc;

use usher_api::{Balance, Balancer, BuildContext, Candidate, Carry, Exchange, OnRoute};
use usher_config::{Context, Format, Sources, read::read};
use usher_extensions::balancers::BALANCERS;
use usher_http::FieldId;

/// A balancer with options.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) options: &'static str,
    /// How many of [`STATES`] are looked at.
    pub(crate) states: usize,
}

const fn subject(name: &'static str, options: &'static str) -> Subject {
    Subject { name, options, states: STATES.len() }
}

/// The table is that of another subject, and to make it once more for other weights takes long.
const fn same_table(name: &'static str, options: &'static str) -> Subject {
    Subject { name, options, states: STATES.len() - 1 }
}

/// All but `least_response_time`, which looks at every endpoint.
pub(crate) const SUBJECTS: [Subject; 10] = [
    subject("round_robin", ""),
    subject("least_requests", ""),
    subject("random", ""),
    subject("random_two", ""),
    subject("peak_ewma", ""),
    same_table("ip_hash", ""),
    subject("consistent_hash", "key = 'path'"),
    same_table("consistent_hash", "key = 'path'\nbounded_load = 1.25"),
    subject("consistent_hash", "key = 'path'\nalgorithm = 'ring'"),
    subject("sticky", "secret = 'an example of a secret'"),
];

/// How the endpoints are.
pub(crate) struct State {
    pub(crate) name: &'static str,
    weight: fn(usize) -> u32,
    /// Of an endpoint, by its number and how many there are.
    is_out: fn(usize, usize) -> bool,
}

pub(crate) const STATES: [State; 4] = [
    State { name: "all alike", weight: |_| 1, is_out: |_, _| false },
    State { name: "every tenth out", weight: |_| 1, is_out: |i, _| i % 10 == 3 },
    State { name: "one half out", weight: |_| 1, is_out: |i, all| i < all / 2 },
    State { name: "ten weights", weight: |i| 1 + i as u32 % 10, is_out: |_, _| false },
];

impl State {
    pub(crate) fn candidates(&self, endpoints: usize) -> Vec<Candidate> {
        let one = |i: usize| Candidate {
            weight: (self.weight)(i),
            in_flight: (i * 7 % 5) as u32,
            usable: !(self.is_out)(i, endpoints),
            draining: false,
            identity: i as u64,
        };
        (0..endpoints).map(one).collect()
    }
}

/// Somebody who asks.
pub(crate) struct Visitor {
    pub(crate) client: IpAddr,
    pub(crate) exchange: Exchange,
}

/// So many visitors come again and again.
const VISITORS: usize = 500;

impl Subject {
    pub(crate) fn build(&self) -> Arc<dyn Balance> {
        let factory = BALANCERS.iter().find(|factory| factory.name == self.name).expect("a known balancer");
        let mut sources = Sources::new();
        let id = sources.add("test", ".", self.options.to_owned());
        let document = read(&sources, id, Format::Toml).expect("TOML");
        let (mut config, mut carry) = (Context::new(&sources), Carry::default());
        let route = OnRoute::default();
        let mut context =
            BuildContext { config: &mut config, carry: &mut carry, scope: "cluster test", route };
        (factory.build)(Some(&document.root), &mut context).expect("good options")
    }

    /// Each with a path and an address of its own; every second one was there before, at any of the endpoints.
    pub(crate) fn visitors(&self, balancer: &mut dyn Balancer, candidates: &[Candidate]) -> Vec<Visitor> {
        let mut visitor = |i: usize| {
            let mut exchange = Exchange::default();
            exchange.request.clear();
            exchange.request.path = format!("/items/{:08}", i * 977);
            if i.is_multiple_of(2) {
                balancer.answered(i * 31 % candidates.len(), candidates, &mut exchange);
                let set = exchange.response.fields.get(FieldId::SetCookie).map(<[u8]>::to_vec);
                let set = set.unwrap_or_else(|| b"usher_00000000=".to_vec());
                let pair = set.split(|byte| *byte == b';').next().unwrap_or_default();
                exchange.request.fields.push(FieldId::Cookie, pair);
            }
            Visitor { client: [203, 0, (i >> 8) as u8, i as u8].into(), exchange }
        };
        (0..VISITORS).map(&mut visitor).collect()
    }
}
