//! Step 4, the trust boundary: who the client is, and what endpoints are told of it.

use usher_api::{Exchange, RequestId};
use usher_http::{FieldId, trust};
use usher_net::Dialer;

use crate::path::Visit;

/// Settles the client's address and the request's identifier, and writes the forwarding fields.
pub(crate) fn trust<D: Dialer>(visit: &Visit<'_, D>, exchange: &mut Exchange) {
    let snapshot = &visit.local.shared;
    trust::name_host(&mut exchange.request, visit.client);
    let peer = visit.peer.map(|peer| peer.ip());
    let trusted = snapshot.trusts(peer);
    let client = &mut exchange.client;
    client.trusted = trusted;
    let version = exchange.request.version.via();
    if trusted {
        client.ip = trust::client_address(&exchange.request, peer, |ip| snapshot.trusts(Some(ip)));
        exchange.id =
            exchange.request.fields.get(FieldId::XRequestId).and_then(RequestId::new).unwrap_or_default();
        trust::append(&mut exchange.request, visit.client, client.ip, version);
    } else {
        client.ip = peer;
        trust::replace(&mut exchange.request, visit.client, version);
    }
    if exchange.id == RequestId::default() {
        exchange.id = visit.worker.request_id();
    }
    let fields = &mut exchange.request.fields;
    fields.remove(FieldId::XRequestId);
    fields.push(FieldId::XRequestId, exchange.id.as_bytes());
}
