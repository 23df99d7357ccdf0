use axum::http::HeaderValue;

use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn only_names_that_are_nobody_elses_are_answered() {
    let table = [
        ("127.0.0.1", "127.0.0.1:9180", true),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.1.2.3:1", true),
        ("127.0.0.1", "localhost:9180", true),
        ("127.0.0.1", "LOCALHOST.", true),
        ("127.0.0.1", "[::1]:9180", true),
        ("127.0.0.1", "[::ffff:127.0.0.1]:9180", true),
        ("127.0.0.1", "10.0.0.5:9180", false),
        ("10.0.0.5", "10.0.0.5:9180", true),
        ("10.0.0.5", "10.0.0.6:9180", false),
        ("0.0.0.0", "10.0.0.6:9180", true),
        ("::", "[2001:db8::1]:9180", true),
        ("0.0.0.0", "evil.example:9180", false),
        ("127.0.0.1", "evil.example", false),
        ("127.0.0.1", "localhost.evil.example", false),
        ("127.0.0.1", "127.0.0.1.evil.example", false),
        ("127.0.0.1", "localhost:9180@evil.example", false),
        ("127.0.0.1", "[::1]evil.example", false),
        ("127.0.0.1", "[::1", false),
        ("127.0.0.1", "", false),
        ("0.0.0.0", "", false),
    ];
    for (bound, host, expected) in table {
        let guard = Guard::new(Some(bound.parse().unwrap()));
        assert_eq!(guard.knows_host(&headers(&[("host", host)])), expected, "{host} at {bound}");
    }
}

#[test]
fn there_is_exactly_one_host() {
    let guard = Guard::new(Some([127, 0, 0, 1].into()));
    assert!(!guard.knows_host(&headers(&[])));
    assert!(!guard.knows_host(&headers(&[("host", "localhost"), ("host", "localhost")])));
    assert!(Guard::new(None).knows_host(&headers(&[])), "a Unix socket has no name");
}

#[test]
fn a_change_needs_what_a_page_cannot_send() {
    let table: [(&[(&'static str, &'static str)], bool); 7] = [
        (&[], false),
        (&[("content-type", "text/plain")], false),
        (&[("content-type", "application/x-www-form-urlencoded")], false),
        (&[("content-type", "text/plain; application/json")], false),
        (&[("content-type", "application/json")], true),
        (&[("content-type", "Application/JSON; charset=utf-8")], true),
        (&[("x-usher-admin", "1")], true),
    ];
    for (pairs, expected) in table {
        assert_eq!(Guard::new(None).is_deliberate(&headers(pairs)), expected, "{pairs:?}");
    }
}
