//! What each worker counts.

use std::ops::Deref;
use std::sync::Arc;

use super::families::{EndpointKey, Families};
use super::histogram::Histogram;
use super::number::{Counter, Gauge};
use super::tables::{ByClass, ByKind, ByReason, ByRefusal, ByStatus, Refusal};
use crate::error::ErrorKind;
use crate::record::Record;

/// Defines a group of numbers that can be added up over workers.
macro_rules! group {
    ($(#[doc = $doc:literal])* pub struct $name:ident { $( $(#[doc = $fdoc:literal])* pub $field:ident : $ty:ty, )* }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Default)]
        pub struct $name { $( $(#[doc = $fdoc])* pub $field: $ty, )* }

        impl $name {
            pub(super) fn absorb(&self, other: &Self) {
                $( self.$field.absorb(&other.$field); )*
            }
        }
    };
}

group! {
    /// All that a worker counts beside routes and endpoints.
    pub struct Totals {
        /// Connections from clients.
        pub connections: Connections,
        /// TLS handshakes with clients.
        pub handshakes: Handshakes,
        /// Requests.
        pub requests: Requests,
        /// Upgraded connections.
        pub tunnels: Tunnels,
        /// Connections that are passed on as they come.
        pub passed: Passed,
        /// Sessions of UDP, and their datagrams.
        pub udp: Udp,
        /// Connections to endpoints.
        pub upstream: Upstream,
    }
}

group! {
    /// Connections from clients.
    pub struct Connections {
        /// Accepted so far, also those refused right after.
        pub accepted: Counter,
        /// Open now.
        pub active: Gauge,
        /// Of these: at rest until their client asks for something.
        pub idle: Gauge,
        /// Refused so far, by reason.
        pub refused: ByRefusal,
    }
}

group! {
    /// TLS handshakes with clients.
    pub struct Handshakes {
        /// Completed so far.
        pub done: Counter,
        /// Of these: sessions that were resumed.
        pub resumed: Counter,
        /// Failed so far, by reason.
        pub failed: ByReason,
        /// Connections passed on still encrypted.
        pub passed_through: Counter,
    }
}

group! {
    /// Requests.
    pub struct Requests {
        /// Under way now.
        pub in_flight: Gauge,
        /// Finished so far, by class of status.
        pub by_class: ByClass,
        /// Responses sent so far, by status.
        pub by_status: ByStatus,
        /// From the end of the request's head to the end of the exchange.
        pub latency: Histogram,
        /// Answered by the proxy itself or broken off, by reason.
        pub by_reason: ByReason,
        /// Bytes from clients: heads and bodies.
        pub received: Counter,
        /// Bytes to clients: heads and bodies.
        pub sent: Counter,
    }
}

group! {
    /// Upgraded connections, such as WebSockets.
    pub struct Tunnels {
        /// Begun so far.
        pub opened: Counter,
        /// Open now.
        pub active: Gauge,
        /// WebSockets that were closed at the end of a message, as the process ended, or their endpoint was no longer to be
        /// used.
        pub drained: Counter,
        /// The same; but one side had said something more before it heard of that.
        pub late: Counter,
        /// Tunnels that were cut off then.
        pub cut: Counter,
    }
}

group! {
    /// What is passed on as it comes: connections of TCP, and of TLS that is not ended here, or sessions of UDP.
    pub struct Passed {
        /// Begun so far.
        pub opened: Counter,
        /// Open now.
        pub active: Gauge,
        /// Ended so far because of something, by reason. Of the others, connections were ended by both sides, and sessions had
        /// all answers, or nothing more was said.
        pub by_reason: ByReason,
        /// From the first byte or datagram, or the end of the TLS handshake, to the end.
        pub duration: Histogram,
        /// Bytes from clients that endpoints were sent.
        pub received: Counter,
        /// Bytes to clients.
        pub sent: Counter,
    }
}

group! {
    /// The datagrams of clients, and those that they are sent.
    pub struct Udp {
        /// One client's each.
        pub sessions: Passed,
        /// Datagrams of clients that endpoints were sent.
        pub received_datagrams: Counter,
        /// Datagrams to clients.
        pub sent_datagrams: Counter,
        /// Datagrams that went nowhere, by reason.
        pub dropped: ByReason,
    }
}

group! {
    /// Connections to endpoints, of all clusters.
    pub struct Upstream {
        /// Connections made.
        pub connects: Counter,
        /// Requests sent on a connection that was already there.
        pub reuses: Counter,
        /// Idle connections in the pool now.
        pub idle: Gauge,
        /// Requests under way now.
        pub in_flight: Gauge,
        /// Errors by kind.
        pub errors: ByKind,
        /// Requests that were sent again.
        pub retries: Counter,
        /// Requests that were not, as the budget of their cluster was used up.
        pub retries_refused: Counter,
        /// Second tries beside first ones that took long.
        pub hedges: Counter,
        /// Of these: those whose response came first.
        pub hedges_won: Counter,
    }
}

group! {
    /// What a worker counts for one route.
    pub struct RouteMetrics {
        /// Finished requests by class of status.
        pub by_class: ByClass,
        /// From the end of the request's head to the end of the exchange.
        pub latency: Histogram,
        /// Bytes from clients.
        pub received: Counter,
        /// Bytes to clients.
        pub sent: Counter,
    }
}

group! {
    /// What a worker counts for one endpoint of one cluster.
    pub struct EndpointMetrics {
        /// Requests sent.
        pub requests: Counter,
        /// Requests and connections that failed.
        pub errors: Counter,
        /// Connections made.
        pub connects: Counter,
        /// Requests sent on a connection that was already there.
        pub reuses: Counter,
        /// Requests under way now.
        pub in_flight: Gauge,
        /// Idle connections in the pool now.
        pub idle: Gauge,
        /// From sending the request to the end of the response's head.
        pub first_byte: Histogram,
    }
}

/// A worker's numbers; dereferences to its [`Totals`]. Only the worker that registered it may count.
#[derive(Debug)]
pub struct WorkerMetrics {
    totals: Arc<Totals>,
    id: usize,
    families: Arc<Families>,
}

impl WorkerMetrics {
    pub(super) fn new(totals: Arc<Totals>, id: usize, families: Arc<Families>) -> Self {
        Self { totals, id, families }
    }

    /// Forgets names that no snapshot uses any more, if there are too many. Call it once when a snapshot begins: it
    /// looks at all of them.
    pub fn make_room(&self) {
        self.families.make_room();
    }

    /// This worker's numbers of a route: the same ones for the same name, also after a reload. Takes a lock: call it
    /// when a snapshot begins, not for each request.
    pub fn route(&self, name: &str) -> Arc<RouteMetrics> {
        self.families.route(self.id, name)
    }

    /// This worker's numbers of an endpoint; see [`WorkerMetrics::route`].
    pub fn endpoint(&self, cluster: &str, address: &str) -> Arc<EndpointMetrics> {
        self.families.endpoint(self.id, EndpointKey { cluster: cluster.into(), address: address.into() })
    }
}

impl Deref for WorkerMetrics {
    type Target = Totals;
    fn deref(&self) -> &Totals {
        &self.totals
    }
}

impl Connections {
    /// A connection was accepted and will be served.
    #[inline]
    pub fn opened(&self) {
        self.accepted.increment();
        self.active.increment();
    }

    /// A connection that was `opened` is closed.
    #[inline]
    pub fn closed(&self) {
        self.active.decrement();
    }

    /// A connection was not served.
    pub fn refused(&self, refusal: Refusal) {
        self.refused.of(refusal).increment();
    }
}

impl Requests {
    /// A request has begun.
    #[inline]
    pub fn started(&self) {
        self.in_flight.increment();
    }

    /// A request that was `started` has ended with this status (0: none was sent) after so many microseconds.
    #[inline]
    pub fn finished(&self, status: u16, micros: u64) {
        self.in_flight.decrement();
        self.by_class.class(status).increment();
        if let Some(counter) = self.by_status.of(status) {
            counter.increment();
        }
        self.latency.observe(micros);
    }

    /// Bytes went in and out.
    #[inline]
    pub fn moved(&self, received: u64, sent: u64) {
        self.received.add(received);
        self.sent.add(sent);
    }

    /// The proxy answered itself or broke off; nothing happens if the reason is empty.
    #[inline]
    pub fn reason(&self, reason: &'static str) {
        if !reason.is_empty() {
            self.by_reason.of(reason).increment();
        }
    }

    /// A request that was `started` has ended: all of the above at once.
    #[inline]
    pub fn record(&self, record: &Record) {
        self.finished(record.status, record.total);
        self.moved(record.received, record.sent);
        self.reason(record.reason);
    }
}

impl Tunnels {
    /// A connection was upgraded.
    pub fn opened(&self) {
        self.opened.increment();
        self.active.increment();
    }

    /// An upgraded connection ended.
    pub fn closed(&self) {
        self.active.decrement();
    }
}

impl Passed {
    /// A connection or a session has begun.
    pub fn opened(&self) {
        self.opened.increment();
        self.active.increment();
    }

    /// One that was `opened` is there no more, whatever came of it.
    pub fn closed(&self) {
        self.active.decrement();
    }

    /// It has ended after so many microseconds; without a reason if nothing was wrong.
    pub fn ended(&self, reason: &'static str, micros: u64) {
        self.duration.observe(micros);
        if !reason.is_empty() {
            self.by_reason.of(reason).increment();
        }
    }

    /// Bytes went forth and back.
    #[inline]
    pub fn moved(&self, received: u64, sent: u64) {
        self.received.add(received);
        self.sent.add(sent);
    }
}

impl Udp {
    /// So many datagrams, with so many bytes, went to an endpoint.
    #[inline]
    pub fn received(&self, datagrams: u64, bytes: u64) {
        self.received_datagrams.add(datagrams);
        self.sessions.received.add(bytes);
    }

    /// So many datagrams, with so many bytes, went to a client.
    #[inline]
    pub fn sent(&self, datagrams: u64, bytes: u64) {
        self.sent_datagrams.add(datagrams);
        self.sessions.sent.add(bytes);
    }

    /// So many datagrams went nowhere.
    pub fn dropped(&self, reason: &'static str, datagrams: u64) {
        if datagrams > 0 {
            self.dropped.of(reason).add(datagrams);
        }
    }
}

impl Upstream {
    /// A request is sent to an endpoint, on a new connection or on one that was there.
    #[inline]
    pub fn started(&self, reused: bool) {
        if reused {
            self.reuses.increment()
        } else {
            self.connects.increment()
        }
        self.in_flight.increment();
    }

    /// A request that was `started` has ended.
    #[inline]
    pub fn finished(&self) {
        self.in_flight.decrement();
    }

    /// A connection or a request failed.
    pub fn failed(&self, kind: ErrorKind) {
        self.errors.of(kind).increment();
    }
}

impl RouteMetrics {
    /// A request has ended with this status (0: none was sent) after so many microseconds.
    #[inline]
    pub fn finished(&self, status: u16, micros: u64) {
        self.by_class.class(status).increment();
        self.latency.observe(micros);
    }

    /// A request has ended: status, duration and bytes.
    #[inline]
    pub fn record(&self, record: &Record) {
        self.finished(record.status, record.total);
        self.received.add(record.received);
        self.sent.add(record.sent);
    }
}

impl EndpointMetrics {
    /// A request is sent, on a new connection or on one that was there.
    #[inline]
    pub fn started(&self, reused: bool) {
        self.requests.increment();
        if reused {
            self.reuses.increment()
        } else {
            self.connects.increment()
        }
        self.in_flight.increment();
    }

    /// The response's head is complete, so many microseconds after the request was sent.
    #[inline]
    pub fn first_byte(&self, micros: u64) {
        self.first_byte.observe(micros);
    }

    /// A request that was `started` has ended.
    #[inline]
    pub fn finished(&self) {
        self.in_flight.decrement();
    }

    /// A connection or a request failed.
    pub fn failed(&self) {
        self.errors.increment();
    }
}
