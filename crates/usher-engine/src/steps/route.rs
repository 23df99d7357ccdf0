//! Step 5: the route of a request.

use std::cell::RefCell;

use usher_api::{CHALLENGE_PATH, Exchange, Piece, Reply};
use usher_config::config::AmbiguousPaths;
use usher_http::method::ALLOWED;
use usher_http::path::{has_other_readings, other_readings};
use usher_http::{FieldId, Method};
use usher_net::Dialer;
use usher_route::{Captures, Outcome};

use crate::path::Visit;
use crate::snapshot::Route;
use crate::steps::reply;
use crate::subject::{Asking, Reading};

thread_local! {
    static CAPTURES: RefCell<Captures> = RefCell::new(Captures::new());
}

/// The index of the route, or the reply if there is none.
pub(crate) fn find<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange) -> Result<u32, Box<Reply>> {
    let router = &visit.local.shared.router;
    CAPTURES.with_borrow_mut(|captures| {
        let asking = Asking { exchange, listener: visit.listener_index };
        match router.find(&asking, captures) {
            Outcome::Found(index) => {
                if let Some(reply) = by_method(visit, exchange, index) {
                    return Err(reply);
                }
                let Exchange { captures: kept, request, .. } = exchange;
                captures.iter(&request.path).for_each(|(name, value)| kept.push(name.into(), value));
                if has_other_readings(&exchange.request.path) && is_ambiguous(visit, exchange, index) {
                    return Err(Box::new(Reply::new(400, "ambiguous_path")));
                }
                Ok(index)
            }
            Outcome::NotFound => Err(reply::not_found()),
            Outcome::MethodNotAllowed => Err(reply::method_not_allowed(&router.allowed(&asking))),
        }
    })
}

/// The answer to a certificate authority that asks whether a host is ours (HTTP-01, RFC 8555 section 8.3). No route can
/// take it, and no filter: who wants a certificate wants this to work.
#[inline]
pub(crate) fn challenge<D: Dialer>(visit: &Visit<'_, D>, exchange: &Exchange) -> Option<Box<Reply>> {
    // Looked at first, as it is at hand: hardly any request is one.
    if exchange.request.path.starts_with(CHALLENGE_PATH) { answer(visit, exchange) } else { None }
}

#[inline(never)]
fn answer<D: Dialer>(visit: &Visit<'_, D>, exchange: &Exchange) -> Option<Box<Reply>> {
    let answer = visit.local.shared.trust.challenges.answer(&exchange.request.path)?;
    let reply = Reply::new(200, "acme_challenge").field("Content-Type", "application/octet-stream");
    Some(Box::new(reply.piece(Piece::Bytes(answer.as_bytes().to_vec().into()))))
}

/// Sends a client without TLS to HTTPS, where its listener and the route say so.
///
/// 308, as Caddy does: a `POST` stays one.
#[inline]
pub(crate) fn to_https<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &Exchange,
    route: &Route,
) -> Option<Box<Reply>> {
    let redirect = visit.listener.redirect?;
    if route.to_https || redirect.always { elsewhere(exchange, redirect.port) } else { None }
}

#[inline(never)]
fn elsewhere(exchange: &Exchange, port: u16) -> Option<Box<Reply>> {
    // A proxy in front that ended TLS says so, if it is trusted.
    let request = &exchange.request;
    let ended_before = exchange.client.trusted
        && request
            .fields
            .get(FieldId::XForwardedProto)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"));
    if request.scheme == "https" || ended_before {
        return None;
    }
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    // `OPTIONS *` is about the server, and `*` is in no URI (RFC 9110 section 7.1).
    let path = if request.path == "*" { "/" } else { &request.path };
    let to = format!("https://{}{port}{path}{query}", request.host);
    Some(Box::new(Reply::new(308, "to_https").field("Location", to)))
}

/// The reply to a request that the proxy answers for its method alone.
///
/// TRACE shows scripts what they may not see (the credentials of their own requests), so it goes only where a route
/// names it. What has come as far as Max-Forwards lets it is answered here (RFC 9110 section 7.6.2).
fn by_method<D: Dialer>(visit: &Visit<'_, D>, exchange: &Exchange, index: u32) -> Option<Box<Reply>> {
    let is_trace = exchange.request.method == Method::Trace;
    let last_hop = visit.facts.last_hop;
    if !is_trace && !last_hop {
        return None;
    }
    let methods = visit.local.shared.router.rule(index).map_or(&[][..], |rule| rule.methods.as_slice());
    if is_trace && !last_hop && methods.iter().any(|named| named == "TRACE") {
        return None;
    }
    let allowed = if methods.is_empty() { ALLOWED.to_owned() } else { methods.join(", ") };
    let (status, reason) = if is_trace { (405, "method_not_allowed") } else { (204, "max_forwards") };
    Some(Box::new(Reply::new(status, reason).field("Allow", allowed)))
}

/// Whether an endpoint that reads the path in another way would serve what another route is for.
fn is_ambiguous<D: Dialer>(visit: &Visit<'_, D>, exchange: &Exchange, index: u32) -> bool {
    let shared = &visit.local.shared;
    match shared.routes.get(index as usize).map(|route| route.ambiguous_paths) {
        Some(AmbiguousPaths::Keep) => return false,
        Some(AmbiguousPaths::Refuse) => return true,
        Some(AmbiguousPaths::Compare) | None => {}
    }
    let Ok(readings) = other_readings(&exchange.request.path) else { return true };
    readings.iter().any(|path| {
        let reading = Reading { asking: Asking { exchange, listener: visit.listener_index }, path };
        match shared.router.find(&reading, &mut Captures::new()) {
            Outcome::Found(other) => other != index,
            // Another route is for it, and refuses this method.
            Outcome::MethodNotAllowed => true,
            Outcome::NotFound => false,
        }
    })
}
