//! Step 10: to an endpoint and back to the head of its response.
//!
//! What fails before the endpoint can have seen the request goes to another endpoint; what fails on a pooled
//! connection that its endpoint closed meanwhile goes to the same endpoint on a fresh one, if the method allows.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::metrics::WorkerMetrics;
use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_config::config::HostPolicy;
use usher_http::framing::{self, Framing};
use usher_http::{FieldId, Version};
use usher_net::Dialer;
use usher_wire::pump::{Pump, PumpError};
use usher_wire::{Connection, Downstream, Held, RequestContext, Sink, WireError};

use crate::cluster::{Cluster, Endpoint, Lease};
use crate::path::Visit;
use crate::snapshot::{Destination, Route};
use crate::steps::relay::{sink_error, source_error, upstream_error};
use crate::worker::Worker;

/// The largest number of endpoints that are tried for one request.
const MAX_TRIES: usize = 5;

/// Informational responses that an endpoint may send before its final one; more is no information.
const MAX_INFORMED: u32 = 32;

/// How long an endpoint may take before a client that the runtime does not watch yet is watched: most responses come
/// sooner, and watching costs two system calls.
const UNWATCHED: Duration = Duration::from_millis(100);

/// An endpoint's response, with what is needed to pass on its body.
pub(crate) struct Forwarded<S> {
    /// Boxed from its first use to its last: it goes from hand to hand, and into the pool.
    pub connection: Box<Connection<S>>,
    pub lease: Lease<S>,
    pub cluster: Rc<Cluster<S>>,
    /// Moves what is left of the request's body; none if it was sent or given up.
    pub request_body: Option<Pump>,
    pub framing: Framing,
    /// The connection may be used again.
    pub persistent: bool,
    pub idle: Duration,
    pub first_byte_micros: u64,
    /// Counts the request until its response is sent.
    _under_way: UnderWay<S>,
}

/// Sends the request to an endpoint of the destination's cluster and reads the head of its response.
pub(crate) async fn run<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    (route, destination): (&Route, &Destination),
) -> Result<Forwarded<D::Stream>, Error> {
    let cluster = visit.local.clusters.get(destination.cluster as usize).cloned();
    let cluster = cluster.ok_or_else(|| Error::new(Side::Proxy, ErrorKind::Internal))?;
    exchange.record.cluster = Some(destination.cluster);
    let body = prepare_body(visit, exchange);
    let mut tried = Vec::new();
    loop {
        let lease = match cluster.pick(exchange, &tried) {
            Ok(lease) => lease,
            Err(error) => {
                visit.worker.metrics.upstream.failed(error.kind);
                return Err(error);
            }
        };
        let attempt = Attempt { visit, cluster: &cluster, route, destination, body };
        let failed = match attempt.run(exchange, down, &lease).await {
            Ok(forwarded) => return Ok(forwarded.with(lease, cluster)),
            Err(failed) => failed,
        };
        lease.endpoint.metrics.failed();
        visit.worker.metrics.upstream.failed(failed.kind);
        cluster.release(&lease, None);
        tried.push(lease.endpoint.clone());
        if !failed.untouched || tried.len() >= cluster.len().min(MAX_TRIES) {
            return Err(failed);
        }
        exchange.record.retries += 1;
    }
}

/// How the request's body is framed towards the endpoint. A body that a filter wanted whole is sent from memory.
fn prepare_body<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange) -> Framing {
    let Some(body) = &exchange.body else { return visit.facts.framing };
    let length = body.len() as u64;
    let fields = &mut exchange.request.fields;
    fields.remove(FieldId::Expect);
    if visit.facts.framing == Framing::None {
        return Framing::None;
    }
    fields.remove(FieldId::ContentLength);
    fields.push(FieldId::ContentLength, length.to_string().as_bytes());
    Framing::Length(length)
}

/// One try at one endpoint.
struct Attempt<'a, D: Dialer> {
    visit: &'a Visit<'a, D>,
    cluster: &'a Rc<Cluster<D::Stream>>,
    route: &'a Route,
    destination: &'a Destination,
    body: Framing,
}

/// A request that was sent, with its connection and what is left of its body.
type Sent<S> = (Box<Connection<S>>, Pump, UnderWay<S>);

/// A response's head and its connection, before it is known whose lease it is.
struct Headed<S> {
    connection: Box<Connection<S>>,
    request_body: Option<Pump>,
    framing: Framing,
    persistent: bool,
    idle: Duration,
    first_byte_micros: u64,
    under_way: UnderWay<S>,
}

impl<S> Headed<S> {
    fn with(self, lease: Lease<S>, cluster: Rc<Cluster<S>>) -> Forwarded<S> {
        let Self { connection, request_body, framing, persistent, idle, first_byte_micros, under_way } = self;
        Forwarded {
            connection,
            lease,
            cluster,
            request_body,
            framing,
            persistent,
            idle,
            first_byte_micros,
            _under_way: under_way,
        }
    }
}

impl<D: Dialer> Attempt<'_, D> {
    async fn run(
        &self,
        exchange: &mut Exchange,
        down: &mut impl Downstream,
        lease: &Lease<D::Stream>,
    ) -> Result<Headed<D::Stream>, Error> {
        exchange.record.endpoint = Some(lease.index as u32);
        exchange.endpoint = Some(lease.endpoint.resolved.label.clone());
        let mut pooled = if self.visit.upgrade.is_empty() { lease.endpoint.take_idle() } else { None };
        loop {
            let reused = pooled.is_some();
            let mut connection = match pooled.take() {
                Some(connection) => connection,
                None => self.dial(exchange, lease).await?,
            };
            exchange.record.reused = reused;
            let under_way = UnderWay::begin(self.visit.worker, lease, reused);
            let mut pump = Pump::limited(self.route.max_body);
            self.begin(exchange, &mut connection, lease);
            let head = self.head(exchange, down, (&mut connection, &mut pump)).await;
            match head {
                Ok(()) => return self.headed(exchange, (connection, pump, under_way), lease),
                // The endpoint closed the connection as the request was on its way: nothing of an answer came.
                Err(failed) if reused && stale(&failed, &pump) && exchange.request.method.is_idempotent() => {
                    exchange.record.retries += 1;
                }
                Err(failed) => return Err(failed.error),
            }
        }
    }

    async fn dial(
        &self,
        exchange: &mut Exchange,
        lease: &Lease<D::Stream>,
    ) -> Result<Box<Connection<D::Stream>>, Error> {
        let begun = Instant::now();
        let dialing = self.visit.worker.dialer.dial(&lease.endpoint.resolved.address);
        let failed = |kind| Error::new(Side::Upstream, kind).untouched();
        let dialed = self.visit.deadline.limit(self.destination.timeouts.connect, dialing).await;
        exchange.record.connect += begun.elapsed().as_micros() as u64;
        match dialed {
            Ok(Ok(stream)) => Ok(Box::new(Connection::new(stream))),
            Ok(Err(cause)) => Err(failed(ErrorKind::ConnectFailed).caused_by(cause)),
            Err(_) => Err(failed(ErrorKind::ConnectTimeout)),
        }
    }

    /// Queues the request's head.
    fn begin(&self, exchange: &Exchange, connection: &mut Connection<D::Stream>, lease: &Lease<D::Stream>) {
        let host = match &self.cluster.spec.host {
            HostPolicy::Preserve => exchange.request.authority.as_str(),
            HostPolicy::Endpoint => &lease.endpoint.resolved.host,
            HostPolicy::Literal(host) => host,
        };
        let upgrade = Some(self.visit.upgrade).filter(|protocol| !protocol.is_empty());
        let context = RequestContext { upgrade, takes_trailers: self.visit.facts.takes_trailers };
        connection.begin_request(&exchange.request, host.as_bytes(), self.body, context);
    }

    /// Sends the request and reads response heads until the final one is there.
    async fn head(
        &self,
        exchange: &mut Exchange,
        down: &mut impl Downstream,
        (connection, pump): (&mut Connection<D::Stream>, &mut Pump),
    ) -> Result<(), Failed> {
        let visit = self.visit;
        let held = exchange.body.take();
        let mut held_source = held.as_deref().map(Held::new);
        let mut sending = true;
        let mut moved = (0, usize::MAX);
        let mut informed = 0;
        let mut watching = down.is_watched();
        visit.deadline.set(self.body_idle());
        let outcome = poll_fn(|cx| {
            loop {
                if sending {
                    let pumped = match &mut held_source {
                        Some(source) => pump.poll(cx, source, connection),
                        None if self.body == Framing::None => {
                            connection.poll_finish(cx, None).map_err(PumpError::Sink)
                        }
                        None => pump.poll(cx, down, connection),
                    };
                    match pumped {
                        Poll::Ready(Ok(())) => {
                            sending = false;
                            visit.deadline.set(self.first_wait(watching));
                        }
                        Poll::Ready(Err(PumpError::Source(error))) => {
                            return Poll::Ready(Err(source_error(error).into()));
                        }
                        // The endpoint takes no more; it may have answered already.
                        Poll::Ready(Err(PumpError::Sink(_))) => sending = false,
                        Poll::Pending if (pump.moved(), connection.queued()) != moved => {
                            moved = (pump.moved(), connection.queued());
                            visit.deadline.set(self.body_idle());
                        }
                        Poll::Pending => {}
                    }
                }
                // Informational responses that the client has not taken stop the reading of more.
                if informed > 0 {
                    match down.poll_flush(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(sink_error(error).into())),
                        Poll::Pending => return visit.deadline.poll(cx).map(|_| Err(stalled().into())),
                    }
                }
                let limits = &visit.listener.head;
                match connection.poll_response(cx, limits, &mut exchange.response) {
                    Poll::Ready(Ok(()))
                        if exchange.response.is_informational() && exchange.response.status != 101 =>
                    {
                        informed += 1;
                        if informed > MAX_INFORMED {
                            return Poll::Ready(Err(too_informative().into()));
                        }
                        self.inform(exchange, down);
                        continue;
                    }
                    Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Failed::upstream(error))),
                    Poll::Pending => {}
                }
                if !sending
                    && watching
                    && let Poll::Ready(error) = down.poll_gone(cx)
                {
                    return Poll::Ready(Err(sink_error(error).into()));
                }
                match visit.deadline.poll(cx) {
                    Poll::Ready(_) if !sending && !watching => {
                        watching = true;
                        visit.deadline.set(self.destination.timeouts.first_byte.saturating_sub(UNWATCHED));
                    }
                    passed => return passed.map(|_| Err(timeout(sending, pump.waits_for_sink()).into())),
                }
            }
        })
        .await;
        exchange.body = held;
        outcome
    }

    /// How long to wait for the response before something else is to be done.
    fn first_wait(&self, watching: bool) -> Duration {
        let whole = self.destination.timeouts.first_byte;
        if watching { whole } else { whole.min(UNWATCHED) }
    }

    fn body_idle(&self) -> Duration {
        self.route.body_idle.unwrap_or(self.visit.listener.timeouts.body_idle)
    }

    /// Passes on an informational response, to clients that know of them (RFC 9110 section 15.2).
    fn inform(&self, exchange: &mut Exchange, down: &mut impl Downstream) {
        let old = exchange.request.version == Version::Http10;
        let unasked = exchange.response.status == 100 && !self.visit.facts.expects_continue;
        if !old && !unasked {
            let options = framing::connection_options(&exchange.response.fields);
            framing::strip_hop_by_hop(&mut exchange.response.fields, options);
            exchange.response.fields.remove(FieldId::Server);
            down.inform(&exchange.response);
        }
        exchange.response.clear();
    }

    /// Reads what the final head says of its body and its connection.
    fn headed(
        &self,
        exchange: &mut Exchange,
        (mut connection, pump, under_way): Sent<D::Stream>,
        lease: &Lease<D::Stream>,
    ) -> Result<Headed<D::Stream>, Error> {
        let first_byte_micros = Instant::now().duration_since(self.visit.started).as_micros() as u64;
        exchange.record.first_byte = first_byte_micros;
        lease.endpoint.metrics.first_byte(first_byte_micros);
        let response = &mut exchange.response;
        let malformed = |detail| Error::new(Side::Upstream, ErrorKind::Malformed).detail(detail);
        let framing = framing::of_response(response, &exchange.request.method);
        let framing = framing.map_err(|error| malformed(error.as_str()))?;
        let options = framing::connection_options(&response.fields);
        if response.status == 101
            && !(options.upgrade && offered(self.visit.upgrade, response.fields.get(FieldId::Upgrade)))
        {
            return Err(malformed("switches protocols unasked"));
        }
        connection.begin_receive(framing);
        let body_sent = connection.is_send_done();
        let persistent = body_sent && framing::is_persistent(response.version, options);
        if response.status != 101 {
            framing::strip_hop_by_hop(&mut response.fields, options);
        }
        // Also what has left the client but not the proxy is still to be sent.
        let request_body = (!body_sent).then_some(pump);
        let idle = self.destination.timeouts.idle;
        Ok(Headed { connection, request_body, framing, persistent, idle, first_byte_micros, under_way })
    }
}

/// A request that an endpoint has; counted until this is dropped, however that comes about.
struct UnderWay<S> {
    endpoint: Rc<Endpoint<S>>,
    totals: Arc<WorkerMetrics>,
}

impl<S> UnderWay<S> {
    fn begin<D: Dialer<Stream = S>>(worker: &Worker<D>, lease: &Lease<S>, reused: bool) -> Self {
        lease.endpoint.metrics.started(reused);
        worker.metrics.upstream.started(reused);
        Self { endpoint: lease.endpoint.clone(), totals: worker.metrics.clone() }
    }
}

impl<S> Drop for UnderWay<S> {
    fn drop(&mut self) {
        self.endpoint.metrics.finished();
        self.totals.upstream.finished();
    }
}

/// Why an attempt failed, and whether the connection simply was no longer there.
struct Failed {
    error: Error,
    vanished: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, vanished: false }
    }
}

impl Failed {
    fn upstream(error: WireError) -> Self {
        let vanished = matches!(error, WireError::Closed | WireError::Io(_));
        Self { error: upstream_error(error), vanished }
    }
}

/// Whether an endpoint switches to a protocol that the client offered (RFC 9110 section 7.8).
fn offered(offer: &[u8], chosen: Option<&[u8]>) -> bool {
    chosen.is_some_and(|chosen| usher_http::list(offer).any(|protocol| protocol.eq_ignore_ascii_case(chosen)))
}

/// Whether a pooled connection failed before the endpoint answered anything, with nothing of a body lost on the way.
fn stale(failed: &Failed, pump: &Pump) -> bool {
    failed.vanished && pump.taken() == 0
}

fn timeout(sending: bool, waits_for_endpoint: bool) -> Error {
    match (sending, waits_for_endpoint) {
        (true, false) => Error::new(Side::Downstream, ErrorKind::IdleTimeout).detail("request body"),
        (true, true) => Error::new(Side::Upstream, ErrorKind::IdleTimeout).detail("request body not taken"),
        (false, _) => Error::new(Side::Upstream, ErrorKind::FirstByteTimeout),
    }
}

fn stalled() -> Error {
    Error::new(Side::Downstream, ErrorKind::WriteStall).detail("informational response")
}

fn too_informative() -> Error {
    Error::new(Side::Upstream, ErrorKind::Malformed).detail("too many informational responses")
}
