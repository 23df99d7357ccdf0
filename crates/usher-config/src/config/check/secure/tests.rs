use crate::{Format, Input, LoadOptions, load};

/// What is said of a listener that is written so, beside a route.
fn said(listener: &str) -> String {
    let text = format!("[[listener]]\nbind = '127.0.0.1:1'\n{listener}\n[[route]]\nto = 'a:1'\n");
    let options = LoadOptions { format: Some(Format::Toml), env: &|_| None, known_filters: &[] };
    let loaded = load(Input::Text { name: "test".to_owned(), bytes: text.into() }, &options);
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    loaded.report(loaded.warnings.clone()).to_string()
}

#[test]
fn what_does_not_go_together_with_tls_is_told() {
    let certificate = "[[certificate]]\ncert = 'c.pem'\nkey = 'k.pem'";
    for (listener, expected) in [
        ("protocols = ['h1', 'h3']", &["error: HTTP/3 needs TLS", "test:3:20", "set `tls = true`"][..]),
        (
            "tls = true\nprotocols = 'h3'\nproxy_protocol = { trusted = ['127.0.0.1'] }",
            &["error: HTTP/3 cannot be spoken behind a PROXY header", "that header is for TCP only"],
        ),
        (
            "[[listener]]\nbind = 'unix:/x'\ntls = true\nprotocols = ['h2', 'h3']",
            &["error: HTTP/3 needs UDP", "this one", "leave out `h3`"],
        ),
        ("tls = true\nprotocols = 'h3'", &["warning: only HTTP/3 is spoken", "add `h1` and `h2`"]),
        ("tls = true\nredirect_https = true", &["warning: `redirect_https` does nothing", "test:2:8"]),
        (
            "tls = { early_data = true }\nprotocols = ['h1', 'h2']",
            &["warning: `early_data` is for HTTP/3, which this listener does not speak"],
        ),
        ("[[listener]]\nbind = ':443'", &["warning: this listener has no TLS", "test:4:8"]),
        (certificate, &["warning: no listener shows this certificate", "set `tls = true`"]),
        (
            "tls = { passthrough = [{ host = 'a.b', cluster = 'x' }] }",
            &["error: there is no cluster `x`", "test:3:50"],
        ),
    ] {
        let said = said(listener);
        for part in expected {
            assert!(said.contains(part), "{listener}: `{part}` is missing\n{said}");
        }
        assert_eq!(said.matches("error: ").count() + said.matches("warning: ").count(), 1, "{said}");
    }
    for fine in [
        "",
        "tls = true",
        "tls = true\nprotocols = ['h1', 'h2', 'h3']",
        "tls = { early_data = true }",
        "redirect_https = true\n[[listener]]\nbind = ':443'\ntls = true",
        &format!("tls = true\n{certificate}"),
    ] {
        assert_eq!(said(fine).matches(": ").count(), 0, "{fine}\n{}", said(fine));
    }
}

#[test]
fn a_mistake_in_tls_has_no_echoes() {
    let said = said("tls = 'yes'\nprotocols = ['h1', 'h3']");
    assert!(said.contains("found the text `yes`") && !said.contains("HTTP/3"), "{said}");
}
