//! How many requests endpoints and clusters are given at once, and the queue of those that wait.
//!
//! As HAProxy's `maxconn` of servers: counted over all workers, so the numbers are atomic, and the queue has a lock; they
//! are touched only where a limit is set. First come, first served: whoever finds somebody waiting waits behind them. A
//! place that is given back is told to the first. Who cannot use it (another worker was faster, or it is at an endpoint
//! that is not in this part of the cluster) keeps its place in the queue and tells the next.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;
use usher_api::standing::{Standing, Standings};
use usher_config::config::{Adaptive as Adaptivity, ClusterLimits};

use super::gradient::{Adaptive, Response};

/// Makes a number of microseconds look like chance (the golden ratio, as a fraction of 2^64).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What the requests of a cluster have in common over all workers; it outlives reloads.
#[derive(Debug, Default)]
pub struct Crowd {
    /// Requests at its endpoints.
    under_way: AtomicU32,
    /// The limit on them that finds itself, where that is wanted.
    pub adaptive: Adaptive,
    /// How long the queue is.
    waiting: AtomicU32,
    queue: Mutex<VecDeque<Arc<Waiter>>>,
}

/// A request that waits.
#[derive(Debug)]
struct Waiter {
    /// The cluster, or part of one, whose endpoints it may have: its name.
    part: Arc<str>,
    /// There may be a place.
    told: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// A place at an endpoint; given back when dropped.
pub(super) struct Place {
    standing: Arc<Standing>,
    crowd: Arc<Crowd>,
    /// Nothing was heard of the request yet: since when, for the limit that finds itself.
    unheard: Cell<Option<Unheard>>,
}

/// A request of which nothing was heard yet.
struct Unheard {
    settings: Adaptivity,
    since: Instant,
    /// The same, on the clock of the cluster (milliseconds).
    millis: u64,
}

impl Place {
    /// There is a response, or a failure: that its client leaves says nothing any more.
    pub(super) fn heard(&self) {
        self.unheard.take();
    }
}

/// A place in the queue; given up when dropped.
pub(crate) struct Turn {
    crowd: Arc<Crowd>,
    waiter: Arc<Waiter>,
    /// Nobody who wants the same was there before.
    is_first: bool,
}

impl Waiter {
    /// There may be a place for it. Only with the lock of the queue, so that who leaves it knows what it was told; to be
    /// woken without.
    fn tell(&self) -> Option<Waker> {
        self.told.store(true, SeqCst);
        lock(&self.waker).take()
    }

    fn poll_told(&self, cx: &mut Context<'_>) -> Poll<()> {
        *lock(&self.waker) = Some(cx.waker().clone());
        if self.told.swap(false, SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.standing.in_flight.fetch_sub(1, SeqCst);
        let under_way = self.crowd.under_way.fetch_sub(1, SeqCst);
        if let Some(Unheard { settings, since, millis }) = self.unheard.take() {
            let waited = since.elapsed();
            let (micros, now) = (waited.as_micros() as u64, millis + waited.as_millis() as u64);
            let response = Response { micros, now, under_way, random: micros.wrapping_mul(SPREAD) };
            self.crowd.adaptive.left(&settings, response);
        }
        self.crowd.tell_first();
    }
}

impl Turn {
    /// Whether it may look for a place at once: nobody who wants the same is before it.
    pub(super) fn is_first(&self) -> bool {
        self.is_first
    }

    /// Waits until there may be a place.
    pub(super) async fn wait(&self) {
        poll_fn(|cx| self.waiter.poll_told(cx)).await;
    }

    /// What it was told of is of no use to it: perhaps to the next.
    pub(super) fn pass_on(&self) {
        let queue = lock(&self.crowd.queue);
        let next = self.position(&queue).and_then(|own| queue.get(own + 1));
        let waker = next.and_then(|next| next.tell());
        drop(queue);
        wake(waker);
    }

    fn position(&self, queue: &VecDeque<Arc<Waiter>>) -> Option<usize> {
        queue.iter().position(|waiter| Arc::ptr_eq(waiter, &self.waiter))
    }

    /// It has a place; if there is room for more, the next one shall know.
    pub(super) fn taken(&self, has_room: bool) {
        // Not a store: it may have been told of another place meanwhile.
        self.waiter.told.fetch_or(has_room, SeqCst);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queue = lock(&self.crowd.queue);
        let Some(own) = self.position(&queue) else { return };
        queue.remove(own);
        self.crowd.waiting.store(queue.len() as u32, SeqCst);
        // A place that was told of and not taken is the next one's. Nobody tells it of another from here on.
        let is_told = self.waiter.told.load(SeqCst);
        let waker = queue.get(own).filter(|_| is_told).and_then(|next| next.tell());
        drop(queue);
        wake(waker);
    }
}

impl Crowd {
    /// Whether somebody waits for the same, so that whoever comes waits too.
    pub(super) fn is_waited_for(&self, part: &str) -> bool {
        self.waiting() > 0 && lock(&self.queue).iter().any(|waiter| *waiter.part == *part)
    }

    /// A place in the queue, unless as many wait for the same as may.
    pub(super) fn queue(self: &Arc<Self>, part: &Arc<str>, limits: &ClusterLimits) -> Option<Turn> {
        let mut queue = lock(&self.queue);
        let same = queue.iter().filter(|waiter| waiter.part == *part).count();
        if same >= limits.longest_queue() as usize {
            return None;
        }
        let waiter = Waiter { part: part.clone(), told: AtomicBool::new(false), waker: Mutex::default() };
        let waiter = Arc::new(waiter);
        queue.push_back(waiter.clone());
        self.waiting.store(queue.len() as u32, SeqCst);
        Some(Turn { crowd: self.clone(), waiter, is_first: same == 0 })
    }

    /// There may be room: the first in the queue shall look.
    pub(super) fn tell_first(&self) {
        if self.waiting() == 0 {
            return;
        }
        let waker = lock(&self.queue).front().and_then(|first| first.tell());
        wake(waker);
    }

    /// A place at an endpoint, unless it has, or the cluster has, as many requests as it may.
    pub(super) fn place(
        self: &Arc<Self>,
        standing: &Arc<Standing>,
        (limits, standings): (&ClusterLimits, &Standings),
    ) -> Option<Box<Place>> {
        let below = |limit: u32| move |count: u32| (limit == 0 || count < limit).then_some(count + 1);
        let before = self.under_way.fetch_update(SeqCst, SeqCst, below(self.most(limits))).ok()?;
        self.adaptive.used(before + 1);
        if standing.in_flight.fetch_update(SeqCst, SeqCst, below(limits.per_endpoint)).is_err() {
            self.under_way.fetch_sub(1, SeqCst);
            // Who looked just now saw one more than there was.
            self.tell_first();
            return None;
        }
        let unheard = limits.adaptive.on().map(|settings| {
            let since = Instant::now();
            let millis = standings.millis(since.into_std());
            Unheard { settings: settings.clone(), since, millis }
        });
        Some(Box::new(Place { standing: standing.clone(), crowd: self.clone(), unheard: Cell::new(unheard) }))
    }

    /// Whether the cluster has as many requests as it may.
    pub(super) fn is_full(&self, limits: &ClusterLimits) -> bool {
        let most = self.most(limits);
        most > 0 && self.under_way.load(SeqCst) >= most
    }

    /// How many requests the cluster may have at once; 0 is no limit.
    #[inline]
    fn most(&self, limits: &ClusterLimits) -> u32 {
        let Some(settings) = limits.adaptive.on() else { return limits.total };
        let found = self.adaptive.limit(settings);
        if limits.total == 0 { found } else { found.min(limits.total) }
    }

    /// A response took so long to begin (microseconds); the moment is in milliseconds.
    pub(super) fn took(&self, limits: &ClusterLimits, (micros, now, random): (u64, u64, u64)) {
        let Some(settings) = limits.adaptive.on() else { return };
        let under_way = self.under_way();
        if self.adaptive.note(settings, Response { micros, now, under_way, random }) {
            self.tell_first();
        }
    }

    /// Requests at endpoints now, where any limit is set.
    pub fn under_way(&self) -> u32 {
        self.under_way.load(SeqCst)
    }

    /// Requests that wait now, of all parts of the cluster.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(SeqCst)
    }
}

/// Whether the endpoint has as many requests as it may.
pub(super) fn is_full(standing: &Standing, limits: &ClusterLimits) -> bool {
    limits.per_endpoint > 0 && standing.in_flight.load(SeqCst) >= limits.per_endpoint
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
