//! Step 11: what the proxy itself answers.

use usher_api::{Error, Exchange, Piece, Reply};

use super::OwnReply;
use super::diff::lines;
use super::run::Nowhere;
use crate::path::Visit;
use crate::steps::reply;

/// A body of the proxy's own that is shown, in characters.
const SHOWN_BODY: usize = 80;

/// A response of the proxy itself, as step 11 makes it: with the route's page, and after the response filters.
pub(super) fn own(visit: &Visit<'_, Nowhere>, exchange: &mut Exchange, mut reply: Box<Reply>) -> OwnReply {
    let (reason, came) = (reply.reason.to_owned(), reply.len());
    reply::own::add_page(visit, exchange, &mut reply);
    reply::own::fill_response(exchange, &reply);
    reply::filter(visit, exchange);
    let route = exchange.record.route.and_then(|index| visit.local.shared.routes.get(index as usize));
    let whose = match route.and_then(|route| route.page(reply.status)) {
        _ if reply.finished || reply.status < 400 || reply.len() == came => "",
        Some(_) => "the route's page, ",
        None => "a plain page, ",
    };
    let fields = lines(&exchange.response.fields);
    OwnReply { status: reply.status, reason, fields, body: format!("{whose}{}", body(&reply)) }
}

/// The response to an error.
pub(super) fn own_error(visit: &Visit<'_, Nowhere>, exchange: &mut Exchange, error: &Error) -> OwnReply {
    let reply = reply::of_error(exchange, error);
    own(visit, exchange, reply)
}

fn body(reply: &Reply) -> String {
    let bytes = match reply.body.first() {
        None => return "none".to_owned(),
        Some(Piece::File { .. }) => return format!("{} bytes of a file", reply.len()),
        Some(Piece::Bytes(bytes)) => bytes.as_ref(),
        Some(Piece::Shared(bytes)) => bytes,
    };
    let text = String::from_utf8_lossy(bytes);
    let shown: String = text.chars().take(SHOWN_BODY).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let dots = if text.chars().count() > SHOWN_BODY { "…" } else { "" };
    format!("{} bytes: {}{dots}", reply.len(), shown.trim_end())
}
