//! `restore_prefix`.

use usher_api::Exchange;
use usher_http::parse::{HeadLimits, HeadParser};

use super::super::super::testing::build;
use super::FACTORY;

const SHOP: &str = r#"rewrite = { strip_prefix = "/shop", restore_prefix = true }"#;

/// A request for `target`, with the response of an endpoint that holds one field.
fn answered(target: &str, (name, value): (&str, &str)) -> Exchange {
    let mut exchange = Exchange::default();
    let head = format!("GET {target} HTTP/1.1\r\nX-Forwarded-Host: example.com\r\n\r\n");
    let (mut parser, limits) = (HeadParser::default(), HeadLimits::default());
    let read = parser.request(head.as_bytes(), &limits, &mut exchange.request);
    assert_eq!(read, Ok(Some(head.len())));
    exchange.request.authority.push_str("inner.example:8080");
    exchange.endpoint = Some("app.internal:3000".into());
    exchange.response.fields.add(name.as_bytes(), value.as_bytes()).expect("valid");
    exchange
}

fn restored(config: &str, target: &str, field: (&str, &str)) -> String {
    let mut exchange = answered(target, field);
    build(&FACTORY, config).on_response(&mut exchange);
    let mut values = exchange.response.fields.all_named(field.0.as_bytes());
    let value = values.next().map(|value| String::from_utf8_lossy(value).into_owned());
    assert!(values.next().is_none());
    value.unwrap_or_default()
}

#[test]
fn puts_the_prefix_back_into_references() {
    for (written, want) in [
        ("/login", "/shop/login"),
        ("/", "/shop/"),
        ("/a?next=/b#c", "/shop/a?next=/b#c"),
        ("/?q=http://example.org/", "/shop/?q=http://example.org/"),
        // The application knows the prefix.
        ("/shop/login", "/shop/login"),
        ("/shop", "/shop"),
        ("/shopping", "/shop/shopping"),
        // This site, in whatever way it is written.
        ("http://example.com/login", "http://example.com/shop/login"),
        ("HTTPS://EXAMPLE.com:443/login?x", "HTTPS://EXAMPLE.com:443/shop/login?x"),
        ("//example.com/login", "//example.com/shop/login"),
        ("https://example.com", "https://example.com/shop/"),
        ("https://example.com?x", "https://example.com/shop/?x"),
        // The endpoint, which clients cannot reach.
        ("http://app.internal:3000/login", "/shop/login"),
        ("http://inner.example:8080/login", "/shop/login"),
        ("http://app.internal:3000/shop/login", "/shop/login"),
        ("http://app.internal:3000", "/shop/"),
        // Others, and what the client resolves by itself.
        ("http://app.internal/login", "http://app.internal/login"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("https://example.com.evil/", "https://example.com.evil/"),
        ("https://example.com@evil/", "https://example.com@evil/"),
        ("https://other.example/login", "https://other.example/login"),
        ("//other.example/login", "//other.example/login"),
        ("///login", "///login"),
        ("login", "login"),
        ("./login", "./login"),
        ("?page=2", "?page=2"),
        ("mailto:a@example.com", "mailto:a@example.com"),
    ] {
        assert_eq!(restored(SHOP, "/shop/x", ("Location", written)), want);
        assert_eq!(restored(SHOP, "/shop/x", ("content-location", written)), want);
        assert_eq!(
            restored(SHOP, "/shop/x", ("Refresh", &format!("5; url={written}"))),
            format!("5; url={want}")
        );
    }
    for (written, want) in [
        ("0;URL='/login'", "0;URL='/shop/login'"),
        ("0, /login", "0, /shop/login"),
        ("5", "5"),
        ("5; url=", "5; url="),
        ("5; url", "5; url"),
    ] {
        assert_eq!(restored(SHOP, "/shop/x", ("Refresh", written)), want);
    }
}

#[test]
fn puts_the_prefix_back_into_the_path_of_cookies() {
    for (written, want) in [
        ("a=1; Path=/", "a=1; Path=/shop"),
        ("a=1; HttpOnly; path = /cart; Secure", "a=1; HttpOnly; path =/shop/cart; Secure"),
        ("a=1; Path=/cart/", "a=1; Path=/shop/cart/"),
        ("a=1; Path=/shop", "a=1; Path=/shop"),
        ("a=1; Path", "a=1; Path"),
        ("a=1; Path=", "a=1; Path="),
        ("a=1", "a=1"),
        ("path=/", "path=/"),
        ("__Host-a=1; Path=/; Secure", "__Host-a=1; Path=/; Secure"),
    ] {
        assert_eq!(restored(SHOP, "/shop/x", ("Set-Cookie", written)), want);
    }
}

#[test]
fn undoes_what_was_done_and_no_more() {
    let both = r#"rewrite = { strip_prefix = "/shop", add_prefix = "/app", restore_prefix = true }"#;
    let added = r#"rewrite = { add_prefix = "/app", restore_prefix = true }"#;
    for (config, target, written, want) in [
        (both, "/shop/x", "/app/login", "/shop/login"),
        (both, "/shop/x", "/app", "/shop/"),
        (both, "/shop/x", "/shop/login", "/shop/login"),
        (both, "/shop/x", "/other", "/other"),
        (both, "/shop/x", "http://app.internal:3000/other", "http://app.internal:3000/other"),
        (added, "/x", "/app/login?a", "/login?a"),
        (added, "/x", "/app?a", "/?a"),
        (added, "/x", "/apps", "/apps"),
        // No way to another site.
        (added, "/x", "/app//evil.example/", "/app//evil.example/"),
        (added, "/x", "/app/\\evil.example/", "/app/\\evil.example/"),
        (
            added,
            "/x",
            "http://app.internal:3000/app//evil.example/",
            "http://app.internal:3000/app//evil.example/",
        ),
        // Nothing was taken away.
        (SHOP, "/shopping", "/login", "/login"),
        (SHOP, "/%73hop/a", "/login", "/shop/login"),
        (SHOP, "http://example.com/shop/a?/b", "/login", "/shop/login"),
        (SHOP, "http://example.com/", "/login", "/login"),
        (r#"rewrite = { strip_prefix = "/shop" }"#, "/shop/x", "/login", "/login"),
        (r#"rewrite = { strip_prefix = "/", restore_prefix = true }"#, "/shop/x", "/login", "/login"),
    ] {
        assert_eq!(restored(config, target, ("Location", written)), want, "{config} {target}");
    }
}

/// A redirect of a filter is written for clients.
#[test]
fn leaves_the_proxy_s_own_responses_alone() {
    let mut exchange = answered("/shop/x", ("Location", "/login"));
    exchange.endpoint = None;
    build(&FACTORY, SHOP).on_response(&mut exchange);
    assert_eq!(exchange.response.fields.get_named(b"Location"), Some(b"/login".as_slice()));
}
