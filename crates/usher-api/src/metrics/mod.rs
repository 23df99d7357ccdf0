//! Numbers about what the proxy does, counted without locks and without atomic read-modify-write.
//!
//! Each worker owns a [`WorkerMetrics`] and is the only one that writes it; whoever renders the metrics reads it at any
//! time and adds the workers up ([`Registry::read`]). A count costs a plain load and store.
//!
//! ```
//! use usher_api::metrics::Registry;
//!
//! let registry = Registry::new("0.1.0");
//! let worker = registry.register_worker();
//! let route = worker.route("api");
//! worker.requests.started();
//! worker.requests.finished(200, 1_250);
//! route.finished(200, 1_250);
//! assert_eq!(registry.read().totals.requests.by_class.class(200).get(), 1);
//! ```

mod families;
mod histogram;
mod mirror;
mod number;
mod process;
mod registry;
mod tables;
mod worker;

#[cfg(test)]
mod tests;

pub use families::{EndpointKey, MAX_ENDPOINTS, MAX_ROUTES, OTHER};
pub use histogram::{BOUNDS_MICROS, Histogram};
pub use mirror::{MirrorMetrics, MirrorOutcome, MirrorPlace, ShownMirror};
pub use number::{Counter, Gauge};
pub use process::Process;
pub use registry::{Reading, Registry};
pub use tables::{ByClass, ByKind, ByReason, ByRefusal, ByStatus, MAX_REASONS, Refusal};
pub use worker::{
    Connections, EndpointMetrics, Requests, RouteMetrics, Totals, Tunnels, Upstream, WorkerMetrics,
};
