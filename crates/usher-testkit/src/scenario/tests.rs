use super::pattern::Pattern;
use super::*;
use std::path::Path;

fn run(text: &str) -> Result<(), Failure> {
    run_text(Path::new("x.scn"), text)
}

/// Runs a scenario in direct mode with this endpoint and this client.
fn direct(endpoint: &str, client: &str) -> Result<(), Failure> {
    run(&format!("direct\nendpoint\n{endpoint}\nclient\n{client}\n"))
}

const GET: &str = "  > GET / HTTP/1.1\n  > Host: a\n  >\n";
const OK: &str = "  expect request\n  > HTTP/1.1 200 OK\n  > Content-Length: 2\n  >\n  > ok\\\n";

#[test]
fn patterns_match_as_written() {
    let cases = [
        ("a*c", "abbc", true),
        ("a*c", "abcb", false),
        ("*", "", true),
        ("", "a", false),
        ("a\\*c", "abc", false),
        ("a\\*c", "a*c", true),
        ("*a*b*", "xxaxxbxx", true),
        ("\\x41\\r\\n\\t\\\\\\\"", "A\r\n\t\\\"", true),
        ("*ab", "aab", true),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(Pattern::parse(pattern).unwrap().matches(text.as_bytes()), expected, "{pattern} {text}");
    }
    for wrong in ["\\q", "\\x4", "\\xzz", "a\\"] {
        assert!(Pattern::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(Pattern::parse_quoted("repeat 3 \"ab\"").unwrap().bytes(), b"ababab");
    assert!(Pattern::parse_quoted("repeat 99999999 \"ab\"").is_err());
    assert!(Pattern::parse_quoted("\"a\" b\"").is_err());
}

#[test]
fn plays_a_conversation() {
    let endpoint = "  expect request
    line GET /* HTTP/1.1
    method GET
    target /x
    version HTTP/1.1
    field host: a
    absent Via Cookie
    framing none
    no-trailers
    body \"\"
  split 1
  > HTTP/1.1 200 Fine by me
  > X-A: 1
  > X-A: 2
  > Transfer-Encoding: chunked
  >
  > 3
  > abc
  > 0
  > X-T: t
  >
  < PING *
  < PO\\
  expect \"NG\"
  await asked
  send repeat 3 \"x\"
  expect eof
  close";
    let client = "  send <<END
    GET /x HTTP/1.1
    Host: a

  END
  expect response
    status 404 200
    reason Fine*
    any-field X-A: 2
    trailer X-T: t
    framing chunked
    body-length 3
    body \"a*\"
    contains \"X-A: 1\\r\\n\"
    lacks \"X-B\"
  > PING 1
  flush
  send \"PONG\"
  mark asked
  expect repeat 3 \"x\"
  shutdown
  expect close";
    direct(endpoint, client).unwrap();
}

#[test]
fn roles_of_endpoints() {
    let client = "  > POST / HTTP/1.1\n  > Host: a\n  > Content-Length: 2\n  >\n  > hi\\\n  expect response\n    status";
    direct("  serve echo", &format!("{client} 200\n    body \"POST / *hi\"")).unwrap();
    direct("  serve 503 \"no\"", &format!("{client} 503\n    body \"no\"")).unwrap();
    direct("  serve \"*\"", &format!("{client} 200\n    body \"\\*\"")).unwrap();
    let other = "direct\nendpoint\n  serve \"a\"\nendpoint b\n  untouched\nendpoint c unix\n  serve \"c\"\n";
    run(&format!("{other}client\n{GET}  expect response\n    body \"a\"\n")).unwrap();
    run(&format!("{other}client\n  connect $ENDPOINT[c] \n{GET}  expect response\n    body \"c\"\n"))
        .unwrap();
    let failure = run(&format!("{other}client\n  connect $ENDPOINT[b]\n{GET}  close\n")).unwrap_err();
    assert_eq!((failure.line, failure.who.as_str()), (4, "endpoint b"));
    let refused = "direct\nendpoint\n  refuse\nclient\n  connect\n";
    assert!(run(refused).unwrap_err().message.contains("refused"));
}

#[test]
fn ends_of_connections() {
    direct("  expect request\n  reset", &format!("{GET}  expect reset")).unwrap();
    direct("  expect request\n  close", &format!("{GET}  expect eof")).unwrap();
    direct(
        "  expect request\n  close\n  accept\n  expect \"x\"",
        &format!("{GET}  expect close\n  connect from 127.0.0.9\n  send \"x\""),
    )
    .unwrap();
    let cut = "  expect request\n  > HTTP/1.1 200 OK\n  > Content-Length: 9\n  >\n  > part\\\n  close";
    direct(cut, &format!("{GET}  expect partial response\n    status 200\n    body \"part\"")).unwrap();
    assert!(direct(OK, &format!("{GET}  expect partial response")).unwrap_err().message.contains("complete"));
    let refusal =
        "  expect request\n  > HTTP/1.1 400 Bad\n  > Content-Length: 0\n  > Connection: close\n  >\n  close";
    direct(refusal, &format!("{GET}  expect refusal 400")).unwrap();
}

#[test]
fn says_where_and_what_differs() {
    let cases: &[(&str, &str, usize, &[&str])] = &[
        ("    status 404", "client: the status differs", 14, &["expected:\n    404", "received:\n    200"]),
        ("    field X: 1", "not exactly one line `X`", 14, &["no such line", "HTTP/1.1 200 OK\\r\\n"]),
        ("    field Content-Length: 3", "not exactly one line", 14, &["received:\n    2"]),
        ("    absent content-length", "`content-length: 2` came", 14, &[]),
        ("    body \"k*\"", "the body differs", 14, &["received:\n    ok"]),
        ("    framing chunked", "the framing differs", 14, &["Chunked", "Length"]),
        ("  expect close", "waiting for the close", 14, &[]),
    ];
    for (check, message, line, parts) in cases {
        let client = format!("{GET}  timeout 100ms\n  expect response\n{check}");
        let failure = run(&format!("direct\nendpoint\n{OK}client\n{client}\n")).unwrap_err();
        let text = failure.to_string();
        assert!(text.starts_with(&format!("x.scn:{line}: ")), "{check}: {text}");
        assert!(text.contains(message) && parts.iter().all(|part| text.contains(part)), "{check}: {text}");
    }
}

#[test]
fn sees_what_no_script_expects() {
    let more = format!("{OK}  send \"more\"");
    let failure = direct(&more, &format!("{GET}  expect response")).unwrap_err();
    assert!(failure.who == "client" && failure.to_string().contains("more"), "{failure}");
    let failure = direct(OK, &format!("{GET}  expect response\n{GET}")).unwrap_err();
    assert!(failure.who == "endpoint" && failure.to_string().contains("GET / HTTP"), "{failure}");
    let failure = direct(OK, &format!("{GET}  expect response\n  connect")).unwrap_err();
    assert!(failure.message.contains("a connection came"), "{failure}");
    direct(&more, &format!("{GET}  expect response\n  ignore")).unwrap();
}

#[test]
fn the_first_failure_ends_the_others() {
    let failure = direct("  expect request\n    method PUT", &format!("{GET}  expect response")).unwrap_err();
    assert_eq!((failure.line, failure.who.as_str()), (4, "endpoint"));
    let failure = direct("  expect request", "  send \"x\"\n  timeout 20ms\n  expect \"y\"").unwrap_err();
    assert_eq!((failure.line, failure.who.as_str()), (7, "client"));
    assert!(failure.notes.iter().any(|note| note.contains("x.scn:3: endpoint: was here")), "{failure}");
}

#[test]
fn files_that_are_no_scenarios() {
    let cases = [
        ("client\n  connect\n", 1, "`direct`"),
        ("direct\nendpoint\n  refuse\n", 1, "`client` is due"),
        ("  x\n", 1, "without a heading"),
        ("wat\n", 1, "unknown heading"),
        ("direct\nendpoint\nendpoint\n", 3, "second endpoint"),
        ("config\nconfig\n", 2, "second `config`"),
        ("direct\nendpoint\nclient\n  jump\n", 4, "`jump `"),
        ("direct\nendpoint\nclient\n  status 200\n", 4, "check without"),
        ("direct\nendpoint\nclient\n  expect request\n", 4, "not known here"),
        ("direct\nendpoint\nclient\n  expect response\n    status 99\n", 5, "not a status"),
        ("direct\nendpoint\nclient\n  send x\n", 4, "double quotes"),
        ("direct\nendpoint\nclient\n  expect \"a*\"\n", 4, "`*`"),
        ("direct\nendpoint\nclient\n  > \\q\n", 4, "unknown escape"),
        ("direct\nendpoint\nclient\n  send <<END\n  x\n", 4, "no end"),
        ("direct\nendpoint\nclient\n  pause 5\n", 4, "not a time"),
        ("direct\nendpoint\nclient\n  pause 500s\n", 4, "longer than"),
    ];
    for (text, line, message) in cases {
        let failure = run(text).unwrap_err();
        assert!(failure.line == line && failure.message.contains(message), "{text}: {failure}");
    }
}

#[test]
fn every_file_of_the_suite_parses() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let cases = discover(&folder).unwrap();
    assert!(cases.len() >= 60, "{} scenarios", cases.len());
    for (_, path) in &cases {
        check_file(path).unwrap();
    }
}

#[test]
fn the_suite_reports_each_case_by_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("b")).unwrap();
    let good = format!("direct\nendpoint\n{OK}client\n{GET}  expect response\n");
    std::fs::write(folder.path().join("b/good.scn"), good).unwrap();
    std::fs::write(folder.path().join("bad.scn"), "wat\n").unwrap();
    std::fs::write(folder.path().join("README.md"), "no scenario").unwrap();
    let outcomes = run_suite(&discover(folder.path()).unwrap(), |_| {});
    let seen: Vec<_> =
        outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.result.is_ok())).collect();
    assert_eq!(seen, [("b/good", true), ("bad", false)]);
}

#[test]
fn an_endpoint_that_may_see_no_whole_request() {
    let head = "  > POST / HTTP/1.1\n  > Host: a\n  > Content-Length: 3\n  >\n";
    direct("  no-request", &format!("{head}  send \"ab\"")).unwrap();
    direct("  no-request", "  pause 1ms").unwrap();
    let failure = direct("  no-request", &format!("{head}  send \"abc\"")).unwrap_err();
    assert!(failure.message.contains("whole request"), "{failure}");
    let failure = direct("  no-request", "  > GET / HTTP/1.1\n  > A : b\n  >").unwrap_err();
    assert!(failure.message.contains("not a field line"), "{failure}");
    direct("  send \"x\"\n  close", "  expect end").unwrap();
}

#[test]
fn the_examples_of_the_manual_are_scenarios() {
    let manual = include_str!("../../../../tests/scenarios/README.md");
    let examples: Vec<&str> =
        manual.split("```scn\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        super::section::parse_scenario(example).unwrap();
    }
}
