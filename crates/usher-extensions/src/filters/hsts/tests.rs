//! Tests.

use super::super::testing::{build, exchange};
use super::FACTORY;

#[test]
fn only_responses_over_tls_say_it_and_only_once() {
    for (config, scheme, said) in [
        (r#"hsts = "180d""#, "https", Some("max-age=15552000")),
        (r#"hsts = "180d""#, "http", None),
        (
            r#"hsts = { max_age = "365d", subdomains = true }"#,
            "https",
            Some("max-age=31536000; includeSubDomains"),
        ),
        (
            r#"hsts = { max_age = "365d", subdomains = true, preload = true }"#,
            "https",
            Some("max-age=31536000; includeSubDomains; preload"),
        ),
    ] {
        let filter = build(&FACTORY, config);
        let mut exchange = exchange("/");
        exchange.request.scheme = scheme;
        if scheme == "https" {
            exchange.response.fields.add(b"strict-transport-security", b"max-age=1").unwrap();
        }
        filter.on_response(&mut exchange);
        let all: Vec<&[u8]> = exchange.response.fields.all_named(b"Strict-Transport-Security").collect();
        assert_eq!(all, said.iter().map(|text| text.as_bytes()).collect::<Vec<_>>(), "{config} {scheme}");
    }
}
