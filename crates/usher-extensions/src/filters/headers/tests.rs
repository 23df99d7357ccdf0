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

/// As `proxy_redirect` and `proxy_cookie_domain` of others.
#[test]
fn replaces_in_values_that_are_there() {
    let filter = build(
        &FACTORY,
        r#"[headers.response.replace]
           Location = { match = '^https?://app\.internal(:\d+)?(?<path>/.*)?$', to = 'https://{request.host}$path' }
           Set-Cookie = [{ match = '(?i)(; *domain=)app\.internal', to = '$1{request.host}' },
                         { match = '; SameSite=None$', to = '' }]
           X-Gone = { match = '.*', to = '{user}' }"#,
    );
    for (name, values, want) in [
        ("Location", &["http://app.internal:8080/a?b"][..], &["https://example.com/a?b"][..]),
        ("Location", &["https://app.internal"], &["https://example.com"]),
        ("location", &["https://app.internal.evil/"], &["https://app.internal.evil/"]),
        (
            "Set-Cookie",
            &["a=1", "b=2; Domain=app.internal; SameSite=None", "c=3; SameSite=None"],
            &["a=1", "b=2; Domain=example.com", "c=3"],
        ),
        ("X-Gone", &["x"], &[]),
        ("X-Other", &["https://app.internal/"], &["https://app.internal/"]),
    ] {
        let mut exchange = exchange("/");
        for value in values {
            exchange.response.fields.add(name.as_bytes(), value.as_bytes()).expect("valid");
        }
        filter.on_response(&mut exchange);
        let got: Vec<&[u8]> = exchange.response.fields.all_named(name.as_bytes()).collect();
        assert_eq!(got, want.iter().map(|want| want.as_bytes()).collect::<Vec<_>>(), "{name}: {values:?}");
    }
    assert_eq!(filter.describe(), "response: replace Location, Set-Cookie, X-Gone");
    assert_eq!(filter.response_fields().len(), 3);
}

/// `[outer]` stands for what `[defaults]` say.
#[test]
fn inherits_what_is_farther_and_says_it_first() {
    let outer = r#"[outer.response]
        remove = "X-Powered-By"
        set = { X-A = "outer", X-B = "outer" }
        add = { X-C = "outer" }
        default = { X-D = "outer", X-E = "outer", X-F = "outer" }
        [headers.response]
        remove = ["X-B", "X-F"]
        set = { X-A = "own" }
        add = { X-C = "own" }
        default = { X-D = "own" }
        [headers]
        "#;
    for (inherit, want) in [
        ("inherit = true", "X-A: own\r\nX-C: outer\r\nX-C: own\r\nX-D: own\r\nX-E: outer\r\n"),
        ("inherit = false", "X-Powered-By: endpoint\r\nX-A: own\r\nX-C: own\r\nX-D: own\r\n"),
    ] {
        let filter = build(&FACTORY, &format!("{outer}{inherit}"));
        let mut exchange = exchange("/");
        exchange.response.fields.add(b"X-Powered-By", b"endpoint").expect("valid");
        filter.on_response(&mut exchange);
        let mut fields: Vec<String> = exchange
            .response
            .fields
            .iter()
            .map(|field| format!("{}: {}\r\n", field.name.escape_ascii(), field.value.escape_ascii()))
            .collect();
        fields.sort_by_key(|line| (line.as_bytes()[2] != b'P', line[..3].to_owned()));
        assert_eq!(fields.concat(), want, "{inherit}");
    }
}

#[test]
fn says_what_it_does() {
    let filter = build(
        &FACTORY,
        r#"headers = { request = { set = { X-A = "1" } }, response = { remove = ["X-B"] } }"#,
    );
    assert_eq!(filter.describe(), "request: set X-A; response: remove X-B");
}
