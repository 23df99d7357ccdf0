//! What patterns accept and match.

use crate::{HostPattern, Network, NetworkError, PathPattern, ValueTest};

#[test]
fn host_patterns_match() {
    let cases = [
        ("example.com", "example.com", true),
        ("Example.COM.", "example.com", true),
        ("example.com", "www.example.com", false),
        ("*.example.com", "www.example.com", true),
        ("*.example.com", "a.b.example.com", true),
        ("*.example.com", "example.com", false),
        ("*.example.com", ".example.com", false),
        ("*.example.com", "badexample.com", false),
        ("*", "anything", true),
        ("*", "", true),
        ("~(a|b)\\.x", "b.x", true),
        ("~(A|b)\\.X", "a.x", true),
        ("~a|b", "ab", false),
        ("~a\\.x", "a.xy", false),
        ("[2001:DB8:0::1]", "[2001:db8::1]", true),
        ("127.0.0.1", "127.0.0.1", true),
    ];
    for (pattern, host, fits) in cases {
        assert_eq!(HostPattern::parse(pattern).unwrap().matches(host), fits, "{pattern} {host}");
    }
}

#[test]
fn host_patterns_say_what_is_wrong_and_where() {
    let cases = [
        ("", 0..0, "empty"),
        ("*.", 2..2, "empty"),
        ("a..b", 2..2, "two dots"),
        ("a.*.b", 2..3, "whole labels at the start"),
        ("*a.b", 0..1, "whole labels at the start"),
        ("a.b:80", 3..4, "no port"),
        ("a.b/c", 3..4, "no path"),
        ("bücher.de", 1..3, "xn--"),
        ("a b", 1..2, "letters, digits"),
        ("[::1]:80", 0..8, "not an IPv6"),
        ("~a(b", 2..3, "unclosed group"),
        ("~a{5,2}", 2..7, "invalid repetition"),
    ];
    for (pattern, span, message) in cases {
        let error = HostPattern::parse(pattern).unwrap_err();
        assert_eq!(error.span, span, "{pattern}: {error}");
        assert!(error.message.contains(message), "{pattern}: {error}");
    }
    assert!(HostPattern::parse(&"a".repeat(64)).is_err());
    assert!(HostPattern::parse(&"a.".repeat(127)).is_ok());
    assert!(HostPattern::parse(&"a.".repeat(128)).is_err());
}

#[test]
fn path_patterns_match() {
    let cases = [
        ("/", "/", true),
        ("/a", "/a", true),
        ("/a", "/a/", false),
        ("/a/", "/a", false),
        ("/a/*", "/a", true),
        ("/a/*", "/a/", true),
        ("/a/*", "/ab", false),
        ("/a/*", "/a/b/c", true),
        ("/*", "/", true),
        ("/*", "*", false),
        ("/*", "", false),
        ("/a/{n}", "/a/b", true),
        ("/a/{n}", "/a/", false),
        ("/a/{n}", "/a", false),
        ("/a/{n}", "/a/b/c", false),
        ("/a/{n}/", "/a/b/", true),
        ("/a/{n}/*", "/a/b", true),
        ("/a/{n}/*", "/a", false),
        ("/a/{n}/c", "/a/b/c", true),
        ("/{a}/{b...}", "/x", true),
        ("/%7euser/%c3%a9", "/~user/%C3%A9", true),
        ("/é", "/%C3%A9", true),
        ("/a%2fb", "/a%2Fb", true),
        ("/a%2fb", "/a/b", false),
        ("~/a.*", "/ab", true),
        ("~a", "/a", false),
        ("~/a|/b", "/bc", false),
    ];
    for (pattern, path, fits) in cases {
        assert_eq!(PathPattern::parse(pattern).unwrap().matches(path), fits, "{pattern} {path}");
    }
}

#[test]
fn path_patterns_say_what_is_wrong_and_where() {
    let cases = [
        ("", 0..0, "empty"),
        ("a", 0..1, "starts with `/`"),
        ("*", 0..1, "write `/*`"),
        ("/a/*/b", 3..4, "must be the last"),
        ("/a/{r...}/b", 8..9, "must be the last"),
        ("/a*", 2..3, "whole last segment"),
        ("/v{n}", 2..3, "whole segment"),
        ("/{a}/{a}", 5..8, "captured twice"),
        ("/{rest}/*", 8..9, "captured twice"),
        ("/{}", 1..3, "a name in braces"),
        ("/{1a}", 1..5, "a name in braces"),
        ("/a/../b", 3..5, "no `.` and `..`"),
        ("/a?b=1", 2..3, "no query"),
        ("/a%2", 2..3, "two hexadecimal"),
        ("/a%é0", 2..3, "two hexadecimal"),
        ("~/a[", 3..4, "unclosed character class"),
        ("~/(?<n>a)(?<n>b)", 12..13, "duplicate capture group"),
    ];
    for (pattern, span, message) in cases {
        let error = PathPattern::parse(pattern).unwrap_err();
        assert_eq!(error.span, span, "{pattern}: {error}");
        assert!(error.message.contains(message), "{pattern}: {error}");
    }
    assert!(PathPattern::parse(&"/a".repeat(crate::MAX_SEGMENTS)).is_ok());
    assert!(PathPattern::parse(&"/a".repeat(crate::MAX_SEGMENTS + 1)).is_err());
    assert!(PathPattern::parse("~(?:(?:a{1000}){1000}){1000}").unwrap_err().message.contains("bytes"));
}

#[test]
fn names_are_listed_in_order() {
    let names = |text| PathPattern::parse(text).unwrap().names().join(" ");
    assert_eq!(names("/a"), "");
    assert_eq!(names("/{x}/a/{y}/*"), "x y rest");
    assert_eq!(names("~/(?<x>a)(b)(?<y>c)"), "x y");
}

#[test]
fn value_tests_are_read() {
    let cases = [("a", "`a`"), ("a*", "`a*`"), ("*", "any value"), ("", "``"), ("~a+", "`~a+`")];
    for (text, shown) in cases {
        assert_eq!(ValueTest::parse(text).unwrap().to_string(), shown, "{text}");
    }
    assert_eq!(ValueTest::parse("a*b").unwrap_err().span, 1..2);
    assert_eq!(ValueTest::parse("~a(").unwrap_err().span, 2..3);
    assert_eq!(ValueTest::regex("a(").unwrap_err().span, 1..2);
}

#[test]
fn networks_contain_addresses() {
    let cases = [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("::ffff:10.0.0.0/104", "10.1.2.3", true),
        ("0.0.0.0/0", "1.2.3.4", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "::1", true),
        ("::/0", "1.2.3.4", false),
        ("2001:db8::/33", "2001:db8:8000::1", false),
        ("2001:db8::/33", "2001:db8:7fff::1", true),
        ("::1", "::1", true),
        ("10.0.0.1", "10.0.0.2", false),
    ];
    for (network, address, within) in cases {
        let network = Network::parse(network).unwrap();
        assert_eq!(network.contains(address.parse().unwrap()), within, "{network} {address}");
    }
}

#[test]
fn networks_refuse_what_is_not_one() {
    for text in ["", "a", "10.0.0/8", "10.0.0.0.0", "[::1]"] {
        assert_eq!(Network::parse(text), Err(NetworkError::Address), "{text}");
    }
    for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "::/129", "10.0.0.0/256"] {
        assert_eq!(Network::parse(text), Err(NetworkError::Length), "{text}");
    }
    let error = Network::parse("10.0.0.1/8").unwrap_err();
    assert_eq!(error.to_string(), "bits behind the prefix are set; write `10.0.0.0/8`");
}
