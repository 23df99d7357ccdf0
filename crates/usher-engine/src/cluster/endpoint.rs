//! One endpoint of one worker, and the connections to it that wait for a request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;
use usher_api::Candidate;
use usher_api::metrics::EndpointMetrics;
use usher_net::Transport;
use usher_wire::Connection;

use crate::snapshot::ResolvedEndpoint;

/// An endpoint.
pub struct Endpoint<S> {
    /// Where it is and what it is called.
    pub resolved: ResolvedEndpoint,
    /// Its counters.
    pub metrics: Arc<EndpointMetrics>,
    in_flight: Cell<u32>,
    idle: RefCell<VecDeque<Idle<S>>>,
    max_idle: usize,
}

struct Idle<S> {
    connection: Box<Connection<S>>,
    since: Instant,
}

impl<S: Transport> Endpoint<S> {
    pub(super) fn new(resolved: ResolvedEndpoint, max_idle: usize, metrics: Arc<EndpointMetrics>) -> Self {
        Self { resolved, metrics, in_flight: Cell::new(0), idle: RefCell::default(), max_idle }
    }

    /// As a balancer sees it.
    pub(super) fn candidate(&self) -> Candidate {
        let mut hasher = DefaultHasher::new();
        self.resolved.address.to_string().hash(&mut hasher);
        Candidate {
            weight: self.resolved.weight,
            in_flight: self.in_flight.get(),
            usable: self.resolved.weight > 0,
            identity: hasher.finish(),
        }
    }

    /// A pooled connection that is still open, the most recently used first (its caches are warm, and the oldest can
    /// time out).
    pub fn take_idle(&self) -> Option<Box<Connection<S>>> {
        let mut pool = self.idle.borrow_mut();
        while let Some(mut idle) = pool.pop_back() {
            self.metrics.idle.decrement();
            if is_quiet(&mut idle.connection) {
                return Some(idle.connection);
            }
        }
        None
    }

    /// Keeps a connection for another request; the longest idle one gives way if there are too many.
    pub fn keep(&self, mut connection: Box<Connection<S>>, now: Instant) {
        connection.release();
        let mut pool = self.idle.borrow_mut();
        if self.max_idle == 0 {
            return;
        }
        if pool.len() >= self.max_idle {
            pool.pop_front();
            self.metrics.idle.decrement();
        }
        pool.push_back(Idle { connection, since: now });
        self.metrics.idle.increment();
    }

    pub(super) fn sweep(&self, now: Instant, timeout: Duration) {
        let mut pool = self.idle.borrow_mut();
        let before = pool.len();
        pool.retain_mut(|idle| now.duration_since(idle.since) < timeout && is_quiet(&mut idle.connection));
        (pool.len()..before).for_each(|_| self.metrics.idle.decrement());
    }
}

impl<S> Drop for Endpoint<S> {
    fn drop(&mut self) {
        self.idle.borrow().iter().for_each(|_| self.metrics.idle.decrement());
    }
}

/// Whether nothing has happened on an idle connection: bytes or an end there mean that it cannot carry a request.
///
/// Mostly the runtime knows, without a system call. It may think that there is something to read where the last read
/// merely ended exactly with the response; then one read tells.
fn is_quiet<S: Transport>(connection: &mut Connection<S>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    connection.poll_gone(&mut cx).is_pending() && !connection.has_input() && !connection.is_ended()
}

/// A request's claim on an endpoint. Give it back with [`super::Cluster::release`].
pub struct Lease<S> {
    /// The endpoint.
    pub endpoint: Rc<Endpoint<S>>,
    /// Its index when it was chosen.
    pub index: usize,
}

impl<S> Lease<S> {
    pub(super) fn new(endpoint: Rc<Endpoint<S>>, index: usize) -> Self {
        endpoint.in_flight.set(endpoint.in_flight.get() + 1);
        Self { endpoint, index }
    }
}

impl<S> Drop for Lease<S> {
    fn drop(&mut self) {
        let in_flight = &self.endpoint.in_flight;
        in_flight.set(in_flight.get().saturating_sub(1));
    }
}
