//! Responses of the proxy itself: of filters, and to errors.

use std::future::poll_fn;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use usher_api::{Error, ErrorKind, Exchange, Piece, Reply, Side};
use usher_http::method::{ALLOWED, Method};
use usher_http::{FieldId, Framing, Version};
use usher_net::Dialer;
use usher_wire::{Downstream, Held, Source};

use super::{begin, broken, filter, route, stall_limit, write_stall};
use crate::path::{End, Visit};
use crate::snapshot::plain_page;
use crate::steps::grpc;

/// Bytes of a file that are read at once: one turn of the thread (bytes).
const FILE_PIECE: usize = 64 << 10;

/// Sends a reply, and says what becomes of the client's connection.
pub(crate) async fn send<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    mut reply: Box<Reply>,
) -> End {
    // To an extended CONNECT, any success says that there is a tunnel (RFC 8441 section 5).
    let asks_for_tunnel = !visit.upgrade.is_empty() && exchange.request.version >= Version::Http2;
    if asks_for_tunnel && matches!(reply.status, 200..=299) {
        *reply = Reply::new(501, "no_tunnel");
    }
    exchange.record.reason = reply.reason;
    exchange.record.status = reply.status;
    if reply.status == 499 {
        return End::Abort;
    }
    add_page(visit, exchange, &mut reply);
    grpc::translate(exchange, &mut reply);
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

/// Replaces the body of an error by the route's page for it, or else by a plain one.
pub(crate) fn add_page<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange, reply: &mut Reply) {
    if reply.status < 400
        || reply.finished
        || !reply.body.is_empty() && route_page(visit, exchange, reply.status).is_none()
    {
        return;
    }
    let page = match route_page(visit, exchange, reply.status) {
        Some(page) => page,
        None => plain_page(reply.status, exchange.id.as_str()),
    };
    reply.fields.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    reply.fields.extend(page.fields);
    reply.body = page.body;
}

fn route_page<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange, status: u16) -> Option<Reply> {
    let page = route(visit, exchange).page(status)?;
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
pub(crate) fn fill_response(exchange: &mut Exchange, reply: &Reply) -> Framing {
    let response = &mut exchange.response;
    response.clear();
    response.status = reply.status;
    for (name, value) in &reply.fields {
        // A value that is not valid is left out: it cannot have come from anybody but a template's variables.
        let _ = response.fields.add(name.as_bytes(), value.as_bytes());
    }
    if reply.status == 405 && response.fields.get_named(b"Allow").is_none() {
        let _ = response.fields.add(b"Allow", ALLOWED.as_bytes());
    }
    if matches!(reply.status, 100..=199 | 204 | 304) {
        return Framing::None;
    }
    if !response.fields.may_have(FieldId::ContentLength) {
        response.fields.push(FieldId::ContentLength, reply.len().to_string().as_bytes());
    }
    if exchange.request.method == Method::Head { Framing::None } else { Framing::Length(reply.len()) }
}

async fn send_pieces<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    pieces: &[Piece],
) -> Result<(), Error> {
    let patience = write_stall(visit, exchange);
    let mut buffer = Vec::new();
    for piece in pieces {
        let (file, mut at, end) = match piece {
            Piece::Bytes(bytes) => {
                send_bytes(visit, exchange, down, (bytes, patience)).await?;
                continue;
            }
            Piece::Shared(bytes) => {
                send_bytes(visit, exchange, down, (bytes, patience)).await?;
                continue;
            }
            Piece::File { file, offset, len } => (file, *offset, offset + len),
        };
        while at < end {
            buffer.resize(FILE_PIECE.min((end - at) as usize), 0);
            let read = file.read_at(&mut buffer, at).unwrap_or(0);
            if read == 0 {
                // The file became shorter: the response cannot be completed.
                return Err(Error::new(Side::Proxy, ErrorKind::Internal).detail("file changed while sent"));
            }
            send_bytes(visit, exchange, down, (&buffer[..read], patience)).await?;
            at += read as u64;
        }
    }
    stall_limit(visit, patience, poll_fn(|cx| down.poll_finish(cx, None))).await
}

async fn send_bytes<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    (bytes, patience): (&[u8], Duration),
) -> Result<(), Error> {
    let mut source = Held::new(bytes);
    while !source.is_done() {
        let sent = stall_limit(visit, patience, poll_fn(|cx| down.poll_send(cx, source.chunk()))).await?;
        source.consume(sent);
        exchange.record.body_sent += sent as u64;
    }
    Ok(())
}
