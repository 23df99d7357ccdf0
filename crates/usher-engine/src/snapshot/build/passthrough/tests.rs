use usher_config::{Format, Input, LoadOptions, load};
use usher_extensions::balancers::BALANCERS;
use usher_extensions::filters::FILTERS;

use crate::snapshot::{Builder, Built};

/// A config with these rules of passthrough, or what is wrong with it.
fn build(rules: &str) -> Result<Built, String> {
    let text = format!(
        "automatic_https = false\n[[listener]]\nbind = '127.0.0.1:1'\n[listener.tls]\npassthrough = [\n{rules}\n]
         [[route]]\nto = '127.0.0.1:2'\n[cluster.mail]\nendpoints = '127.0.0.1:3'\n"
    );
    let options = LoadOptions { format: Some(Format::Toml), env: &|_| None, known_filters: &[] };
    let input = Input::Text { name: "test".to_owned(), bytes: text.into_bytes() };
    let loaded = load(input, &options).unwrap_or_else(|report| panic!("{report}"));
    let builder = Builder { filters: FILTERS, balancers: BALANCERS, probes: &[] };
    builder.build(&loaded, None, None).map_err(|report| report.to_string())
}

#[test]
fn hosts_are_in_the_form_of_handshakes_and_the_most_specific_first() {
    let built = build(
        "{ host = ['*.b.test', 'B.test.'], cluster = 'mail' },\n{ host = '*.a.b.test', to = '127.0.0.1:4' },",
    );
    let built = built.unwrap_or_else(|report| panic!("{report}"));
    let tls = built.snapshot.listeners[0].tls.as_ref().expect("TLS");
    let hosts: Vec<_> =
        tls.passthrough.iter().map(|one| (&*one.host, one.onward.destination.cluster)).collect();
    assert_eq!(hosts, [("b.test", 0), ("*.a.b.test", 1), ("*.b.test", 0)]);
}

#[test]
fn mistakes_are_told_with_their_place_and_what_to_write() {
    for (rule, expected) in [
        ("{ host = 'a.test' }", &["neither is set", "write `to = \"10.0.0.1:443\"`", "test:6:"][..]),
        ("{ host = 'a.test', to = 'a:1', cluster = 'mail' }", &["both are set"]),
        (
            "{ host = 'a.test', cluster = 'mial' }",
            &["there is no cluster `mial`", "did you mean `mail`?", "6:30"],
        ),
        ("{ host = 'a.test', cluster = 'zzzzz' }", &["there is no cluster `zzzzz`"]),
        ("{ host = [], to = 'a:1' }", &["the list is empty"]),
        ("{ host = '*', to = 'a:1' }", &["`*` is no host of a TLS handshake", "write `example.com`"]),
        ("{ host = '~a.*', to = 'a:1' }", &["`~a.*` is no host of a TLS handshake"]),
        ("{ host = '10.0.0.1', to = 'a:1' }", &["only where they have a name"]),
        ("{ host = '[::1]', to = 'a:1' }", &["only where they have a name"]),
        ("{ host = 'a.test:443', to = 'a:1' }", &["a host pattern has no port", "6:17"]),
        ("{ host = 'https://a.test', to = 'a:1' }", &["leave out `https://`"]),
        ("{ host = 'bücher.test', to = 'a:1' }", &["write the `xn--` form"]),
        ("{ host = 'a.*.test', to = 'a:1' }", &["whole labels at the start"]),
        ("{ host = '', to = 'a:1' }", &["the host is empty"]),
        (
            "{ host = ['a.test', 'A.test.'], to = 'a:1' }",
            &["`A.test.` is passed on twice", "first here", "list them in its `to`"],
        ),
        ("{ host = 'a.test', to = 'h2c://a:1' }", &["`h2c://a:1` speaks no TLS", "leave out `h2c://`"]),
    ] {
        let report = build(rule).err().unwrap_or_else(|| panic!("built: {rule}"));
        for part in expected {
            assert!(report.contains(part), "{rule}: `{part}` is missing\n{report}");
        }
        assert!(report.contains("1 error"), "{rule}\n{report}");
    }
}
