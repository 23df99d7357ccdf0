//! Of two endpoints that are drawn by weight, the one with the lower expected wait is taken: its latency times its
//! requests under way.
//!
//! As in Finagle and Linkerd: the latency is a mean that weighs responses by their age (an exponentially weighted moving
//! average), and a slower response than the mean counts in full at once: an endpoint that becomes slow is noticed with
//! its first slow response, and trusted again only with time.

pub mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::balancer::Outcome;
use usher_api::{Balance, Balancer, BalancerFactory, Candidate, PickInput};
use usher_config::Decode;

use super::{Estimate, Latencies, Lottery, Random, options, search};

/// Registration.
pub static FACTORY: BalancerFactory = BalancerFactory {
    name: "peak_ewma",
    summary: "Of two endpoints at random, the one that answers sooner, given its requests under way, is next.",
    schema: config::PeakEwma::schema,
    build: |section, context| {
        let config: config::PeakEwma = options(section, context)?;
        Some(Arc::new(PeakEwma(config)) as Arc<dyn Balance>)
    },
};

struct PeakEwma(config::PeakEwma);

struct Peaks {
    lottery: Lottery,
    random: Random,
    latencies: Latencies,
    /// Microseconds.
    failure: u64,
}

impl Balance for PeakEwma {
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer> {
        let decay = self.0.decay.as_micros() as u64;
        Box::new(Peaks {
            lottery: Lottery::new(candidates),
            random: Random::new(seed),
            latencies: Latencies::new(candidates.len(), decay, Estimate::Peak),
            failure: self.0.failure.as_micros() as u64,
        })
    }

    fn reads_clock(&self) -> bool {
        true
    }
}

impl Balancer for Peaks {
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize> {
        let candidates = input.candidates;
        let Some((first, second)) = self.lottery.draw_two(candidates, &mut self.random) else {
            return search(candidates, &mut self.random);
        };
        let mean = self.lottery.mean_weight();
        let wait = |i: usize| self.latencies.wait((i, &candidates[i]), mean, input.now);
        Some(second.filter(|second| wait(*second) < wait(first)).unwrap_or(first))
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
