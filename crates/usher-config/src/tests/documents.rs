//! No bytes make a reader panic, and every span lies inside of its text.

use proptest::prelude::*;

use crate::{Decode, Format, Input, LoadOptions, Node, Sources, Value, load};

const FORMATS: [Format; 3] = [Format::Toml, Format::Yaml, Format::Json];

fn spans_lie_inside(node: &Node, text: &str) -> bool {
    let inside = |span: crate::Span| text.get(span.range()).is_some();
    inside(node.span)
        && match &node.value {
            Value::List(items) => items.iter().all(|item| spans_lie_inside(item, text)),
            Value::Table(entries) => {
                entries.iter().all(|(key, node)| inside(key.span) && spans_lie_inside(node, text))
            }
            _ => true,
        }
}

fn survives(bytes: &[u8], format: Format) {
    let options = LoadOptions { format: Some(format), env: &|_| None, known_filters: &["rewrite"] };
    let input = Input::Text { name: "any".to_owned(), bytes: bytes.to_vec() };
    match load(input, &options) {
        Ok(loaded) => drop(loaded.config.encode()),
        Err(report) => drop(report.render(true)),
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let mut sources = Sources::new();
        let id = sources.add("any", ".", text.to_owned());
        if let Ok(document) = crate::read::read(&sources, id, format) {
            assert!(spans_lie_inside(&document.root, text), "{format:?}: {text:?}");
        }
    }
}

fn written() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z\u{e4}]{1,4}",
        "[0-9.eE+-]{1,5}",
        prop::sample::select(vec![
            "[", "]", "[[", "]]", "{", "}", ",", ":", ": ", "- ", "\n", "\n  ", "\r\n", "=", " = ", "\"",
            "'", "#", "&a ", "*a", "!t ", "|\n", ">-\n", "---\n", "...\n", "? ", "%", "\\u00e4", "\\",
            "route", "listener", "cluster", "include", "limits", "${A}", "${A:-b}", "$${", "~", "null",
            "true", "\t", "<<", "to", "host", ".", "\u{85}",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        FORMATS.into_iter().for_each(|format| survives(&bytes, format));
    }

    #[test]
    fn no_text_makes_it_panic(text in written()) {
        FORMATS.into_iter().for_each(|format| survives(text.as_bytes(), format));
    }

    #[test]
    fn strict_json_agrees_with_serde(text in r#"[\[\]{}",:0-9.eE+\-truefalsn\\ud8 ]{0,30}"#) {
        let mut sources = Sources::new();
        let id = sources.add("any", ".", format!("{{\"a\": {text}}}"));
        let found = crate::read::read(&sources, id, Format::Json).map(|document| document.root.encode());
        let theirs = serde_json::from_str::<serde_json::Value>(sources.get(id).map_or("", |source| source.text()));
        // serde_json takes repeated keys and numbers past 64 bits, which are errors here; to it `-0` is no integer.
        if let Ok(found) = found && !text.contains("-0") {
            prop_assert_eq!(found, theirs.expect("what is accepted here is JSON"));
        }
    }
}

#[test]
fn nesting_is_bounded_in_every_format() {
    for depth in [70, 100_000] {
        let json = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let toml = format!("a = {}{}", "[".repeat(depth), "]".repeat(depth));
        let dotted = format!("{}a = 1", "a.".repeat(depth));
        let block =
            (0..depth.min(3000)).map(|level| format!("{}a:\n", " ".repeat(level))).collect::<String>();
        for (text, format) in [
            (&json, Format::Json),
            (&json, Format::Yaml),
            (&toml, Format::Toml),
            (&dotted, Format::Toml),
            (&block, Format::Yaml),
        ] {
            survives(text.as_bytes(), format);
        }
    }
    let fine = format!("a = {}{}", "[".repeat(30), "]".repeat(30));
    survives(fine.as_bytes(), Format::Toml);
}

#[test]
fn json_accepts_all_of_rfc_8259() {
    let mut sources = Sources::new();
    let text = r#" { "a" : [ -0, 0.5e-3, 1E+2, "\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00", true, false, null, {}, [] ] } "#;
    let id = sources.add("any", ".", text.to_owned());
    let document = crate::read::read(&sources, id, Format::Json).expect("valid");
    let theirs: serde_json::Value = serde_json::from_str(text).expect("valid");
    assert_eq!(
        document.root.encode().to_string().replace("-0.0", "0"),
        theirs.to_string().replace("-0.0", "0")
    );
}

#[test]
fn yaml_follows_the_core_schema_of_1_2() {
    let read = |text: &str| {
        let mut sources = Sources::new();
        let id = sources.add("any", ".", format!("a: {text}\n"));
        let document = crate::read::read(&sources, id, Format::Yaml).expect(text);
        document.root.get("a").map(|node| node.value.clone()).expect("a value")
    };
    let text = |text: &str| Value::String(text.to_owned());
    for (written, expected) in [
        ("no", text("no")),
        ("on", text("on")),
        ("1_000", text("1_000")),
        ("0o17", Value::Integer(15)),
        ("017", Value::Integer(17)),
        ("0xff", Value::Integer(255)),
        ("0x-1", text("0x-1")),
        ("-5", Value::Integer(-5)),
        ("1.5", Value::Float(1.5)),
        ("1e3", Value::Float(1000.0)),
        ("5s", text("5s")),
        ("10.0.0.1", text("10.0.0.1")),
        ("1-2", text("1-2")),
        ("~", Value::Null),
        ("\"1\"", text("1")),
        ("!!str 1", text("1")),
        ("|\n  two\n  lines", text("two\nlines\n")),
        ("12:30", text("12:30")),
    ] {
        assert_eq!(read(written), expected, "{written}");
    }
}

#[test]
fn a_span_points_at_what_was_written() {
    for (text, format) in [
        ("\"\u{e9}\" = 1\r\n[limits]\r\nhead = \"\u{e4}\" # c\r\n", Format::Toml),
        ("\u{e9}: 1\r\nlimits:\r\n  head: \"\u{e4}\" # c\r\n", Format::Yaml),
        ("limits: { x: &a 'it''s', head: \"\u{e4}\" , y: b } # c\n", Format::Yaml),
        ("{\"\u{e9}\": 1,\r\n\"limits\": {\"head\": \"\u{e4}\"}}", Format::Json),
    ] {
        let mut sources = Sources::new();
        let id = sources.add("any", ".", text.to_owned());
        let document = crate::read::read(&sources, id, format).expect("valid");
        let head = document.root.get("limits").and_then(|limits| limits.get("head")).expect("head");
        assert_eq!(sources.slice(head.span), "\"\u{e4}\"", "{format:?}");
    }
}
