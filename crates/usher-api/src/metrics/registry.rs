//! Where workers register and whoever renders the metrics reads.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::families::{EndpointKey, Families, MAX_ENDPOINTS, MAX_ROUTES};
use super::mirror::ShownMirror;
use super::process::Process;
use super::worker::{EndpointMetrics, RouteMetrics, Totals, WorkerMetrics};
use crate::certificates::CertificateReport;
use crate::clusters::ClusterControl;
use crate::probe::ProbeReport;
use crate::record::AccessSink;
use crate::shifts::ShiftControl;

/// All numbers of the process.
pub struct Registry {
    /// Numbers of the whole process.
    pub process: Process,
    workers: Mutex<Vec<Arc<Totals>>>,
    families: Arc<Families>,
    sinks: Mutex<Vec<Arc<dyn AccessSink>>>,
    certificates: Mutex<Option<Arc<dyn CertificateReport>>>,
    clusters: Mutex<Option<Arc<dyn ClusterControl>>>,
    probes: Mutex<Option<Arc<dyn ProbeReport>>>,
    shifts: Mutex<Option<Arc<dyn ShiftControl>>>,
    mirrors: Mutex<Vec<ShownMirror>>,
}

/// All numbers at one moment, added up over workers.
#[derive(Debug)]
pub struct Reading {
    /// How many workers there are.
    pub workers: usize,
    /// The sums over workers.
    pub totals: Totals,
    /// By route, ordered by name.
    pub routes: Vec<(Box<str>, RouteMetrics)>,
    /// By endpoint, ordered by cluster and address.
    pub endpoints: Vec<(EndpointKey, EndpointMetrics)>,
    /// Records that access logs dropped so far.
    pub access_log_dropped: u64,
}

impl Registry {
    /// An empty registry; `version` is the program's.
    pub fn new(version: &'static str) -> Arc<Self> {
        Self::with_limits(version, MAX_ROUTES, MAX_ENDPOINTS)
    }

    pub(super) fn with_limits(version: &'static str, routes: usize, endpoints: usize) -> Arc<Self> {
        Arc::new(Self {
            process: Process::new(version),
            workers: Mutex::default(),
            families: Arc::new(Families::new(routes, endpoints)),
            sinks: Mutex::default(),
            certificates: Mutex::default(),
            clusters: Mutex::default(),
            probes: Mutex::default(),
            shifts: Mutex::default(),
            mirrors: Mutex::default(),
        })
    }

    /// Numbers for one more worker. Only that worker may write them.
    pub fn register_worker(&self) -> Arc<WorkerMetrics> {
        let mut workers = lock(&self.workers);
        let totals = Arc::new(Totals::default());
        workers.push(totals.clone());
        Arc::new(WorkerMetrics::new(totals, workers.len() - 1, self.families.clone()))
    }

    /// The access logs of the present snapshot, in place of those before, whose count of dropped records is kept.
    pub fn use_access_logs(&self, sinks: Vec<Arc<dyn AccessSink>>) {
        let mut present = lock(&self.sinks);
        for gone in present.iter().filter(|old| !sinks.iter().any(|new| Arc::ptr_eq(old, new))) {
            self.process.access_log_dropped(gone.dropped());
        }
        *present = sinks;
    }

    /// Who tells of the certificates from now on.
    pub fn use_certificates(&self, report: Arc<dyn CertificateReport>) {
        *lock(&self.certificates) = Some(report);
    }

    /// Who tells of the certificates, if there are any.
    pub fn certificates(&self) -> Option<Arc<dyn CertificateReport>> {
        lock(&self.certificates).clone()
    }

    /// Who tells of the clusters, and changes them, from now on.
    pub fn use_clusters(&self, control: Arc<dyn ClusterControl>) {
        *lock(&self.clusters) = Some(control);
    }

    /// Who tells of the clusters and changes them.
    pub fn clusters(&self) -> Option<Arc<dyn ClusterControl>> {
        lock(&self.clusters).clone()
    }

    /// Who tells from now on what probes say of endpoints.
    pub fn use_probes(&self, report: Arc<dyn ProbeReport>) {
        *lock(&self.probes) = Some(report);
    }

    /// Who tells what probes say of endpoints, if there are any.
    pub fn probes(&self) -> Option<Arc<dyn ProbeReport>> {
        lock(&self.probes).clone()
    }

    /// Who tells of splits that move by themselves, and changes them, from now on.
    pub fn use_shifts(&self, control: Arc<dyn ShiftControl>) {
        *lock(&self.shifts) = Some(control);
    }

    /// Who tells of splits that move by themselves.
    pub fn shifts(&self) -> Option<Arc<dyn ShiftControl>> {
        lock(&self.shifts).clone()
    }

    /// The mirrors of the present snapshot.
    pub fn use_mirrors(&self, mirrors: Vec<ShownMirror>) {
        *lock(&self.mirrors) = mirrors;
    }

    /// The mirrors of the present snapshot.
    pub fn mirrors(&self) -> Vec<ShownMirror> {
        lock(&self.mirrors).clone()
    }

    /// Reads everything. Meant for a scrape every few seconds: costs time and memory by routes and endpoints.
    pub fn read(&self) -> Reading {
        let workers = lock(&self.workers).clone();
        let totals = Totals::default();
        workers.iter().for_each(|worker| totals.absorb(worker));
        let dropped: u64 = lock(&self.sinks).iter().map(|sink| sink.dropped()).sum();
        Reading {
            workers: workers.len(),
            totals,
            routes: self.families.read_routes(),
            endpoints: self.families.read_endpoints(),
            access_log_dropped: dropped + self.process.dropped_by_former_logs(),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("process", &self.process).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
