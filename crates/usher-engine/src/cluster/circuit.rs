//! A cluster's breaker, on the way of its requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::{Error, ErrorKind, Side};
use usher_config::config;
use usher_net::Transport;

use super::Cluster;
pub(crate) use super::breaker::Permit;
use super::breaker::{Breaker, Phase, Verdict, is_failure};
use crate::snapshot::ClusterSpec;

/// A cluster's breaker.
#[derive(Clone, Debug)]
pub struct Circuit {
    /// When it opens and closes.
    pub settings: config::Breaker,
    /// Its state, over all workers; the same over all reloads.
    pub breaker: Arc<Breaker>,
    /// The index of the cluster that takes the requests while it is open.
    pub fallback: Option<u32>,
}

/// How a request to a cluster ended.
pub(crate) enum Fate {
    /// A response with this status began after so long (microseconds).
    Answered(u16, u64),
    /// There was none.
    Failed,
}

impl Circuit {
    /// Now, on the clock of the breaker (milliseconds).
    fn now(spec: &ClusterSpec) -> u64 {
        spec.standings.millis(Instant::now().into_std())
    }

    fn verdict(&self, fate: &Fate) -> Verdict {
        match fate {
            Fate::Failed => Verdict { failed: true, slow: false },
            Fate::Answered(status, micros) => {
                let is_slow = |limit: Duration| u128::from(*micros) > limit.as_micros();
                let slow = self.settings.slow.is_some_and(is_slow);
                Verdict { failed: is_failure(&self.settings, *status), slow }
            }
        }
    }
}

impl<S: Transport> Cluster<S> {
    /// Leave to send a request to the cluster; none is needed where it has no breaker.
    ///
    /// # Errors
    /// [`ErrorKind::CircuitOpen`].
    pub(crate) fn admit(&self) -> Result<Option<Permit>, Error> {
        let Some(circuit) = &self.spec.circuit else { return Ok(None) };
        let admitted = circuit.breaker.admit(&circuit.settings, Circuit::now(&self.spec));
        admitted.map(Some).map_err(|seconds| {
            let mut error = Error::new(Side::Proxy, ErrorKind::CircuitOpen);
            error.retry_after = seconds;
            error
        })
    }

    /// Whether the cluster takes what nobody waits for: only while its circuit is closed.
    pub(crate) fn is_closed(&self) -> bool {
        let phase = self.spec.circuit.as_ref().map(|circuit| circuit.breaker.phase());
        phase.is_none_or(|phase| matches!(phase, Phase::Closed | Phase::HeldClosed))
    }

    /// Tells the breaker what became of a request for which there was leave.
    pub(crate) fn judge(&self, permit: Option<Permit>, fate: &Fate, random: u64) {
        let (Some(permit), Some(circuit)) = (permit, &self.spec.circuit) else { return };
        let now = Circuit::now(&self.spec);
        self.log(permit.tell(&circuit.settings, circuit.verdict(fate), (now, random)));
    }

    /// A response broke off that had begun so long ago.
    pub(crate) fn broke_off(&self, began: Duration, random: u64) {
        let Some(circuit) = &self.spec.circuit else { return };
        let line = circuit.breaker.broke_off(&circuit.settings, began, (Circuit::now(&self.spec), random));
        self.log(line);
    }

    /// A call of gRPC that had begun so long ago has ended, as its trailers say; the status is one of HTTP.
    pub(crate) fn call_ended(&self, status: u16, began: Duration, random: u64) {
        let fails = |circuit: &Circuit| is_failure(&circuit.settings, status);
        if self.spec.circuit.as_ref().is_some_and(fails) {
            self.broke_off(began, random);
        }
    }

    fn log(&self, line: Option<String>) {
        if let Some(line) = line {
            self.spec.standings.tell(format!("cluster {}: {line}", self.spec.name));
        }
    }
}
