//! What is forwarded parses to what was meant: a head that was understood, written as the driver writes it, means the
//! same to the next reader, and has one framing.

use super::*;
use crate::trust::{ClientText, replace};
use proptest::strategy::ValueTree;

/// A head as the driver writes it towards an endpoint.
fn forwarded(request: &Request, facts: Facts) -> Vec<u8> {
    let mut out = Vec::new();
    request.encode(request.authority.as_bytes(), &mut out);
    if facts.framing == Framing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

type Meaning = (Method, String, String, Option<String>, Framing, Vec<(Vec<u8>, Vec<u8>)>);

fn meaning(request: &Request, facts: Facts) -> Meaning {
    let fields = request.fields.iter().map(|field| (field.name.to_vec(), field.value.to_vec())).collect();
    (
        request.method.clone(),
        request.authority.clone(),
        request.path.clone(),
        request.query.clone(),
        facts.framing,
        fields,
    )
}

/// Checks one head; false if it was refused.
fn survives(head: &[u8]) -> bool {
    let limits = HeadLimits::default();
    let (mut scratch, mut upgrade) = (Scratch::default(), Vec::new());
    let mut request = Request::default();
    let Ok(Some(_)) = HeadParser::default().request(head, &limits, &mut request) else { return false };
    let Ok(facts) = sanitize(&mut request, &mut scratch, &mut upgrade) else { return false };
    replace(
        &mut request,
        &ClientText::new(Some([192, 0, 2, 7].into()), Some(([192, 0, 2, 1], 80).into())),
        "1.1",
    );
    let out = forwarded(&request, facts);

    let mut again = Request::default();
    let read = HeadParser::default().request(&out, &limits, &mut again);
    assert_eq!(read, Ok(Some(out.len())), "{}", String::from_utf8_lossy(&out));
    let framings = again.fields.all(FieldId::ContentLength).count()
        + again.fields.all(FieldId::TransferEncoding).count();
    assert!(framings <= 1, "{}", String::from_utf8_lossy(&out));
    assert_eq!(again.fields.all(FieldId::Host).count(), 1);
    if request.host.is_empty() {
        // HTTP/1.0 without Host: which host that is, the cluster's policy says.
        return true;
    }
    let facts_again = sanitize(&mut again, &mut scratch, &mut upgrade);
    let facts_again =
        facts_again.unwrap_or_else(|error| panic!("{error:?}: {}", String::from_utf8_lossy(&out)));
    assert_eq!(meaning(&again, facts_again), meaning(&request, facts));
    assert_eq!(again.host, request.host);
    // Once more: the form is a fixed point.
    assert_eq!(forwarded(&again, facts_again), out);
    true
}

fn target() -> impl Strategy<Value = String> {
    let part = "[a-zA-Z0-9/._~%;:@&=+$,!'()*{}|<>^`\"\\[\\]é-]{0,12}";
    let escaped = prop_oneof![
        Just("%2F"),
        Just("%2e"),
        Just("%61"),
        Just("%c3%a9"),
        Just("//"),
        Just("/../"),
        Just("/./"),
        Just("")
    ];
    let path = (part, escaped, part).prop_map(|(a, b, c)| format!("/{a}{b}{c}"));
    let query = prop::option::of("[!-\"$-~é]{0,12}");
    let origin =
        (path, query).prop_map(|(path, query)| query.map_or(path.clone(), |query| format!("{path}?{query}")));
    let absolute = ("[A-Za-z0-9.-]{0,8}(:[0-9]{0,5})?", origin.clone())
        .prop_map(|(host, rest)| format!("http://{host}{rest}"));
    prop_oneof![4 => origin, 1 => absolute, 1 => Just("*".to_owned()), 1 => Just("http://h".to_owned())]
}

fn line() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "Content-Length: 5",
        "Content-Length: 0",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "content-length: 7",
        "Content_Length: 5",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "transfer-encoding:chunked",
        "Connection: close",
        "Connection: keep-alive, X-Hop",
        "Connection: Content-Length, Transfer-Encoding, Host",
        "Connection: upgrade",
        "Upgrade: websocket",
        "TE: trailers",
        "X-Hop: 1",
        "X-Forwarded-For: 1.1.1.1",
        "X-Forwarded-Host: evil",
        "Forwarded: for=1.1.1.1",
        "Expect: 100-continue",
        "Trailer: X",
        "Host: other",
        "Via: 1.0 a",
    ]);
    let free = "[A-Za-z][A-Za-z0-9_-]{0,10}:[ \t]{0,2}[!-~é]{0,8}[ \t]{0,2}[!-~]{0,8}[ \t]{0,2}";
    prop_oneof![known.prop_map(str::to_owned), free.prop_map(|line| line)]
}

fn head() -> impl Strategy<Value = String> {
    let method = prop::sample::select(vec!["GET", "POST", "OPTIONS", "get", "BREW", "HEAD"]);
    let version = prop::sample::select(vec!["1.1", "1.1", "1.1", "1.0"]);
    let host = prop_oneof![
        4 => "Host: [A-Za-z0-9._-]{1,10}(:[0-9]{1,5})?\r\n",
        1 => Just(String::new()),
        1 => Just("Host: [::FFFF:1.2.3.4]:80\r\n".to_owned()),
    ];
    let lines = prop::collection::vec(line(), 0..5);
    (method, target(), version, host, lines).prop_map(|(method, target, version, host, lines)| {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        format!("{method} {target} HTTP/{version}\r\n{host}{lines}\r\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn means_what_was_meant(head in head()) {
        survives(head.as_bytes());
    }

    #[test]
    fn means_what_was_meant_with_a_byte_changed(head in head(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut head = head.into_bytes();
        let at = at.index(head.len());
        head[at] = byte;
        survives(&head);
    }
}

#[test]
fn most_of_what_is_tried_is_a_request() {
    // So that the property above says something.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let survivors =
        (0..500).filter(|_| survives(head().new_tree(&mut runner).unwrap().current().as_bytes())).count();
    assert!(survivors > 100, "{survivors} of 500");
}
