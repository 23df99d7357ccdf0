//! Tests.

mod restore;

use super::super::testing::{build, exchange, reply, with};
use super::{FACTORY, query};

/// The target that leaves, or the reason of a refusal.
fn rewritten(config: &str, target: &str) -> String {
    let filter = build(&FACTORY, config);
    let mut exchange = with(exchange(target), "X-Path", "/../up");
    exchange.captures.push("id".into(), "42");
    if let Some(reply) = reply(&*filter, &mut exchange) {
        return format!("{} {}", reply.status, reply.reason);
    }
    let query = exchange.request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", exchange.request.path)
}

#[test]
fn changes_the_path() {
    let cases = [
        (r#"rewrite = { strip_prefix = "/api" }"#, "/api/v1?x", "/v1?x"),
        (r#"rewrite = { strip_prefix = "/api/" }"#, "/api/v1", "/v1"),
        (r#"rewrite = { strip_prefix = "/api" }"#, "/api", "/"),
        (r#"rewrite = { strip_prefix = "/api" }"#, "/apis/v1", "/apis/v1"),
        (r#"rewrite = { strip_prefix = "/" }"#, "/a", "/a"),
        (r#"rewrite = { strip_prefix = "/%61" }"#, "/a/b", "/b"),
        (r#"rewrite = { add_prefix = "/v2/" }"#, "/a?b", "/v2/a?b"),
        (r#"rewrite = { strip_prefix = "/v1", add_prefix = "/v2" }"#, "/v1", "/v2/"),
        (r#"rewrite = { path = "/items/{path.id}" }"#, "/x?q=1", "/items/42?q=1"),
        (r#"rewrite = { path = "/find?item={path.id}" }"#, "/x?q=1", "/find?item=42"),
        (r#"rewrite = { path = "/a b//c/./d" }"#, "/x", "/a%20b/c/d"),
        (r#"rewrite = { path = "/q/{request.query.q}" }"#, "/x?q=a?b", "/q/a%3Fb?q=a?b"),
    ];
    for (config, target, expected) in cases {
        assert_eq!(rewritten(config, target), expected, "{config} {target}");
    }
}

#[test]
fn replaces_by_regular_expressions() {
    let cases = [
        (
            r#"rewrite.regex = { match = '^/u/(\d+)/(?<tab>\w+)$', to = '/users/$1?tab=$tab' }"#,
            "/u/7/mail?x",
            "/users/7?tab=mail",
        ),
        (r#"rewrite.regex = { match = '^/u/(\d+)', to = '/${1}0' }"#, "/u/7/mail?x", "/70/mail?x"),
        (r#"rewrite.regex = { match = '\.php$', to = '' }"#, "/a.php?x=1", "/a?x=1"),
        (r#"rewrite.regex = { match = 'b', to = '$$' }"#, "/abab", "/a$ab"),
        (r#"rewrite.regex = { match = '^/no', to = '/' }"#, "/yes", "/yes"),
        (r#"rewrite.regex = [{ match = 'a', to = 'b' }, { match = 'b', to = 'c{path.id}' }]"#, "/a", "/c42"),
    ];
    for (config, target, expected) in cases {
        assert_eq!(rewritten(config, target), expected, "{config} {target}");
    }
}

#[test]
fn refuses_what_has_no_normal_form() {
    let cases = [
        (r#"rewrite = { path = "{request.header.X-Path}" }"#, "/"),
        (r#"rewrite = { path = "/a#b" }"#, "/"),
        (r#"rewrite = { path = "/100%" }"#, "/"),
        (r#"rewrite.regex = { match = '^/a', to = '' }"#, "/ab"),
        (r#"rewrite.regex = { match = 'x', to = '/../..' }"#, "/x"),
        (r#"rewrite = { host = "{request.query.h}" }"#, "/?h=a/b"),
        (r#"rewrite = { host = "{request.query.h}" }"#, "/"),
    ];
    for (config, target) in cases {
        assert_eq!(rewritten(config, target), "400 rewrite_invalid", "{config} {target}");
    }
}

#[test]
fn changes_the_query() {
    let cases = [
        (r#"rewrite = { query = "a={path.id}&b=x y#" }"#, "/p?old", "/p?a=42&b=x%20y%23"),
        (r#"rewrite = { query = "" }"#, "/p?old", "/p"),
        (r#"rewrite.query = { remove = ["token", "t x"] }"#, "/p?a=1&to%6ben=2&t+x=3&token&b", "/p?a=1&b"),
        (r#"rewrite.query = { remove = "token" }"#, "/p?token=1", "/p"),
        (r#"rewrite.query = { set = { a = "x&y" } }"#, "/p?a=1&b=2&a=3", "/p?b=2&a=x%26y"),
        (r#"rewrite.query = { add = { a = "{request.query.b}" } }"#, "/p?a=1&b=%20", "/p?a=1&b=%20&a=%20"),
        (r#"rewrite.query = { add = { a = "1" } }"#, "/p", "/p?a=1"),
    ];
    for (config, target, expected) in cases {
        assert_eq!(rewritten(config, target), expected, "{config} {target}");
    }
}

#[test]
fn changes_host_and_authority() {
    let filter = build(&FACTORY, r#"rewrite.host = "App-{path.id}.Internal:8080""#);
    let mut exchange = exchange("/");
    exchange.captures.push("id".into(), "7");
    assert!(reply(&*filter, &mut exchange).is_none());
    assert_eq!(exchange.request.host, "app-7.internal");
    assert_eq!(exchange.request.authority, "App-7.Internal:8080");
}

#[test]
fn leaves_the_asterisk_alone() {
    let filter = build(
        &FACTORY,
        r#"rewrite = { add_prefix = "/x", path = "/y" }"#.replace(r#", path = "/y""#, "").as_str(),
    );
    let mut exchange = exchange("*");
    exchange.request.form = usher_http::TargetForm::Asterisk;
    assert!(reply(&*filter, &mut exchange).is_none());
    assert_eq!(exchange.request.path, "*");
    assert_eq!(filter.describe(), "add `/x`");
}

#[test]
fn names_of_parameters_are_compared_decoded() {
    let cases = [
        ("a", "a", true),
        ("%61", "a", true),
        ("a+b", "a b", true),
        ("a", "ab", false),
        ("ab", "a", false),
        ("%6", "%6", true),
        ("", "", true),
    ];
    for (written, name, same) in cases {
        assert_eq!(query::is_name(written.as_bytes(), name.as_bytes()), same, "{written} {name}");
    }
}
