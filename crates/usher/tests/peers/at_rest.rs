//! How a connection over TLS ends on which nothing is asked any more.

use std::process::Command;

use crate::peer::{PATIENCE, Peer, find};
use crate::secure::Pki;

const CONFIG: &str = r#"
[[listener]]
bind = "$LISTEN"
tls = true
[[route]]
respond = "that was it\n"
[timeouts]
keep_alive = "300ms"
"#;

#[test]
fn a_client_is_told_that_its_idle_connection_was_not_cut_off() {
    let Some(openssl) = find("openssl", "openssl") else { return };
    let pki = Pki::new();
    let usher = pki.usher(CONFIG).start().unwrap();
    for version in ["-tls1_3", "-tls1_2"] {
        let mut command = Command::new(&openssl);
        command.args(["s_client", "-connect", &usher.listen().unwrap().to_string(), version]);
        command.args("-servername site.test -CAfile ca.pem -ign_eof -msg".split(' '));
        let mut peer = Peer::start(command.current_dir(pki.path("")));
        peer.say("GET / HTTP/1.1\r\nHost: site.test\r\n\r");
        peer.until("the response", |peer| peer.output().contains("that was it"));
        peer.wait(PATIENCE);
        // RFC 8446 section 6.1.
        let out = peer.output();
        let told = out.rsplit_once("that was it").map_or("", |(_, behind)| behind);
        assert!(told.contains("<<<") && told.contains("warning close_notify"), "{version}: {out}");
        assert!(!out.contains("unexpected eof"), "{version}: {out}");
    }
}
