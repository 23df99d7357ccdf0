//! Balancers as the engine builds them.

use std::sync::Arc;

use usher_api::{Balance, BuildContext, Candidate, Carry, OnRoute};
use usher_config::{Context, Format, Sources, read::read};
use usher_extensions::balancers::BALANCERS;

/// A balancer with these options.
pub(crate) fn build(name: &str, options: &str) -> Arc<dyn Balance> {
    let factory = BALANCERS.iter().find(|factory| factory.name == name).expect("a known balancer");
    let mut sources = Sources::new();
    let id = sources.add("simulation", ".", options.to_owned());
    let document = read(&sources, id, Format::Toml).expect("TOML");
    let (mut config, mut carry) = (Context::new(&sources), Carry::default());
    let route = OnRoute::default();
    let mut context =
        BuildContext { config: &mut config, carry: &mut carry, scope: "cluster simulation", route };
    (factory.build)(Some(&document.root), &mut context).expect("good options")
}

/// Endpoints of these weights, without requests.
pub(crate) fn candidates(weights: &[u32]) -> Vec<Candidate> {
    let one = |(i, weight): (usize, &u32)| Candidate {
        weight: *weight,
        in_flight: 0,
        usable: true,
        draining: false,
        identity: 1 + i as u64,
    };
    weights.iter().enumerate().map(one).collect()
}
