//! Step 11: whatever happened becomes one response. The only place that turns an error into one.
//!
//! - this file: errors, and what both kinds of responses have in common;
//! - `own.rs`: responses of the proxy itself;
//! - `passed_on.rs`: responses of endpoints.

pub(crate) mod own;
pub(crate) mod passed_on;

#[cfg(test)]
mod tests;

use std::hint::cold_path;
use std::time::Duration;

use usher_api::{Error, ErrorKind, Exchange, Reply, Side};
use usher_http::{FieldId, Framing, Version};
use usher_net::Dialer;
use usher_wire::{Downstream, ReplyContext, WireError};

use crate::path::{End, Visit};
use crate::snapshot::Route;
use crate::steps::{patience, relay};

/// The reply to an error. What the client sees names no endpoint; the record says more.
#[cold]
pub(crate) fn of_error(exchange: &mut Exchange, error: &Error) -> Box<Reply> {
    let status = match (error.side, error.kind) {
        (Side::Downstream, ErrorKind::Malformed) => 400,
        (Side::Downstream, ErrorKind::TooLarge) => 413,
        (Side::Downstream, ErrorKind::IdleTimeout) => 408,
        // Nobody is there to read it; the number, which nginx introduced, is for the log.
        (Side::Downstream, _) => 499,
        (_, ErrorKind::ConnectTimeout | ErrorKind::FirstByteTimeout | ErrorKind::IdleTimeout) => 504,
        (_, ErrorKind::NoEndpoint | ErrorKind::CircuitOpen | ErrorKind::Overloaded | ErrorKind::Draining) => {
            503
        }
        (Side::Upstream, _) => 502,
        (Side::Proxy, _) => 500,
    };
    tell(exchange, error);
    exchange.response.clear();
    let reply = Reply::new(status, reason(error));
    Box::new(match error.retry_after {
        0 => reply,
        seconds => reply.field("Retry-After", seconds.to_string()),
    })
}

/// The reason in logs and metrics: the side, where the kind alone would not tell.
fn reason(error: &Error) -> &'static str {
    match (error.side, error.kind) {
        (Side::Downstream, ErrorKind::Disconnected) => "client_disconnected",
        (Side::Downstream, ErrorKind::Malformed) => "client_malformed",
        (Side::Downstream, ErrorKind::IdleTimeout) => "client_idle_timeout",
        (Side::Upstream, ErrorKind::Disconnected) => "endpoint_disconnected",
        (Side::Upstream, ErrorKind::Malformed) => "endpoint_malformed",
        (Side::Upstream, ErrorKind::IdleTimeout) => "endpoint_idle_timeout",
        (_, kind) => kind.as_str(),
    }
}

/// No route, or a route without target.
#[cold]
pub(crate) fn not_found() -> Box<Reply> {
    Box::new(Reply::new(404, "no_route"))
}

/// A route matches but for the method.
#[cold]
pub(crate) fn method_not_allowed(allowed: &[&str]) -> Box<Reply> {
    Box::new(Reply::new(405, "method_not_allowed").field("Allow", allowed.join(", ")))
}

/// The request's route, or what holds where none was found.
fn route<'a, D: Dialer>(visit: &'a Visit<'_, D>, exchange: &Exchange) -> &'a Route {
    visit.local.shared.route(exchange.record.route)
}

/// Runs the response filters, in reverse.
pub(crate) fn filter<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange) {
    for entry in route(visit, exchange).filters.iter().rev() {
        entry.filter.on_response(exchange);
    }
}

/// Queues the response's head; whether the connection can go on.
fn begin<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    framing: Framing,
    persistent: bool,
) -> bool {
    if let Some(alt_svc) = &visit.listener.alt_svc
        && exchange.request.version < Version::Http3
        && exchange.response.fields.get_named(b"Alt-Svc").is_none()
    {
        cold_path();
        // Made of digits and a name: it is valid.
        let _ = exchange.response.fields.add(b"Alt-Svc", alt_svc.as_bytes());
    }
    let switches = exchange.response.status == 101;
    let is_dated = exchange.response.fields.may_have(FieldId::Date);
    let date = if is_dated { [0; 29] } else { visit.worker.deadlines.date() };
    let trailers = &route(visit, exchange).response_trailers;
    let trailers = Some(trailers).filter(|_| visit.facts.takes_trailers);
    let context =
        ReplyContext { version: exchange.request.version, persistent, date: &date, trailers, switches };
    down.begin_response(&exchange.response, framing, context)
}

/// Notes an error after which the response cannot be completed.
#[cold]
fn broken(exchange: &mut Exchange, error: &Error) -> End {
    exchange.record.reason = reason(error);
    tell(exchange, error);
    End::Abort
}

/// Notes for the access log what lies behind the reason. Where connecting failed or the system reported an error, and
/// where other endpoints failed before, which endpoint it was.
fn tell(exchange: &mut Exchange, error: &Error) {
    let connecting = matches!(error.kind, ErrorKind::ConnectFailed | ErrorKind::ConnectTimeout);
    let chosen =
        !matches!(error.kind, ErrorKind::NoEndpoint | ErrorKind::CircuitOpen | ErrorKind::Overloaded);
    let named = connecting || error.cause.is_some() || !exchange.failures.as_str().is_empty();
    if error.side == Side::Upstream && chosen && named {
        exchange.note_failure(error);
    } else {
        exchange.record.detail = error.detail;
    }
}

/// How long the client may take nothing of its response.
fn write_stall<D: Dialer>(visit: &Visit<'_, D>, exchange: &Exchange) -> Duration {
    patience::write_stall(visit, Some(route(visit, exchange)))
}

/// Waits for something to be sent, as long as the client may take for it.
async fn stall_limit<D: Dialer, T>(
    visit: &Visit<'_, D>,
    longest: Duration,
    sending: impl Future<Output = Result<T, WireError>>,
) -> Result<T, Error> {
    let sent = visit.deadline.limit_client(longest, visit.deadline.pace(), sending).await;
    let detail = || if visit.deadline.was_cut() { patience::CUT } else { "" };
    sent.map_err(|_| Error::new(Side::Downstream, ErrorKind::WriteStall).detail(detail()))?
        .map_err(relay::sink_error)
}
