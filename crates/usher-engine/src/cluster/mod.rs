//! A cluster as one worker sees it: endpoints, the balancer's state, and pooled connections.

mod avoid;
mod breaker;
mod budget;
mod circuit;
mod dial;
mod endpoint;
mod gradient;
mod latency;
mod limits;
mod link;
mod outliers;
mod selection;
mod state;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::metrics::WorkerMetrics;
use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_net::{Address, Transport};

pub use breaker::{Breaker, Phase};
use budget::Repeats;
pub use circuit::Circuit;
pub(crate) use circuit::{Fate, Permit};
pub(crate) use dial::Wanted;
pub use endpoint::{Endpoint, Lease};
pub use gradient::{Adaptive, Response};
pub use limits::Crowd;
pub(crate) use limits::Turn;
pub use link::Link;
pub use outliers::OutlierWatch;
use state::State;

use crate::snapshot::{ClusterSpec, ResolvedEndpoint};

/// Endpoints that are chosen in vain, as other workers are faster, before it is too much.
const MAX_CHOICES: usize = 4;

/// One worker's view of a cluster.
pub struct Cluster<S> {
    /// What was configured.
    pub spec: Arc<ClusterSpec>,
    /// What was sent again; goes on over reloads.
    repeats: Rc<Repeats>,
    state: RefCell<State<S>>,
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
        let repeats = before.map(|before| before.repeats.clone()).unwrap_or_default();
        Rc::new(Self { spec, repeats, state: RefCell::new(state) })
    }

    /// Replaces the endpoints, after a name was resolved again. Those that stay keep their connections.
    pub fn update(&self, resolved: &[ResolvedEndpoint], seed: u64, metrics: &Arc<WorkerMetrics>) {
        metrics.make_room();
        let known = self.state.borrow().endpoints.clone();
        let state = State::new(&self.spec, resolved, &known, (seed, metrics));
        *self.state.borrow_mut() = state;
    }

    /// Chooses an endpoint that is not in `tried`; one that is avoided only if there is no other.
    ///
    /// # Errors
    /// [`ErrorKind::NoEndpoint`]; [`ErrorKind::Overloaded`] where endpoints have as many requests as they may, or others
    /// wait for them already.
    pub fn pick(&self, exchange: &Exchange, tried: &[Rc<Endpoint<S>>]) -> Result<Lease<S>, Error> {
        let limited = self.spec.limits.are_set();
        // Who was served already, if only by an endpoint that failed, does not go to the end of the queue.
        if limited && tried.is_empty() && self.spec.crowd.is_waited_for(&self.spec.name) {
            return Err(Error::new(Side::Proxy, ErrorKind::Overloaded));
        }
        self.pick_now(exchange, tried)
    }

    /// As [`pick`](Self::pick), for whoever has waited.
    fn pick_now(&self, exchange: &Exchange, tried: &[Rc<Endpoint<S>>]) -> Result<Lease<S>, Error> {
        let limits = &self.spec.limits;
        for _ in 0..MAX_CHOICES {
            let (index, endpoint) = self.choose(exchange, tried)?;
            let place = if limits.are_set() {
                // Another worker may have taken the last one meanwhile.
                let Some(place) = self.spec.crowd.place(&endpoint.standing, (limits, &self.spec.standings))
                else {
                    self.state.borrow_mut().not_asked(&self.spec, index);
                    continue;
                };
                Some(place)
            } else {
                None
            };
            let probes = endpoint.avoided.is_tried();
            return Ok(Lease::new(endpoint, index, (probes, place)));
        }
        Err(Error::new(Side::Proxy, ErrorKind::Overloaded))
    }

    /// A place in the queue; none if there is no queue, or no room in it.
    pub(crate) fn queue(&self) -> Option<Turn> {
        let limits = &self.spec.limits;
        if !limits.are_set() {
            return None;
        }
        self.spec.crowd.queue(&self.spec.name, limits)
    }

    /// Waits in the queue until there is an endpoint.
    pub(crate) async fn pick_in_turn(&self, exchange: &Exchange, turn: &Turn) -> Result<Lease<S>, Error> {
        // A place may have been given back just before this one was in the queue.
        if turn.is_first()
            && let Some(picked) = self.pick_waited(exchange, turn)
        {
            return picked;
        }
        loop {
            turn.wait().await;
            if let Some(picked) = self.pick_waited(exchange, turn) {
                return picked;
            }
            turn.pass_on();
        }
    }

    /// Chooses an endpoint for whoever has waited; none if there is still none.
    fn pick_waited(&self, exchange: &Exchange, turn: &Turn) -> Option<Result<Lease<S>, Error>> {
        match self.pick_now(exchange, &[]) {
            Err(error) if error.kind == ErrorKind::Overloaded => None,
            picked => {
                turn.taken(self.state.borrow().has_room(&self.spec));
                Some(picked)
            }
        }
    }

    /// The endpoint at an address, for whoever has it already; none if the cluster has no such one.
    pub(crate) fn at(&self, address: SocketAddr) -> Option<Lease<S>> {
        let state = self.state.borrow();
        let is_there = |one: &Rc<Endpoint<S>>| one.resolved.address == Address::Ip(address);
        let (index, endpoint) = state.endpoints.iter().enumerate().find(|(_, one)| is_there(one))?;
        // Also where there are as many as there may be: they are counted, and new ones wait for it.
        let spec = &self.spec;
        let place = || spec.crowd.place(&endpoint.standing, (&spec.limits, &spec.standings));
        let place = spec.limits.are_set().then(place).flatten();
        Some(Lease::new(endpoint.clone(), index, (false, place)))
    }

    fn choose(
        &self,
        exchange: &Exchange,
        tried: &[Rc<Endpoint<S>>],
    ) -> Result<(usize, Rc<Endpoint<S>>), Error> {
        let mut state = self.state.borrow_mut();
        state.look_again(&self.spec);
        match state.choose(&self.spec, exchange, tried) {
            Some(found) => Ok(found),
            None if state.is_full(&self.spec, tried) => Err(Error::new(Side::Proxy, ErrorKind::Overloaded)),
            None => Err(Error::new(Side::Proxy, ErrorKind::NoEndpoint)),
        }
    }

    /// Lets the balancer add to a response what it wants, such as a cookie.
    pub fn answered(&self, lease: &Lease<S>, exchange: &mut Exchange) {
        if self.spec.balance.marks_responses() {
            self.state.borrow_mut().answered(lease, exchange);
        }
    }

    /// Notes how an endpoint did: the time to the first byte of its response (microseconds), none if it failed. Once per
    /// request that was sent to it.
    #[inline]
    pub fn fared(&self, lease: &Lease<S>, micros: Option<u64>) {
        lease.heard();
        if self.spec.outliers.is_some() || self.spec.limits.adaptive.on().is_some() {
            self.note(lease, micros);
        }
    }

    #[inline(never)]
    fn note(&self, lease: &Lease<S>, micros: Option<u64>) {
        let endpoint = &lease.endpoint;
        if let Some(micros) = micros {
            self.took(micros);
        }
        outliers::note(&self.spec, || endpoint.resolved.address.to_string(), &endpoint.standing, micros);
    }

    /// Notes that another endpoint answered first, after so long (microseconds): that is no success, so that one that hangs
    /// is found out by the requests that nobody else could be asked for.
    pub(crate) fn outrun(&self, lease: &Lease<S>, micros: u64) {
        lease.heard();
        self.took(micros);
        outliers::note_slow(&self.spec, &lease.endpoint.standing, micros);
    }

    /// Tells the limit that finds itself how long a response took to begin, or was waited for (microseconds).
    pub(crate) fn took(&self, micros: u64) {
        if self.spec.limits.adaptive.on().is_some() {
            let now = self.spec.standings.millis(Instant::now().into_std());
            let random = self.state.borrow_mut().random();
            self.spec.crowd.took(&self.spec.limits, (micros, now, random));
        }
    }

    /// Which endpoint would be chosen now, changing nothing that lasts.
    pub fn preview(&self, exchange: &Exchange) -> Option<String> {
        let (index, endpoint) = self.choose(exchange, &[]).ok()?;
        let lease = Lease::new(endpoint, index, (false, None));
        self.forget(&lease);
        Some(lease.endpoint.resolved.label.to_string())
    }

    /// Notes that a request to an endpoint ended.
    pub fn release(&self, lease: &Lease<S>, first_byte_micros: Option<u64>) {
        self.state.borrow_mut().finished(&self.spec, lease, first_byte_micros);
    }

    /// Notes that a request to an endpoint ended without telling anything about it: the client left, or it was never
    /// asked.
    pub fn forget(&self, lease: &Lease<S>) {
        self.state.borrow_mut().forgotten(&self.spec, lease);
    }

    /// Whether there is an endpoint at the same address now.
    pub(crate) fn has(&self, endpoint: &Endpoint<S>) -> bool {
        self.state.borrow().endpoints.iter().any(|own| own.resolved.address == endpoint.resolved.address)
    }

    /// Closes the connections that are kept: the cluster is in the config no more.
    pub fn retire(&self) {
        self.state.borrow().endpoints.iter().for_each(|endpoint| endpoint.retire());
    }

    /// Closes pooled connections that were idle too long or that their endpoint closed; gives fresh endpoints more.
    pub fn sweep(&self, now: Instant) {
        self.state.borrow_mut().warm_up(&self.spec);
        // Room that nobody gave back: an endpoint is well again, or was added.
        if self.spec.crowd.waiting() > 0 && self.state.borrow().has_room(&self.spec) {
            self.spec.crowd.tell_first();
        }
        for endpoint in &self.state.borrow().endpoints {
            endpoint.sweep(now, self.spec.pool.idle_timeout);
        }
    }

    /// The longest that a pooled connection may be idle.
    pub fn idle_timeout(&self) -> Duration {
        self.spec.pool.idle_timeout
    }
}
