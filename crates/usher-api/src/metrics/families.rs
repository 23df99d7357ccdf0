//! Numbers by route and by endpoint: found by name, so that a reload carries them over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::worker::{EndpointMetrics, RouteMetrics};

/// How many routes have numbers of their own; further ones share those of [`OTHER`].
pub const MAX_ROUTES: usize = 4096;

/// How many endpoints, of all clusters, have numbers of their own; further ones share those of [`OTHER`].
pub const MAX_ENDPOINTS: usize = 4096;

/// The name under which everything beyond a limit is counted.
pub const OTHER: &str = "other";

/// Which endpoint it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointKey {
    /// The cluster's name.
    pub cluster: Box<str>,
    /// The endpoint's address.
    pub address: Box<str>,
}

/// One name's numbers, for each worker that asked for them.
type PerWorker<M> = Vec<(usize, Arc<M>)>;

/// A bounded map from names to the numbers of each worker. Locked when a snapshot begins and at a scrape only.
#[derive(Debug)]
struct Family<K, M> {
    entries: Mutex<BTreeMap<K, PerWorker<M>>>,
    limit: usize,
}

impl<K: Ord + Clone, M: Default> Family<K, M> {
    fn new(limit: usize) -> Self {
        Self { entries: Mutex::new(BTreeMap::new()), limit }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, PerWorker<M>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, worker: usize, key: K, other: K) -> Arc<M> {
        let mut entries = self.lock();
        let full = !entries.contains_key(&key) && entries.len() >= self.limit;
        let each = entries.entry(if full { other } else { key }).or_default();
        if let Some((_, found)) = each.iter().find(|(id, _)| *id == worker) {
            return found.clone();
        }
        let made = Arc::new(M::default());
        each.push((worker, made.clone()));
        made
    }

    /// Makes room where there is none: drops what no snapshot uses any more.
    fn make_room(&self) {
        let mut entries = self.lock();
        if entries.len() >= self.limit {
            entries.retain(|_, each| in_use(each));
        }
    }

    /// The sums over workers. What no snapshot uses any more is told for the last time.
    fn read(&self, absorb: impl Fn(&M, &M)) -> Vec<(K, M)> {
        let mut entries = self.lock();
        let sum = |(key, each): (&K, &PerWorker<M>)| {
            let sum = M::default();
            each.iter().for_each(|(_, one)| absorb(&sum, one));
            (key.clone(), sum)
        };
        let sums = entries.iter().map(sum).collect();
        entries.retain(|_, each| in_use(each));
        sums
    }
}

/// Whether any worker still counts here. All workers' numbers go together, so that a sum never shrinks while in use.
fn in_use<M>(each: &PerWorker<M>) -> bool {
    each.iter().any(|(_, one)| Arc::strong_count(one) > 1)
}

/// All numbers by name.
#[derive(Debug)]
pub(super) struct Families {
    routes: Family<Box<str>, RouteMetrics>,
    endpoints: Family<EndpointKey, EndpointMetrics>,
}

impl Families {
    pub(super) fn new(routes: usize, endpoints: usize) -> Self {
        Self { routes: Family::new(routes), endpoints: Family::new(endpoints) }
    }

    pub(super) fn route(&self, worker: usize, name: &str) -> Arc<RouteMetrics> {
        self.routes.get(worker, name.into(), OTHER.into())
    }

    pub(super) fn endpoint(&self, worker: usize, key: EndpointKey) -> Arc<EndpointMetrics> {
        let other = EndpointKey { cluster: OTHER.into(), address: OTHER.into() };
        self.endpoints.get(worker, key, other)
    }

    /// Makes room for the names of a new snapshot.
    pub(super) fn make_room(&self) {
        self.routes.make_room();
        self.endpoints.make_room();
    }

    pub(super) fn read_routes(&self) -> Vec<(Box<str>, RouteMetrics)> {
        self.routes.read(RouteMetrics::absorb)
    }

    pub(super) fn read_endpoints(&self) -> Vec<(EndpointKey, EndpointMetrics)> {
        self.endpoints.read(EndpointMetrics::absorb)
    }
}
