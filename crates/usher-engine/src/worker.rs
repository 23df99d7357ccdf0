//! What one thread has. Nothing in it is shared with other threads but the snapshot and the counters.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use usher_api::metrics::{RouteMetrics, WorkerMetrics};
use usher_api::{Exchange, RequestId};
use usher_net::Dialer;

use crate::cluster::Cluster;
use crate::deadline::Deadlines;
use crate::snapshot::{ResolvedEndpoint, Snapshot};

mod admission;
mod draining;
mod relief;

pub(crate) use admission::{Permit, Refused};
pub use draining::Drain;
use draining::Ending;
/// To be called when the thread has nothing to do.
pub use usher_wire::turns::rest as rests;

/// What the control plane tells a worker.
pub enum Command {
    /// Serve by this snapshot from now on.
    Swap(Arc<Snapshot>),
    /// The endpoints of a cluster (by name) changed.
    Endpoints(Arc<str>, Arc<Vec<ResolvedEndpoint>>),
    /// Finish what is under way and take no more.
    Drain(Drain),
    /// The time for that is over: tunnels and connections that are passed on end now.
    Cut,
}

/// A snapshot with what this thread adds to it. A request pins one from start to end.
pub struct Local<S> {
    /// The snapshot.
    pub shared: Arc<Snapshot>,
    /// This thread's view of the clusters, by the same index.
    pub clusters: Vec<Rc<Cluster<S>>>,
    /// The routes' counters, by the same index.
    pub route_metrics: Vec<Arc<RouteMetrics>>,
}

/// One thread's part of the proxy.
pub struct Worker<D: Dialer> {
    /// Opens connections to endpoints.
    pub dialer: D,
    /// Its counters.
    pub metrics: Arc<WorkerMetrics>,
    /// Its clock.
    pub deadlines: Rc<Deadlines>,
    local: RefCell<Rc<Local<D::Stream>>>,
    itself: Weak<Self>,
    #[expect(
        clippy::vec_box,
        reason = "an exchange goes from hand to hand: moving a pointer is what the pool is for"
    )]
    exchanges: RefCell<Vec<Box<Exchange>>>,
    random: Cell<u64>,
    ending: Ending,
    connections: Cell<u32>,
    lingering: Cell<u32>,
    given_back: Cell<u32>,
    /// Tells whoever must know of a new snapshot at once.
    swapped: Notify,
    total: Arc<AtomicU32>,
}

/// Exchanges that a thread keeps for the next requests.
const POOLED_EXCHANGES: usize = 256;
/// Connections of a thread that may keep their memory for a moment while nothing is asked of them: some 4 KiB each.
const LINGERING: u32 = 2048;
/// A wave of visitors is over when so many connections gave their memory back, and hardly any since the last look.
const WAVE: u32 = 256;
const QUIET: u32 = 16;
/// How often it is looked whether one is.
const LOOK: Duration = Duration::from_millis(250);
/// How often idle connections to endpoints are looked at.
const SWEEP: Duration = Duration::from_secs(1);

impl<D: Dialer> Worker<D> {
    /// A worker that serves by `snapshot`. `total` counts the connections of all workers.
    pub fn new(
        dialer: D,
        snapshot: Arc<Snapshot>,
        metrics: Arc<WorkerMetrics>,
        total: Arc<AtomicU32>,
        seed: u64,
    ) -> Rc<Self> {
        let random = Cell::new(seed | 1);
        let local = localize(snapshot, None, &metrics, &random);
        Rc::new_cyclic(|itself| Self {
            itself: itself.clone(),
            dialer,
            metrics,
            deadlines: Deadlines::new(),
            local: RefCell::new(Rc::new(local)),
            exchanges: RefCell::default(),
            random,
            ending: Ending::default(),
            connections: Cell::new(0),
            lingering: Cell::new(0),
            given_back: Cell::new(0),
            swapped: Notify::new(),
            total,
        })
    }

    /// The snapshot to serve a request by.
    #[inline]
    pub fn local(&self) -> Rc<Local<D::Stream>> {
        self.local.borrow().clone()
    }

    /// A share in it, for a task that outlives a request; none as it ends.
    pub(crate) fn handle(&self) -> Option<Rc<Self>> {
        self.itself.upgrade()
    }

    /// Does what the control plane says.
    pub fn apply(&self, command: Command) {
        match command {
            Command::Swap(snapshot) => {
                let before = self.local();
                let local = localize(snapshot, Some(&before), &self.metrics, &self.random);
                *self.local.borrow_mut() = Rc::new(local);
                self.swapped.notify_waiters();
                self.endpoints_changed();
            }
            Command::Endpoints(name, resolved) => {
                let local = self.local();
                let named = |cluster: &&Rc<Cluster<D::Stream>>| cluster.spec.name == name;
                if let Some(cluster) = local.clusters.iter().find(named) {
                    cluster.update(&resolved, self.random(), &self.metrics);
                }
                self.endpoints_changed();
            }
            Command::Drain(drain) => self.begin_drain(drain),
            Command::Cut => self.cut(),
        }
    }

    /// Waits for the next snapshot.
    pub(crate) async fn swapped(&self) {
        self.swapped.notified().await;
    }

    /// Connections that clients have open on this worker.
    pub fn connections(&self) -> u32 {
        self.connections.get()
    }

    /// Runs what a worker does by itself, for as long as it is polled: its clock and the care of idle connections.
    pub async fn tend(self: Rc<Self>) {
        self.tend_with_turns(tokio::task::yield_now).await;
    }

    /// The same, where the next turn of large bodies comes after `pause`: in simulations, much later.
    #[doc(hidden)]
    pub async fn tend_with_turns(self: Rc<Self>, pause: impl AsyncFn() + 'static) {
        let deadlines = self.deadlines.clone();
        let sweep = async {
            let mut ticks = tokio::time::interval(SWEEP);
            loop {
                ticks.tick().await;
                let now = Instant::now();
                self.local().clusters.iter().for_each(|cluster| cluster.sweep(now));
                self.look_at_standings();
            }
        };
        // On its own: it is woken far more often than the others.
        let mut turns = tokio::task::JoinSet::new();
        turns.spawn_local(usher_wire::turns::tend(pause));
        tokio::join!(deadlines.run(), sweep, self.trim(), self.relieve());
    }

    /// Gives the system back what a wave of visitors used, when it is over.
    async fn trim(&self) {
        let mut looks = tokio::time::interval(LOOK);
        let mut wave = 0u32;
        loop {
            looks.tick().await;
            let new = self.given_back.take();
            wave = wave.saturating_add(new);
            if wave >= WAVE && new < QUIET {
                usher_wire::buffer::free_spare_buffers();
                usher_net::trim_heap();
                wave = 0;
            }
        }
    }

    /// An exchange, empty but for what its memory holds from before.
    pub(crate) fn take_exchange(&self) -> Box<Exchange> {
        self.exchanges.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps an exchange's memory for another request.
    pub(crate) fn give_exchange(&self, mut exchange: Box<Exchange>) {
        let mut pool = self.exchanges.borrow_mut();
        if pool.len() < POOLED_EXCHANGES && !usher_net::shortage::is_tight() {
            exchange.clear();
            exchange.request.fields.shrink(EXCHANGE_KEPT);
            exchange.response.fields.shrink(EXCHANGE_KEPT);
            pool.push(exchange);
        }
    }

    /// A connection has given its memory back, as it rests or has ended.
    pub(crate) fn gave_back(&self) {
        self.given_back.set(self.given_back.get().saturating_add(1));
    }

    /// Claims a place among the connections that keep their memory while they wait for the next request; none if
    /// as many do as may.
    pub(crate) fn linger(&self) -> Option<Lingering<'_>> {
        let others = self.lingering.get();
        (others < LINGERING && !usher_net::shortage::is_tight()).then(|| {
            self.lingering.set(others + 1);
            Lingering(&self.lingering)
        })
    }

    /// Sixty-four random bits: not secret, different on every worker (xorshift64*, Vigna 2016).
    pub(crate) fn random(&self) -> u64 {
        next_random(&self.random)
    }

    /// A fresh request identifier.
    pub(crate) fn request_id(&self) -> RequestId {
        RequestId::from_bits((u128::from(self.random()) << 64) | u128::from(self.random()))
    }
}

/// Buffers of exchanges above this are given back (bytes).
const EXCHANGE_KEPT: usize = 16 << 10;

fn next_random(state: &Cell<u64>) -> u64 {
    let mut x = state.get();
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    state.set(x);
    x.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

fn localize<S: usher_net::Transport>(
    shared: Arc<Snapshot>,
    before: Option<&Rc<Local<S>>>,
    metrics: &Arc<WorkerMetrics>,
    random: &Cell<u64>,
) -> Local<S> {
    metrics.make_room();
    let mut known: HashMap<&str, &Rc<Cluster<S>>> = before
        .iter()
        .flat_map(|local| &local.clusters)
        .map(|cluster| (&*cluster.spec.name, cluster))
        .collect();
    let clusters = shared.clusters.iter().map(|spec| {
        let before = known.remove(&*spec.name).map(|cluster| &**cluster);
        Cluster::new(spec.clone(), before, next_random(random), metrics)
    });
    let clusters = clusters.collect();
    known.into_values().for_each(|gone| gone.retire());
    let route_metrics = shared.routes.iter().map(|route| metrics.route(&route.name)).collect();
    Local { clusters, route_metrics, shared }
}

/// A place among the connections that linger; given back when dropped.
pub(crate) struct Lingering<'a>(&'a Cell<u32>);

impl Drop for Lingering<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests;
