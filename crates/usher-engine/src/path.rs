//! The path of a request: steps 4 to 12 of twelve, in order. Read this first.
//!
//! Steps 1 to 3 (accept, secure, decode) are the connection's: [`crate::accept`], [`crate::connection`]. Each step
//! below is a file with its name in `steps/`. Here is all branching of the path; the leaves decide nothing about
//! order. A request pins one snapshot from start to end, so a reload never changes the rules under it.

use std::hint::cold_path;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::time::Instant;
use usher_api::{Error, Exchange, Reply};
use usher_http::sanitize::Facts;
use usher_http::trust::ClientText;
use usher_net::{Dialer, Transport};
use usher_wire::Downstream;

use crate::deadline::Deadline;
use crate::snapshot::ListenerSpec;
use crate::steps::{choose, forward, guard, record, reply, route, sanitize, shed};
use crate::worker::{Local, Worker};

/// What every step may look at: the same for all requests of a connection, but for the snapshot.
pub(crate) struct Visit<'a, D: Dialer> {
    pub worker: &'a Worker<D>,
    /// The snapshot that this request is served by.
    pub local: Rc<Local<D::Stream>>,
    pub listener: &'a ListenerSpec,
    pub listener_index: u32,
    pub deadline: &'a Deadline,
    pub client: &'a ClientText,
    pub peer: Option<SocketAddr>,
    /// Whether it has taken a whole response before.
    pub is_known: bool,
    /// When the head was complete.
    pub started: Instant,
    /// The protocol that the client wants to switch to; empty for none.
    pub upgrade: &'a [u8],
    pub facts: Facts,
}

/// What answers a request.
pub(crate) enum Answer<S: Transport> {
    /// A response of the proxy itself.
    Own(Box<Reply>),
    /// An endpoint's response; its head is in the exchange.
    Endpoint(Box<forward::Forwarded<S>>),
}

/// What becomes of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It may carry another request.
    KeepAlive,
    /// It is closed, once the client had time to read what it was sent.
    Close,
    /// It is broken, or what was sent is incomplete: it is reset, so that nobody takes it for complete.
    Abort,
}

/// Serves one request whose head is in the exchange.
pub(crate) async fn serve<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
) -> End {
    visit.worker.metrics.requests.started();
    let (answer, route) = match answer(visit, exchange, down).await {
        Ok(found) => found,
        Err(failed) => {
            cold_path();
            (Answer::Own(reply::of_error(exchange, &failed)), exchange.record.route)
        }
    };
    exchange.record.route = route;
    let end = match answer {
        Answer::Own(reply) => reply::own::send(visit, exchange, down, reply).await,
        Answer::Endpoint(forwarded) => reply::passed_on::send(visit, exchange, down, forwarded).await,
    }; // 11
    record::finish(visit, exchange, down); // 12
    end
}

type Found<S> = (Answer<S>, Option<u32>);

async fn answer<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
) -> Result<Found<D::Stream>, Error> {
    sanitize::trust(visit, exchange); // 4: the trust boundary; framing, host and path are settled already
    if let Some(reply) = route::challenge(visit, exchange) {
        return Ok((Answer::Own(reply), None));
    }
    let index = match route::find(visit, exchange) {
        Ok(index) => index, // 5
        Err(reply) => return Ok((Answer::Own(reply), None)),
    };
    exchange.record.route = Some(index);
    let Some(route) = visit.local.shared.routes.get(index as usize) else {
        cold_path();
        return Ok((Answer::Own(reply::not_found()), None));
    };
    if let Some(reply) = route::to_https(visit, exchange, route) {
        return Ok((Answer::Own(reply), Some(index)));
    }
    if let Some(reply) = shed::refuse(visit, route) {
        return Ok((Answer::Own(reply), Some(index)));
    }
    route.check_length(visit.facts.framing, None)?;
    if !route.filters.is_empty()
        && let Some(reply) = guard::run(visit, exchange, down, route).await?
    {
        return Ok((Answer::Own(reply), Some(index))); // 6 and 7
    }
    let Some(destination) = choose::destination(visit, exchange, route) else {
        cold_path();
        return Ok((Answer::Own(reply::not_found()), Some(index)));
    };
    let forwarded = forward::run(visit, exchange, down, (route, destination)).await?; // 9 and 10
    Ok((Answer::Endpoint(forwarded), Some(index)))
}
