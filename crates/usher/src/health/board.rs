//! What probes say of each endpoint, where metrics are made from it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use usher_api::{ProbeReading, ProbeReport};

use super::{Key, Wanted};

/// Written by the thread that asks.
#[derive(Default)]
pub(super) struct Board(Mutex<BTreeMap<Key, ProbeReading>>);

impl Board {
    /// An endpoint is asked from now on; numbers that it has are kept.
    pub(super) fn add(&self, key: &Key, wanted: &Wanted, well: bool) {
        let (cluster, address) = key.clone();
        let label = wanted.target.label.clone();
        let probes = self.lock().get(key).map_or((0, 0), |before| before.probes);
        self.lock().insert(key.clone(), ProbeReading { cluster, label, address, well, probes });
    }

    /// An answer has come.
    pub(super) fn answered(&self, key: &Key, well: bool) {
        if let Some(reading) = self.lock().get_mut(key) {
            let (all, failed) = reading.probes;
            reading.probes = (all + 1, failed + u64::from(!well));
        }
    }

    /// An endpoint is out, or back.
    pub(super) fn turned(&self, key: &Key, well: bool) {
        if let Some(reading) = self.lock().get_mut(key) {
            reading.well = well;
        }
    }

    /// An endpoint is asked no more.
    pub(super) fn remove(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, ProbeReading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProbeReport for Board {
    fn readings(&self) -> Vec<ProbeReading> {
        self.lock().values().cloned().collect()
    }
}
