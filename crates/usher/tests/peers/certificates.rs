//! Certificates of clients, and certificates that change, as curl sees them.

use std::fs;

use crate::curl_tls::Chain;
use crate::nginx::HELLO;
use crate::peer::until;
use crate::secure::{NAMES, Pki, logged, says};

#[test]
fn clients_show_certificates() {
    let Some(chain) = Chain::start() else { return };
    let client = ["--cert", "client.pem", "--key", "client.key"];
    let stranger = ["--cert", "stranger.pem", "--key", "stranger.key"];
    for version in [&["--tlsv1.3"][..], &["--tlsv1.2", "--tls-max", "1.2"]] {
        for http in ["--http1.1", "--http2"] {
            let ask = |who: &[&str], listener: &str, path: &str| {
                let url = chain.url(listener, path);
                let rest = [http, "-w", "%{http_code}", &url];
                chain.attempt(&[version, who, &rest].concat())
            };
            let mine = (0, "CN=client.test\n200".to_owned());
            assert_eq!(ask(&client, "members", "/me"), mine, "{version:?} {http}");
            assert_eq!(ask(&client, "visitors", "/me"), mine, "{version:?} {http}");
            assert_eq!(ask(&[], "visitors", "/me"), (0, "\n200".to_owned()), "{version:?} {http}");
            assert_eq!(
                ask(&client, "visitors", "/members"),
                (0, "hello200".to_owned()),
                "{version:?} {http}"
            );
            assert!(ask(&[], "visitors", "/members").1.ends_with("403"), "{version:?} {http}");
            for (who, listener) in [(&[][..], "members"), (&stranger, "members"), (&stranger, "visitors")] {
                let (code, out) = ask(who, listener, "/me");
                // In TLS 1.3 the client is done before it is refused: the alert comes in place of an answer.
                assert!(
                    [16, 35, 55, 56, 92, 98].contains(&code),
                    "{version:?} {http} {listener}: {code} {out}"
                );
            }
        }
    }
    logged(&chain.usher, "the refusal", |line| {
        says(line, "reason", "tls_handshake") && says(line, "detail", "certificate")
    });
    logged(&chain.usher, "the user", |line| line["user"] == "CN=client.test");
    // What the endpoint heard: the whole certificate (RFC 9440).
    let requests = chain.endpoint.requests();
    let told = requests.last().unwrap().fields.get("client-cert").unwrap_or_default();
    assert!(told.starts_with(":MII") && told.ends_with(':'), "{told}");
}

#[test]
fn a_certificate_that_changes_on_disk_is_taken() {
    let Some(chain) = Chain::start() else { return };
    let url = chain.url("", "/hello.txt");
    assert_eq!(chain.curl(&[&url]), HELLO);
    let fresh = Pki::new();
    let leaf = fresh.authority.server(NAMES).unwrap();
    // First a half-written one: the old one stays.
    fs::write(chain.usher.dir().join("site.pem"), &leaf.cert).unwrap();
    assert_eq!(chain.curl(&[&url]), HELLO);
    fs::write(chain.usher.dir().join("site.key"), &leaf.key).unwrap();
    fs::write(chain.pki.path("fresh.pem"), fresh.authority.pem()).unwrap();
    until("the new certificate", || chain.attempt(&["--cacert", "fresh.pem", &url]) == (0, HELLO.to_owned()));
    let (code, out) = chain.attempt(&[&url]);
    assert_eq!(code, 60, "{out}");
    assert!(!chain.usher.output().contains(" reloaded "), "{}", chain.usher.output());
}
