use super::*;
use proptest::prelude::*;

/// Host as it came, port, and the form for comparing.
fn read(text: &str) -> Result<(String, Option<u16>, String), HostError> {
    let authority = Authority::parse(text.as_bytes())?;
    let mut spare = String::from("left over");
    let lower = authority.lower_into(&mut spare).to_owned();
    Ok((authority.host().to_owned(), authority.port(), lower))
}

#[test]
fn reads_names_addresses_and_ports() {
    for (text, host, port, lower) in [
        ("example.com", "example.com", None, "example.com"),
        ("Example.COM:8080", "Example.COM", Some(8080), "example.com"),
        ("example.com.", "example.com.", None, "example.com"),
        ("example.com.:443", "example.com.", Some(443), "example.com"),
        ("example.com:", "example.com", None, "example.com"),
        ("a", "a", None, "a"),
        ("my_service.local:80", "my_service.local", Some(80), "my_service.local"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", None, "xn--bcher-kva.example"),
        ("127.0.0.1:1", "127.0.0.1", Some(1), "127.0.0.1"),
        ("localhost:00080", "localhost", Some(80), "localhost"),
        ("[::1]", "[::1]", None, "[::1]"),
        ("[2001:DB8:0:0::1]:65535", "[2001:DB8:0:0::1]", Some(65535), "[2001:db8::1]"),
        ("[::ffff:10.0.0.1]:", "[::ffff:10.0.0.1]", None, "[::ffff:10.0.0.1]"),
    ] {
        assert_eq!(read(text), Ok((host.into(), port, lower.into())), "{text}");
    }
}

#[test]
fn refuses_what_servers_disagree_about() {
    use HostError::*;
    let long = format!("{}a", "a.".repeat(127));
    for (text, want) in [
        ("", Empty),
        (":80", Empty),
        (".", EmptyLabel),
        ("..", EmptyLabel),
        (".a", EmptyLabel),
        ("a..b", EmptyLabel),
        ("a..", EmptyLabel),
        ("user@example.com", BadByte),
        ("user:pw@example.com", BadPort),
        ("example.com/", BadByte),
        ("example.com:80/", BadPort),
        ("a b", BadByte),
        (" a", BadByte),
        ("a ", BadByte),
        ("a\t", BadByte),
        ("a\0", BadByte),
        ("a\\b", BadByte),
        ("a,b", BadByte),
        ("a;b", BadByte),
        ("%65xample.com", BadByte),
        ("bücher.example", BadByte),
        ("a:b:c", BadPort),
        ("::1", Empty),
        ("fe80::1", BadPort),
        ("a:0", BadPort),
        ("a:65536", BadPort),
        ("a:000080", BadPort),
        ("a:+1", BadPort),
        ("a:-1", BadPort),
        ("a:80 ", BadPort),
        ("[]", BadIpv6),
        ("[", BadIpv6),
        ("[::1", BadIpv6),
        ("[[::1]]", BadIpv6),
        ("[::1%25eth0]", BadIpv6),
        ("[fe80::1%eth0]", BadIpv6),
        ("[v1.x]", BadIpv6),
        ("[127.0.0.1]", BadIpv6),
        ("[::1]80", BadPort),
        ("[::1].", BadPort),
        ("[::1]:x", BadPort),
        (&long, TooLong),
    ] {
        assert_eq!(read(text), Err(want), "{text:?}");
    }
    assert!(read(&long[2..]).is_ok(), "253 bytes are a name");
}

#[test]
fn lower_case_is_borrowed() {
    let mut spare = String::from("kept");
    let text = "api.example.com";
    let authority = Authority::parse(text.as_bytes()).unwrap();
    assert_eq!(authority.lower_into(&mut spare).as_ptr(), text.as_ptr());
    assert_eq!(spare, "kept");
}

#[test]
fn tells_addresses_from_names() {
    for (text, want) in [
        ("127.0.0.1", Some("127.0.0.1")),
        ("127.0.0.1.", Some("127.0.0.1")),
        ("[::1]:80", Some("::1")),
        ("127.1", None),
        ("0x7f.0.0.1", None),
        ("example.com", None),
    ] {
        let ip = Authority::parse(text.as_bytes()).unwrap().ip().map(|ip| ip.to_string());
        assert_eq!(ip.as_deref(), want, "{text}");
    }
}

proptest! {
    #[test]
    fn compared_form_is_a_fixed_point(text in "[a-zA-Z0-9.:\\[\\]_%@ -]{0,24}") {
        if let Ok((_, _, lower)) = read(&text) {
            let (host, port, again) = read(&lower).expect("the form for comparing is a host");
            prop_assert_eq!((host, port), (again.clone(), None));
            prop_assert_eq!(again, lower);
        }
    }

    #[test]
    fn never_panics(text in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = Authority::parse(&text).map(|a| a.ip());
    }
}
