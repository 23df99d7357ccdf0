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
        ("/%c0%ae%c0%ae/x", "/%C0%AE%C0%AE/x"),
        ("/..%c0%af..%c0%af", "/..%C0%AF..%C0%AF"),
        ("/%252e%252E/", "/%252e%252E/"),
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
        ("/%C0%80/%00", Control),
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

#[test]
fn knows_what_others_may_read() {
    for (path, want) in [
        ("/a/b", &[][..]),
        ("/caf%C3%A9%20x", &[]),
        ("/100%25", &[]),
        ("/100%25%20", &[]),
        ("/admin%2Fx", &["/admin/x"]),
        ("/admin%5Cx", &["/admin/x"]),
        ("/admin;x", &["/admin"]),
        ("/admin%3Bx", &["/admin;x", "/admin"]),
        ("/a;b%2Fc", &["/a", "/a;b/c", "/a/c"]),
        ("/a;b/;c/d", &["/a/d"]),
        ("/%2Fadmin", &["/admin"]),
        ("/a%2F%2Fb", &["/a/b"]),
        ("/%2561dmin", &["/admin"]),
        ("/a%252Fb", &["/a/b"]),
        ("/a%252fb%2Fc", &["/a%252fb/c", "/a/b/c"]),
        ("/a%253Bb", &["/a;b", "/a"]),
        ("/admin%C0%AFx", &["/admin/x"]),
        ("/%C0%C1", &[]),
        ("/p/https%3A%2F%2Fh%2Fx", &["/p/https%3A/h/x"]),
    ] {
        assert!(is_normal(path.as_bytes()), "{path}");
        assert_eq!(other_readings(path).unwrap(), want, "{path}");
        assert_eq!(has_other_readings(path), !want.is_empty(), "{path}");
    }
}

#[test]
fn refuses_what_others_may_read_above_the_root() {
    for (path, want) in [
        ("/%252e%252e/x", PathError::HiddenDotSegment),
        ("/pub/%252e%252e/internal", PathError::HiddenDotSegment),
        ("/a/%C0%AE%C0%AE/admin", PathError::HiddenDotSegment),
        ("/pub/x%252F%252E%252E", PathError::HiddenDotSegment),
        ("/a%2500", PathError::Control),
        ("/a%250D%250Ab", PathError::Control),
        ("/a/%252e%252e%252fetc", PathError::HiddenDotSegment),
        ("/a/..%253Bx/", PathError::HiddenDotSegment),
    ] {
        assert!(is_normal(path.as_bytes()), "{path}");
        assert_eq!(other_readings(path), Err(want), "{path}");
    }
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

    /// What is said to have no other reading has none, and readings are paths in normal form.
    #[test]
    fn readings_are_normal(raw in "/([ab./;%]|%2[5fFeE]|%5[cC]|%3[bB]|%[cC]0%[aA][eEfF]){0,12}") {
        let mut spare = Vec::new();
        if let Ok(normal) = normalize(raw.as_bytes(), &mut spare) {
            let path = String::from_utf8(normal.bytes().to_vec()).unwrap();
            if let Ok(readings) = other_readings(&path) {
                prop_assert!(readings.is_empty() || has_other_readings(&path), "{path}");
                prop_assert!(readings.iter().all(|reading| is_normal(reading.as_bytes())), "{path}: {readings:?}");
            } else {
                prop_assert!(has_other_readings(&path), "{path}");
            }
        }
    }
}
