use super::*;
use proptest::prelude::*;

fn pairs(fields: &Fields) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields.iter().map(|field| (text(field.name), text(field.value))).collect()
}

fn encoded(fields: &Fields) -> String {
    let mut out = Vec::new();
    fields.encode(&mut out);
    String::from_utf8(out).unwrap()
}

fn of(lines: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in lines {
        fields.add(name.as_bytes(), value.as_bytes()).unwrap();
    }
    fields
}

#[test]
fn every_known_name_is_found_in_any_case() {
    let mut seen = 0;
    for &id in FieldId::ALL {
        for name in [id.as_str().to_owned(), id.as_str().to_lowercase(), id.as_str().to_uppercase()] {
            assert_eq!(FieldId::of(name.as_bytes()), id, "{name}");
        }
        assert_eq!(seen & id.bit(), 0, "{id:?} has a bit of its own");
        seen |= id.bit();
    }
    assert_eq!(seen & DISGUISE, 0, "the highest bit is not an identifier's");
    for name in ["", "X", "Hos", "Hostt", "Content_Length", "X-Forwarded-Fo"] {
        assert_eq!(FieldId::of(name.as_bytes()), FieldId::Other, "{name}");
    }
}

#[test]
fn names_are_compared_without_case() {
    let mut fields = of(&[("X-A", "1"), ("host", "h"), ("x-a", "2"), ("X-B", "3")]);
    assert_eq!(fields.get(FieldId::Host), Some(&b"h"[..]));
    assert_eq!(fields.all_named(b"x-A").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(fields.get_named(b"HOST"), Some(&b"h"[..]));
    assert_eq!(fields.get_named(b"date"), None);
    assert!(fields.remove_named(b"X-a") && !fields.remove_named(b"X-a"));
    assert!(fields.remove_named(b"HOST") && !fields.may_have(FieldId::Host));
    assert_eq!(pairs(&fields), [("X-B".into(), "3".into())]);
    assert_eq!(fields.len(), 1);
}

#[test]
fn edits_keep_the_order_of_what_stays() {
    let mut fields = of(&[("A", "1"), ("B", "2"), ("C", "3"), ("D", "4")]);
    fields.set(b"b", b"5").unwrap();
    fields.retain(|field| field.name != b"D");
    assert_eq!(encoded(&fields), "A: 1\r\nC: 3\r\nb: 5\r\n");
    fields.push_parts(FieldId::Via, &[b"1.1", b" usher"]);
    assert_eq!(encoded(&fields), "A: 1\r\nC: 3\r\nb: 5\r\nVia: 1.1 usher\r\n");
    let mut out = Vec::new();
    fields.encode_without(&[FieldId::Via], &mut out);
    assert_eq!(out, b"A: 1\r\nC: 3\r\nb: 5\r\n");
    fields.clear();
    assert!(fields.is_empty() && encoded(&fields).is_empty());
}

#[test]
fn edits_that_would_be_another_message_are_refused() {
    let long = "n".repeat(MAX_ADDED_NAME + 1);
    for (name, value) in [
        ("", "v"),
        ("a b", "v"),
        ("a:", "v"),
        ("a\r\nb", "v"),
        ("é", "v"),
        (long.as_str(), "v"),
        ("a", "v\r\nHost: x"),
        ("a", "v\n"),
        ("a", "\0"),
        ("a", "\x7f"),
        ("a", " v"),
        ("a", "v\t"),
    ] {
        let mut fields = of(&[("a", "old")]);
        assert_eq!(fields.add(name.as_bytes(), value.as_bytes()), Err(InvalidField), "{name:?} {value:?}");
        assert_eq!(fields.set(name.as_bytes(), value.as_bytes()), Err(InvalidField), "{name:?} {value:?}");
        assert_eq!(encoded(&fields), "a: old\r\n", "a refused edit changes nothing");
    }
    let mut fields = Fields::default();
    fields.add(b"a", "tab\tinside, obs-text \u{e9}".as_bytes()).unwrap();
    fields.add(b"b", b"").unwrap();
}

#[test]
fn a_head_does_not_grow_without_limit() {
    let mut fields = Fields::default();
    let large = vec![b'x'; 1 << 20];
    for _ in 0..10 {
        let _ = fields.add(b"a", &large);
        fields.push(FieldId::Via, &large);
    }
    assert!(fields.buf.len() <= MAX_BUFFER + 1024, "{}", fields.buf.len());
    fields.clear();
    fields.shrink(1 << 16);
    assert_eq!(fields.buf.capacity(), 0);
}

#[test]
fn an_index_ahead_of_its_bytes_reads_as_empty() {
    let mut fields = Fields::default();
    fields.index(100, 4, (106, 110), 112, FieldId::Host);
    assert_eq!(fields.get(FieldId::Host), Some(&b""[..]));
    assert_eq!(encoded(&fields), "");
    assert_eq!(pairs(&fields), [(String::new(), String::new())]);
}

#[test]
fn sees_through_underscores() {
    for (name, disguised) in [
        ("X_Forwarded_For", true),
        ("x-forwarded_for", true),
        ("Content_Length", true),
        ("Transfer_encoding", true),
        ("X_Real-IP", true),
        ("X-Forwarded-For", false),
        ("X_Forwarded_Fo", false),
        ("User_Agent", false),
        ("my_field", false),
        ("_", false),
    ] {
        assert_eq!(name::is_disguised(name.as_bytes()), disguised, "{name}");
    }
}

#[test]
fn removes_what_looks_alike_to_cgi() {
    for (name, left) in [
        ("X-User-Id", "X-User: 3, XUserId: 4"),
        ("x_user_id", "X-User: 3, XUserId: 4"),
        ("XUserId", "X-User-Id: 0, x_user-ID: 1, X_USER_ID: 2, X-User: 3"),
        ("X-Other", "X-User-Id: 0, x_user-ID: 1, X_USER_ID: 2, X-User: 3, XUserId: 4"),
    ] {
        let names = ["X-User-Id", "x_user-ID", "X_USER_ID", "X-User", "XUserId"];
        let values = ["0", "1", "2", "3", "4"];
        let lines: Vec<_> = names.into_iter().zip(values).collect();
        let mut fields = of(&lines);
        fields.remove_alike(name.as_bytes());
        let got: Vec<_> =
            pairs(&fields).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(got.join(", "), left, "{name}");
    }
    let mut fields = of(&[("User_Agent", "1"), ("User-Agent", "2")]);
    fields.remove_alike(b"User-Agent");
    assert!(fields.is_empty() && !fields.may_have(FieldId::UserAgent));
}

#[test]
fn what_decides_something_is_no_trailer() {
    for (name, passed) in [
        ("Content-Digest", true),
        ("Content-MD5", true),
        ("ETag", true),
        ("Server-Timing", true),
        ("grpc-status", true),
        ("X-Checksum", true),
        ("Content-Length", false),
        ("transfer-encoding", false),
        ("HOST", false),
        ("Authorization", false),
        ("Proxy", false),
        ("Content-Encoding", false),
        ("Content-Range", false),
        ("If-Match", false),
        ("Range", false),
        ("Cookie2", false),
        ("Set-Cookie", false),
        ("X-Forwarded-Prefix", false),
        ("X-Client-IP", false),
        ("X-Original-URL", false),
        ("x-http-method-override", false),
        ("Access-Control-Allow-Origin", false),
        ("grpc_status", false),
    ] {
        let field = Field { name: name.as_bytes(), value: b"", id: FieldId::of(name.as_bytes()) };
        assert_eq!(may_be_trailer(&field), passed, "{name}");
    }
}

#[test]
fn knows_names_that_tell_where_a_request_came_from() {
    for (name, claims) in [
        ("X-Forwarded-Prefix", true),
        ("x_forwarded-client_CERT", true),
        ("X-Forwarded-", true),
        ("X-Forwarded", true),
        ("X-Forwarder", false),
        ("X-Forwarde-For", false),
        ("Front-End-Https", true),
        ("front_end_https", true),
        ("TRUE-Client-IP", true),
        ("X-Scheme", true),
        ("X-Schema", false),
        ("CF-Connecting-IP", true),
        ("CF-Connecting-IPs", false),
        ("X-Requested-With", false),
        ("X-Original-URL", false),
        ("", false),
    ] {
        assert_eq!(is_claim(name.as_bytes()), claims, "{name}");
    }
    for known in name::CLAIMED {
        assert!(is_claim(known) && FieldId::of(known) == FieldId::Other, "{}", known.escape_ascii());
    }
}

#[test]
fn tokens_are_the_rfc_s() {
    for byte in 0..=255_u8 {
        let want = byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
        assert_eq!(is_token_byte(byte), want, "{byte:#x}");
    }
    assert!(!is_token(b"") && is_token(b"a_b") && !is_token(b"a b"));
}

#[derive(Clone, Debug)]
enum Edit {
    Add(&'static str, String),
    Set(&'static str, String),
    Remove(&'static str),
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = || prop::sample::select(vec!["Host", "HOST", "Via", "X-A", "x-a", "X-B", "Cookie"]);
    let value = || "[a-z]{0,4}";
    prop_oneof![
        (name(), value()).prop_map(|(name, value)| Edit::Add(name, value)),
        (name(), value()).prop_map(|(name, value)| Edit::Set(name, value)),
        name().prop_map(Edit::Remove),
    ]
}

proptest! {
    /// The list behaves like a plain list of pairs, whatever the edits.
    #[test]
    fn edits_are_those_of_a_list(edits in prop::collection::vec(edit(), 0..24)) {
        let mut fields = Fields::default();
        let mut model: Vec<(String, String)> = Vec::new();
        for edit in &edits {
            match edit {
                Edit::Add(name, value) => {
                    fields.add(name.as_bytes(), value.as_bytes()).unwrap();
                    model.push((name.to_string(), value.clone()));
                }
                Edit::Set(name, value) => {
                    fields.set(name.as_bytes(), value.as_bytes()).unwrap();
                    model.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                    model.push((name.to_string(), value.clone()));
                }
                Edit::Remove(name) => {
                    let had = model.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
                    prop_assert_eq!(fields.remove_named(name.as_bytes()), had);
                    model.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                }
            }
        }
        prop_assert_eq!(pairs(&fields), model.clone());
        prop_assert_eq!(encoded(&fields), model.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect::<String>());
        for (name, _) in &model {
            let values: Vec<_> = model.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).collect();
            prop_assert_eq!(fields.all_named(name.as_bytes()).count(), values.len());
        }
    }
}
