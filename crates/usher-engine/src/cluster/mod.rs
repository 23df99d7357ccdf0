//! A cluster as one worker sees it: endpoints, the balancer's state, and pooled connections.

mod avoid;
mod dial;
mod endpoint;
mod link;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::metrics::WorkerMetrics;
use usher_api::{Balancer, Candidate, Error, ErrorKind, Exchange, PickInput, Side};
use usher_net::{Address, Transport};

pub(crate) use dial::Wanted;
pub use endpoint::{Endpoint, Lease};
pub use link::Link;

use crate::snapshot::{ClusterSpec, ResolvedEndpoint};

/// One worker's view of a cluster.
pub struct Cluster<S> {
    /// What was configured.
    pub spec: Arc<ClusterSpec>,
    state: RefCell<State<S>>,
}

struct State<S> {
    endpoints: Vec<Rc<Endpoint<S>>>,
    candidates: Rc<RefCell<Vec<Candidate>>>,
    balancer: Box<dyn Balancer>,
    /// How many endpoints take requests at all (weight above 0).
    open: usize,
    /// How many could not be connected to when it was last tried.
    unreachable: Rc<Cell<usize>>,
}

impl<S: Transport> Cluster<S> {
    /// A cluster with the endpoints that are known now. Endpoints that `before` has as well keep their connections.
    pub fn new(
        spec: Arc<ClusterSpec>,
        before: Option<&Cluster<S>>,
        seed: u64,
        metrics: &Arc<WorkerMetrics>,
    ) -> Rc<Self> {
        let known = before.map(|before| before.state.borrow().endpoints.clone()).unwrap_or_default();
        let state = State::new(&spec, &spec.resolved, &known, (seed, metrics));
        Rc::new(Self { spec, state: RefCell::new(state) })
    }

    /// Replaces the endpoints, after a name was resolved again. Those that stay keep their connections.
    pub fn update(&self, resolved: &[ResolvedEndpoint], seed: u64, metrics: &Arc<WorkerMetrics>) {
        metrics.make_room();
        let known = self.state.borrow().endpoints.clone();
        let state = State::new(&self.spec, resolved, &known, (seed, metrics));
        *self.state.borrow_mut() = state;
    }

    /// Chooses an endpoint that is not in `tried`; one that is avoided only if there is no other.
    pub fn pick(&self, exchange: &Exchange, tried: &[Rc<Endpoint<S>>]) -> Result<Lease<S>, Error> {
        let (index, endpoint) = self.choose(exchange, tried)?;
        let probes = endpoint.avoided.is_tried();
        Ok(Lease::new(endpoint, index, probes))
    }

    fn choose(
        &self,
        exchange: &Exchange,
        tried: &[Rc<Endpoint<S>>],
    ) -> Result<(usize, Rc<Endpoint<S>>), Error> {
        let mut state = self.state.borrow_mut();
        let State { endpoints, candidates, balancer, open, unreachable } = &mut *state;
        let mut candidates = candidates.borrow_mut();
        let limit = self.spec.pool.connections;
        let is_tried = |endpoint: &Rc<Endpoint<S>>| tried.iter().any(|other| Rc::ptr_eq(other, endpoint));
        let unreachable = unreachable.get() > 0;
        let narrowed = !tried.is_empty() || limit > 0 || unreachable;
        let mut usable = *open;
        if narrowed {
            for (endpoint, candidate) in endpoints.iter().zip(candidates.iter_mut()) {
                let full = limit > 0 && candidate.in_flight >= limit;
                candidate.usable = candidate.weight > 0 && !full && !is_tried(endpoint);
            }
            usable = candidates.iter().filter(|candidate| candidate.usable).count();
        }
        if unreachable {
            let now = Instant::now();
            let rather_not =
                |index: usize| endpoints.get(index).is_some_and(|one| one.avoided.is_avoided(now));
            usable = avoid::pass_over(&mut candidates, usable, rather_not);
        }
        let input = PickInput { candidates: &candidates, usable, client: exchange.client.ip, exchange };
        let picked = if usable == 0 { None } else { balancer.pick(&input) };
        let found = picked.and_then(|index| Some((index, endpoints.get(index)?.clone())));
        let overloaded = limit > 0 && tried.is_empty() && !candidates.is_empty();
        if narrowed {
            candidates.iter_mut().for_each(|candidate| candidate.usable = candidate.weight > 0);
        }
        drop(candidates);
        drop(state);
        match found {
            Some(found) => Ok(found),
            None if overloaded => Err(Error::new(Side::Proxy, ErrorKind::Overloaded)),
            None => Err(Error::new(Side::Proxy, ErrorKind::NoEndpoint)),
        }
    }

    /// Which endpoint would be chosen now, changing nothing that lasts.
    pub fn preview(&self, exchange: &Exchange) -> Option<String> {
        let (index, endpoint) = self.choose(exchange, &[]).ok()?;
        let lease = Lease::new(endpoint, index, false);
        self.release(&lease, None);
        Some(lease.endpoint.resolved.label.to_string())
    }

    /// Notes that a request to an endpoint ended.
    pub fn release(&self, lease: &Lease<S>, first_byte_micros: Option<u64>) {
        let mut state = self.state.borrow_mut();
        // After an update the index may stand for another endpoint; the new state began with the right counts.
        let is_same = |endpoint: &Rc<Endpoint<S>>| Rc::ptr_eq(endpoint, &lease.endpoint);
        let index = match state.endpoints.get(lease.index) {
            Some(endpoint) if is_same(endpoint) => Some(lease.index),
            _ => state.endpoints.iter().position(is_same),
        };
        let Some(index) = index else { return };
        state.balancer.finished(index, first_byte_micros);
    }

    /// Closes the connections that are kept: the cluster is in the config no more.
    pub fn retire(&self) {
        self.state.borrow().endpoints.iter().for_each(|endpoint| endpoint.retire());
    }

    /// Closes pooled connections that were idle too long or that their endpoint closed.
    pub fn sweep(&self, now: Instant) {
        for endpoint in &self.state.borrow().endpoints {
            endpoint.sweep(now, self.spec.pool.idle_timeout);
        }
    }

    /// The longest that a pooled connection may be idle.
    pub fn idle_timeout(&self) -> Duration {
        self.spec.pool.idle_timeout
    }
}

/// Endpoints from before a change, of which those that stay are taken over.
struct Known<'a, S>(HashMap<&'a Address, Vec<&'a Rc<Endpoint<S>>>>);

impl<'a, S: Transport> Known<'a, S> {
    fn new(endpoints: &'a [Rc<Endpoint<S>>]) -> Self {
        let mut known: HashMap<_, Vec<_>> = HashMap::new();
        for endpoint in endpoints {
            known.entry(&endpoint.resolved.address).or_default().push(endpoint);
        }
        Self(known)
    }

    /// Each is taken once: an endpoint that is listed twice has two seats.
    fn take(&mut self, wanted: &ResolvedEndpoint) -> Option<Rc<Endpoint<S>>> {
        let there = self.0.get_mut(&wanted.address)?;
        let same = there.iter().position(|endpoint| endpoint.is_same(wanted))?;
        let endpoint = there.remove(same).clone();
        endpoint.weigh(wanted.weight);
        Some(endpoint)
    }

    /// Whoever still has the old list (a tunnel, for days) shall not keep connections that nobody asks for again.
    fn retire(self) {
        self.0.into_values().flatten().for_each(|gone| gone.retire());
    }
}

impl<S: Transport> State<S> {
    fn new(
        spec: &ClusterSpec,
        resolved: &[ResolvedEndpoint],
        known: &[Rc<Endpoint<S>>],
        (seed, metrics): (u64, &Arc<WorkerMetrics>),
    ) -> Self {
        let mut known = Known::new(known);
        let make = |resolved: &ResolvedEndpoint| {
            known.take(resolved).unwrap_or_else(|| {
                let own = metrics.endpoint(&spec.name, &resolved.label);
                Rc::new(Endpoint::new(resolved.clone(), own, metrics.clone()))
            })
        };
        let endpoints: Vec<Rc<Endpoint<S>>> = resolved.iter().map(make).collect();
        known.retire();
        let candidates: Vec<Candidate> = endpoints.iter().map(|endpoint| endpoint.candidate()).collect();
        let balancer = spec.balance.begin(&candidates, seed);
        let open = candidates.iter().filter(|candidate| candidate.usable).count();
        let candidates = Rc::new(RefCell::new(candidates));
        let failing = endpoints.iter().filter(|endpoint| endpoint.avoided.is_failing()).count();
        let unreachable = Rc::new(Cell::new(failing));
        for (index, endpoint) in endpoints.iter().enumerate() {
            endpoint.sit((&candidates, index), &unreachable, spec.pool.idle as usize);
        }
        Self { endpoints, candidates, balancer, open, unreachable }
    }
}
