//! The thread that lets ejected endpoints in again and judges rates and times, and logs what becomes of them.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use usher_engine::cluster::OutlierWatch;
use usher_engine::snapshot::ClusterSpec;

use crate::log;

/// Looks at the clusters that serve; starts a thread when the first one wants that.
#[derive(Default)]
pub(crate) struct Outliers(Option<mpsc::Sender<Vec<Arc<ClusterSpec>>>>);

impl Outliers {
    /// Looks at exactly these from now on.
    pub(crate) fn follow(&mut self, clusters: &[Arc<ClusterSpec>]) {
        if self.0.is_none() && clusters.iter().any(|spec| spec.outliers.is_some() || spec.circuit.is_some()) {
            let (orders, told) = mpsc::channel();
            let spawned = thread::Builder::new().name("outliers".to_owned()).spawn(move || run(&told));
            match spawned {
                Ok(_) => self.0 = Some(orders),
                Err(error) => log::error(format_args!("cannot look for outliers: {error}")),
            }
        }
        if let Some(orders) = &self.0 {
            let _ = orders.send(clusters.to_vec());
        }
    }
}

fn run(told: &mpsc::Receiver<Vec<Arc<ClusterSpec>>>) {
    let (mut watch, mut clusters) = (OutlierWatch::default(), Vec::new());
    loop {
        match told.recv_timeout(OutlierWatch::EVERY) {
            Ok(others) => clusters = others,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for line in watch.look(&clusters, Instant::now()) {
            log::warn(format_args!("{line}"));
        }
    }
}
