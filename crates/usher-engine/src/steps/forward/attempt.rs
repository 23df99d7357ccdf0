//! One try at one endpoint: its connections, and what the final head of its response says.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_http::FieldId;
use usher_http::framing::{self, ConnectionOptions, Framing};
use usher_net::{Dialer, Transport};
use usher_wire::pump::Pump;
use usher_wire::{Change, Downstream, RequestContext, Upstream as _};

use super::failed::{Failed, stale};
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
    /// How the request's body is framed towards the endpoint.
    pub body: Framing,
    /// How long the endpoint may take to begin its response.
    pub first_byte: Duration,
}

/// A request that was sent, with its connection and what is left of its body.
type Sent<S> = (Link<S>, (Pump, Option<Change>), UnderWay<S>);

/// A response's head and its connection, before it is known whose lease it is.
pub(super) struct Headed<S: Transport> {
    connection: Link<S>,
    request_body: Option<Pump>,
    request_change: Option<Change>,
    framing: Framing,
    persistent: bool,
    idle: Duration,
    first_byte_micros: u64,
    under_way: UnderWay<S>,
}

impl<S: Transport> Headed<S> {
    pub(super) fn with(self, lease: Lease<S>, cluster: Rc<Cluster<S>>) -> Forwarded<S> {
        let Self {
            connection,
            request_body,
            request_change,
            framing,
            persistent,
            idle,
            first_byte_micros,
            under_way,
        } = self;
        Forwarded {
            connection,
            lease,
            cluster,
            request_body,
            request_change,
            framing,
            persistent,
            idle,
            first_byte_micros,
            _under_way: under_way,
        }
    }
}

impl<D: Dialer> Attempt<'_, D> {
    pub(super) async fn run(
        &self,
        exchange: &mut Exchange,
        down: &mut impl Downstream,
        lease: &Lease<D::Stream>,
    ) -> Result<Headed<D::Stream>, Error> {
        exchange.record.endpoint = Some(lease.index as u32);
        exchange.endpoint = Some(lease.endpoint.resolved.label.clone());
        let wanted = self.wanted();
        let mut pooled = lease.endpoint.kept(wanted);
        loop {
            let reused = pooled.is_some();
            let mut connection = match pooled.take() {
                Some(connection) => connection,
                None => self.dial(exchange, lease).await?,
            };
            exchange.record.reused = reused;
            let under_way = UnderWay::begin(self.visit.worker, lease, reused);
            let mut pump = Pump::limited(self.route.max_body);
            let mut change = exchange.request_transform.take().map(|change| Change::new(change.0));
            self.begin(exchange, &mut connection, lease);
            let head = self.ask(exchange, down, (&mut connection, &mut pump, &mut change)).await;
            match head {
                Ok(()) => {
                    // On a kept connection nobody was connected to, but whoever answers is there.
                    if reused && lease.probes {
                        lease.endpoint.connected(true);
                    }
                    return self.headed(exchange, (connection, (pump, change), under_way), lease);
                }
                // The endpoint closed the connection as the request was on its way: nothing of an answer came.
                Err(failed) if reused && change.is_none() && may_repeat(&failed, &pump, exchange) => {
                    exchange.record.retries += 1;
                }
                Err(mut failed) => {
                    // What was taken of the body, or went through its change, cannot be sent to another endpoint.
                    failed.error.untouched &= pump.taken() == 0 && change.is_none();
                    return Err(failed.error);
                }
            }
        }
    }

    fn wanted(&self) -> Wanted<'_> {
        let tunnel = !self.visit.upgrade.is_empty();
        Wanted { spec: &self.cluster.spec, tunnel, patience: self.destination.timeouts.connect }
    }

    async fn dial(
        &self,
        exchange: &mut Exchange,
        lease: &Lease<D::Stream>,
    ) -> Result<Link<D::Stream>, Error> {
        let begun = Instant::now();
        let worker = self.visit.worker;
        let dialed = lease.endpoint.dial(&worker.dialer, self.visit.deadline, self.wanted()).await;
        exchange.record.connect += begun.elapsed().as_micros() as u64;
        lease.endpoint.connected(dialed.is_ok());
        dialed
    }

    /// Queues the request's head.
    fn begin(&self, exchange: &mut Exchange, connection: &mut Link<D::Stream>, lease: &Lease<D::Stream>) {
        let is_h1 = matches!(connection, Link::H1(_));
        websocket::offer(exchange, self.visit.upgrade, is_h1, || self.visit.worker.random());
        let host = self.cluster.spec.host_for(&exchange.request.authority, &lease.endpoint.resolved);
        let upgrade = Some(self.visit.upgrade).filter(|protocol| !protocol.is_empty());
        let trailers = Some(&self.route.request_trailers);
        // gRPC says in trailers how a call went, also of calls that came as gRPC-Web.
        let takes_trailers = self.visit.facts.takes_trailers || grpc::has_type(&exchange.request);
        let context = RequestContext { upgrade, takes_trailers, trailers };
        connection.begin_request(&exchange.request, host.as_bytes(), self.body, context);
    }

    /// Reads what the final head says of its body and its connection.
    fn headed(
        &self,
        exchange: &mut Exchange,
        (mut connection, (pump, change), under_way): Sent<D::Stream>,
        lease: &Lease<D::Stream>,
    ) -> Result<Headed<D::Stream>, Error> {
        let first_byte_micros = Instant::now().duration_since(self.visit.started).as_micros() as u64;
        exchange.record.first_byte = first_byte_micros;
        lease.endpoint.metrics.first_byte(first_byte_micros);
        let (framing, options) = self.read(exchange).map_err(malformed)?;
        connection.begin_receive(framing);
        let body_sent = connection.is_send_done();
        let persistent = body_sent && framing::is_persistent(exchange.response.version, options);
        websocket::accept(exchange, self.visit.upgrade);
        let response = &mut exchange.response;
        if response.status != 101 {
            framing::strip_hop_by_hop(&mut response.fields, options);
        }
        // Also what has left the client but not the proxy is still to be sent.
        let request_body = (!body_sent).then_some(pump);
        let idle = self.destination.timeouts.idle;
        let request_change = change.filter(|_| request_body.is_some());
        Ok(Headed {
            connection,
            request_body,
            request_change,
            framing,
            persistent,
            idle,
            first_byte_micros,
            under_way,
        })
    }

    /// How the response's body is framed, and what its Connection field says; an error says what is wrong with it.
    fn read(&self, exchange: &mut Exchange) -> Result<(Framing, ConnectionOptions), &'static str> {
        let framing = framing::of_response(&mut exchange.response, &exchange.request.method);
        let framing = framing.map_err(|error| error.as_str())?;
        let response = &exchange.response;
        let options = framing::connection_options(&response.fields);
        let asked = options.upgrade && offered(self.visit.upgrade, response.fields.get(FieldId::Upgrade));
        if response.status == 101 && !asked {
            return Err("switches protocols unasked");
        }
        Ok((framing, options))
    }
}

/// Whether the endpoint did not begin with the request, or beginning anew does no harm.
fn may_repeat(failed: &Failed, pump: &Pump, exchange: &Exchange) -> bool {
    stale(failed, pump) && (failed.error.untouched || exchange.request.method.is_idempotent())
}

fn malformed(detail: &'static str) -> Error {
    Error::new(Side::Upstream, ErrorKind::Malformed).detail(detail)
}

/// Whether an endpoint switches to a protocol that the client offered (RFC 9110 section 7.8).
fn offered(offer: &[u8], chosen: Option<&[u8]>) -> bool {
    chosen.is_some_and(|chosen| usher_http::list(offer).any(|protocol| protocol.eq_ignore_ascii_case(chosen)))
}
