//! What is particular about gRPC: how long a call may take, and errors that its clients understand.
//!
//! Source: the gRPC documents "gRPC over HTTP2" and "HTTP to gRPC Status Code Mapping".

use std::time::Duration;

use usher_api::{Exchange, Reply};
use usher_http::{FieldId, Request, Version};

/// Digits that a timeout may have.
const MAX_DIGITS: usize = 8;

/// Whether this is a call of gRPC: not one of gRPC-Web, whose clients read other errors.
pub(crate) fn is_call(request: &Request) -> bool {
    request.version >= Version::Http2 && has_type(request)
}

/// Whether the body is one of gRPC.
pub(crate) fn has_type(request: &Request) -> bool {
    let kind = request.fields.get(FieldId::ContentType).unwrap_or_default();
    let rest =
        kind.get(..16).filter(|start| start.eq_ignore_ascii_case(b"application/grpc")).map(|_| &kind[16..]);
    rest.is_some_and(|rest| matches!(rest, [] | [b'+' | b';' | b' ', ..]))
}

/// How long the endpoint may take to begin its response: no longer than the call may take in all.
pub(crate) fn patience(request: &Request, usual: Duration) -> Duration {
    if !is_call(request) {
        return usual;
    }
    let told = request.fields.get_named(b"grpc-timeout").and_then(parse_timeout);
    told.map_or(usual, |told| told.min(usual))
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
    fn timeouts_are_no_longer_than_the_call() {
        let usual = Duration::from_secs(60);
        for (text, told) in [
            ("100m", Duration::from_millis(100)),
            ("2S", Duration::from_secs(2)),
            ("99999999H", usual),
            ("1", usual),
            ("S", usual),
            ("-1S", usual),
            ("123456789S", usual),
            ("5x", usual),
        ] {
            let mut request = call("application/grpc", Version::Http2);
            request.fields.add(b"grpc-timeout", text.as_bytes()).unwrap();
            assert_eq!(patience(&request, usual), told, "{text}");
        }
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
