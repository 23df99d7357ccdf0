//! Connections whose bytes are passed on as they come: TCP, and TLS that is not ended here.
//!
//! - this file: one connection, from the choice of its endpoint to its record;
//! - `connect.rs`: one endpoint after another, until one is there;
//! - `introduce.rs`: the PROXY header that tells it who the client is;
//! - `relay.rs`: bytes both ways, and when that ends;
//! - `direction.rs`: bytes one way, copied or through a pipe in the kernel.

mod connect;
mod direction;
pub(crate) mod introduce;
mod relay;

use std::rc::Rc;

use tokio::time::Instant;
use usher_api::{Client, Error, ErrorKind, Exchange, Side};
use usher_net::tls::Secured;
use usher_net::{Dialer, Transport};

use crate::cluster::{Cluster, Lease};
use crate::connection::Door;
use crate::deadline::Deadline;
use crate::snapshot::Onward;
use crate::steps::record;
use crate::worker::Worker;

use relay::{End, Relay};

/// A connection that is passed on, but for its streams.
pub(crate) struct Passage<'a, D: Dialer> {
    pub worker: &'a Worker<D>,
    pub door: &'a Door,
    pub deadline: &'a Deadline,
    pub cluster: &'a Rc<Cluster<D::Stream>>,
    pub onward: &'a Onward,
    /// The host that the client asked for in a TLS handshake; empty if it named none.
    pub host: &'a str,
}

impl<D: Dialer> Passage<'_, D> {
    /// Serves the connection to its end. `ahead` was read of it already.
    pub(crate) async fn run<T: Transport>(&self, mut down: Secured<T>, ahead: Vec<u8>) {
        let started = Instant::now();
        let _open = Open::begin(self.worker);
        let mut exchange = self.exchange();
        match connect::to_any(self, &mut exchange).await {
            Ok((lease, mut up)) => {
                let micros = exchange.record.connect;
                let carried = Carried::begin(self, lease, micros);
                // Kept for the record: the connection may live long, and there may be very many.
                let mut kept = Kept::of(&mut exchange);
                self.give_back(exchange);
                let relay = Relay { deadline: self.deadline, idle: self.onward.idle, worker: self.worker };
                let relayed = relay.run((&mut down, ahead), &mut up).await;
                kept.record.received = relayed.received;
                kept.record.sent = relayed.sent;
                if let Some(first) = relayed.first_byte {
                    kept.record.first_byte = first.duration_since(started).as_micros() as u64;
                }
                exchange = self.exchange();
                kept.put(&mut exchange);
                if let Some(error) = failure(relayed.end) {
                    (exchange.record.reason, exchange.record.detail) = (error.kind.as_str(), error.detail);
                    if error.side == Side::Upstream {
                        exchange.note_failure(&error);
                        carried.lease.endpoint.metrics.failed();
                        self.worker.metrics.upstream.failed(error.kind);
                    }
                }
            }
            // The client is told nothing but that: whatever it speaks, it speaks to an endpoint that is not there.
            Err(error) => {
                exchange.note_failure(&error);
                exchange.record.reason = error.kind.as_str();
                down.announce_end();
            }
        }
        self.finish(exchange, started);
    }

    fn exchange(&self) -> Box<Exchange> {
        let mut exchange = self.worker.take_exchange();
        exchange.client = Client {
            ip: self.door.peer.map(|peer| peer.ip()),
            peer: self.door.peer,
            local: self.door.local,
            trusted: false,
            listener: self.door.listener.name.clone(),
            tls: self.door.session.clone(),
        };
        exchange.request.host.push_str(self.host);
        exchange.record.cluster = Some(self.onward.destination.cluster);
        exchange
    }

    fn give_back(&self, mut exchange: Box<Exchange>) {
        exchange.client = Client::default();
        self.worker.give_exchange(exchange);
    }

    fn finish(&self, mut exchange: Box<Exchange>, started: Instant) {
        let took = started.elapsed();
        exchange.record.total = took.as_micros() as u64;
        let reason = exchange.record.reason;
        self.worker.metrics.passed.ended(reason, exchange.record.total);
        record::passed(self.worker, self.door, (&exchange, "TCP", &self.cluster.spec.name), took);
        self.give_back(exchange);
    }
}

/// Why a relay ended, if it was not that both sides were done.
fn failure(end: End) -> Option<Error> {
    match end {
        End::Done => None,
        End::Idle => Some(Error::new(Side::Proxy, ErrorKind::IdleTimeout)),
        End::Cut => Some(Error::new(Side::Proxy, ErrorKind::Draining)),
        End::Broken(Side::Downstream, _) => {
            Some(Error::new(Side::Downstream, ErrorKind::Disconnected).detail("by the client"))
        }
        End::Broken(side, cause) => {
            Some(Error::new(side, ErrorKind::Disconnected).detail("by the endpoint").caused_by(cause))
        }
    }
}

/// What the record needs, while an exchange would take more memory.
struct Kept {
    record: usher_api::Record,
    failures: usher_api::Failures,
    endpoint: Option<std::sync::Arc<str>>,
}

impl Kept {
    fn of(exchange: &mut Exchange) -> Self {
        Self {
            record: exchange.record,
            failures: std::mem::take(&mut exchange.failures),
            endpoint: exchange.endpoint.take(),
        }
    }

    fn put(self, exchange: &mut Exchange) {
        exchange.record = self.record;
        exchange.failures = self.failures;
        exchange.endpoint = self.endpoint;
    }
}

/// Counts a connection while it is open, however it ends.
struct Open<'a, D: Dialer>(&'a Worker<D>);

impl<'a, D: Dialer> Open<'a, D> {
    fn begin(worker: &'a Worker<D>) -> Self {
        worker.metrics.passed.opened();
        Self(worker)
    }
}

impl<D: Dialer> Drop for Open<'_, D> {
    fn drop(&mut self) {
        self.0.metrics.passed.closed();
    }
}

/// A connection that an endpoint has; counted until this is dropped, however that comes about.
struct Carried<'a, D: Dialer> {
    worker: &'a Worker<D>,
    cluster: &'a Cluster<D::Stream>,
    lease: Lease<D::Stream>,
    /// How long connecting took: all that is known of how fast an endpoint is, whatever it speaks.
    micros: u64,
}

impl<'a, D: Dialer> Carried<'a, D> {
    fn begin(passage: &Passage<'a, D>, lease: Lease<D::Stream>, micros: u64) -> Self {
        lease.endpoint.metrics.started(false);
        passage.worker.metrics.upstream.started(false);
        Self { worker: passage.worker, cluster: passage.cluster, lease, micros }
    }
}

impl<D: Dialer> Drop for Carried<'_, D> {
    fn drop(&mut self) {
        self.lease.endpoint.metrics.finished();
        self.worker.metrics.upstream.finished();
        self.cluster.release(&self.lease, Some(self.micros));
    }
}
