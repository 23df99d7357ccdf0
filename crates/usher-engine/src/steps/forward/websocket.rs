//! WebSockets between versions of HTTP: HTTP/1 shows with a key and its digest that both sides mean it (RFC 6455 section
//! 4), the others do not (RFC 8441 section 5).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use usher_api::Exchange;
use usher_http::Version;

const KEY: &[u8] = b"Sec-WebSocket-Key";
const ACCEPT: &[u8] = b"Sec-WebSocket-Accept";
/// Goes into the digest (RFC 6455 section 1.3).
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Gives a request that came without a key the one that an endpoint of HTTP/1 asks for.
#[inline(never)]
pub(super) fn offer(exchange: &mut Exchange, upgrade: &[u8], is_h1: bool, random: impl Fn() -> u64) {
    let request = &mut exchange.request;
    if !is_h1 || !upgrade.eq_ignore_ascii_case(b"websocket") || request.version < Version::Http2 {
        return;
    }
    let mut key = [0; 16];
    key[..8].copy_from_slice(&random().to_ne_bytes());
    key[8..].copy_from_slice(&random().to_ne_bytes());
    request.fields.remove_named(KEY);
    // Letters and digits: they are valid.
    let _ = request.fields.add(KEY, STANDARD.encode(key).as_bytes());
}

/// Gives the response of an endpoint that knows no keys the digest that a client of HTTP/1 asks for.
///
/// To an extended CONNECT, any success says that there is a tunnel (RFC 8441 section 5): an endpoint of HTTP/1 that answers
/// with another one than 101 has not opened any.
#[inline(never)]
pub(super) fn accept(exchange: &mut Exchange, upgrade: &[u8]) {
    let is_connect = !upgrade.is_empty() && exchange.request.version >= Version::Http2;
    if is_connect && matches!(exchange.response.status, 200..=299) {
        exchange.response.status = 502;
        exchange.record.reason = "endpoint_malformed";
        exchange.record.detail = "no tunnel for an extended CONNECT";
        return;
    }
    let Exchange { request, response, .. } = exchange;
    let old_client = request.version < Version::Http2;
    if response.status != 101 || !old_client || response.version < Version::Http2 {
        return;
    }
    let Some(key) = request.fields.get_named(KEY) else { return };
    let told = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, MAGIC].concat()));
    response.fields.remove_named(ACCEPT);
    let _ = response.fields.add(ACCEPT, told.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        let mut exchange = Exchange::default();
        exchange.request.version = Version::Http11;
        exchange.request.fields.add(KEY, b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        exchange.response.version = Version::Http2;
        exchange.response.status = 101;
        accept(&mut exchange, b"");
        assert_eq!(exchange.response.fields.get_named(ACCEPT), Some(&b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="[..]));
    }

    #[test]
    fn a_success_without_a_tunnel_is_none() {
        for (version, upgrade, status, told) in [
            (Version::Http2, &b"websocket"[..], 200, 502),
            (Version::Http3, b"other", 204, 502),
            (Version::Http2, b"websocket", 101, 101),
            (Version::Http2, b"websocket", 403, 403),
            (Version::Http2, b"", 200, 200),
            (Version::Http11, b"websocket", 200, 200),
        ] {
            let mut exchange = Exchange::default();
            exchange.request.version = version;
            exchange.response.version = Version::Http11;
            exchange.response.status = status;
            accept(&mut exchange, upgrade);
            assert_eq!(exchange.response.status, told, "{version:?} {upgrade:?} {status}");
        }
    }

    #[test]
    fn only_who_has_no_key_gets_one() {
        for (version, upgrade, is_h1, given) in [
            (Version::Http2, &b"websocket"[..], true, true),
            (Version::Http3, b"WebSocket", true, true),
            (Version::Http2, b"websocket", false, false),
            (Version::Http2, b"other", true, false),
            (Version::Http11, b"websocket", true, false),
        ] {
            let mut exchange = Exchange::default();
            exchange.request.version = version;
            offer(&mut exchange, upgrade, is_h1, || 7);
            let key = exchange.request.fields.get_named(KEY).map(<[u8]>::len);
            assert_eq!(key, given.then_some(24), "{version:?} {upgrade:?}");
        }
    }
}
