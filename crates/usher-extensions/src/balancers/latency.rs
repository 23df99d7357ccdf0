//! How long endpoints take: means that forget, by time.

#[cfg(test)]
mod tests;

use usher_api::Candidate;

/// The share of a new response in what is typical.
const TYPICAL_SHARE: f64 = 1.0 / 64.0;

/// What is assumed before the first response (microseconds). Only ratios matter.
const FIRST_GUESS: f64 = 1000.0;

/// Of one endpoint.
#[derive(Clone, Copy, Debug)]
struct Latency {
    /// Microseconds.
    mean: f64,
    /// When that was measured (microseconds).
    at: u64,
}

/// How a new response changes the mean of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Estimate {
    /// By the time that has passed since the last one.
    Mean,
    /// One that took longer counts at once and in full.
    Peak,
}

/// The latencies of the endpoints of a cluster, as one worker sees them.
///
/// With time, what was measured fades to what is typical of all: an endpoint that was slow is tried again, and one that
/// was never measured counts like the others.
#[derive(Debug)]
pub(super) struct Latencies {
    of: Box<[Option<Latency>]>,
    /// The mean over all endpoints (microseconds); none before the first response.
    typical: Option<f64>,
    /// In this time (microseconds) the weight of a measurement falls to 1/e.
    decay: f64,
    estimate: Estimate,
}

impl Latencies {
    /// Of so many endpoints. `decay` in microseconds, at least 1.
    pub(super) fn new(endpoints: usize, decay: u64, estimate: Estimate) -> Self {
        Self { of: vec![None; endpoints].into(), typical: None, decay: decay.max(1) as f64, estimate }
    }

    /// What is expected of an endpoint (microseconds, above 0).
    #[inline]
    pub(super) fn expected(&self, endpoint: usize, now: u64) -> f64 {
        let typical = self.typical.unwrap_or(FIRST_GUESS);
        match self.of.get(endpoint) {
            Some(Some(known)) => typical + (known.mean - typical) * self.left(known, now),
            _ => typical,
        }
    }

    /// How long the next request would wait at an endpoint, about (microseconds). With nothing under way that is its
    /// latency, whatever its weight: who has more of it is drawn more often. `mean_weight` is that of all endpoints.
    #[inline]
    pub(super) fn wait(&self, (endpoint, one): (usize, &Candidate), mean_weight: f64, now: u64) -> f64 {
        let under_way = f64::from(one.in_flight) * mean_weight / f64::from(one.weight);
        self.expected(endpoint, now) * (under_way + 1.0)
    }

    /// Notes a response.
    pub(super) fn note(&mut self, endpoint: usize, micros: u64, now: u64) {
        let sample = micros.max(1) as f64;
        let typical = self.typical.map_or(sample, |before| before + (sample - before) * TYPICAL_SHARE);
        let before = self.expected(endpoint, now);
        let is_peak = self.estimate == Estimate::Peak && sample > before;
        let mean = match self.of.get(endpoint) {
            Some(Some(known)) if !is_peak => sample + (before - sample) * self.left(known, now),
            _ => sample,
        };
        self.typical = Some(typical);
        if let Some(known) = self.of.get_mut(endpoint) {
            *known = Some(Latency { mean, at: now });
        }
    }

    /// The weight that a measurement still has.
    #[inline]
    fn left(&self, known: &Latency, now: u64) -> f64 {
        (-(now.saturating_sub(known.at) as f64) / self.decay).exp()
    }
}
