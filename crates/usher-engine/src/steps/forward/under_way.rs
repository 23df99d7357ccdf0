//! How many requests endpoints have in hand.

use std::rc::Rc;

use usher_net::Dialer;

use crate::cluster::{Endpoint, Lease};
use crate::worker::Worker;

/// A request that an endpoint has; counted until this is dropped, however that comes about.
pub(super) struct UnderWay<S> {
    endpoint: Rc<Endpoint<S>>,
}

impl<S> UnderWay<S> {
    pub(super) fn begin<D: Dialer<Stream = S>>(worker: &Worker<D>, lease: &Lease<S>, reused: bool) -> Self {
        lease.endpoint.metrics.started(reused);
        worker.metrics.upstream.started(reused);
        Self { endpoint: lease.endpoint.clone() }
    }
}

impl<S> Drop for UnderWay<S> {
    fn drop(&mut self) {
        self.endpoint.metrics.finished();
        self.endpoint.totals.upstream.finished();
    }
}
