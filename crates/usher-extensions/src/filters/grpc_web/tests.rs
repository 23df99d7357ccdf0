//! Tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use usher_api::Exchange;
use usher_http::{FieldId, Fields};

use super::super::testing::{build, exchange, reply};
use super::{FACTORY, kind};

fn call(content_type: &str) -> (std::sync::Arc<dyn usher_api::Filter>, Exchange) {
    let filter = build(&FACTORY, "grpc_web = true");
    let mut exchange = exchange("/service/Method");
    exchange.request.fields.push(FieldId::ContentType, content_type.as_bytes());
    assert!(reply(&*filter, &mut exchange).is_none());
    exchange.response.status = 200;
    exchange.response.fields.push(FieldId::ContentType, b"application/grpc+proto");
    (filter, exchange)
}

fn trailers() -> Fields {
    let mut trailers = Fields::default();
    trailers.add(b"Grpc-Status", b"0").unwrap();
    trailers.add(b"grpc-message", b"fine").unwrap();
    trailers
}

const FRAME: &[u8] = b"\x80\x00\x00\x00\x24grpc-status: 0\r\ngrpc-message: fine\r\n";

#[test]
fn types_of_grpc_web() {
    for (text, expected) in [
        ("application/grpc-web", Some((false, ""))),
        ("application/grpc-web+proto", Some((false, "+proto"))),
        ("Application/grpc-web-text+proto; charset=utf-8", Some((true, "+proto"))),
        ("application/grpc", None),
        ("application/grpc-website", None),
    ] {
        assert_eq!(kind(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn trailers_become_the_last_frame() {
    let (filter, mut exchange) = call("application/grpc-web+proto");
    assert_eq!(exchange.request.fields.get(FieldId::ContentType), Some(&b"application/grpc+proto"[..]));
    assert!(exchange.request_transform.is_none());
    filter.on_response(&mut exchange);
    assert_eq!(exchange.response.fields.get(FieldId::ContentType), Some(&b"application/grpc-web+proto"[..]));
    let mut change = exchange.response_transform.take().unwrap().0;
    let mut out = Vec::new();
    change.push(b"\0\0\0\0\x01m", &mut out).unwrap();
    assert!(change.finish(Some(&trailers()), &mut out).unwrap().is_none());
    assert_eq!(out, [b"\0\0\0\0\x01m", FRAME].concat());
}

#[test]
fn text_is_base64_both_ways() {
    let (filter, mut exchange) = call("application/grpc-web-text+proto");
    let mut change = exchange.request_transform.take().unwrap().0;
    let mut out = Vec::new();
    // Two messages, each encoded for itself, cut anywhere.
    let sent = [STANDARD.encode(b"\0\0\0\0\x01a"), STANDARD.encode(b"\0\0\0\0\x02bc")].concat();
    for piece in sent.as_bytes().chunks(3) {
        change.push(piece, &mut out).unwrap();
    }
    change.finish(None, &mut out).unwrap();
    assert_eq!(out, b"\0\0\0\0\x01a\0\0\0\0\x02bc");

    filter.on_response(&mut exchange);
    let mut change = exchange.response_transform.take().unwrap().0;
    let mut out = Vec::new();
    change.push(b"\0\0\0\0\x01m", &mut out).unwrap();
    let first = out.len();
    change.finish(Some(&trailers()), &mut out).unwrap();
    assert_eq!(STANDARD.decode(&out[..first]).unwrap(), b"\0\0\0\0\x01m");
    assert_eq!(STANDARD.decode(&out[first..]).unwrap(), FRAME);
}

#[test]
fn what_is_not_base64_is_refused() {
    for wrong in ["****", "AAA"] {
        let (_, mut exchange) = call("application/grpc-web-text");
        let mut change = exchange.request_transform.take().unwrap().0;
        let mut out = Vec::new();
        let outcome = change.push(wrong.as_bytes(), &mut out).and_then(|()| change.finish(None, &mut out));
        assert!(outcome.is_err(), "{wrong}");
    }
}

#[test]
fn other_requests_are_left_alone() {
    let (filter, mut exchange) = call("application/json");
    assert_eq!(exchange.request.fields.get(FieldId::ContentType), Some(&b"application/json"[..]));
    filter.on_response(&mut exchange);
    assert!(exchange.response_transform.is_none());
    // An error page of something that is no gRPC server, and a server that speaks gRPC-Web itself.
    for kind in ["text/html", "application/grpc-web+proto", "application/grpcx"] {
        let (filter, mut exchange) = call("application/grpc-web");
        exchange.response.fields.remove(FieldId::ContentType);
        exchange.response.fields.push(FieldId::ContentType, kind.as_bytes());
        filter.on_response(&mut exchange);
        assert!(exchange.response_transform.is_none(), "{kind}");
        assert_eq!(exchange.response.fields.get(FieldId::ContentType), Some(kind.as_bytes()));
    }
}
