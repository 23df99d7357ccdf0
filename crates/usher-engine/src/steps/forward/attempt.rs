//! One try at one endpoint: its connections, and what the final head of its response says.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_http::FieldId;
use usher_http::framing::{self, ConnectionOptions, Framing};
use usher_net::Dialer;
use usher_wire::pump::Pump;
use usher_wire::{Connection, Downstream, RequestContext};

use super::failed::stale;
use super::under_way::UnderWay;
use super::{Cluster, Forwarded, Lease};
use crate::path::Visit;
use crate::snapshot::{Destination, Route};

/// One try at one endpoint.
pub(super) struct Attempt<'a, D: Dialer> {
    pub visit: &'a Visit<'a, D>,
    pub cluster: &'a Rc<Cluster<D::Stream>>,
    pub route: &'a Route,
    pub destination: &'a Destination,
    /// How the request's body is framed towards the endpoint.
    pub body: Framing,
}

/// A request that was sent, with its connection and what is left of its body.
type Sent<S> = (Box<Connection<S>>, Pump, UnderWay<S>);

/// A response's head and its connection, before it is known whose lease it is.
pub(super) struct Headed<S> {
    connection: Box<Connection<S>>,
    request_body: Option<Pump>,
    framing: Framing,
    persistent: bool,
    idle: Duration,
    first_byte_micros: u64,
    under_way: UnderWay<S>,
}

impl<S> Headed<S> {
    pub(super) fn with(self, lease: Lease<S>, cluster: Rc<Cluster<S>>) -> Forwarded<S> {
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
    pub(super) async fn run(
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
            let head = self.ask(exchange, down, (&mut connection, &mut pump)).await;
            match head {
                Ok(()) => {
                    // On a kept connection nobody was connected to, but whoever answers is there.
                    if reused && lease.probes {
                        lease.endpoint.connected(true);
                    }
                    return self.headed(exchange, (connection, pump, under_way), lease);
                }
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
        lease.endpoint.connected(matches!(dialed, Ok(Ok(_))));
        match dialed {
            Ok(Ok(stream)) => Ok(Box::new(Connection::new(stream))),
            Ok(Err(cause)) => Err(failed(ErrorKind::ConnectFailed).caused_by(cause)),
            Err(_) => Err(failed(ErrorKind::ConnectTimeout)),
        }
    }

    /// Queues the request's head.
    fn begin(&self, exchange: &Exchange, connection: &mut Connection<D::Stream>, lease: &Lease<D::Stream>) {
        let host = self.cluster.spec.host_for(&exchange.request.authority, &lease.endpoint.resolved);
        let upgrade = Some(self.visit.upgrade).filter(|protocol| !protocol.is_empty());
        let trailers = Some(&self.route.request_trailers);
        let context = RequestContext { upgrade, takes_trailers: self.visit.facts.takes_trailers, trailers };
        connection.begin_request(&exchange.request, host.as_bytes(), self.body, context);
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
        let (framing, options) = self.read(exchange).map_err(malformed)?;
        connection.begin_receive(framing);
        let body_sent = connection.is_send_done();
        let response = &mut exchange.response;
        let persistent = body_sent && framing::is_persistent(response.version, options);
        if response.status != 101 {
            framing::strip_hop_by_hop(&mut response.fields, options);
        }
        // Also what has left the client but not the proxy is still to be sent.
        let request_body = (!body_sent).then_some(pump);
        let idle = self.destination.timeouts.idle;
        Ok(Headed { connection, request_body, framing, persistent, idle, first_byte_micros, under_way })
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

fn malformed(detail: &'static str) -> Error {
    Error::new(Side::Upstream, ErrorKind::Malformed).detail(detail)
}

/// Whether an endpoint switches to a protocol that the client offered (RFC 9110 section 7.8).
fn offered(offer: &[u8], chosen: Option<&[u8]>) -> bool {
    chosen.is_some_and(|chosen| usher_http::list(offer).any(|protocol| protocol.eq_ignore_ascii_case(chosen)))
}
