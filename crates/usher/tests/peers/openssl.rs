//! `openssl s_client`: sessions that are resumed, protocols that nobody speaks, kinds of keys.

use std::path::PathBuf;
use std::process::Command;

use usher_testkit::Usher;

use crate::peer::{PATIENCE, Peer, find};
use crate::secure::{NAMES, Pki, logged, says, with_certificate};

const CONFIG: &str = r#"
workers = 2
access_log = "access.log"
[[listener]]
bind = "$LISTEN"
tls = true
[[listener]]
name = "other"
bind = "$LISTEN[other]"
tls = true
[[certificate]]
cert = "rsa.pem"
key = "rsa.key"
[[route]]
respond = "{tls.version} {tls.cipher} alpn={tls.alpn} resumed={tls.resumed}\n"
"#;

struct Client {
    openssl: PathBuf,
    pki: Pki,
}

impl Client {
    fn new() -> Option<Self> {
        let (openssl, pki) = (find("openssl", "openssl")?, Pki::new());
        pki.write("rsa", &pki.authority.rsa_server(NAMES).unwrap());
        Some(Self { openssl, pki })
    }

    fn usher(&self) -> Usher {
        self.pki.usher(CONFIG).start().unwrap()
    }

    /// Sends one request through `s_client` and gives all that it wrote, whatever became of it.
    fn ask(&self, usher: &Usher, listener: &str, options: &str) -> String {
        let mut command = Command::new(&self.openssl);
        command.args(["s_client", "-connect", &usher.listener(listener).unwrap().to_string()]);
        command.args(["-servername", "site.test", "-CAfile", "ca.pem", "-verify_return_error", "-ign_eof"]);
        command.args(options.split_whitespace()).current_dir(self.pki.path(""));
        let mut peer = Peer::start(&mut command);
        peer.say("GET / HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r");
        peer.wait(PATIENCE);
        let out = peer.output();
        // Where the connection ends, the client is told that nobody cut it off (RFC 8446 section 6.1).
        assert!(!out.contains("unexpected eof"), "{out}");
        out
    }
}

#[test]
fn sessions_are_resumed_on_every_worker_and_listener_and_after_reloads() {
    let Some(client) = Client::new() else { return };
    let mut usher = client.usher();
    for version in ["-tls1_3", "-tls1_2"] {
        let out = client.ask(&usher, "", &format!("{version} -sess_out session"));
        assert!(out.contains("Verify return code: 0 (ok)") && out.contains("resumed=false\n"), "{out}");
        for listener in ["", "", "", "other"] {
            let out = client.ask(&usher, listener, &format!("{version} -sess_in session"));
            assert!(out.contains("\nReused, TLSv1.") && out.contains("resumed=true\n"), "{listener}: {out}");
        }
        usher.reload(&with_certificate(CONFIG)).unwrap();
        let out = client.ask(&usher, "", &format!("{version} -sess_in session"));
        assert!(out.contains("\nReused, TLSv1.") && out.contains("resumed=true\n"), "after a reload: {out}");
    }
    // Another process does not know the keys: a handshake as if nothing had been.
    let out = client.ask(&client.usher(), "", "-tls1_3 -sess_in session");
    assert!(out.contains("\nNew, TLSv1.3") && out.contains("resumed=false\n"), "{out}");
}

#[test]
fn tickets_can_be_switched_off() {
    let Some(client) = Client::new() else { return };
    let usher = client.pki.usher(&format!("{CONFIG}\n[tls]\nsession_tickets = false\n")).start().unwrap();
    for version in ["-tls1_3", "-tls1_2"] {
        assert!(
            !client.ask(&usher, "", &format!("{version} -sess_out session")).contains("ticket lifetime hint")
        );
    }
}

#[test]
fn the_protocol_is_one_that_both_speak() {
    let Some(client) = Client::new() else { return };
    let usher = client.usher();
    for (offered, taken) in [("http/1.1", "http/1.1"), ("foo,http/1.1", "http/1.1")] {
        let out = client.ask(&usher, "", &format!("-alpn {offered}"));
        assert!(out.contains(&format!("alpn={taken} ")), "{out}");
    }
    // Without ALPN it is HTTP/1.1.
    assert!(client.ask(&usher, "", "").contains("alpn= "));
    let out = client.ask(&usher, "", "-alpn foo");
    assert!(out.contains("no application protocol") && !out.contains("resumed="), "{out}");
    logged(&usher, "the refusal", |line| {
        says(line, "reason", "tls_handshake") && says(line, "detail", "protocol")
    });
}

#[test]
fn clients_get_the_kind_of_key_that_they_know() {
    let Some(client) = Client::new() else { return };
    let usher = client.usher();
    for (options, key) in [
        ("-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", "RSA-PSS"),
        ("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", "ECDSA"),
        ("-tls1_3 -sigalgs RSA-PSS+SHA256:RSA+SHA256", "RSA-PSS"),
        ("-tls1_3 -sigalgs ECDSA+SHA256", "ECDSA"),
        ("-tls1_3", "ECDSA"),
    ] {
        let out = client.ask(&usher, "", options);
        assert!(
            out.contains(&format!("Peer signature type: {key}\n")) && out.contains("resumed="),
            "{options}: {out}"
        );
    }
    // What is not safe is not spoken: no forward secrecy, no authenticated encryption, old versions.
    for options in [
        "-tls1_2 -cipher AES128-GCM-SHA256",
        "-tls1_2 -cipher ECDHE-RSA-AES128-SHA",
        "-tls1_1 -cipher ALL:@SECLEVEL=0",
        "-tls1 -cipher ALL:@SECLEVEL=0",
    ] {
        let out = client.ask(&usher, "", options);
        assert!(out.contains("alert") && !out.contains("resumed="), "{options}: {out}");
    }
}
