//! The endpoints of a cluster as they are now, and the balancer's state for them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hint::cold_path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::balancer::{Affinity, Outcome};
use usher_api::metrics::WorkerMetrics;
use usher_api::{Balancer, Candidate, Exchange, PickInput};
use usher_net::{Address, Transport};

use super::endpoint::{Endpoint, Lease};
use super::selection::Selection;
use super::{avoid, limits};
use crate::snapshot::{ClusterSpec, ResolvedEndpoint};

/// A fresh endpoint begins with this share of its own (percent), and gets more in steps of it.
const FIRST_STEP: u64 = 10;

pub(super) struct State<S> {
    pub(super) endpoints: Vec<Rc<Endpoint<S>>>,
    candidates: Rc<RefCell<Vec<Candidate>>>,
    balancer: Box<dyn Balancer>,
    /// Who may be chosen.
    selection: Selection,
    /// How many that are, where one group takes all requests.
    usable: usize,
    /// The standings that this was made from.
    version: u64,
    /// An endpoint is fresh, so that its share grows.
    warming: bool,
    /// How many could not be connected to when it was last tried.
    unreachable: Rc<Cell<usize>>,
    /// For what is left to chance (xorshift64*).
    random: u64,
    /// When its clock began.
    epoch: Instant,
}

impl<S: Transport> State<S> {
    pub(super) fn new(
        spec: &ClusterSpec,
        resolved: &[ResolvedEndpoint],
        known: &[Rc<Endpoint<S>>],
        (seed, metrics): (u64, &Arc<WorkerMetrics>),
    ) -> Self {
        let mut known = Known::new(known);
        let make = |resolved: &ResolvedEndpoint| {
            known.take(resolved).unwrap_or_else(|| {
                let counters = (metrics.endpoint(&spec.name, &resolved.label), metrics.clone());
                let standing = spec.standings.of(&resolved.address.to_string());
                Rc::new(Endpoint::new(resolved.clone(), standing, counters))
            })
        };
        let endpoints: Vec<Rc<Endpoint<S>>> = resolved.iter().map(make).collect();
        known.retire();
        let version = spec.standings.version();
        let mut candidates: Vec<Candidate> = endpoints.iter().map(|endpoint| endpoint.candidate()).collect();
        let warming = weigh(spec, &endpoints, &mut candidates);
        let balancer = spec.balance.begin(&candidates, seed);
        let candidates = Rc::new(RefCell::new(candidates));
        let failing = endpoints.iter().filter(|endpoint| endpoint.avoided.is_failing()).count();
        let unreachable = Rc::new(Cell::new(failing));
        for (index, endpoint) in endpoints.iter().enumerate() {
            endpoint.sit((&candidates, index), &unreachable, spec.pool.idle as usize);
        }
        let (selection, random, epoch) = (Selection::default(), seed | 1, Instant::now());
        let mut state = Self {
            endpoints,
            candidates,
            balancer,
            selection,
            usable: 0,
            version,
            warming,
            unreachable,
            random,
            epoch,
        };
        state.select(spec);
        state
    }

    /// Looks at the standings again, if they have changed.
    #[inline]
    pub(super) fn look_again(&mut self, spec: &ClusterSpec) {
        let version = spec.standings.version();
        if version != self.version {
            self.version = version;
            self.reweigh(spec);
            self.select(spec);
        }
    }

    /// Gives fresh endpoints more.
    pub(super) fn warm_up(&mut self, spec: &ClusterSpec) {
        if self.warming {
            self.reweigh(spec);
        }
    }

    fn reweigh(&mut self, spec: &ClusterSpec) {
        let mut candidates = self.candidates.borrow_mut();
        let before: Vec<u32> = candidates.iter().map(|one| one.weight).collect();
        self.warming = weigh(spec, &self.endpoints, &mut candidates);
        if before.iter().zip(candidates.iter()).any(|(before, now)| *before != now.weight) {
            self.balancer.reweighted(&candidates);
        }
    }

    /// Finds out who may be chosen.
    fn select(&mut self, spec: &ClusterSpec) {
        let members: Vec<_> = self.endpoints.iter().map(|endpoint| endpoint.member()).collect();
        self.selection = Selection::new(&members, spec.care);
        self.rest();
        self.usable = self.candidates.borrow().iter().filter(|candidate| candidate.usable).count();
    }

    /// Makes usable who is without regard to a single request.
    fn rest(&mut self) {
        let group = self.selection.draw(0);
        let mut candidates = self.candidates.borrow_mut();
        for (index, (endpoint, candidate)) in self.endpoints.iter().zip(candidates.iter_mut()).enumerate() {
            candidate.usable = self.selection.is_in(index, group);
            candidate.draining = endpoint.is_draining();
        }
    }

    /// Chooses an endpoint that is not in `tried`; one that is avoided only if there is no other.
    pub(super) fn choose(
        &mut self,
        spec: &ClusterSpec,
        exchange: &Exchange,
        tried: &[Rc<Endpoint<S>>],
    ) -> Option<(usize, Rc<Endpoint<S>>)> {
        if spec.crowd.is_full(&spec.limits) {
            cold_path();
            return None;
        }
        let is_limited = spec.pool.connections > 0 || spec.limits.are_set();
        let is_plain = tried.is_empty() && self.unreachable.get() == 0 && self.selection.is_single();
        if is_plain && (!is_limited || self.usable > 0) {
            match self.ask(spec, exchange, (self.usable, None)) {
                // Only then are all endpoints looked at, of which there may be thousands: mostly there is room.
                Some(index) if is_limited && self.is_occupied(spec, index) => self.not_asked(spec, index),
                picked => return self.numbered(picked),
            }
        }
        cold_path();
        let chosen_among = self.narrow(spec, exchange, tried);
        let picked = self.ask(spec, exchange, chosen_among);
        self.rest();
        self.numbered(picked)
    }

    fn numbered(&self, picked: Option<usize>) -> Option<(usize, Rc<Endpoint<S>>)> {
        picked.and_then(|index| Some((index, self.endpoints.get(index)?.clone())))
    }

    /// Asks the balancer for one of so many that are usable, of this group.
    fn ask(
        &mut self,
        spec: &ClusterSpec,
        exchange: &Exchange,
        (usable, group): (usize, Option<u8>),
    ) -> Option<usize> {
        let now = self.now(spec);
        let candidates = self.candidates.borrow();
        if usable == 0 && !candidates.iter().any(|candidate| candidate.draining) {
            return None;
        }
        let (group, client) = (group.unwrap_or_default(), exchange.client.ip);
        self.balancer.pick(&PickInput { candidates: &candidates, usable, group, client, exchange, now })
    }

    /// Whether an endpoint has as many requests as it may.
    fn is_occupied(&self, spec: &ClusterSpec, index: usize) -> bool {
        let limit = spec.pool.connections;
        let is_full = |one: &Rc<Endpoint<S>>| limits::is_full(&one.standing, &spec.limits);
        self.endpoints.get(index).is_some_and(is_full)
            || limit > 0 && self.candidates.borrow().get(index).is_some_and(|one| one.in_flight >= limit)
    }

    /// Makes usable who is for one request; gives how many that are, and the group, if several take requests.
    fn narrow(
        &mut self,
        spec: &ClusterSpec,
        exchange: &Exchange,
        tried: &[Rc<Endpoint<S>>],
    ) -> (usize, Option<u8>) {
        let limit = spec.pool.connections;
        let group = self.group(exchange);
        let Self { endpoints, candidates, selection, .. } = self;
        let mut candidates = candidates.borrow_mut();
        let is_free = |endpoint: &Rc<Endpoint<S>>, candidate: &Candidate| {
            let is_tried = tried.iter().any(|other| Rc::ptr_eq(other, endpoint));
            let full = limit > 0 && candidate.in_flight >= limit;
            !is_tried && !full && !limits::is_full(&endpoint.standing, &spec.limits)
        };
        let mut mark = |is_open: &dyn Fn(usize) -> bool| {
            let mut usable = 0;
            for (index, (endpoint, candidate)) in endpoints.iter().zip(candidates.iter_mut()).enumerate() {
                let is_free = is_free(endpoint, candidate);
                candidate.usable = is_open(index) && is_free;
                candidate.draining &= is_free;
                usable += usize::from(candidate.usable);
            }
            usable
        };
        let mut usable = mark(&|index| selection.is_in(index, group));
        let drawn = group.filter(|_| !selection.is_single());
        if usable == 0 {
            usable = mark(&|index| selection.is_open(index));
        }
        if self.unreachable.get() == 0 {
            return (usable, drawn);
        }
        let now = Instant::now();
        let rather_not = |index: usize| endpoints.get(index).is_some_and(|one| one.avoided.is_avoided(now));
        (avoid::pass_over(&mut candidates, usable, rather_not), drawn)
    }

    /// The group that takes a request: by chance, unless its visitor belongs to one.
    fn group(&mut self, exchange: &Exchange) -> Option<u8> {
        if self.selection.is_single() {
            return self.selection.draw(0);
        }
        match self.balancer.affinity(exchange.client.ip, exchange) {
            Affinity::Endpoint(index, _) if self.selection.is_open(index) => self.selection.group_of(index),
            Affinity::Endpoint(_, key) | Affinity::Key(key) => self.selection.draw(key),
            Affinity::None => {
                let random = self.random();
                self.selection.draw(random)
            }
        }
    }

    /// Whether nobody could be chosen because all have as many requests as they may.
    pub(super) fn is_full(&self, spec: &ClusterSpec, tried: &[Rc<Endpoint<S>>]) -> bool {
        let limited = spec.pool.connections > 0 || spec.limits.are_set();
        limited && tried.is_empty() && self.usable > 0
    }

    /// Whether one more request could be sent somewhere.
    pub(super) fn has_room(&self, spec: &ClusterSpec) -> bool {
        let is_free = |(index, endpoint): (usize, &Rc<Endpoint<S>>)| {
            self.selection.is_open(index) && !limits::is_full(&endpoint.standing, &spec.limits)
        };
        !spec.crowd.is_full(&spec.limits) && self.endpoints.iter().enumerate().any(is_free)
    }

    pub(super) fn answered(&mut self, lease: &Lease<S>, exchange: &mut Exchange) {
        if let Some(index) = self.index_of(lease) {
            self.balancer.answered(index, &self.candidates.borrow(), exchange);
        }
    }

    pub(super) fn finished(&mut self, spec: &ClusterSpec, lease: &Lease<S>, micros: Option<u64>) {
        if let Some(endpoint) = self.index_of(lease) {
            let now = self.now(spec);
            let failed = micros.is_none();
            self.balancer.finished(Outcome { endpoint, micros, failed, now });
        }
    }

    pub(super) fn forgotten(&mut self, spec: &ClusterSpec, lease: &Lease<S>) {
        if let Some(endpoint) = self.index_of(lease) {
            self.not_asked(spec, endpoint);
        }
    }

    /// Tells the balancer that whom it picked was not asked, or that nothing is known of it.
    pub(super) fn not_asked(&mut self, spec: &ClusterSpec, endpoint: usize) {
        let now = self.now(spec);
        self.balancer.finished(Outcome { endpoint, micros: None, failed: false, now });
    }

    /// After an update the index may stand for another endpoint; the new state began with the right counts.
    fn index_of(&self, lease: &Lease<S>) -> Option<usize> {
        let is_same = |endpoint: &Rc<Endpoint<S>>| Rc::ptr_eq(endpoint, &lease.endpoint);
        match self.endpoints.get(lease.index) {
            Some(endpoint) if is_same(endpoint) => Some(lease.index),
            _ => self.endpoints.iter().position(is_same),
        }
    }

    /// The balancer's clock, if it looks at one.
    fn now(&self, spec: &ClusterSpec) -> u64 {
        if spec.balance.reads_clock() { self.epoch.elapsed().as_micros() as u64 } else { 0 }
    }

    pub(super) fn random(&mut self) -> u64 {
        let mut x = self.random;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random = x;
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// Gives each its weight; true if one is fresh, so that its share grows. Where that can be, weights always count in
/// percent: what hashes them does not begin anew when a slow start ends.
fn weigh<S: Transport>(
    spec: &ClusterSpec,
    endpoints: &[Rc<Endpoint<S>>],
    candidates: &mut [Candidate],
) -> bool {
    let length = spec.care.slow_start;
    let now = spec.standings.millis(Instant::now().into_std());
    let warmth = |endpoint: &Endpoint<S>| warmth(endpoint.standing.fresh_since(), now, length);
    let warming = endpoints.iter().any(|endpoint| warmth(endpoint) < 100);
    for (endpoint, candidate) in endpoints.iter().zip(candidates) {
        candidate.weight = endpoint.share();
        if !length.is_zero() {
            candidate.weight = candidate.weight.saturating_mul(warmth(endpoint) as u32);
        }
    }
    warming
}

/// How much of its share a fresh endpoint gets (percent).
fn warmth(since: Option<u64>, now: u64, length: Duration) -> u64 {
    let length = length.as_millis() as u64;
    match since.map(|since| now.saturating_sub(since)) {
        Some(age) if age < length => (age * 100 / length / FIRST_STEP * FIRST_STEP).max(FIRST_STEP),
        _ => 100,
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
        endpoint.weigh(wanted.weight, wanted.priority);
        Some(endpoint)
    }

    /// Whoever still has the old list (a tunnel, for days) shall not keep connections that nobody asks for again.
    fn retire(self) {
        self.0.into_values().flatten().for_each(|gone| gone.retire());
    }
}

#[cfg(test)]
mod tests;
