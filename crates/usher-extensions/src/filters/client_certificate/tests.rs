//! Tests.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use usher_net::tls::{ClientCertificate as Shown, Session};

use super::super::testing::{build, exchange, reply};
use super::{FACTORY, matches};

fn session(client: bool) -> Arc<Session> {
    let client = client.then(|| Shown {
        subject: "CN=ada,O=Site".to_owned(),
        issuer: "CN=ca".to_owned(),
        serial: "01".to_owned(),
        sans: vec!["DNS:ada.internal".to_owned(), "email:ada@example.com".to_owned()],
        fingerprint: "ab".repeat(32),
        not_before: UNIX_EPOCH,
        not_after: UNIX_EPOCH,
        der: vec![1, 2, 3],
    });
    Arc::new(Session {
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
        group: "X25519",
        server_name: None,
        alpn: None,
        resumed: false,
        client,
    })
}

#[test]
fn lets_in_who_is_listed() {
    let digits = "AB:".repeat(31) + "AB";
    for (config, shown, passes) in [
        ("client_certificate = true".to_owned(), true, true),
        ("client_certificate = true".to_owned(), false, false),
        (r#"client_certificate = "optional""#.to_owned(), false, true),
        (r#"client_certificate = { subject = "CN=ada,*" }"#.to_owned(), true, true),
        (r#"client_certificate = { subject = ["CN=bob,*", "CN=eve,*"] }"#.to_owned(), true, false),
        (r#"client_certificate = { required = false, subject = "CN=bob,*" }"#.to_owned(), true, false),
        (r#"client_certificate = { san = "email:*@example.com" }"#.to_owned(), true, true),
        (r#"client_certificate = { san = "DNS:*.example.com" }"#.to_owned(), true, false),
        (format!(r#"client_certificate = {{ fingerprint = "{digits}" }}"#), true, true),
        (format!(r#"client_certificate = {{ fingerprint = "{}" }}"#, "cd".repeat(32)), true, false),
    ] {
        let filter = build(&FACTORY, &config);
        let mut exchange = exchange("/");
        exchange.client.tls = Some(session(shown));
        let answer = reply(&*filter, &mut exchange).map(|reply| reply.status);
        assert_eq!(answer, (!passes).then_some(403), "{config} {shown}");
        if passes && shown {
            assert_eq!(exchange.user.as_deref(), Some("CN=ada,O=Site"));
        }
    }
    // Without TLS there is no certificate either.
    let filter = build(&FACTORY, "client_certificate = true");
    assert_eq!(reply(&*filter, &mut exchange("/")).map(|reply| reply.status), Some(403));
}

#[test]
fn nobody_can_claim_a_certificate() {
    for (config, told) in [
        ("client_certificate = true", None),
        ("client_certificate = { forward = true }", Some(b":AQID:".as_slice())),
    ] {
        let filter = build(&FACTORY, config);
        let mut exchange = exchange("/");
        exchange.client.tls = Some(session(true));
        exchange.request.fields.add(b"client_cert", b":forged:").unwrap();
        exchange.request.fields.add(b"Client-Cert", b":forged:").unwrap();
        exchange.request.fields.add(b"Client-Cert-Chain", b":forged:").unwrap();
        assert!(reply(&*filter, &mut exchange).is_none());
        let fields = &exchange.request.fields;
        assert_eq!(fields.get_named(b"Client-Cert"), told);
        assert_eq!(fields.get_named(b"Client-Cert-Chain"), None);
        assert_eq!(fields.get_named(b"client_cert"), None);
    }
}

#[test]
fn stars_stand_for_any_text() {
    for (pattern, text, is_it) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("*", "", true),
        ("a*", "abc", true),
        ("*c", "abc", true),
        ("a*c", "ac", true),
        ("a*c", "a", false),
        ("ab*b", "ab", false),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "acb", false),
    ] {
        assert_eq!(matches(pattern, text), is_it, "{pattern} {text}");
    }
}
