//! Balancers: which endpoint takes a request.

use std::net::IpAddr;
use std::sync::Arc;

use usher_config::Node;
use usher_config::schema::Schema;

use crate::build::BuildContext;
use crate::exchange::Exchange;

/// An endpoint as a balancer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its configured share, 1 to 1000.
    pub weight: u32,
    /// Requests that this worker has under way there.
    pub in_flight: u32,
    /// It may be chosen: healthy, not at its limits, not yet tried for this request.
    pub usable: bool,
    /// A hash of its address, the same in all workers and processes (for consistent hashing).
    pub identity: u64,
}

/// What a choice may depend on.
pub struct PickInput<'a> {
    /// The endpoints in order of configuration. Their number is constant for the life of a [`Balancer`].
    pub candidates: &'a [Candidate],
    /// How many of them are usable; at least 1.
    pub usable: usize,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The request, for keys such as a field or a cookie.
    pub exchange: &'a Exchange,
}

/// The choice of one worker for one cluster and one set of endpoints. Not shared, so it needs no locks.
pub trait Balancer {
    /// The index of a usable candidate; `None` if there is none.
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize>;

    /// A request to that endpoint ended; `micros` is the time to its first byte, `None` if it failed.
    fn finished(&mut self, endpoint: usize, micros: Option<u64>) {
        let _ = (endpoint, micros);
    }
}

/// A configured way to balance; makes a [`Balancer`] for each worker and each new set of endpoints.
pub trait Balance: Send + Sync {
    /// Begins for a set of endpoints. `seed` differs between workers, so that they do not move in step.
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer>;
}

/// What the engine and the tools know of a balancer: one `FACTORY` per extension folder.
pub struct BalancerFactory {
    /// The name after `balance =`.
    pub name: &'static str,
    /// One line for `--help`, the manual and the schema.
    pub summary: &'static str,
    /// The options beside the name, if it is written as a table.
    pub schema: fn() -> Schema,
    /// Reads the options (`None` when only the name is written) and builds it.
    pub build: BuildBalance,
}

/// Reads a balancer's options and builds it.
pub type BuildBalance = fn(Option<&Node>, &mut BuildContext<'_, '_>) -> Option<Arc<dyn Balance>>;
