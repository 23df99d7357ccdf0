//! What a line looks like.

use usher_config::serde_json;

use super::*;
use crate::sinks::access_log::template::LineVariable;

fn line(format: &LineFormat, view: &RecordView<'_>) -> String {
    written(format, &Line { view, query: true })
}

fn written(format: &LineFormat, line: &Line<'_>) -> String {
    let (mut out, mut scratch) = (Vec::new(), Scratch::default());
    match format {
        LineFormat::Json => json::write(line, &mut out, &mut scratch.clock),
        LineFormat::Combined => combined::write(line, &mut out, &mut scratch.clock),
        LineFormat::Template(template) => template.write(line, &mut out, &mut scratch),
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn json_has_every_key_in_order() {
    let mut exchange = exchange();
    exchange.user = Some("ann".to_owned());
    exchange.record.reason = "connect_failed";
    exchange.record.detail = "refused";
    exchange.request.fields.add(b"Referer", b"http://a/").unwrap();
    assert_eq!(
        line(&LineFormat::Json, &view(&exchange)),
        "{\"time\":\"2026-07-27T17:31:45.678Z\",\"client\":\"192.0.2.7\",\"method\":\"GET\",\"host\":\"example.com\",\
         \"target\":\"/a?b=c\",\"version\":\"HTTP/1.1\",\"status\":200,\"received\":120,\"sent\":2345,\
         \"total_ms\":12.345,\"connect_ms\":0.210,\"first_byte_ms\":9.001,\"route\":\"api\",\"cluster\":\"app\",\
         \"endpoint\":\"10.0.0.1:3000\",\"reused\":false,\"retries\":0,\"request_id\":\"r-1\",\"user\":\"ann\",\
         \"reason\":\"connect_failed\",\"detail\":\"refused\",\"user_agent\":\"curl/8\",\"referer\":\"http://a/\"}"
    );
}

#[test]
fn json_leaves_out_what_is_not_known() {
    let exchange = Exchange::default();
    let view = RecordView {
        method: "",
        target: b"",
        version: "",
        route: "",
        cluster: "",
        endpoint: "",
        ..view(&exchange)
    };
    assert_eq!(
        line(&LineFormat::Json, &view),
        "{\"time\":\"2026-07-27T17:31:45.678Z\",\"status\":0,\"received\":0,\"sent\":0,\"total_ms\":0.000}"
    );
}

#[test]
fn combined_is_what_nginx_writes() {
    let mut exchange = exchange();
    assert_eq!(
        line(&LineFormat::Combined, &view(&exchange)),
        "192.0.2.7 - - [27/Jul/2026:17:31:45 +0000] \"GET /a?b=c HTTP/1.1\" 200 2000 \"-\" \"curl/8\""
    );
    exchange.user = Some("a b".to_owned());
    exchange.client.ip = Some("2001:db8::1".parse().unwrap());
    let broken = RecordView { method: "", target: b"", version: "", ..view(&exchange) };
    assert_eq!(
        line(&LineFormat::Combined, &broken),
        "2001:db8::1 - a\\x20b [27/Jul/2026:17:31:45 +0000] \"-\" 200 2000 \"-\" \"curl/8\""
    );
}

#[test]
fn a_template_has_both_kinds_of_variables() {
    let table = [
        (
            "{client.ip} {request.method} {request.host}{request.target} {status}",
            "192.0.2.7 GET example.com/a?b=c 200",
        ),
        ("{total_ms}/{connect_ms}/{first_byte_ms}", "12.345/0.210/9.001"),
        ("{bytes.sent} {bytes.received} {bytes.body}", "2345 120 2000"),
        ("{route} {cluster} {endpoint} {reused} {retries}", "api app 10.0.0.1:3000 false 0"),
        ("[{reason}] [{detail}] [{user}]", "[-] [-] [-]"),
        ("{time} {time.clf}", "2026-07-27T17:31:45.678Z 27/Jul/2026:17:31:45 +0000"),
        ("\"{request.line}\" {response.status}", "\"GET /a?b=c HTTP/1.1\" 200"),
        ("{{{request.id}}} {request.header.user-agent}", "{r-1} curl/8"),
    ];
    for (text, expected) in table {
        assert_eq!(line(&template(text), &view(&exchange())), expected, "{text}");
    }
}

#[test]
fn an_unknown_variable_is_told_with_those_that_exist() {
    let told = |text: &str| LineTemplate::parse(text).unwrap_err().told::<LineVariable>();
    assert_eq!(told("{total_mss}").1, "did you mean `{total_ms}`?");
    assert_eq!(told("{clientip}").1, "did you mean `{client.ip}`?");
    let (message, help) = told("{zzzzzzz}");
    for part in ["`client.ip`", "`status`", "`total_ms`"] {
        assert!(message.contains("`{zzzzzzz}`") && help.contains(part), "{message}: {help}");
    }
    assert!(told("{status").0.contains("without `}`"));
}

/// Nothing that a client sends ends a line, closes a quote, or reaches a terminal as a control character.
#[test]
fn a_client_cannot_forge_lines() {
    let attacks: [&[u8]; 7] = [
        b"/x\" 200 5 \"-\" \"y",
        b"/x\r\n192.0.2.8 - admin [now] \"GET / HTTP/1.1\" 200 1",
        b"/\x1b[2J\x7f\x00",
        b"/\\\",\"status\":200,\"x\":\"",
        b"/\xff\xfe\xc0\xaf",
        "/\u{9b}31m\u{85}\u{2028}\u{2029}ü".as_bytes(),
        "/\u{202e}gpj.exe\u{2066}\u{200f}".as_bytes(),
    ];
    let as_json = r#"{{"status":{status},"target":"{request.target}","user":"{user}","agent":"{request.header.user-agent}","cookie":"{request.cookie.c}"}}"#;
    let text = r#"{status} "{request.target}" "{user}" "{request.header.user-agent}" "{request.cookie.c}""#;
    for attack in attacks {
        for format in [LineFormat::Json, LineFormat::Combined, template(text), template(as_json)] {
            let exchange = attacked(attack);
            let got = line(&format, &RecordView { target: attack, method: "GET", ..view(&exchange) });
            let odd = |c: char| c.is_control() || "\u{2028}\u{2029}\u{202e}\u{2066}\u{200f}".contains(c);
            assert!(!got.chars().any(odd), "{got:?}");
            if got.starts_with('{') {
                let value: serde_json::Value = serde_json::from_str(&got).unwrap();
                assert_eq!(value["status"], 200);
                assert_eq!(value["target"], String::from_utf8_lossy(attack).as_ref(), "{got}");
            } else {
                let plain = line(&format, &RecordView { target: b"/", ..view(&Exchange::default()) });
                assert_eq!(got.matches('"').count(), plain.matches('"').count(), "{got}");
                assert!(got.is_ascii(), "{got}");
            }
        }
    }
}

/// A request with the same bytes everywhere where a client may write them, as far as a parser would let them pass.
fn attacked(attack: &[u8]) -> Exchange {
    let mut exchange = exchange();
    exchange.user = Some(String::from_utf8_lossy(attack).into_owned());
    exchange.request.host = String::from_utf8_lossy(attack).into_owned();
    let value: Vec<u8> = attack.iter().copied().filter(|byte| !b"\r\n\0\x1b\x7f".contains(byte)).collect();
    exchange.request.fields.remove(usher_http::FieldId::UserAgent);
    for name in ["User-Agent", "Referer"] {
        exchange.request.fields.add(name.as_bytes(), &value).unwrap();
    }
    exchange.request.fields.add(b"Cookie", &[b"c=", value.as_slice()].concat()).unwrap();
    exchange
}

#[test]
fn a_text_that_is_json_has_values_as_in_json() {
    let exchange = exchange();
    let view = RecordView { target: b"/\"\x01", ..view(&exchange) };
    for (text, expected) in [
        (r#"{{"t":"{request.target}","u":"{user}"}}"#, r#"{"t":"/\"\u0001","u":""}"#),
        (r#"t="{request.target}" u={user}"#, r#"t="/\x22\x01" u=-"#),
        ("{{{status}}}", "{200}"),
    ] {
        assert_eq!(line(&template(text), &view), expected);
    }
}

#[test]
fn queries_are_left_out_if_so_set() {
    let mut exchange = exchange();
    exchange.request.fields.add(b"Referer", b"https://a/p?token=1").unwrap();
    let view = view(&exchange);
    for format in [LineFormat::Json, LineFormat::Combined, template("{request.target} {request.line}")] {
        let (with, without) = (
            written(&format, &Line { view: &view, query: true }),
            written(&format, &Line { view: &view, query: false }),
        );
        assert_eq!(without, with.replace("?b=c", "").replace("?token=1", ""));
        assert!(with.contains("?b=c") && !without.contains('?'), "{without}");
    }
}

/// What proves who somebody is stands in no line unless a text asks for it.
#[test]
fn secrets_are_not_logged_unasked() {
    let mut exchange = exchange();
    for name in ["Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key"] {
        exchange.request.fields.add(name.as_bytes(), b"s3cret").unwrap();
    }
    exchange.response.fields.add(b"Set-Cookie", b"id=s3cret").unwrap();
    for format in [LineFormat::Json, LineFormat::Combined] {
        let got = line(&format, &view(&exchange));
        assert!(!got.contains("s3cret"), "{got}");
    }
}

#[test]
fn says_which_endpoints_failed_and_why() {
    let mut exchange = exchange();
    exchange.endpoint = Some("10.0.0.1:80".into());
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let error = usher_api::Error::new(usher_api::Side::Upstream, usher_api::ErrorKind::ConnectFailed);
    exchange.note_failure(&error.caused_by(refused));
    let noted = "10.0.0.1:80: connection refused";
    assert!(line(&LineFormat::Json, &view(&exchange)).contains(&format!(",\"detail\":\"{noted}\"")));
    exchange.record.detail = "closed within a body";
    assert_eq!(line(&template("{detail}"), &view(&exchange)), format!("{noted}; closed within a body"));
}

#[test]
fn long_values_are_cut() {
    let exchange = exchange();
    let long = vec![b'a'; 1 << 20];
    let got = line(&LineFormat::Json, &RecordView { target: &long, ..view(&exchange) });
    assert!(got.len() < 10_000);
    let cut_within_a_character = "aé".repeat(8192);
    let got =
        line(&LineFormat::Json, &RecordView { target: cut_within_a_character.as_bytes(), ..view(&exchange) });
    assert!(serde_json::from_str::<serde_json::Value>(&got).is_ok());
}

#[test]
fn times_follow_the_calendar() {
    let table = [
        (0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000"),
        (951_782_399_999_999, "2000-02-28T23:59:59.999Z", "28/Feb/2000:23:59:59 +0000"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000Z", "29/Feb/2000:00:00:00 +0000"),
        (1_709_251_200_000_000, "2024-03-01T00:00:00.000Z", "01/Mar/2024:00:00:00 +0000"),
        (4_102_444_799_001_000, "2099-12-31T23:59:59.001Z", "31/Dec/2099:23:59:59 +0000"),
    ];
    let mut clock = Clock::default();
    for (micros, rfc3339, clf) in table {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        clock.rfc3339(micros, &mut first);
        clock.clf(micros, &mut second);
        assert_eq!((first.as_slice(), second.as_slice()), (rfc3339.as_bytes(), clf.as_bytes()));
    }
}

#[test]
fn numbers_have_all_their_digits() {
    for number in [0, 9, 10, 12_345, u64::MAX] {
        let mut out = Vec::new();
        text::push_number(&mut out, number);
        assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
    }
}
