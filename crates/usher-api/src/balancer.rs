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
    /// Its share now, compared with the others': as configured or changed since, and less while a fresh endpoint starts
    /// slowly. 0 takes no new requests.
    pub weight: u32,
    /// Requests that this worker has under way there.
    pub in_flight: u32,
    /// It may be chosen: healthy, not at its limits, not yet tried for this request.
    pub usable: bool,
    /// It takes no new visitors any more, but those that a balancer has sent there before, if it knows them again
    /// (`usable` is false then).
    pub draining: bool,
    /// A hash of its address, the same in all workers and processes (for consistent hashing).
    pub identity: u64,
}

/// What a choice may depend on.
pub struct PickInput<'a> {
    /// The endpoints in order of configuration. Their number is constant for the life of a [`Balancer`].
    pub candidates: &'a [Candidate],
    /// How many of them are usable; 0 only if there is one that is draining.
    pub usable: usize,
    /// Which of the groups of endpoints it is that these are. Where several take requests, as one alone cannot take them
    /// all, each has its own turns.
    pub group: u8,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The request, for keys such as a field or a cookie.
    pub exchange: &'a Exchange,
    /// The time on a clock that only goes forward (microseconds since some moment).
    pub now: u64,
}

/// What became of a request at the endpoint that was picked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The index of the endpoint.
    pub endpoint: usize,
    /// The time until the first byte of the response (microseconds); `None` if there was none.
    pub micros: Option<u64>,
    /// It failed by the endpoint's fault. Where it did not and there is no time either, the client left, or the endpoint
    /// was never asked.
    pub failed: bool,
    /// When it ended, on the clock of [`PickInput::now`].
    pub now: u64,
}

/// What settles the group of endpoints that takes a request, where several do: who belongs to an endpoint shall not go to and
/// fro between groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// Chance.
    None,
    /// A hash: the same one, the same group.
    Key(u64),
    /// That of this endpoint, while it may be chosen; by this hash otherwise.
    Endpoint(usize, u64),
}

/// The choice of one worker for one cluster and one set of endpoints. Not shared, so it needs no locks.
pub trait Balancer {
    /// The index of a usable candidate, or, for a visitor who was there before, of one that is draining; `None` if there
    /// is none.
    fn pick(&mut self, input: &PickInput<'_>) -> Option<usize>;

    /// What settles the group of endpoints that takes a request. Called only where several take requests.
    fn affinity(&self, client: Option<IpAddr>, exchange: &Exchange) -> Affinity {
        let _ = (client, exchange);
        Affinity::None
    }

    /// A request that was picked for has ended.
    fn finished(&mut self, outcome: Outcome) {
        let _ = outcome;
    }

    /// Weights are others than before: one was changed by hand, or a fresh endpoint is given more and more. What has
    /// been learned about the endpoints still holds.
    fn reweighted(&mut self, candidates: &[Candidate]) {
        let _ = candidates;
    }

    /// An endpoint has answered; the balancer may add fields to the response, such as the cookie by which it finds the
    /// endpoint again. Called only if [`Balance::marks_responses`].
    fn answered(&mut self, endpoint: usize, candidates: &[Candidate], exchange: &mut Exchange) {
        let _ = (endpoint, candidates, exchange);
    }
}

/// A configured way to balance; makes a [`Balancer`] for each worker and each new set of endpoints.
pub trait Balance: Send + Sync {
    /// Begins for a set of endpoints. `seed` differs between workers, so that they do not move in step.
    fn begin(&self, candidates: &[Candidate], seed: u64) -> Box<dyn Balancer>;

    /// Whether [`PickInput::now`] and [`Outcome::now`] are looked at; they are 0 otherwise.
    fn reads_clock(&self) -> bool {
        false
    }

    /// Whether [`Balancer::answered`] is to be called.
    fn marks_responses(&self) -> bool {
        false
    }
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
