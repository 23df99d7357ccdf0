//! What a line looks like.

use usher_config::serde_json;

use super::*;
use crate::sinks::access_log::template::LineVariable;

fn line(format: &LineFormat, view: &RecordView<'_>) -> String {
    let (mut out, mut scratch) = (Vec::new(), Scratch::default());
    match format {
        LineFormat::Json => json::write(view, &mut out, &mut scratch.clock),
        LineFormat::Combined => combined::write(view, &mut out, &mut scratch.clock),
        LineFormat::Template(template) => template.write(view, &mut out, &mut scratch),
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
        method: "-",
        target: b"-",
        version: "-",
        route: "",
        cluster: "",
        endpoint: "",
        ..view(&exchange)
    };
    assert_eq!(
        line(&LineFormat::Json, &view),
        "{\"time\":\"2026-07-27T17:31:45.678Z\",\"method\":\"-\",\"target\":\"-\",\"version\":\"-\",\"status\":0,\
         \"received\":0,\"sent\":0,\"total_ms\":0.000}"
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
    let broken = RecordView { method: "-", target: b"-", version: "-", ..view(&exchange) };
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
    let attacks: [&[u8]; 6] = [
        b"/x\" 200 5 \"-\" \"y",
        b"/x\r\n192.0.2.8 - admin [now] \"GET / HTTP/1.1\" 200 1",
        b"/\x1b[2J\x7f\x00",
        b"/\\\",\"status\":200,\"x\":\"",
        b"/\xff\xfe\xc0\xaf",
        "/\u{9b}31m\u{85}\u{2028}ü".as_bytes(),
    ];
    for attack in attacks {
        for format in
            [LineFormat::Json, LineFormat::Combined, template("{status} \"{request.target}\" \"{user}\"")]
        {
            let mut exchange = exchange();
            exchange.user = Some(String::from_utf8_lossy(attack).into_owned());
            let got = line(&format, &RecordView { target: attack, ..view(&exchange) });
            assert!(!got.chars().any(char::is_control), "{got:?}");
            let plain = line(&format, &RecordView { target: b"/", ..view(&Exchange::default()) });
            if format == LineFormat::Json {
                let value: serde_json::Value = serde_json::from_str(&got).unwrap();
                assert_eq!(value["status"], 200);
                assert_eq!(value["target"], String::from_utf8_lossy(attack).as_ref(), "{got}");
            } else {
                assert_eq!(got.matches('"').count(), plain.matches('"').count(), "{got}");
            }
        }
    }
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
