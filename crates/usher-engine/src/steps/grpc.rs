//! What is particular about gRPC: how long a call may take, what became of it, and errors that its clients understand.
//!
//! Source: the gRPC documents "gRPC over HTTP2" and "HTTP to gRPC Status Code Mapping"; the other way round, the comments of
//! google/rpc/code.proto, as in Envoy.

use std::time::Duration;

use usher_api::{Exchange, Reply};
use usher_http::{FieldId, Fields, Request, Version};

/// The field that says how long a call may take.
pub(crate) const TIMEOUT: &[u8] = b"grpc-timeout";

/// The field, of a head or of trailers, that says what became of a call.
const STATUS: &[u8] = b"grpc-status";

/// Digits that a timeout may have.
const MAX_DIGITS: usize = 8;

/// What becomes of a call that does not say so in a way that is known.
const UNKNOWN: u8 = 2;

/// Whether this is a call of gRPC: not one of gRPC-Web, whose clients read other errors.
#[inline]
pub(crate) fn is_call(request: &Request) -> bool {
    request.version >= Version::Http2 && has_type(request)
}

/// Whether the body is one of gRPC.
#[inline]
pub(crate) fn has_type(request: &Request) -> bool {
    request.fields.may_have(FieldId::ContentType) && is_type_of_grpc(request)
}

#[inline(never)]
fn is_type_of_grpc(request: &Request) -> bool {
    let kind = request.fields.get(FieldId::ContentType).unwrap_or_default();
    let rest =
        kind.get(..16).filter(|start| start.eq_ignore_ascii_case(b"application/grpc")).map(|_| &kind[16..]);
    rest.is_some_and(|rest| matches!(rest, [] | [b'+' | b';' | b' ', ..]))
}

/// How long a call may take in all, from its beginning; none if it does not say so.
#[inline]
pub(crate) fn deadline(request: &Request) -> Option<Duration> {
    if is_call(request) { told_deadline(request) } else { None }
}

#[inline(never)]
fn told_deadline(request: &Request) -> Option<Duration> {
    request.fields.get_named(TIMEOUT).and_then(parse_timeout)
}

/// A timeout as it is written, in the finest unit that it fits in; at least the shortest that there is.
pub(crate) fn write_timeout(left: Duration) -> String {
    let fits = |number: u128| number < 10u128.pow(MAX_DIGITS as u32);
    match (left.as_micros(), left.as_millis()) {
        (micros, _) if fits(micros) => format!("{}u", micros.max(1)),
        (_, millis) if fits(millis) => format!("{millis}m"),
        _ => format!("{}S", left.as_secs().min(10u64.pow(MAX_DIGITS as u32) - 1)),
    }
}

/// `100m`: digits and a unit.
fn parse_timeout(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// What a head or trailers say became of a call.
pub(crate) fn code(fields: &Fields) -> Option<u8> {
    let text = std::str::from_utf8(fields.get_named(STATUS)?);
    Some(text.ok().and_then(|text| text.parse().ok()).unwrap_or(UNKNOWN))
}

/// What became of a call, as a status of HTTP. None if it says nothing about the endpoint: its client wants it no more, or
/// not to wait for any longer.
pub(crate) fn status(request: &Request, code: u8) -> Option<u16> {
    Some(match code {
        0 => 200,
        1 => return None,
        4 if request.fields.get_named(TIMEOUT).is_some() => return None,
        4 => 504,
        3 | 9 | 11 => 400,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    })
}

/// What the head of a response says of the request, as a status of HTTP: gRPC has 200 for all calls, and says in a field of
/// those that failed before they began what became of them. None as in [`status`].
#[inline]
pub(crate) fn outcome(exchange: &Exchange) -> Option<u16> {
    let status = exchange.response.status;
    if status != 200 || !has_type(&exchange.request) { Some(status) } else { outcome_of_call(exchange) }
}

#[inline(never)]
fn outcome_of_call(exchange: &Exchange) -> Option<u16> {
    let response = &exchange.response;
    code(&response.fields).map_or(Some(200), |code| status(&exchange.request, code))
}

/// Says an error as gRPC does: in fields, under status 200 and without a body.
pub(crate) fn translate(exchange: &mut Exchange, reply: &mut Reply) {
    if reply.status < 400 || !is_call(&exchange.request) {
        return;
    }
    let code = match reply.status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        408 | 504 => 4,
        413 => 8,
        429 | 502 | 503 => 14,
        500 => 13,
        _ => 2,
    };
    let told =
        usher_http::status::Status::new(reply.status).map_or("error", usher_http::status::Status::reason);
    let reason = reply.reason;
    let kept = std::mem::take(&mut reply.fields);
    reply.fields = kept.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type")).collect();
    reply.fields.push(("Content-Type".into(), "application/grpc".into()));
    reply.fields.push(("grpc-status".into(), code.to_string()));
    reply.fields.push(("grpc-message".into(), format!("{told} ({reason})")));
    reply.body.clear();
    reply.status = 200;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(kind: &str, version: Version) -> Request {
        let mut request = Request::default();
        request.fields.add(b"Content-Type", kind.as_bytes()).unwrap();
        request.version = version;
        request
    }

    #[test]
    fn calls_are_known_by_their_type() {
        for (kind, version, is_it) in [
            ("application/grpc", Version::Http2, true),
            ("Application/gRPC+proto", Version::Http3, true),
            ("application/grpc;x=y", Version::Http2, true),
            ("application/grpc-web", Version::Http2, false),
            ("application/grpc", Version::Http11, false),
            ("application/json", Version::Http2, false),
        ] {
            assert_eq!(is_call(&call(kind, version)), is_it, "{kind} {version:?}");
        }
    }

    #[test]
    fn calls_say_how_long_they_may_take() {
        for (text, told) in [
            ("100m", Some(Duration::from_millis(100))),
            ("2S", Some(Duration::from_secs(2))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("1", None),
            ("S", None),
            ("-1S", None),
            ("123456789S", None),
            ("5x", None),
        ] {
            let mut request = call("application/grpc", Version::Http2);
            request.fields.add(b"grpc-timeout", text.as_bytes()).unwrap();
            assert_eq!(deadline(&request), told, "{text}");
        }
    }

    #[test]
    fn timeouts_are_written_as_exactly_as_they_fit() {
        for (left, text) in [
            (Duration::ZERO, "1u"),
            (Duration::from_nanos(1_500), "1u"),
            (Duration::from_millis(1_999), "1999000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(200_000), "200000S"),
            (Duration::from_secs(u64::MAX), "99999999S"),
        ] {
            assert_eq!(write_timeout(left), text, "{left:?}");
            assert!(parse_timeout(text.as_bytes()).is_some());
        }
    }

    #[test]
    fn what_became_of_a_call_is_a_status_of_http() {
        for (said, deadline, expected) in [
            (None, false, Some(200)),
            (Some("0"), false, Some(200)),
            (Some("5"), false, Some(404)),
            (Some("13"), false, Some(500)),
            (Some("14"), false, Some(503)),
            (Some("14"), true, Some(503)),
            (Some("4"), false, Some(504)),
            (Some("4"), true, None),
            (Some("1"), false, None),
            (Some("12"), false, Some(501)),
            (Some("99"), false, Some(500)),
            (Some("so-so"), false, Some(500)),
        ] {
            let request = call("application/grpc", Version::Http2);
            let mut exchange = Exchange { request, ..Exchange::default() };
            exchange.response.status = 200;
            if deadline {
                exchange.request.fields.add(b"grpc-timeout", b"1S").unwrap();
            }
            if let Some(said) = said {
                exchange.response.fields.add(b"grpc-status", said.as_bytes()).unwrap();
            }
            assert_eq!(outcome(&exchange), expected, "{said:?} {deadline}");
            exchange.response.status = 503;
            assert_eq!(outcome(&exchange), Some(503), "HTTP says enough");
        }
        let mut exchange = Exchange::default();
        exchange.response.status = 200;
        exchange.response.fields.add(b"grpc-status", b"14").unwrap();
        assert_eq!(outcome(&exchange), Some(200), "it is no call");
    }

    #[test]
    fn errors_are_said_in_fields() {
        for (status, code) in [(404, "12"), (503, "14"), (504, "4"), (418, "2")] {
            let mut exchange =
                Exchange { request: call("application/grpc", Version::Http2), ..Exchange::default() };
            let mut reply = Reply::new(status, "why").field("Content-Type", "text/html");
            translate(&mut exchange, &mut reply);
            assert_eq!(reply.status, 200);
            assert_eq!(reply.fields.iter().find(|(name, _)| name == "grpc-status").unwrap().1, code);
            assert_eq!(reply.fields.iter().filter(|(name, _)| name == "Content-Type").count(), 1);
        }
    }
}
