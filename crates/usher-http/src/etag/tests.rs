use super::*;
use proptest::prelude::*;

#[test]
fn reads_tags_strictly() {
    for (text, want) in [
        ("\"a\"", Some((false, "a"))),
        ("W/\"a\"", Some((true, "a"))),
        ("\"\"", Some((false, ""))),
        ("\"a,b\\c\"", Some((false, "a,b\\c"))),
        ("\"é\"", Some((false, "é"))),
        ("a", None),
        ("\"a", None),
        ("\"", None),
        ("", None),
        ("w/\"a\"", None),
        ("W/a", None),
        ("W/", None),
        ("\"a b\"", None),
        ("\"a\x7f\"", None),
        ("\"a\"\"", None),
        (" \"a\"", None),
        ("*", None),
    ] {
        let got = ETag::parse(text.as_bytes()).map(|tag| (tag.is_weak(), tag.opaque()));
        assert_eq!(got, want.map(|(weak, opaque)| (weak, opaque.as_bytes())), "{text}");
    }
}

/// The table of RFC 9110 section 8.8.3.2.
#[test]
fn compares_as_the_rfc_says() {
    for (a, b, strong, weak) in [
        ("W/\"1\"", "W/\"1\"", false, true),
        ("W/\"1\"", "W/\"2\"", false, false),
        ("W/\"1\"", "\"1\"", false, true),
        ("\"1\"", "\"1\"", true, true),
    ] {
        let [a, b] = [a, b].map(|text| ETag::parse(text.as_bytes()).unwrap());
        assert_eq!((a.strong_eq(&b), a.weak_eq(&b)), (strong, weak), "{a:?} {b:?}");
    }
}

#[test]
fn reads_lists_with_commas_inside_tags() {
    for (line, want, well) in [
        ("\"a\"", vec!["a"], true),
        ("\"a\", W/\"b\" ,\"c,d\"", vec!["a", "b", "c,d"], true),
        (" , ,\"a\",, ", vec!["a"], true),
        ("", vec![], true),
        ("\"a\" \"b\"", vec![], false),
        ("\"a\", b, \"c\"", vec!["a"], false),
        ("\"a\", *", vec!["a"], false),
        ("\"a\", \"b", vec!["a"], false),
    ] {
        let items: Vec<_> = tags(line.as_bytes()).collect();
        let good: Vec<_> = items.iter().flatten().map(|tag| tag.opaque()).collect();
        assert_eq!(good, want.iter().map(|w| w.as_bytes()).collect::<Vec<_>>(), "{line}");
        assert_eq!(!items.contains(&Err(Malformed)), well, "{line}");
    }
}

const OLD: &[u8] = b"Sun, 06 Nov 1994 08:49:36 GMT";
const SAME: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const NEW: &[u8] = b"Sun, 06 Nov 1994 08:49:38 GMT";

fn current() -> Validators<'static> {
    Validators { exists: true, etag: ETag::parse(b"\"v1\""), last_modified: date::parse(SAME) }
}

#[test]
fn evaluates_in_the_order_of_the_rfc() {
    use Outcome::*;
    let none = Conditions::default();
    let cases: [(Conditions<'_>, Outcome, Outcome); 17] = [
        (none, Proceed, Proceed),
        (Conditions { if_match: &[b"\"v1\""], ..none }, Proceed, Proceed),
        (Conditions { if_match: &[b"W/\"v1\""], ..none }, Failed, Failed),
        (Conditions { if_match: &[b"*"], ..none }, Proceed, Proceed),
        (Conditions { if_match: &[b"junk"], ..none }, Failed, Failed),
        (Conditions { if_match: &[b"\"x\"", b"\"v1\""], ..none }, Proceed, Proceed),
        (Conditions { if_unmodified_since: Some(OLD), ..none }, Failed, Failed),
        (Conditions { if_unmodified_since: Some(SAME), ..none }, Proceed, Proceed),
        (Conditions { if_unmodified_since: Some(OLD), if_match: &[b"*"], ..none }, Proceed, Proceed),
        (Conditions { if_none_match: &[b"W/\"v1\""], ..none }, NotModified, Failed),
        (Conditions { if_none_match: &[b"\"x\""], ..none }, Proceed, Proceed),
        (Conditions { if_none_match: &[b"*"], ..none }, NotModified, Failed),
        (Conditions { if_none_match: &[b"junk"], ..none }, Proceed, Failed),
        (Conditions { if_modified_since: Some(SAME), ..none }, NotModified, Proceed),
        (Conditions { if_modified_since: Some(NEW), ..none }, NotModified, Proceed),
        (Conditions { if_modified_since: Some(OLD), ..none }, Proceed, Proceed),
        (Conditions { if_modified_since: Some(NEW), if_none_match: &[b"\"x\""], ..none }, Proceed, Proceed),
    ];
    for (conditions, get, put) in cases {
        let got = [true, false].map(|reads| evaluate(&conditions, &current(), reads));
        assert_eq!(got, [get, put], "{conditions:?}");
    }
}

#[test]
fn nothing_there_matches_nothing() {
    let absent = Validators::default();
    assert!(!absent.if_match([&b"*"[..]]));
    assert!(absent.if_none_match([&b"*"[..]]));
    assert!(absent.if_modified_since(OLD) && !absent.if_unmodified_since(NEW));
    assert!(absent.if_unmodified_since(b"junk"));
}

#[test]
fn if_range_takes_strong_tags_and_equal_dates() {
    for (field, want) in [
        (&b"\"v1\""[..], true),
        (b"W/\"v1\"", false),
        (b"\"v2\"", false),
        (SAME, true),
        (OLD, false),
        (NEW, false),
        (b"junk", false),
    ] {
        assert_eq!(current().if_range(field), want, "{}", field.escape_ascii());
    }
    let weak = Validators { etag: ETag::parse(b"W/\"v1\""), ..current() };
    assert!(!weak.if_range(SAME) && !weak.if_range(b"W/\"v1\"") && !weak.if_range(b"\"v1\""));
    let undated = Validators { etag: None, ..current() };
    assert!(undated.if_range(SAME));
}

#[test]
fn long_lists_do_not_match() {
    let line = |n: usize| "\"x\",".repeat(n) + "\"v1\"";
    assert!(current().if_match([line(MAX_TAGS - 1).as_bytes()]));
    assert!(!current().if_match([line(MAX_TAGS).as_bytes()]));
}

proptest! {
    #[test]
    fn never_panics(line in prop::collection::vec(prop::sample::select(b"W/\",* a\xc3\x7f".to_vec()), 0..24)) {
        prop_assert!(tags(&line).count() <= line.len());
        let _ = (current().if_match([&line[..]]), current().if_range(&line));
    }
}
