//! Tests.

use super::super::testing::{body, build, exchange, field, reply, with};
use super::FACTORY;

fn location(config: &str, target: &str) -> String {
    let filter = build(&FACTORY, config);
    let mut exchange = with(exchange(target), "X-To", "//evil.example/\\x");
    exchange.request.scheme = "https";
    exchange.captures.push("rest".into(), "a/b c");
    let reply = reply(&*filter, &mut exchange).expect("a redirect");
    field(&reply, "Location").expect("a Location").to_owned()
}

#[test]
fn renders_the_target() {
    let cases = [
        (r#"redirect = "https://example.org{request.uri}""#, "/a?b=c", "https://example.org/a?b=c"),
        (r#"redirect = "https://www.{request.host}/""#, "/a", "https://www.example.com/"),
        (
            r#"redirect = "{request.scheme}://{request.host}:8443{request.path}""#,
            "/a",
            "https://example.com:8443/a",
        ),
        (r#"redirect = "/new/{rest}""#, "/old", "/new/a/b%20c"),
        (r#"redirect = "?page=1""#, "/old", "?page=1"),
        (r#"redirect = "mailto:a@example.org""#, "/", "mailto:a@example.org"),
        (r#"redirect = { to = "/new", keep_query = true }"#, "/old?a=1&b=%20", "/new?a=1&b=%20"),
        (r#"redirect = { to = "/new?x=1#top", keep_query = true }"#, "/old?a=1", "/new?x=1&a=1#top"),
        (r#"redirect = { to = "/new", keep_query = true }"#, "/old", "/new"),
    ];
    for (config, target, expected) in cases {
        assert_eq!(location(config, target), expected, "{config}");
    }
}

#[test]
fn a_variable_never_chooses_the_host() {
    let cases = [
        (r#"redirect = "{request.query.next}""#, "/?next=//evil.example/x", "/evil.example/x"),
        (r#"redirect = "{request.query.next}""#, "/?next=https://evil.example", "/https://evil.example"),
        (r#"redirect = "{request.query.next}""#, "/?next=/\\evil.example", "/evil.example"),
        (r#"redirect = "/{request.query.next}""#, "/?next=/evil.example", "/evil.example"),
        (r#"redirect = "{request.header.X-To}""#, "/", "/evil.example/%5Cx"),
        (
            r#"redirect = "https://example.org/{request.query.next}""#,
            "/?next=@evil",
            "https://example.org/@evil",
        ),
    ];
    for (config, target, expected) in cases {
        assert_eq!(location(config, target), expected, "{config} {target}");
    }
}

#[test]
fn answers_with_status_and_a_link() {
    let filter = build(&FACTORY, r#"redirect = { to = "/a?x=1&y={request.query.y}", status = 302 }"#);
    let reply = reply(&*filter, &mut exchange("/?y=\"><script>")).expect("a redirect");
    assert_eq!((reply.status, reply.reason, reply.finished), (302, "redirect", true));
    let body = String::from_utf8(body(&reply)).expect("text");
    assert!(body.contains("href=\"/a?x=1&amp;y=%22%3E%3Cscript%3E\""), "{body}");
    let filter = build(&FACTORY, r#"redirect = "/b""#);
    assert_eq!(
        super::super::testing::reply(&*filter, &mut exchange("/")).map(|reply| reply.status),
        Some(308)
    );
}
