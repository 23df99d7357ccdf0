//! Step 11: whatever happened becomes one response. The only place that turns an error into one.

use std::future::poll_fn;
use std::os::unix::fs::FileExt;

use tokio::time::Instant;
use usher_api::{Error, ErrorKind, Exchange, Piece, Reply, Side};
use usher_http::{FieldId, Framing, Method};
use usher_net::Dialer;
use usher_wire::{Downstream, Held, ReplyContext, Source};

use crate::path::{Answer, End, Visit};
use crate::snapshot::{Route, plain_page};
use crate::steps::forward::Forwarded;
use crate::steps::{choose, relay};

/// The reply to an error. What the client sees names no endpoint; the record says more.
pub(crate) fn of_error(exchange: &mut Exchange, error: &Error) -> Box<Reply> {
    let status = match (error.side, error.kind) {
        (Side::Downstream, ErrorKind::Malformed) => 400,
        (Side::Downstream, ErrorKind::TooLarge) => 413,
        (Side::Downstream, ErrorKind::IdleTimeout) => 408,
        // Nobody is there to read it; the number, which nginx introduced, is for the log.
        (Side::Downstream, _) => 499,
        (_, ErrorKind::ConnectTimeout | ErrorKind::FirstByteTimeout | ErrorKind::IdleTimeout) => 504,
        (_, ErrorKind::NoEndpoint | ErrorKind::Overloaded | ErrorKind::Draining) => 503,
        (Side::Upstream, _) => 502,
        (Side::Proxy, _) => 500,
    };
    exchange.record.detail = error.detail;
    exchange.response.clear();
    Box::new(Reply::new(status, reason(error)))
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
pub(crate) fn not_found() -> Box<Reply> {
    Box::new(Reply::new(404, "no_route"))
}

/// A route matches but for the method.
pub(crate) fn method_not_allowed(allowed: &[&str]) -> Box<Reply> {
    Box::new(Reply::new(405, "method_not_allowed").field("Allow", allowed.join(", ")))
}

/// Sends the answer and says what becomes of the client's connection.
pub(crate) async fn send<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    answer: Answer<D::Stream>,
) -> End {
    match answer {
        Answer::Own(reply) => send_own(visit, exchange, down, *reply).await,
        Answer::Endpoint(forwarded) => send_forwarded(visit, exchange, down, forwarded).await,
    }
}

fn route<'a, D: Dialer>(visit: &'a Visit<'_, D>, exchange: &Exchange) -> Option<&'a Route> {
    visit.local.shared.routes.get(exchange.record.route? as usize)
}

/// Runs the response filters, in reverse.
fn filter<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange) {
    let Some(route) = route(visit, exchange) else { return };
    for entry in route.filters.iter().rev() {
        entry.filter.on_response(exchange);
    }
}

async fn send_own<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    reply: Reply,
) -> End {
    exchange.record.reason = reply.reason;
    exchange.record.status = reply.status;
    if reply.status == 499 {
        return End::Abort;
    }
    let reply = with_page(visit, exchange, reply);
    let framing = fill_response(exchange, &reply);
    filter(visit, exchange);
    // A request body that nobody read stands between this request and the next.
    let persistent = visit.facts.persistent && down.is_done() && !visit.worker.is_draining();
    let persistent = begin(visit, exchange, down, framing, persistent);
    let pieces = if framing == Framing::None { &[][..] } else { &reply.body };
    match send_pieces(visit, exchange, down, pieces).await {
        Ok(()) if persistent => End::KeepAlive,
        Ok(()) => End::Close,
        Err(error) => broken(exchange, &error),
    }
}

/// Notes an error after which the response cannot be completed.
fn broken(exchange: &mut Exchange, error: &Error) -> End {
    exchange.record.reason = reason(error);
    exchange.record.detail = error.detail;
    End::Abort
}

/// Replaces the body of an error by the route's page for it, or else by a plain one.
fn with_page<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange, mut reply: Reply) -> Reply {
    if reply.status < 400
        || reply.finished
        || !reply.body.is_empty() && route_page(visit, exchange, reply.status).is_none()
    {
        return reply;
    }
    let page = match route_page(visit, exchange, reply.status) {
        Some(page) => page,
        None => plain_page(reply.status, exchange.id.as_str()),
    };
    reply.fields.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    reply.fields.extend(page.fields);
    reply.body = page.body;
    reply
}

fn route_page<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange, status: u16) -> Option<Reply> {
    let page = route(visit, exchange)?.page(status)?;
    exchange.response.status = status;
    let mut text = String::new();
    if page.content_type.starts_with("text/html") {
        page.content.render_html(exchange, &mut text);
    } else {
        page.content.render(exchange, &mut text);
    }
    let piece = Piece::Bytes(text.into_bytes().into());
    Some(Reply::new(status, "").field("Content-Type", page.content_type.clone()).piece(piece))
}

/// Puts a reply's head into the exchange and says how its body is framed.
fn fill_response(exchange: &mut Exchange, reply: &Reply) -> Framing {
    let response = &mut exchange.response;
    response.clear();
    response.status = reply.status;
    for (name, value) in &reply.fields {
        // A value that is not valid is left out: it cannot have come from anybody but a template's variables.
        let _ = response.fields.add(name.as_bytes(), value.as_bytes());
    }
    if matches!(reply.status, 100..=199 | 204 | 304) {
        return Framing::None;
    }
    if !response.fields.may_have(FieldId::ContentLength) {
        response.fields.push(FieldId::ContentLength, reply.len().to_string().as_bytes());
    }
    if exchange.request.method == Method::Head { Framing::None } else { Framing::Length(reply.len()) }
}

/// Queues the response's head; whether the connection can go on.
fn begin<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &Exchange,
    down: &mut impl Downstream,
    framing: Framing,
    persistent: bool,
) -> bool {
    let switches = exchange.response.status == 101;
    let date = visit.worker.deadlines.date();
    let context = ReplyContext { version: exchange.request.version, persistent, date: &date, switches };
    down.begin_response(&exchange.response, framing, context)
}

/// Bytes of a file that are read at once: one turn of the thread (bytes).
const FILE_PIECE: usize = 64 << 10;

async fn send_pieces<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    pieces: &[Piece],
) -> Result<(), Error> {
    let mut buffer = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => send_bytes(visit, exchange, down, bytes).await?,
            Piece::Shared(bytes) => send_bytes(visit, exchange, down, bytes).await?,
            Piece::File { file, offset, len } => {
                let (mut at, end) = (*offset, offset + len);
                while at < end {
                    buffer.resize(FILE_PIECE.min((end - at) as usize), 0);
                    let read = file.read_at(&mut buffer, at).unwrap_or(0);
                    if read == 0 {
                        // The file became shorter: the response cannot be completed.
                        return Err(
                            Error::new(Side::Proxy, ErrorKind::Internal).detail("file changed while sent")
                        );
                    }
                    send_bytes(visit, exchange, down, &buffer[..read]).await?;
                    at += read as u64;
                }
            }
        }
    }
    stall_limit(visit, poll_fn(|cx| down.poll_finish(cx, None))).await
}

async fn stall_limit<D: Dialer>(
    visit: &Visit<'_, D>,
    sending: impl Future<Output = Result<(), usher_wire::WireError>>,
) -> Result<(), Error> {
    let sent = visit.deadline.limit(visit.listener.timeouts.write_stall, sending).await;
    sent.map_err(|_| Error::new(Side::Downstream, ErrorKind::WriteStall))?.map_err(relay::sink_error)
}

async fn send_bytes<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    bytes: &[u8],
) -> Result<(), Error> {
    let mut source = Held::new(bytes);
    while !source.is_done() {
        let limited = visit
            .deadline
            .limit(visit.listener.timeouts.write_stall, poll_fn(|cx| down.poll_send(cx, source.chunk())));
        let sent = limited.await.map_err(|_| Error::new(Side::Downstream, ErrorKind::WriteStall))?;
        let sent = sent.map_err(relay::sink_error)?;
        source.consume(sent);
        exchange.record.body_sent += sent as u64;
    }
    Ok(())
}

async fn send_forwarded<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    mut forwarded: Forwarded<D::Stream>,
) -> End {
    finish_head(visit, exchange);
    filter(visit, exchange);
    exchange.record.status = exchange.response.status;
    let tunnel = exchange.response.status == 101;
    // A request body that is still on its way may never end: the connection is not used again.
    let whole = down.is_done() && forwarded.request_body.is_none();
    let persistent = visit.facts.persistent && whole && !tunnel && !visit.worker.is_draining();
    let framing = if tunnel { Framing::None } else { forwarded.framing };
    let persistent = begin(visit, exchange, down, framing, persistent);
    if tunnel {
        return send_tunnel(visit, exchange, down, forwarded).await;
    }
    let listener = &visit.listener.timeouts;
    let route = route(visit, exchange);
    let client = route.and_then(|route| route.write_stall).unwrap_or(listener.write_stall);
    let patience = relay::Patience { endpoint: forwarded.idle, client };
    let held = exchange.body.take();
    let up = (&mut *forwarded.connection, &mut forwarded.request_body, held.as_deref());
    let (sent, outcome) = relay::response(visit, down, up, patience).await;
    exchange.record.body_sent = sent;
    let failed = outcome.is_err();
    let end = match outcome {
        Ok(()) if persistent && down.is_done() => End::KeepAlive,
        Ok(()) => End::Close,
        Err(error) => {
            if error.side == Side::Upstream {
                visit.worker.metrics.upstream.failed(error.kind);
                let until_end = matches!(framing, Framing::Chunked | Framing::Close);
                cut_short(visit, exchange, down, (&error, until_end)).await
            } else {
                broken(exchange, &error)
            }
        }
    };
    give_back(forwarded, !failed);
    end
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
    if no_length && exchange.request.version == usher_http::Version::Http10 {
        return end;
    }
    match stall_limit(visit, poll_fn(|cx| down.poll_flush(cx))).await {
        Ok(()) => End::Close,
        Err(_) => end,
    }
}

/// Puts the connection to the endpoint into its pool, or closes it.
fn give_back<S: usher_net::Transport>(forwarded: Forwarded<S>, complete: bool) {
    let Forwarded { connection, lease, cluster, persistent, first_byte_micros, .. } = forwarded;
    cluster.release(&lease, complete.then_some(first_byte_micros));
    if complete && persistent && relay::is_reusable(&connection) {
        lease.endpoint.keep(connection, Instant::now());
    }
}

/// What the proxy changes of every response head: it hides the endpoint's software and names itself in Via.
fn finish_head<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange) {
    let cookie = route(visit, exchange).and_then(|route| choose::sticky_cookie(exchange, route));
    let response = &mut exchange.response;
    response.fields.remove(FieldId::Server);
    if response.status == 101 {
        response.fields.remove(FieldId::Connection);
    }
    response.fields.push_parts(FieldId::Via, &[response.version.via().as_bytes(), b" usher"]);
    if let Some(cookie) = cookie {
        response.fields.push(FieldId::SetCookie, &cookie);
    }
}

async fn send_tunnel<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    mut forwarded: Forwarded<D::Stream>,
) -> End {
    if let Err(error) = stall_limit(visit, poll_fn(|cx| down.poll_finish(cx, None))).await {
        forwarded.cluster.release(&forwarded.lease, None);
        return broken(exchange, &error);
    }
    let own = route(visit, exchange).and_then(|route| route.tunnel_idle);
    let idle = own.unwrap_or(visit.listener.timeouts.tunnel_idle);
    visit.worker.metrics.tunnels.opened();
    let (back, _) = relay::tunnel(visit, down, &mut forwarded.connection, idle).await;
    visit.worker.metrics.tunnels.closed();
    exchange.record.body_sent = back;
    forwarded.cluster.release(&forwarded.lease, Some(forwarded.first_byte_micros));
    End::Close
}
