use super::*;

fn read(field: &str) -> Vec<(String, String)> {
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    pairs(field.as_bytes()).map(|(n, v)| (text(n), text(v))).collect()
}

#[test]
fn reads_what_browsers_send() {
    for (field, want) in [
        ("a=1", vec![("a", "1")]),
        ("a=1; b=2;c=3 ;  d=4", vec![("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]),
        ("a=", vec![("a", "")]),
        ("a=b=c==", vec![("a", "b=c==")]),
        ("a=\"q, x\"", vec![("a", "\"q, x\"")]),
        ("a=1; a=2", vec![("a", "1"), ("a", "2")]),
        ("junk; =v; ; a=1;", vec![("a", "1")]),
        (" a = 1 ", vec![("a", "1")]),
        ("", vec![]),
        (";;;==;", vec![]),
        ("ü=é", vec![("ü", "é")]),
    ] {
        let want: Vec<_> = want.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        assert_eq!(read(field), want, "{field:?}");
    }
}

#[test]
fn finds_the_first_by_exact_name() {
    let fields: [&[u8]; 2] = [b"A=0; ab=1", b"a=2; a=3"];
    for (name, want) in [("a", Some("2")), ("A", Some("0")), ("ab", Some("1")), ("b", None), ("", None)] {
        assert_eq!(find(fields, name.as_bytes()), want.map(str::as_bytes), "{name}");
    }
}

fn write(cookie: SetCookie<'_>) -> Result<String, CookieError> {
    let mut out = b"x".to_vec();
    let result = cookie.write_to(&mut out);
    let text = String::from_utf8(out).unwrap();
    if result.is_err() {
        assert_eq!(text, "x", "an error writes nothing");
    }
    result.map(|()| text[1..].to_owned())
}

#[test]
fn writes_attributes() {
    let plain = SetCookie::new("sid", "abc");
    assert_eq!(write(plain).as_deref(), Ok("sid=abc"));
    let full = SetCookie {
        path: Some("/a"),
        domain: Some("example.com"),
        max_age_seconds: Some(60),
        secure: true,
        http_only: true,
        same_site: Some(SameSite::None),
        partitioned: true,
        ..plain
    };
    let want =
        "sid=abc; Path=/a; Domain=example.com; Max-Age=60; SameSite=None; Secure; HttpOnly; Partitioned";
    assert_eq!(write(full).as_deref(), Ok(want));
    let host = SetCookie { path: Some("/"), secure: true, ..SetCookie::new("__Host-id", "") };
    assert_eq!(write(host).as_deref(), Ok("__Host-id=; Path=/; Secure"));
}

#[test]
fn refuses_what_would_begin_another_attribute_or_field() {
    for name in ["", "a b", "a=b", "a;b", "a\r\nb", "é"] {
        assert_eq!(write(SetCookie::new(name, "v")), Err(CookieError::BadName), "{name:?}");
    }
    for value in ["a;b", "a b", "a\r\nSet-Cookie: x=y", "a\0", "a,b", "a\"b", "a\\b", "é", "\x7f"] {
        assert_eq!(write(SetCookie::new("n", value)), Err(CookieError::BadValue), "{value:?}");
    }
    for text in ["", "/;x", "/\r\n", "/é"] {
        let path = SetCookie { path: Some(text), ..SetCookie::new("n", "v") };
        let domain = SetCookie { domain: Some(text), ..SetCookie::new("n", "v") };
        assert_eq!(write(path), Err(CookieError::BadAttribute), "{text:?}");
        assert_eq!(write(domain), Err(CookieError::BadAttribute), "{text:?}");
    }
    let long = "v".repeat(MAX_PAIR_BYTES);
    assert_eq!(write(SetCookie::new("n", &long)), Err(CookieError::TooLong));
    assert!(write(SetCookie::new("n", &long[1..])).is_ok());
}

#[test]
fn refuses_what_browsers_drop() {
    let host = SetCookie { secure: true, path: Some("/"), ..SetCookie::new("__Host-n", "v") };
    for cookie in [
        SetCookie::new("__Secure-n", "v"),
        SetCookie::new("__secure-n", "v"),
        SetCookie { secure: false, ..host },
        SetCookie { path: None, ..host },
        SetCookie { domain: Some("a.b"), ..host },
        SetCookie { same_site: Some(SameSite::None), ..SetCookie::new("n", "v") },
        SetCookie { partitioned: true, ..SetCookie::new("n", "v") },
    ] {
        assert_eq!(write(cookie), Err(CookieError::Insecure), "{cookie:?}");
    }
}
