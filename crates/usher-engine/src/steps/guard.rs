//! Steps 6 and 7: the route's filters, in the order limit, inspect, authenticate, authorise, rewrite, respond.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use usher_api::{Error, ErrorKind, Exchange, Flow, Reply, Resume, Side};
use usher_net::Dialer;
use usher_net::shortage::{self, Deed};
use usher_wire::Downstream;
use usher_wire::turns::Filling;

use crate::path::Visit;
use crate::snapshot::Route;
use crate::steps::patience;
use crate::steps::relay::source_error;

/// Runs the filters; a reply ends the path. Only for routes that have some.
pub(crate) async fn run<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    route: &Route,
) -> Result<Option<Box<Reply>>, Error> {
    for entry in &route.filters {
        if exchange.body.is_none()
            && let Some(limit) = entry.filter.body_limit()
        {
            route.check_length(visit.facts.framing, Some(limit))?;
            let most = limit.min(route.max_body.unwrap_or(limit));
            exchange.body = Some(collect(visit, down, route, most).await?);
        }
        let mut flow = entry.filter.on_request(exchange);
        loop {
            match flow {
                Flow::Continue => break,
                Flow::Respond(reply) => return Ok(Some(reply)),
                Flow::Wait(future) => flow = wait(visit, down, future).await?(exchange),
            }
        }
    }
    Ok(None)
}

/// The longest that a filter may wait for what it asked.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Waits for what a filter waits for, as long as the client is there.
async fn wait<D: Dialer>(
    visit: &Visit<'_, D>,
    down: &mut impl Downstream,
    mut future: Pin<Box<dyn Future<Output = Resume>>>,
) -> Result<Resume, Error> {
    visit.deadline.set(LONGEST_WAIT);
    poll_fn(|cx| {
        if let Poll::Ready(resume) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(resume));
        }
        // What comes of a body meanwhile waits in the buffer, where it is looked for first.
        if let Poll::Ready(error) = down.poll_gone(cx) {
            return Poll::Ready(Err(source_error(error)));
        }
        let overloaded = || Error::new(Side::Proxy, ErrorKind::Overloaded).detail("a filter waited too long");
        visit.deadline.poll(cx).map(|_| Err(overloaded()))
    })
    .await
}

/// Bodies up to this are read while there is no memory (bytes): as much as a small buffer holds.
const SMALL_BODY: usize = 4 << 10;

/// Reads the whole request body into memory, up to `limit` bytes.
async fn collect<D: Dialer>(
    visit: &Visit<'_, D>,
    down: &mut impl Downstream,
    route: &Route,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    let too_large = || Error::new(Side::Downstream, ErrorKind::TooLarge).detail("request body");
    if visit.facts.expects_continue && !down.is_done() {
        let mut go_on = usher_http::Response::default();
        go_on.status = 100;
        down.inform(&go_on);
        let patience = patience::write_stall(visit, Some(route));
        let sent = visit.deadline.limit(patience, poll_fn(|cx| down.poll_flush(cx))).await;
        sent.map_err(|_| Error::new(Side::Downstream, ErrorKind::WriteStall))?.map_err(source_error)?;
    }
    let mut body = Vec::new();
    let begun = visit.deadline.pace();
    let mut filling = Filling::default();
    loop {
        let patience = patience::body_idle(visit, route);
        let filled = visit
            .deadline
            .limit_client(patience, begun.moved(body.len() as u64), poll_fn(|cx| filling.poll(cx, down)))
            .await;
        if filled.is_err() && filling.waits_for_turn() && !visit.deadline.was_cut() {
            // Not the client's doing.
            continue;
        }
        let len = filled
            .map_err(|_| Error::new(Side::Downstream, ErrorKind::IdleTimeout))?
            .map_err(source_error)?;
        if len == 0 {
            return Ok(body);
        }
        if (body.len() + len) as u64 > limit {
            return Err(too_large());
        }
        if shortage::is_full() && body.len() + len > SMALL_BODY {
            shortage::did(Deed::RefusedBody, 1);
            return Err(
                Error::new(Side::Proxy, ErrorKind::Overloaded).detail("no memory for the request's body")
            );
        }
        body.extend_from_slice(down.chunk());
        down.consume(len);
    }
}
