use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// The value as it prints itself, or the message and the repair.
fn shown<T: FromStr<Err = ValueError> + ToString>(text: &str) -> String {
    match text.parse::<T>() {
        Ok(value) => value.to_string(),
        Err(error) => format!("{} | {}", error.message, error.help.unwrap_or_default()),
    }
}

#[test]
fn durations_have_units_from_large_to_small() {
    for (text, micros) in [
        ("5s", 5_000_000),
        ("100ms", 100_000),
        ("1m30s", 90_000_000),
        ("1h", 3_600_000_000),
        ("1d2h3m4s5ms6us", 93_784_005_006),
        ("0s", 0),
        ("007s", 7_000_000),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_micros(micros)), "{text}");
    }
    for text in [
        "",
        "5",
        "s",
        "5 s",
        "5s ",
        "-5s",
        "+5s",
        "1.5s",
        "5S",
        "1s1m",
        "1s1s",
        "5seconds",
        "5s5",
        "1e3s",
        "٣s",
        "99999999999999999999s",
        "18446744073709551615us1s",
        "36501d",
    ] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

#[test]
fn sizes_say_which_thousand_they_mean() {
    for (text, bytes) in
        [("64KiB", 65_536), ("10MB", 10_000_000), ("1GiB", 1 << 30), ("0B", 0), ("64 kib", 65_536)]
    {
        assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
    }
    for (text, expected) in [
        ("64k", "`64k` can be read in two ways | write `64KiB` (1024) or `64KB` (1000)"),
        ("64", "the size `64` has no unit | write `64B` or `64KiB`"),
        ("1Kb/s", "`Kb/s` is not a unit of size | units are B, KB, KiB, MB, MiB, GB, GiB, TB and TiB"),
        ("KiB", "`KiB` is not a size | write it like `64KiB`, `10MB` or `1GiB`"),
        ("-1B", "the size `-1B` is below zero | write it like `64KiB`, `10MB` or `1GiB`"),
        ("99999999TiB", "the size `99999999TiB` is too large | "),
    ] {
        assert_eq!(shown::<ByteSize>(text), expected);
    }
}

#[test]
fn rates_and_shares() {
    for text in ["100/s", "10/m", "1000/h", "1/d"] {
        assert_eq!(shown::<Rate>(text), text);
    }
    for text in ["", "/s", "100", "100/", "100/x", "100/s/s", "-1/s", "+1/s", "0/s", "1.5/s", "99999999999/s"]
    {
        assert!(text.parse::<Rate>().is_err(), "{text}");
    }
    for (text, millionths) in [("0%", 0), ("100%", 1_000_000), ("12.5%", 125_000), ("0.0001%", 1)] {
        assert_eq!(text.parse::<Percent>().map(Percent::millionths), Ok(millionths), "{text}");
        assert_eq!(shown::<Percent>(text), text);
    }
    for text in ["", "%", "10", "100.0001%", "101%", "-1%", "0.00001%", ".5%", "5.%", "1e1%", "1 %"] {
        assert!(text.parse::<Percent>().is_err(), "{text}");
    }
}

#[test]
fn networks_hold_addresses() {
    for (network, inside, outside) in [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "::ffff:11.0.0.1"),
        ("0.0.0.0/0", "255.255.255.255", "::1"),
        ("::/0", "2001:db8::1", "10.0.0.1"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
        ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
        ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
        ("::1", "::1", "::2"),
    ] {
        let network: Cidr = network.parse().expect(network);
        assert!(network.contains(inside.parse::<IpAddr>().expect(inside)), "{network} {inside}");
        assert!(!network.contains(outside.parse::<IpAddr>().expect(outside)), "{network} {outside}");
    }
    let expected = "`2001:db8::1/32` has bits set behind its prefix | write `2001:db8::/32` for the network, or \
                    `2001:db8::1` for the address";
    assert_eq!(shown::<Cidr>("2001:db8::1/32"), expected);
    for text in [
        "",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0/8",
        "::/129",
        "10.0.0.0/8/8",
        "010.0.0.0/8",
    ] {
        assert!(text.parse::<Cidr>().is_err(), "{text}");
    }
}

#[test]
fn addresses_to_listen_on() {
    for text in ["0.0.0.0:80", "[::]:80", ":8080", "unix:/run/x.sock", "[fe80::1]:0"] {
        assert_eq!(shown::<BindAddress>(text), text);
    }
    for (text, help) in [
        ("8080", "write `:8080` for all addresses or `127.0.0.1:8080` for this machine only"),
        ("0.0.0.0", "add a port: `0.0.0.0:80`"),
        ("::1", "add a port: `[::1]:80`"),
        ("::1:80", "write `[::1]:80`"),
        ("*:80", "write `:80`"),
        ("localhost:80", "names are not resolved here: write `[\"127.0.0.1:80\", \"[::1]:80\"]`"),
        ("unix:run/x.sock", "write `unix:/run/name.sock`"),
        ("", "write it like `:80`, `192.0.2.1:80`, `[::1]:80` or `unix:/run/usher.sock`"),
        (":65536", "write it like `:80`, `192.0.2.1:80`, `[::1]:80` or `unix:/run/usher.sock`"),
        (":+80", "write it like `:80`, `192.0.2.1:80`, `[::1]:80` or `unix:/run/usher.sock`"),
    ] {
        assert_eq!(text.parse::<BindAddress>().expect_err(text).help.as_deref(), Some(help), "{text}");
    }
    assert!(format!("unix:/{}", "x".repeat(107)).parse::<BindAddress>().is_err());
}

#[test]
fn addresses_that_cannot_both_be_bound() {
    for (one, two, only_ipv6, expected) in [
        (":80", "0.0.0.0:80", false, true),
        (":80", "[::]:80", true, true),
        ("[::]:80", "0.0.0.0:80", false, true),
        ("[::]:80", "0.0.0.0:80", true, false),
        ("127.0.0.1:80", "0.0.0.0:80", false, false),
        ("127.0.0.1:80", "127.0.0.1:80", false, true),
        ("127.0.0.1:80", "127.0.0.1:81", false, false),
        ("127.0.0.1:0", "127.0.0.1:0", false, false),
        ("unix:/a", "unix:/a", false, true),
        ("unix:/a", ":80", false, false),
    ] {
        let parse = |text: &str| text.parse::<BindAddress>().expect("an address");
        assert_eq!(parse(one).overlaps(&parse(two), (only_ipv6, only_ipv6)), expected, "{one} {two}");
        assert_eq!(parse(two).overlaps(&parse(one), (only_ipv6, only_ipv6)), expected, "{two} {one}");
    }
}

#[test]
fn addresses_of_endpoints() {
    for (text, expected) in [
        ("10.0.0.1:3000", "10.0.0.1:3000"),
        ("[::1]:3000", "[::1]:3000"),
        ("App.internal:3000", "app.internal:3000"),
        ("http://name", "name:80"),
        ("HTTP://name:81/", "name:81"),
        ("http://[::1]", "[::1]:80"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
        ("my_service:80", "my_service:80"),
        ("https://name", "https://name:443"),
        ("HTTPS://10.0.0.1:8443/", "https://10.0.0.1:8443"),
        ("h2c://name:50051", "h2c://name:50051"),
        ("https://unix:/run/app.sock", "https://unix:/run/app.sock"),
        ("srv:_Web._tcp.app.internal", "srv:_web._tcp.app.internal"),
        ("https://srv:web.service.consul", "https://srv:web.service.consul"),
        ("http://srv:_web._tcp.app.internal", "srv:_web._tcp.app.internal"),
        ("srv:3000", "srv:3000"),
        ("https://srv:8443", "https://srv:8443"),
        (
            "srv+https://_web._tcp.app.internal",
            "`srv+https://` is not a scheme of an endpoint | for SRV records, write `https://srv:_web._tcp.app.internal`",
        ),
        (
            "srv:_web._tcp.app.internal:80",
            "`_web._tcp.app.internal:80` is not the name of SRV records | the records have the port: write `srv:_web._tcp.app.internal`",
        ),
        (
            "_web._tcp.app.internal",
            "`_web._tcp.app.internal` is not the address of an endpoint | write `srv:_web._tcp.app.internal` for its SRV records, or add a port",
        ),
        (
            "ftp://name",
            "`ftp://` is not a scheme of an endpoint | write `host:port`, `https://host:port` or `h2c://host:port`",
        ),
        ("3000", "`3000` is not the address of an endpoint | write `localhost:3000`"),
        ("name", "`name` is not the address of an endpoint | add the port: `name:80`"),
        ("::1:3000", "`::1:3000` is not the address of an endpoint | write `[::1]:3000`"),
        ("10.0.0.1", "`10.0.0.1` is not the address of an endpoint | add the port: `10.0.0.1:80`"),
    ] {
        assert_eq!(shown::<EndpointUrl>(text), expected);
    }
    for text in [
        "",
        ":",
        ":80",
        "a:0",
        "srv:",
        "srv:a b",
        "srv:0.1",
        "srv://a/b",
        "10.0.0.1:0",
        "a b:80",
        "a..b:80",
        "-a:80",
        "1.2.3:80",
        "a:80:80",
        "a@b:80",
    ] {
        assert!(text.parse::<EndpointUrl>().is_err(), "{text}");
    }
}

#[test]
fn expressions_say_where_they_are_wrong() {
    assert!("^/a+$".parse::<Regex>().is_ok());
    for (text, part) in [
        ("é(a", "unclosed group at character 2"),
        ("a{5,2}", "at character 2"),
        ("(?=a)", "at character 1"),
        ("(a{1000}){1000}", "more than 1048576 bytes"),
    ] {
        let error = text.parse::<Regex>().expect_err(text);
        assert!(error.message.contains(part), "{}", error.message);
    }
}

#[test]
fn secrets_do_not_show() {
    assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    assert_eq!(crate::Decode::encode(&Secret::new("hunter2")), serde_json::json!("***"));
}

proptest! {
    #[test]
    fn durations_survive_a_round_trip(micros in 0_u64..3_000_000_000_000_000) {
        let duration = Duration::from_micros(micros);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn sizes_survive_a_round_trip(bytes in any::<u64>(), shift in 0_u32..50) {
        let size = ByteSize(bytes >> shift << shift);
        prop_assert_eq!(size.to_string().parse(), Ok(size));
    }

    #[test]
    fn networks_survive_a_round_trip(bits in any::<u128>(), prefix in 0_u8..=128) {
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        let text = format!("{}/{prefix}", IpAddr::from(std::net::Ipv6Addr::from(bits & mask)));
        let network: Cidr = text.parse().expect("a network");
        prop_assert!(network.contains(IpAddr::from(std::net::Ipv6Addr::from(bits & mask))));
    }

    #[test]
    fn no_text_makes_a_value_panic(text in "\\PC*|[0-9a-z:./\\[\\]%-]*") {
        let _ = parse_duration(&text);
        let _ = text.parse::<ByteSize>();
        let _ = text.parse::<Rate>();
        let _ = text.parse::<Percent>();
        let _ = text.parse::<Cidr>();
        let _ = text.parse::<Regex>();
        // What is accepted reads back as the same value.
        if let Ok(address) = text.parse::<BindAddress>() {
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }
        if let Ok(address) = text.parse::<EndpointUrl>() {
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }
    }
}
