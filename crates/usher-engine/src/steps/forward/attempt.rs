//! One try at one endpoint: its connections, and what the final head of its response says.

use std::hint::cold_path;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_http::FieldId;
use usher_http::framing::{self, ConnectionOptions, Framing};
use usher_net::{Dialer, Transport};
use usher_wire::pump::Pump;
use usher_wire::{Downstream, RequestContext, Upstream as _};

use super::clock::Clock;
use super::failed::Failed;
use super::payload::Payload;
use super::under_way::UnderWay;
use super::{Cluster, Forwarded, Lease, websocket};
use crate::cluster::{Link, Wanted};
use crate::path::Visit;
use crate::snapshot::{Destination, Route};
use crate::steps::grpc;

/// One try at one endpoint.
pub(super) struct Attempt<'a, D: Dialer> {
    pub visit: &'a Visit<'a, D>,
    pub cluster: &'a Rc<Cluster<D::Stream>>,
    pub route: &'a Route,
    pub destination: &'a Destination,
    pub clock: &'a Clock<'a>,
    /// When it began.
    pub begun: Instant,
}

/// A request that was sent, with its connection and what moves its body.
type Sent<S> = (Link<S>, Pump, UnderWay<S>);

/// A response's head and its connection, before it is known whose lease it is.
pub(super) struct Headed<S: Transport> {
    pub connection: Link<S>,
    pub status: u16,
    pub request_body: Option<Box<Pump>>,
    pub framing: Framing,
    pub persistent: bool,
    pub idle: Duration,
    first_byte_micros: u64,
    under_way: UnderWay<S>,
}

impl<S: Transport> Headed<S> {
    pub(super) fn with(
        self,
        lease: Lease<S>,
        cluster: Rc<Cluster<S>>,
        mut payload: Payload,
    ) -> Box<Forwarded<S>> {
        let Self {
            connection, request_body, framing, persistent, idle, first_byte_micros, under_way, ..
        } = self;
        payload.answered();
        let is_left = request_body.is_some() || payload.ahead.is_some();
        let payload = is_left.then(|| Box::new(payload));
        Box::new(Forwarded {
            connection,
            lease,
            cluster,
            request_body,
            payload,
            framing,
            persistent,
            idle,
            first_byte_micros,
            _under_way: under_way,
        })
    }
}

impl<D: Dialer> Attempt<'_, D> {
    pub(super) async fn run(
        &self,
        exchange: &mut Exchange,
        down: &mut impl Downstream,
        (lease, payload): (&Lease<D::Stream>, &mut Payload),
    ) -> Result<Headed<D::Stream>, Error> {
        exchange.record.endpoint = Some(lease.index as u32);
        exchange.endpoint = Some(lease.endpoint.resolved.label.clone());
        let mut pooled = lease.endpoint.kept(!self.visit.upgrade.is_empty());
        loop {
            let reused = pooled.is_some();
            let mut connection = match pooled.take() {
                Some(connection) => connection,
                None => {
                    cold_path();
                    self.dial(exchange, lease).await?
                }
            };
            exchange.record.reused = reused;
            let under_way = UnderWay::begin(self.visit.worker, lease, reused);
            let mut pump = Pump::limited(self.route.max_body);
            self.clock.tell(exchange);
            self.begin(exchange, (&mut connection, payload.framing), lease);
            let head = self.ask(exchange, down, (&mut connection, &mut pump, payload)).await;
            match head {
                Ok(()) => {
                    // On a kept connection nobody was connected to, but whoever answers is there.
                    if reused && lease.probes {
                        lease.endpoint.connected(true);
                    }
                    return self.headed(exchange, (connection, pump, under_way), lease);
                }
                // The endpoint closed the connection as the request was on its way: nothing of an answer came.
                Err(failed) if reused && self.may_repeat(&failed, payload, exchange) => {
                    cold_path();
                    exchange.record.retries += 1;
                    payload.rewind();
                }
                Err(mut failed) => {
                    cold_path();
                    // What was taken of the body and not kept cannot be sent to another endpoint.
                    failed.error.untouched &= payload.is_whole();
                    return Err(failed.error);
                }
            }
        }
    }

    fn wanted<'e>(&'e self, exchange: &'e Exchange) -> Wanted<'e> {
        let tunnel = !self.visit.upgrade.is_empty();
        let client = (&exchange.client, "");
        Wanted { spec: &self.cluster.spec, tunnel, bare: false, client, patience: self.clock.connect() }
    }

    #[cold]
    async fn dial(
        &self,
        exchange: &mut Exchange,
        lease: &Lease<D::Stream>,
    ) -> Result<Link<D::Stream>, Error> {
        let begun = Instant::now();
        let worker = self.visit.worker;
        // Boxed, as it is large: every request on a kept connection would hold room for it.
        let dialing = lease.endpoint.dial(&worker.dialer, self.visit.deadline, self.wanted(exchange));
        let dialed = Box::pin(dialing).await;
        exchange.record.connect += begun.elapsed().as_micros() as u64;
        lease.endpoint.connected(dialed.is_ok());
        dialed
    }

    /// Queues the request's head.
    fn begin(
        &self,
        exchange: &mut Exchange,
        (connection, body): (&mut Link<D::Stream>, Framing),
        lease: &Lease<D::Stream>,
    ) {
        if !self.visit.upgrade.is_empty() {
            let is_h1 = matches!(connection, Link::H1(_));
            websocket::offer(exchange, self.visit.upgrade, is_h1, || self.visit.worker.random());
        }
        let host = self.cluster.spec.host_for(&exchange.request.authority, &lease.endpoint.resolved);
        let upgrade = Some(self.visit.upgrade).filter(|protocol| !protocol.is_empty());
        let trailers = Some(&self.route.request_trailers);
        // gRPC says in trailers how a call went, also of calls that came as gRPC-Web.
        let takes_trailers = self.visit.facts.takes_trailers || grpc::has_type(&exchange.request);
        let context = RequestContext { upgrade, takes_trailers, trailers };
        connection.begin_request(&exchange.request, host.as_bytes(), body, context);
    }

    /// Reads what the final head says of its body and its connection.
    fn headed(
        &self,
        exchange: &mut Exchange,
        (mut connection, pump, under_way): Sent<D::Stream>,
        lease: &Lease<D::Stream>,
    ) -> Result<Headed<D::Stream>, Error> {
        let now = Instant::now();
        let micros_since = |begun: Instant| now.duration_since(begun).as_micros() as u64;
        // What was waited for before this try is the request's time, but not the endpoint's.
        let first_byte_micros = micros_since(self.begun);
        // Mostly it is the first try, which began with the request.
        let is_first = self.begun == self.visit.started;
        exchange.record.first_byte =
            if is_first { first_byte_micros } else { micros_since(self.visit.started) };
        lease.heard();
        lease.endpoint.metrics.first_byte(first_byte_micros);
        let (framing, options) = self.read(exchange).map_err(malformed)?;
        connection.begin_receive(framing);
        let body_sent = connection.is_send_done();
        let persistent = body_sent && framing::is_persistent(exchange.response.version, options);
        if !self.visit.upgrade.is_empty() {
            websocket::accept(exchange, self.visit.upgrade);
        }
        let response = &mut exchange.response;
        if response.status != 101 {
            framing::strip_hop_by_hop(&mut response.fields, options);
        }
        // Also what has left the client but not the proxy is still to be sent.
        let request_body = (!body_sent).then(|| Box::new(pump));
        let idle = self.destination.timeouts.idle;
        let status = response.status;
        Ok(Headed {
            connection,
            status,
            request_body,
            framing,
            persistent,
            idle,
            first_byte_micros,
            under_way,
        })
    }

    /// Whether a kept connection was no longer there, and beginning anew does no harm.
    #[cold]
    fn may_repeat(&self, failed: &Failed, payload: &Payload, exchange: &Exchange) -> bool {
        let harmless = failed.error.untouched
            || exchange.request.method.is_idempotent()
            || self.route.retry.non_idempotent;
        failed.vanished && payload.is_whole() && harmless
    }

    /// How the response's body is framed, and what its Connection field says; an error says what is wrong with it.
    fn read(&self, exchange: &mut Exchange) -> Result<(Framing, ConnectionOptions), &'static str> {
        let framing = framing::of_response(&mut exchange.response, &exchange.request.method);
        let framing = framing.map_err(|error| error.as_str())?;
        let response = &exchange.response;
        let options = framing::connection_options(&response.fields);
        let asked = options.upgrade && offered(self.visit.upgrade, response.fields.get(FieldId::Upgrade));
        if response.status == 101 && !asked {
            cold_path();
            return Err("switches protocols unasked");
        }
        Ok((framing, options))
    }
}

#[cold]
fn malformed(detail: &'static str) -> Error {
    Error::new(Side::Upstream, ErrorKind::Malformed).detail(detail)
}

/// Whether an endpoint switches to a protocol that the client offered (RFC 9110 section 7.8).
fn offered(offer: &[u8], chosen: Option<&[u8]>) -> bool {
    chosen.is_some_and(|chosen| usher_http::list(offer).any(|protocol| protocol.eq_ignore_ascii_case(chosen)))
}
