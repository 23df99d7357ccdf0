//! Informational responses: 100, 103 and others that come before the final one (RFC 9110 section 15.2).

use usher_api::{Error, ErrorKind, Exchange, Side};
use usher_http::{FieldId, Response, Version, framing};
use usher_net::Dialer;
use usher_wire::Downstream;

use super::failed::{Failed, too_informative};
use crate::path::Visit;

/// Informational responses that an endpoint may send before its final one; more is no information.
const MAX_INFORMED: u32 = 32;

/// Whether another response follows this one. 101 is the last one of HTTP/1 on its connection.
pub(super) fn is_interim(response: &Response) -> bool {
    response.is_informational() && response.status != 101
}

/// Queues an informational response for clients that know of them, and empties it. `number` counts from 1.
pub(super) fn pass_on<D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    down: &mut impl Downstream,
    number: u32,
) -> Result<(), Failed> {
    if number > MAX_INFORMED {
        return Err(too_informative());
    }
    // What a body would be is the next response to the proxy (RFC 9110 section 15.2).
    framing::of_response(&mut exchange.response, &exchange.request.method)
        .map_err(|error| Error::new(Side::Upstream, ErrorKind::Malformed).detail(error.as_str()))?;
    let old = exchange.request.version == Version::Http10;
    let unasked = exchange.response.status == 100 && !visit.facts.expects_continue;
    if !old && !unasked {
        let options = framing::connection_options(&exchange.response.fields);
        framing::strip_hop_by_hop(&mut exchange.response.fields, options);
        exchange.response.fields.remove(FieldId::Server);
        down.inform(&exchange.response);
    }
    exchange.response.clear();
    Ok(())
}
