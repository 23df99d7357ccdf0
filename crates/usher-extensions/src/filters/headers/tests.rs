//! Tests.

use super::super::testing::{build, exchange, request_field, with};
use super::FACTORY;

#[test]
fn edits_in_the_order_remove_set_add_default() {
    let filter = build(
        &FACTORY,
        r#"headers.request = { remove = ["X-Gone", "X-Both"], set = { X-Set = "new", X-Both = "set" },
           add = { X-Set = ["more", "{client.ip}"] }, default = { X-Set = "no", X-Default = "yes" } }"#,
    );
    let mut exchange = with(with(exchange("/"), "x-gone", "1"), "x-set", "old");
    let _ = filter.on_request(&mut exchange);
    let cases: &[(&str, &[&str])] = &[
        ("X-Gone", &[]),
        ("X-Set", &["new", "more", "192.0.2.1"]),
        ("X-Both", &["set"]),
        ("X-Default", &["yes"]),
    ];
    for (name, values) in cases {
        assert_eq!(&request_field(&exchange, name), values, "{name}");
    }
}

#[test]
fn response_edits_leave_the_request_alone() {
    let filter = build(
        &FACTORY,
        r#"headers = { response = { remove = "Server", set = { X-Frame-Options = "DENY" } } }"#,
    );
    let mut exchange = with(exchange("/"), "Server", "client");
    exchange.response.fields.add(b"server", b"endpoint").expect("valid");
    let _ = filter.on_request(&mut exchange);
    filter.on_response(&mut exchange);
    assert_eq!(request_field(&exchange, "Server"), ["client"]);
    assert_eq!(exchange.response.fields.get_named(b"Server"), None);
    assert_eq!(exchange.response.fields.get_named(b"x-frame-options"), Some(b"DENY".as_slice()));
}

#[test]
fn a_value_that_comes_out_empty_is_not_written() {
    let filter =
        build(&FACTORY, r#"headers.request.set = { X-User = "{user}", X-Q = " {request.query.q} " }"#);
    let mut exchange = with(exchange("/?q=%0d%0aX-Evil:1"), "X-User", "forged");
    let _ = filter.on_request(&mut exchange);
    assert!(request_field(&exchange, "X-User").is_empty(), "what the client sent must not stay");
    assert_eq!(
        request_field(&exchange, "X-Q"),
        ["%0d%0aX-Evil:1"],
        "escapes stay escapes, blanks are trimmed"
    );
}

#[test]
fn says_what_it_does() {
    let filter = build(
        &FACTORY,
        r#"headers = { request = { set = { X-A = "1" } }, response = { remove = ["X-B"] } }"#,
    );
    assert_eq!(filter.describe(), "request: set X-A; response: remove X-B");
}
