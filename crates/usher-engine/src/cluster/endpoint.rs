//! One endpoint of one worker, and the connections to it that wait for a request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;
use usher_api::Candidate;
use usher_api::metrics::{EndpointMetrics, WorkerMetrics};
use usher_api::standing::{Out, Standing};
use usher_net::Transport;
use usher_net::tls::Secured;
use usher_wire::Connection;

use super::avoid::Avoided;
use super::dial::Shared;
use super::limits::Place;
use super::selection::Member;
use crate::snapshot::ResolvedEndpoint;

/// An endpoint.
pub struct Endpoint<S> {
    /// Where it is and what it is called. Its weight and group are those of the time when it was first seen.
    pub resolved: ResolvedEndpoint,
    /// Its share as configured now.
    weight: Cell<u32>,
    /// Its group now.
    priority: Cell<u8>,
    /// What all workers know of it.
    pub(super) standing: Arc<Standing>,
    /// Its counters.
    pub metrics: Arc<EndpointMetrics>,
    /// Counters of the whole worker.
    pub(crate) totals: Arc<WorkerMetrics>,
    in_flight: Cell<u32>,
    idle: RefCell<VecDeque<Idle<S>>>,
    max_idle: Cell<usize>,
    /// Whether it is passed over for now.
    pub(super) avoided: Avoided,
    /// Connections that carry many requests.
    pub(super) shared: Shared,
    /// Where the balancer of now sees this endpoint. A request that began before a reload ends here too, so that the
    /// new balancer's counts stay right.
    seat: RefCell<Seat>,
}

/// A place in a list of candidates.
#[derive(Default)]
struct Seat {
    candidates: Rc<RefCell<Vec<Candidate>>>,
    index: usize,
    /// How many of the list could not be connected to.
    unreachable: Rc<Cell<usize>>,
}

struct Idle<S> {
    connection: Box<Connection<Secured<S>>>,
    since: Instant,
}

impl<S: Transport> Endpoint<S> {
    pub(super) fn new(
        resolved: ResolvedEndpoint,
        standing: Arc<Standing>,
        (metrics, totals): (Arc<EndpointMetrics>, Arc<WorkerMetrics>),
    ) -> Self {
        let (in_flight, max_idle) = (Cell::new(0), Cell::new(0));
        Self {
            weight: Cell::new(resolved.weight),
            priority: Cell::new(resolved.priority),
            standing,
            resolved,
            metrics,
            totals,
            in_flight,
            idle: RefCell::default(),
            max_idle,
            avoided: Avoided::default(),
            shared: Shared::default(),
            seat: RefCell::default(),
        }
    }

    /// Whether this is the same endpoint, whatever its share, its group, and who names it.
    pub(super) fn is_same(&self, other: &ResolvedEndpoint) -> bool {
        let ResolvedEndpoint { address, weight: _, priority: _, label, host, speech, zone, origin: _ } =
            &self.resolved;
        (address, label, host, speech, zone)
            == (&other.address, &other.label, &other.host, &other.speech, &other.zone)
    }

    /// Goes on with the share and the group that it is given now.
    pub(super) fn weigh(&self, weight: u32, priority: u8) {
        self.weight.set(weight);
        self.priority.set(priority);
    }

    /// Takes a place in a new list of candidates, and its settings.
    pub(super) fn sit(
        &self,
        (candidates, index): (&Rc<RefCell<Vec<Candidate>>>, usize),
        unreachable: &Rc<Cell<usize>>,
        max_idle: usize,
    ) {
        self.max_idle.set(max_idle);
        let (candidates, unreachable) = (candidates.clone(), unreachable.clone());
        *self.seat.borrow_mut() = Seat { candidates, index, unreachable };
    }

    /// Notes whether it could be connected to; if not, it is avoided for a while. Tells those who look at it now: a
    /// request that began before a reload ends here too.
    pub fn connected(&self, succeeded: bool) {
        let unreachable = &self.seat.borrow().unreachable;
        if succeeded && self.avoided.succeeded() {
            unreachable.set(unreachable.get().saturating_sub(1));
        } else if !succeeded && self.avoided.failed() {
            unreachable.set(unreachable.get() + 1);
        }
    }

    fn idle_changed(&self, before: usize, now: usize) {
        for _ in before..now {
            self.metrics.idle.increment();
            self.totals.upstream.idle.increment();
        }
        for _ in now..before {
            self.metrics.idle.decrement();
            self.totals.upstream.idle.decrement();
        }
    }

    /// As a balancer sees it, before it is known whether it may be chosen.
    pub(super) fn candidate(&self) -> Candidate {
        let identity = identity(&self.resolved.address.to_string());
        let (weight, in_flight) = (self.share(), self.in_flight.get());
        Candidate { weight, in_flight, usable: false, draining: false, identity }
    }

    /// Its share, without regard to how fresh it is.
    pub(super) fn share(&self) -> u32 {
        self.standing.weight().unwrap_or(self.weight.get())
    }

    /// How it stands.
    pub(super) fn member(&self) -> Member {
        let standing = &self.standing;
        Member {
            askable: self.share() > 0 && !standing.is(Out::Draining) && !standing.is(Out::Disabled),
            well: !standing.is(Out::Unhealthy) && !standing.is(Out::Ejected),
            priority: self.priority.get(),
            elsewhere: self.resolved.zone.elsewhere,
        }
    }

    /// Is to be asked for nothing more, also not by those whom it serves.
    pub(crate) fn is_out(&self) -> bool {
        [Out::Unhealthy, Out::Ejected, Out::Disabled].into_iter().any(|why| self.standing.is(why))
    }

    /// Takes no new visitors, but serves those that it has.
    pub(super) fn is_draining(&self) -> bool {
        self.standing.reasons().eq([Out::Draining])
    }

    /// Whether an administrator wants it to get nothing, or nothing new.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.standing.is(Out::Draining) || self.standing.is(Out::Disabled)
    }

    /// A pooled connection that is still open, the most recently used first (its caches are warm, and the oldest can
    /// time out).
    pub fn take_idle(&self) -> Option<Box<Connection<Secured<S>>>> {
        let mut pool = self.idle.borrow_mut();
        while let Some(mut idle) = pool.pop_back() {
            self.idle_changed(1, 0);
            if is_quiet(&mut idle.connection) {
                return Some(idle.connection);
            }
        }
        None
    }

    /// Keeps a connection for another request; the longest idle one gives way if there are too many.
    pub fn keep(&self, mut connection: Box<Connection<Secured<S>>>, now: Instant) {
        connection.release();
        let mut pool = self.idle.borrow_mut();
        let before = pool.len();
        pool.push_back(Idle { connection, since: now });
        while pool.len() > self.max_idle.get() {
            pool.pop_front();
        }
        self.idle_changed(before, pool.len());
    }

    /// Closes the connections that are kept, and keeps no more.
    pub(super) fn retire(&self) {
        self.max_idle.set(0);
        self.shared.retire();
        let mut gone = std::mem::take(&mut *self.idle.borrow_mut());
        self.idle_changed(gone.len(), 0);
        gone.iter_mut().for_each(|idle| idle.connection.stream().announce_end());
    }

    pub(super) fn sweep(&self, now: Instant, timeout: Duration) {
        self.shared.sweep(now, timeout);
        let mut pool = self.idle.borrow_mut();
        let before = pool.len();
        pool.retain_mut(|idle| now.duration_since(idle.since) < timeout && is_quiet(&mut idle.connection));
        self.idle_changed(before, pool.len());
    }
}

impl<S> Endpoint<S> {
    /// Counts a request in or out, here and where the balancer looks.
    fn count(&self, in_flight: u32) {
        self.in_flight.set(in_flight);
        let seat = self.seat.borrow();
        if let Some(candidate) = seat.candidates.borrow_mut().get_mut(seat.index) {
            candidate.in_flight = in_flight;
        }
    }
}

impl<S> Drop for Endpoint<S> {
    fn drop(&mut self) {
        for _ in self.idle.borrow().iter() {
            self.metrics.idle.decrement();
            self.totals.upstream.idle.decrement();
        }
    }
}

/// A hash that is the same in every process, whatever it was built with: cookies and tables hold on to it. FNV-1a, with
/// the last step of MurmurHash3, as addresses differ in few bits.
fn identity(address: &str) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let mut hash = address.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

/// Whether nothing has happened on an idle connection: bytes or an end there mean that it cannot carry a request.
///
/// Mostly the runtime knows, without a system call. It may think that there is something to read where the last read
/// merely ended exactly with the response; then one read tells.
fn is_quiet<S: Transport>(connection: &mut Connection<S>) -> bool {
    if connection.has_input() || connection.is_ended() {
        return false;
    }
    if !connection.stream().is_readable() {
        return true;
    }
    let mut cx = Context::from_waker(Waker::noop());
    connection.poll_gone(&mut cx).is_pending() && !connection.has_input() && !connection.is_ended()
}

/// A request's claim on an endpoint. Give it back with [`super::Cluster::release`].
pub struct Lease<S> {
    /// The endpoint.
    pub endpoint: Rc<Endpoint<S>>,
    /// Its index when it was chosen.
    pub index: usize,
    /// The endpoint was avoided before: what becomes of this request says whether it goes on.
    pub probes: bool,
    /// Its place among the requests that the endpoint may have at once.
    place: Cell<Option<Box<Place>>>,
}

impl<S> Lease<S> {
    pub(super) fn new(
        endpoint: Rc<Endpoint<S>>,
        index: usize,
        (probes, place): (bool, Option<Box<Place>>),
    ) -> Self {
        endpoint.count(endpoint.in_flight.get() + 1);
        Self { endpoint, index, probes, place: Cell::new(place) }
    }
}

impl<S> Lease<S> {
    /// Something was heard of the request: a response began, or it failed.
    pub(crate) fn heard(&self) {
        if let Some(place) = self.place.take() {
            place.heard();
            self.place.set(Some(place));
        }
    }

    /// Makes room for others: what it was for has failed, and what follows takes a place of its own.
    pub(crate) fn leave(&self) {
        self.place.take();
    }
}

impl<S> Drop for Lease<S> {
    fn drop(&mut self) {
        self.endpoint.count(self.endpoint.in_flight.get().saturating_sub(1));
    }
}
