use super::*;
use proptest::prelude::*;

fn normal(raw: &str) -> Result<String, PathError> {
    let mut spare = Vec::new();
    normalize(raw.as_bytes(), &mut spare).map(|n| String::from_utf8_lossy(n.bytes()).into_owned())
}

#[test]
fn normal_paths_are_borrowed() {
    for raw in [
        "/",
        "/a",
        "/a/b/c.html",
        "/a/",
        "/.well-known/acme-challenge/x",
        "/...",
        "/a/..b/.c./",
        "/a;v=1/b",
        "/;/..a;b",
        "/a;../b",
        "/a%2Fb%5Cc%20d%C3%A9",
        "/a%2F...%2Fb",
        "/%252e%252e/",
        "/!$&'()*+,=:@-_~",
    ] {
        let mut spare = vec![1, 2, 3];
        let got = normalize(raw.as_bytes(), &mut spare);
        assert_eq!(got, Ok(Normal::AsCame(raw.as_bytes())), "{raw}");
        assert_eq!(spare, [1, 2, 3], "{raw} must not touch the buffer");
    }
}

#[test]
fn rewrites_to_one_form() {
    for (raw, want) in [
        ("//", "/"),
        ("///a////b//", "/a/b/"),
        ("/%61%2D%7e%5F%2e", "/a-~_."),
        ("/a%2fb", "/a%2Fb"),
        ("/a%5cb", "/a%5Cb"),
        ("/%c3%a9", "/%C3%A9"),
        ("/é", "/%C3%A9"),
        ("/a b\"<>[]^`{|}?", "/a%20b%22%3C%3E%5B%5D%5E%60%7B%7C%7D%3F"),
        ("/.", "/"),
        ("/./", "/"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/a/b/../c", "/a/c"),
        ("/a/./b", "/a/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a//..", "/"),
        ("/a/b/c/../../../d", "/d"),
        ("/a/b;c/..", "/a/"),
        ("/a/%2F/../b", "/a/b"),
        ("/%25%32%65", "/%252e"),
    ] {
        assert_eq!(normal(raw).as_deref(), Ok(want), "{raw}");
    }
}

#[test]
fn refuses_what_has_two_readings() {
    use PathError::*;
    for (raw, want) in [
        ("", NotAbsolute),
        ("*", NotAbsolute),
        ("a/b", NotAbsolute),
        ("%2Fa", NotAbsolute),
        ("/a\0", Control),
        ("/a\r\n", Control),
        ("/a\tb", Control),
        ("/\x7f", Control),
        ("/%00", Control),
        ("/%0a", Control),
        ("/%1F", Control),
        ("/%7f", Control),
        ("/%", BadEscape),
        ("/%2", BadEscape),
        ("/%2/", BadEscape),
        ("/%zz", BadEscape),
        ("/%u0041", BadEscape),
        ("/%+1", BadEscape),
        ("/a\\..\\b", Backslash),
        ("/a#b", Fragment),
        ("/..", AboveRoot),
        ("/../a", AboveRoot),
        ("//..", AboveRoot),
        ("/a/../../b", AboveRoot),
        ("/%2e%2e/", AboveRoot),
        ("/a/..;/b", HiddenDotSegment),
        ("/a/.;x/b", HiddenDotSegment),
        ("/a/.%2e;x=1/b", HiddenDotSegment),
        ("/a/..%3b/b", HiddenDotSegment),
        ("/a/..%2fb", HiddenDotSegment),
        ("/a%2F..", HiddenDotSegment),
        ("/a%2f%2e%2e%2fb", HiddenDotSegment),
        ("/a%5c..%5cb", HiddenDotSegment),
        ("/a%5C..%5Cb", HiddenDotSegment),
        ("/a%2F..%2Fb", HiddenDotSegment),
        ("/.%2Fadmin", HiddenDotSegment),
        ("/x%2F..;/y", HiddenDotSegment),
    ] {
        assert_eq!(normal(raw), Err(want), "{raw:?}");
    }
}

#[test]
fn decodes_one_segment_to_a_file_name() {
    let decode = |s: &str| decode_segment(s.as_bytes()).map(Cow::into_owned);
    assert!(matches!(decode_segment(b"plain.txt"), Ok(Cow::Borrowed(b"plain.txt"))));
    assert_eq!(decode("a%20b%C3%A9").as_deref(), Ok("a bé".as_bytes()));
    assert_eq!(decode("%252e").as_deref(), Ok(&b"%2e"[..]));
    assert_eq!(decode("").as_deref(), Ok(&b""[..]));
    for (segment, want) in [
        ("a%2Fb", PathError::NotAName),
        ("a/b", PathError::NotAName),
        ("%2e%2E", PathError::NotAName),
        (".", PathError::NotAName),
        ("a%00.png", PathError::Control),
        ("a%0d", PathError::Control),
        ("a%", PathError::BadEscape),
        ("%4", PathError::BadEscape),
    ] {
        assert_eq!(decode(segment), Err(want), "{segment}");
    }
}

/// Strings made of the pieces that matter, so that most of them reach the interesting branches.
fn pathlike() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "/", "//", ".", "..", "%2e", "%2F", "%2f", "%5c", "%5C", "%3B", ";", "a", "B9", "%61", "%25", "%",
        "2", "e", "F", " ", "é", "|", "%c3", "\\", "#", "%00",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..14)
        .prop_map(|parts| format!("/{}", parts.concat()).into_bytes())
}

fn check(raw: &[u8]) {
    let mut spare = Vec::new();
    let Ok(once) = normalize(raw, &mut spare) else { return };
    let once = once.bytes().to_vec();
    let text = String::from_utf8(once.clone()).expect("ASCII");
    assert!(text.starts_with('/') && text.is_ascii() && !text.contains("//"), "{text}");
    assert!(!text.bytes().any(|b| is_control(b) || b == b' ' || b == b'\\'), "{text}");
    assert!(!text.split('/').any(|s| s == "." || s == ".."), "{text}");
    assert!(is_normal(&once), "{text}");
    let mut again = Vec::new();
    assert_eq!(normalize(&once, &mut again), Ok(Normal::AsCame(&once)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn is_a_fixed_point(raw in pathlike()) {
        check(&raw);
    }

    #[test]
    fn never_panics_on_any_bytes(raw in prop::collection::vec(any::<u8>(), 0..64)) {
        check(&raw);
        let _ = decode_segment(&raw);
    }

    /// The careful scan says yes exactly to what the rewrite leaves as it is.
    #[test]
    fn scan_and_rewrite_agree(raw in pathlike()) {
        let mut out = Vec::new();
        let unchanged = rewrite(&raw, &mut out).is_ok() && out == raw;
        prop_assert_eq!(is_normal(&raw), unchanged);
        prop_assert!(!is_plain(&raw) || unchanged);
    }
}
