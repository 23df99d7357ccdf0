//! The endpoint with the lowest expected wait of all is next: its mean time to the first byte, times its requests under
//! way, by weight. As `least_time` of NGINX Plus.
//!
//! All endpoints are compared in every choice, so its cost grows with their number.

pub mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::balancer::Outcome;
use usher_api::{Balance, Balancer, BalancerFactory, Candidate, PickInput};
use usher_config::Decode;

use super::{Estimate, Latencies, Lottery, Random, may_be_chosen, options};

/// Registration.
pub static FACTORY: BalancerFactory = BalancerFactory {
    name: "least_response_time",
    summary: "The endpoint with the lowest mean response time, given its requests under way, is next.",
    schema: config::LeastResponseTime::schema,
    build: |section, context| {
        let config: config::LeastResponseTime = options(section, context)?;
        Some(Arc::new(LeastResponseTime(config)) as Arc<dyn Balance>)
    },
};

struct LeastResponseTime(config::LeastResponseTime);

struct Soonest {
    lottery: Lottery,
    random: Random,
    latencies: Latencies,
    /// Microseconds.
    failure: u64,
}

impl Balance for LeastResponseTime {
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer> {
        let decay = self.0.decay.as_micros() as u64;
        Box::new(Soonest {
            lottery: Lottery::new(candidates),
            random: Random::new(seed),
            latencies: Latencies::new(candidates.len(), decay, Estimate::Mean),
            failure: self.0.failure.as_micros() as u64,
        })
    }

    fn reads_clock(&self) -> bool {
        true
    }
}

impl Balancer for Soonest {
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize> {
        let mean = self.lottery.mean_weight();
        let wait = |one: (usize, &Candidate)| self.latencies.wait(one, mean, input.now);
        // Begins at one that is drawn by weight, which wins among equals.
        let begin = self.lottery.draw_open(input.candidates, &mut self.random).unwrap_or_default();
        let all = input.candidates.iter().enumerate();
        let open = all.clone().skip(begin).chain(all.take(begin)).filter(|(_, one)| may_be_chosen(one));
        open.map(|one| (one.0, wait(one))).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
    }

    fn finished(&mut self, outcome: Outcome) {
        let micros = outcome.micros.or(outcome.failed.then_some(self.failure));
        if let Some(micros) = micros {
            self.latencies.note(outcome.endpoint, micros, outcome.now);
        }
    }

    fn reweighted(&mut self, candidates: &[Candidate]) {
        self.lottery = Lottery::new(candidates);
    }
}
