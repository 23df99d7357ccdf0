//! testssl.sh against the configuration that nobody has changed.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::peer::{Peer, find};
use crate::secure::Pki;

const CONFIG: &str = r#"
access_log = "access.log"
[[listener]]
bind = "$LISTEN"
tls = true
[[certificate]]
cert = "site.pem"
key = "site.key"
default = true
[[route]]
respond = "hello"
"#;

/// What a test without a network and a public name cannot have; all else counts.
const BESIDE_THE_POINT: &[&str] = &[
    // The authority is the test's own.
    "cert_chain_of_trust",
    // The test's certificate names no place where its revocation could be asked for.
    "cert_revocation",
    // What the OpenSSL of the machine lacks for testssl's own use; without GOST, it looks for other suites all the same.
    "engine_problem",
    // Debian's OpenSSL has no RC4 to try it with; the list of what is offered, which is made without it, counts.
    "RC4",
];

/// It asks many hundred times, one after another.
const PATIENCE: Duration = Duration::from_secs(400);

#[test]
fn finds_nothing_above_low() {
    let Some(testssl) = find("testssl", "testssl.sh") else { return };
    let pki = Pki::new();
    let usher = pki.usher(CONFIG).start().unwrap();
    let mut command = Command::new(testssl);
    command.args(["--quiet", "--warnings", "batch", "--color", "0", "--ip", "127.0.0.1", "--nodns", "none"]);
    command.args(["--protocols", "--server-preference", "--server-defaults", "--std", "--fs"]);
    command.args(["--vulnerable", "--grease", "--fast", "--jsonfile", "found.json"]);
    command.arg(format!("localhost:{}", usher.listen().unwrap().port())).current_dir(pki.path(""));
    let mut process = Peer::start(&mut command);
    process.wait(PATIENCE);
    let text = fs::read_to_string(pki.path("found.json")).unwrap();
    let findings: Vec<Value> = serde_json::from_str(&text).unwrap();
    // That it looked at all.
    for id in ["TLS1_2", "TLS1_3", "heartbleed", "ROBOT", "PFS", "cert_signatureAlgorithm", "cipherlist_NULL"]
    {
        assert!(findings.iter().any(|found| found["id"] == id), "no `{id}`: {text}\n{}", process.output());
    }
    let bad: Vec<&Value> = findings
        .iter()
        .filter(|found| {
            ["MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL"].iter().any(|level| found["severity"] == *level)
        })
        .filter(|found| !BESIDE_THE_POINT.iter().any(|id| found["id"] == *id))
        // Its client leaves right after the handshake, on a busy machine before the ticket came that it is to show then.
        // `openssl.rs` looks whether sessions are resumed.
        .filter(|found| found["id"] != "sessionresumption_ticket" || found["severity"] != "WARN")
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}
