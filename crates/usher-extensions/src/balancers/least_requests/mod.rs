//! The endpoint with the fewest requests under way, measured by its weight, is next: see [`Fewest`].

#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::{Balance, Balancer, BalancerFactory, Candidate, PickInput};
use usher_config::Schema;

use super::{Fewest, without_options};

const SUMMARY: &str = "The endpoint with the fewest requests under way, measured by its weight, is next.";

/// Registration.
pub static FACTORY: BalancerFactory = BalancerFactory {
    name: "least_requests",
    summary: SUMMARY,
    schema: || Schema::table(usher_config::schema::Table::new("LeastRequests", SUMMARY)),
    build: |section, context| {
        without_options(section, context).then(|| Arc::new(LeastRequests) as Arc<dyn Balance>)
    },
};

struct LeastRequests;

struct Least(Fewest);

impl Balance for LeastRequests {
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer> {
        Box::new(Least(Fewest::new(candidates, seed)))
    }
}

impl Balancer for Least {
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize> {
        self.0.pick(input.candidates)
    }

    fn reweighted(&mut self, candidates: &[Candidate]) {
        self.0.reweighted(candidates);
    }
}
