//! Explanations as people see them, compared with files; `USHER_BLESS=1` writes the files anew.

use std::path::Path;
use std::sync::Arc;

use usher_api::Would;
use usher_config::serde_json::Value;
use usher_config::{Format, Input, LoadOptions, load};
use usher_extensions::balancers::BALANCERS;
use usher_extensions::filters::FILTERS;

use super::{Explanation, Question, QuestionError, explain};
use crate::Snapshot;
use crate::snapshot::Builder;

const CONFIG: &str = include_str!("golden/usher.toml");

fn snapshot(text: &str) -> Arc<Snapshot> {
    let known: Vec<&str> = FILTERS.iter().map(|factory| factory.name).collect();
    let options = LoadOptions { format: Some(Format::Toml), env: &|_| None, known_filters: &known };
    let input = Input::Text { name: "test".to_owned(), bytes: text.as_bytes().to_vec() };
    let loaded = load(input, &options).unwrap_or_else(|report| panic!("{report}"));
    let builder = Builder { filters: FILTERS, balancers: BALANCERS, probes: &[] };
    builder.build(&loaded, None, None).unwrap_or_else(|report| panic!("{report}")).snapshot
}

fn question(method: &str, url: &str, headers: &[(&str, &str)]) -> Question {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Question { headers, ..Question::new(method, url) }
}

fn explained(question: &Question) -> Explanation {
    explain(&snapshot(CONFIG), question).unwrap_or_else(|error| panic!("{error}"))
}

fn ask(method: &str, url: &str, headers: &[(&str, &str)]) -> Explanation {
    explained(&question(method, url, headers))
}

fn golden(name: &str, explanation: &Explanation) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/explain/golden").join(name);
    let text = explanation.to_string();
    if std::env::var_os("USHER_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{name} differs; run with USHER_BLESS=1 if this is meant\n{text}");
}

#[test]
fn shows_a_request_that_is_forwarded() {
    let headers = [("Accept", "*/*"), ("X-Forwarded-For", "1.2.3.4"), ("Connection", "close")];
    golden("forwarded.txt", &ask("GET", "http://example.com/api//users/7?x=1", &headers));
}

#[test]
fn shows_a_split() {
    golden("split.txt", &ask("GET", "shop.example.com/", &[]));
}

#[test]
fn shows_an_answer_of_the_proxy_itself() {
    golden("redirect.txt", &ask("GET", "http://example.com/old/page", &[]));
}

#[test]
fn shows_what_a_guard_would_do_and_what_follows() {
    golden("guarded.txt", &ask("GET", "http://example.com/admin/x", &[]));
}

#[test]
fn shows_why_a_request_is_refused() {
    let headers = [("Content-Length", "3"), ("Transfer-Encoding", "chunked")];
    golden("refused.txt", &ask("POST", "http://example.com/", &headers));
}

#[test]
fn shows_that_no_route_takes_a_request() {
    golden("no_route.txt", &ask("GET", "http://other.org/x", &[]));
}

/// What is told must be what would happen: the same parser, the same sanitizing.
#[test]
fn refusals_have_the_status_of_the_serving_code() {
    for (method, url, headers, step, status) in [
        ("GET", "http://example.com/a b", &[][..], "decode", 400),
        ("GET", "http://example.com/a%2f..%2fb", &[], "sanitize", 400),
        ("GET", "http://example.com/%zz", &[], "sanitize", 400),
        ("GET", "/x", &[], "sanitize", 400),
        ("GET", "http://exa mple.com/", &[], "sanitize", 400),
        ("GET", "/x", &[("Host", "a"), ("Host", "b")], "sanitize", 400),
        ("CONNECT", "example.com:443", &[], "decode", 400),
        ("GET", "http://example.com/", &[("Expect", "tea")], "sanitize", 417),
        ("GET", "http://example.com/", &[("Transfer-Encoding", "gzip, chunked")], "sanitize", 501),
        ("GET", "http://example.com/", &[("a b", "c")], "decode", 400),
    ] {
        let refusal = ask(method, url, headers).refusal;
        let found = refusal.as_ref().map(|refusal| (refusal.step, refusal.status));
        assert!(refusal.is_some_and(|refusal| !refusal.why.is_empty()), "{method} {url}");
        if method != "CONNECT" {
            assert_eq!(found, Some((step, status)), "{method} {url} {headers:?}");
        }
    }
}

#[test]
fn method_that_no_route_takes_is_told_with_those_that_one_does() {
    let told = ask("DELETE", "http://read.example.com/", &[]);
    assert_eq!(told.route.map(|route| route.allowed), Some(vec!["GET".into(), "HEAD".into()]));
    assert_eq!(told.reply.map(|reply| reply.status), Some(405));
}

#[test]
fn explaining_takes_no_tokens() {
    let snapshot = snapshot(CONFIG);
    let question = question("GET", "http://example.com/api/users", &[]);
    for _ in 0..10 {
        let told = explain(&snapshot, &question).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(told.filters[0].verdict, "would pass: 3 of 3 left");
    }
}

#[test]
fn trusted_proxies_are_believed() {
    let mut question = question("GET", "http://example.com/api/users", &[("X-Forwarded-For", "203.0.113.9")]);
    question.client = "10.1.1.1".parse().ok();
    let told = explained(&question);
    assert!(told.client.trusted);
    assert_eq!(told.client.ip, "203.0.113.9".parse().ok());
    assert!(told.to_string().contains("203.0.113.9, as the trusted proxy 10.1.1.1 says"));
}

#[test]
fn sticky_visitors_stay() {
    for (cookie, cluster, how) in
        [("v=0", "blue", "remembered"), ("v=1", "green", "remembered"), ("v=7", "", "drawn")]
    {
        let told =
            ask("GET", "http://shop.example.com/", &[("Cookie", cookie)]).destination.unwrap_or_default();
        assert!(told.how.starts_with(how), "{cookie}: {told:?}");
        assert!(cluster.is_empty() || told.cluster == cluster, "{cookie}: {told:?}");
    }
}

#[test]
fn listeners_have_routes_of_their_own() {
    let mut question = question("GET", "http://example.com/internal", &[]);
    assert_eq!(explained(&question).route.and_then(|route| route.name).as_deref(), Some("site"));
    question.listener = Some("inside".to_owned());
    assert_eq!(explained(&question).route.and_then(|route| route.name).as_deref(), Some("internal"));
    question.listener = Some("insde".to_owned());
    let error = explain(&snapshot(CONFIG), &question).err();
    assert_eq!(
        error,
        Some(QuestionError::Listener("insde".into(), vec!["127.0.0.1:8080".into(), "inside".into()]))
    );
}

#[test]
fn cluster_without_endpoints_answers_503() {
    let told = ask("GET", "http://empty.example.com/", &[]);
    assert_eq!(told.reply.map(|reply| reply.status), Some(503));
    assert!(told.upstream.is_none());
}

#[test]
fn names_take_part_before_they_are_resolved() {
    let told = ask("GET", "http://example.com/", &[]);
    let to = told.destination.unwrap_or_default();
    assert_eq!(to.endpoints.len(), 2);
    assert!(to.endpoint.is_some());
    let only = snapshot("[[route]]\nto = 'app.internal:3000'");
    let told = explain(&only, &question("GET", "http://x/", &[])).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(told.destination.and_then(|to| to.endpoint).as_deref(), Some("app.internal:3000"));
    assert!(told.notes.iter().any(|note| note.contains("resolves to while serving")), "{:?}", told.notes);
}

#[test]
fn bodies_above_the_limit_are_refused() {
    for (length, status) in [("1024", None), ("1025", Some(413))] {
        let told = ask("POST", "http://example.com/api/users", &[("Content-Length", length)]);
        assert_eq!(told.reply.map(|reply| reply.status), status, "{length}");
    }
}

/// The page is the very one that would be sent, under the reason that would be logged.
#[test]
fn the_page_of_an_error_is_shown_as_it_is_sent() {
    let of = |pages: &str| {
        let config = format!("[[route]]\nto = '127.0.0.1:1'\nlimits = {{ body = '1B' }}\n{pages}");
        let question = question("POST", "http://x/", &[("Content-Length", "5")]);
        let told = explain(&snapshot(&config), &question).unwrap_or_else(|error| panic!("{error}"));
        let reply = told.reply.unwrap_or_default();
        assert_eq!((reply.status, reply.reason.as_str()), (413, "too_large"));
        (reply.body, reply.fields)
    };
    let (body, fields) = of("error_pages = { 4xx = { text = '<b>{status}</b>' } }");
    assert_eq!(body, "the route's page, 10 bytes: <b>413</b>");
    assert!(fields.contains(&("Content-Length".to_owned(), "10".to_owned())), "{fields:?}");
    assert!(of("").0.starts_with("a plain page, "));
}

#[test]
fn what_a_filter_would_do_has_a_type() {
    for (url, would) in [
        ("http://example.com/admin/x", Would::Respond(401)),
        ("http://example.com/old/x", Would::Continue),
        ("http://example.com/api/users", Would::Continue),
    ] {
        let told = ask("GET", url, &[]);
        assert_eq!(told.filters.first().map(|filter| filter.would), Some(would), "{url}");
    }
    let login = [("Authorization", "Basic YWRhOng=")];
    let told = ask("GET", "http://example.com/admin/x", &login);
    assert_eq!(told.filters.first().map(|filter| (filter.would, filter.ends())), Some((Would::Ask, false)));
    let json = told.to_json();
    assert_eq!(json.pointer("/filters/0/would"), Some(&Value::from("ask")));
}

#[test]
fn bodies_that_a_filter_does_not_collect_are_refused() {
    let config = snapshot("[[route]]\nto = '127.0.0.1:1'\nbuffer_request = { size = '4KiB' }");
    for (length, status) in [("4096", None), ("4097", Some(413))] {
        let question = question("POST", "http://x/", &[("Content-Length", length)]);
        let told = explain(&config, &question).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(told.reply.map(|reply| reply.status), status, "{length}");
    }
}

#[test]
fn upgrades_are_shown_as_they_are_sent() {
    let headers = [("Connection", "upgrade"), ("Upgrade", "websocket")];
    let sent = ask("GET", "http://example.com/api/users", &headers).upstream.unwrap_or_default();
    let has = |name: &str, value: &str| {
        sent.fields
            .iter()
            .any(|field| field.name.eq_ignore_ascii_case(name) && field.value.eq_ignore_ascii_case(value))
    };
    assert!(has("connection", "upgrade") && has("upgrade", "websocket"), "{sent:?}");
}

#[test]
fn questions_that_no_client_could_ask_are_errors() {
    for (url, headers) in [
        ("http:///x", &[][..]),
        ("http://user@example.com/", &[]),
        ("http://example.com/\r\nX: y", &[]),
        ("http://example.com/", &[("X", "a\nHost: b")]),
    ] {
        assert!(explain(&snapshot(CONFIG), &question("GET", url, headers)).is_err(), "{url}");
    }
}

#[test]
fn json_tells_the_same() {
    let json = ask("GET", "http://example.com/api/users?x=1", &[]).to_json();
    let at = |pointer: &str| json.pointer(pointer).cloned().unwrap_or_default();
    for (pointer, expected) in [
        ("/route/name", Value::from("GET,POST example.com/api/*")),
        ("/route/captures/0/value", "users".into()),
        ("/meaning/query", "x=1".into()),
        ("/upstream/line", "GET /users?x=1 HTTP/1.1".into()),
        ("/destination/cluster", "api".into()),
        ("/filters/0/name", "rate_limit".into()),
        ("/refusal", Value::Null),
        ("/answer", Value::Null),
    ] {
        assert_eq!(at(pointer), expected, "{pointer}\n{json:#}");
    }
}

#[test]
fn says_that_a_listener_carries_tcp_or_udp() {
    let config = "[[listener]]\nname = \"dns\"\nbind = \":53\"\nprotocol = \"udp\"\nto = \"127.0.0.1:2\"\n\
        [[listener]]\nname = \"db\"\nbind = \":5432\"\nprotocol = \"tcp\"\nto = \"127.0.0.1:1\"\n\
        [[listener]]\nname = \"web\"\nbind = \":80\"\n[[route]]\nrespond = \"ok\"\n";
    let snapshot = snapshot(config);
    let ask = |listener: Option<&str>| {
        let question =
            Question { listener: listener.map(str::to_owned), ..question("GET", "http://a/", &[]) };
        explain(&snapshot, &question).unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(ask(None).listener, "web", "the one that the URL leads to");
    let told = ask(Some("db"));
    assert!(told.notes.iter().any(|note| note.contains("carries TCP, to `127.0.0.1:1`")), "{:?}", told.notes);
    let told = ask(Some("dns"));
    assert!(told.notes.iter().any(|note| note.contains("carries UDP, to `127.0.0.1:2`")), "{:?}", told.notes);
}
