//! Responses of endpoints: the head with its few changes, then the body, or a tunnel.

use std::future::poll_fn;
use std::hint::cold_path;
use std::time::Duration;

use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_http::{FieldId, Framing, Version};
use usher_net::Dialer;
use usher_wire::{Change, Downstream, Source as _};

use super::{begin, broken, filter, route, stall_limit, write_stall};
use crate::path::{End, Visit};
use crate::steps::forward::Forwarded;
use crate::steps::tunnel::{self, Kind};
use crate::steps::{choose, grpc, patience, relay};

/// Passes a response on, and says what becomes of the client's connection.
pub(crate) async fn send<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    mut forwarded: Box<Forwarded<D::Stream>>,
) -> End {
    let begun = visit.worker.deadlines.coarse_millis();
    let failed = grpc::outcome(exchange).is_some_and(is_failure);
    let micros = Some(forwarded.first_byte_micros).filter(|_| !failed);
    finish_head(visit, exchange);
    forwarded.cluster.answered(&forwarded.lease, exchange);
    filter(visit, exchange);
    exchange.record.status = exchange.response.status;
    let tunnel = exchange.response.status == 101;
    // A request body that is still on its way may never end: the connection is not used again.
    let whole = down.is_done() && forwarded.request_body.is_none();
    let persistent = visit.facts.persistent && whole && !tunnel && !visit.worker.is_draining();
    let mut framing = if tunnel { Framing::None } else { forwarded.framing };
    let response_change = exchange.response_transform.take().filter(|_| framing != Framing::None);
    if response_change.is_some() {
        cold_path();
        // How long it will be is not known before its end.
        exchange.response.fields.remove(FieldId::ContentLength);
        framing = Framing::Chunked;
    }
    let persistent = begin(visit, exchange, down, framing, persistent);
    if tunnel {
        cold_path();
        forwarded.cluster.fared(&forwarded.lease, micros);
        return send_tunnel(visit, exchange, down, &mut forwarded).await;
    }
    let patience = relay::Patience { endpoint: forwarded.idle, client: write_stall(visit, exchange) };
    let held = exchange.body.take();
    let bodies = relay::Bodies {
        request_body: &mut forwarded.request_body,
        held: held.as_deref(),
        payload: forwarded.payload.as_deref_mut(),
        response_change: response_change.map(|change| Change::new(change.0)),
    };
    let (sent, outcome) = relay::response(visit, down, &mut forwarded.connection, bodies, patience).await;
    exchange.record.body_sent = sent;
    let complete = outcome.is_ok();
    let broke = outcome.as_ref().is_err_and(|error| error.side == Side::Upstream);
    let began = Duration::from_millis(visit.worker.deadlines.coarse_millis().saturating_sub(begun));
    let has_trailers = complete && !failed && forwarded.connection.trailers().is_some();
    let call_failed = has_trailers && note_call(visit, exchange, (&forwarded, began));
    forwarded.cluster.fared(&forwarded.lease, micros.filter(|_| !broke && !call_failed));
    let end = match outcome {
        Ok(()) if persistent && down.is_done() => End::KeepAlive,
        Ok(()) => End::Close,
        Err(error) if error.side == Side::Upstream => {
            cold_path();
            forwarded.lease.endpoint.metrics.failed();
            forwarded.cluster.broke_off(began, visit.worker.random());
            visit.worker.metrics.upstream.failed(error.kind);
            let until_end = matches!(framing, Framing::Chunked | Framing::Close);
            cut_short(visit, exchange, down, (&error, until_end)).await
        }
        Err(error) => {
            cold_path();
            broken(exchange, &error)
        }
    };
    give_back(visit, forwarded, (complete, broke));
    end
}

/// Whether a status says that the endpoint could not do its work. That it does not know how to (501) is no failure.
fn is_failure(status: u16) -> bool {
    status >= 500 && status != 501
}

/// Notes what the trailers of a whole response say of a call of gRPC; whether the endpoint could not do its work. That
/// is known only here: what was told of the response's head is that it had begun well.
#[inline(never)]
fn note_call<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    (forwarded, began): (&Forwarded<D::Stream>, Duration),
) -> bool {
    let Some(trailers) = forwarded.connection.trailers() else { return false };
    exchange.record.call = grpc::code(trailers).filter(|_| grpc::has_type(&exchange.request));
    let told = exchange.record.call.and_then(|code| grpc::status(&exchange.request, code));
    let Some(status) = told else { return false };
    forwarded.cluster.call_ended(status, began, visit.worker.random());
    is_failure(status)
}

/// What the proxy changes of every response head: it hides the endpoint's software and names itself in Via.
fn finish_head<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange) {
    let cookie = choose::sticky_cookie(exchange, route(visit, exchange), || visit.worker.random());
    let response = &mut exchange.response;
    response.fields.remove(FieldId::Server);
    if !visit.facts.takes_trailers {
        response.fields.remove(FieldId::Trailer);
    }
    if response.status == 101 {
        response.fields.remove(FieldId::Connection);
    }
    response.fields.push_parts(FieldId::Via, &[response.version.via().as_bytes(), b" usher"]);
    if let Some(cookie) = cookie {
        response.fields.push(FieldId::SetCookie, &cookie);
    }
}

/// Ends a response whose endpoint broke off. The client gets what there is, and can tell that it is not all: fewer
/// bytes than announced, or no last chunk. Only where the end of the connection is the end of the body (HTTP/1.0) must
/// it be a reset.
async fn cut_short<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    (error, no_length): (&Error, bool),
) -> End {
    let end = broken(exchange, error);
    if no_length && exchange.request.version == Version::Http10 {
        return end;
    }
    let patience = write_stall(visit, exchange);
    match stall_limit(visit, patience, poll_fn(|cx| down.poll_flush(cx))).await {
        Ok(()) => End::Close,
        Err(_) => end,
    }
}

/// Puts the connection to the endpoint into its pool, or closes it.
#[expect(clippy::boxed_local, reason = "it is taken apart here, and would be copied to be handed over")]
fn give_back<D: Dialer>(
    visit: &Visit<'_, D>,
    forwarded: Box<Forwarded<D::Stream>>,
    (complete, broke): (bool, bool),
) {
    let Forwarded { connection, lease, cluster, persistent, first_byte_micros, .. } = *forwarded;
    // That a client hangs up says nothing about the endpoint.
    cluster.release(&lease, (!broke).then_some(first_byte_micros));
    if complete
        && persistent
        && let Some(connection) = connection.reusable()
    {
        lease.endpoint.keep(connection, visit.worker.deadlines.coarse_now());
    }
}

async fn send_tunnel<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    forwarded: &mut Forwarded<D::Stream>,
) -> End {
    let patience = write_stall(visit, exchange);
    if let Err(error) = stall_limit(visit, patience, poll_fn(|cx| down.poll_finish(cx, None))).await {
        forwarded.cluster.release(&forwarded.lease, None);
        return broken(exchange, &error);
    }
    let route = route(visit, exchange);
    let kind = Kind::of(exchange, visit.upgrade, route.websocket);
    let idle = patience::tunnel_idle(visit, Some(route));
    let tunnels = &visit.worker.metrics.tunnels;
    tunnels.opened();
    let (back, end) = tunnel::run(visit, down, forwarded, (kind, idle)).await;
    tunnels.closed();
    exchange.record.body_sent = back;
    exchange.record.reason = match end {
        tunnel::End::Done => "",
        tunnel::End::Idle => "tunnel_idle",
        tunnel::End::Drained => {
            tunnels.drained.increment();
            "drained"
        }
        tunnel::End::Late => {
            tunnels.late.increment();
            exchange.record.detail = "something was said after the end";
            "drained"
        }
        tunnel::End::Cut => {
            tunnels.cut.increment();
            ErrorKind::Draining.as_str()
        }
    };
    forwarded.cluster.release(&forwarded.lease, Some(forwarded.first_byte_micros));
    if end == tunnel::End::Cut { End::Abort } else { End::Close }
}
