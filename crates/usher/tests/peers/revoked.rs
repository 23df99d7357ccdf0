//! Certificates of clients that were revoked: an authority made with `openssl ca`, its lists, and curl and `s_client` as
//! its clients.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use usher_testkit::Usher;

use crate::peer::{PATIENCE, Peer, find};
use crate::secure::{Pki, logged, says, with_certificate};

const CONFIG: &str = r#"
workers = 2
access_log = "access.log"
[[listener]]
bind = "$LISTEN"
tls = { client_certificate = { ca = "members.pem", crl = "list.pem" } }
[[listener]]
name = "der"
bind = "$LISTEN[der]"
tls = { client_certificate = { ca = "members.pem", crl = "list.der", mode = "optional" } }
[[route]]
respond = "{tls.client.subject} resumed={tls.resumed}\n"
"#;

const AUTHORITY: &str = "
[ca]
default_ca = members
[members]
certificate = members.pem
private_key = members.key
database = index.txt
crlnumber = crlnumber
crl_extensions = list
default_md = sha256
default_crl_days = 30
[list]
authorityKeyIdentifier = keyid
";

/// An authority for clients, two of them, and both programs.
struct Members {
    openssl: PathBuf,
    curl: PathBuf,
    pki: Pki,
}

impl Members {
    fn new() -> Option<Self> {
        let members =
            Self { openssl: find("openssl", "openssl")?, curl: find("curl", "curl")?, pki: Pki::new() };
        for (name, text) in [("ca.cnf", AUTHORITY), ("index.txt", ""), ("crlnumber", "01\n")] {
            fs::write(members.pki.path(name), text).unwrap();
        }
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        members.openssl(&format!("req -x509 {key} -subj /CN=members -keyout members.key -out members.pem"));
        for (serial, name) in ["ann", "bob"].iter().enumerate() {
            members.openssl(&format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
            let sign = "-CA members.pem -CAkey members.key -days 30 -extfile purpose";
            fs::write(members.pki.path("purpose"), "extendedKeyUsage = clientAuth\n").unwrap();
            members.openssl(&format!(
                "x509 -req -in {name}.csr {sign} -set_serial {} -out {name}.pem",
                serial + 5
            ));
        }
        Some(members)
    }

    fn openssl(&self, arguments: &str) -> String {
        let mut command = Command::new(&self.openssl);
        Peer::start(command.args(arguments.split(' ')).current_dir(self.pki.path(""))).finish()
    }

    /// Revokes a certificate, and publishes the lists anew.
    fn revoke(&self, name: &str) {
        self.openssl(&format!("ca -config ca.cnf -revoke {name}.pem"));
        self.openssl("ca -config ca.cnf -gencrl -out list.pem");
        self.openssl("crl -in list.pem -outform DER -out list.der");
    }

    /// Asks with curl as one of the clients; its exit code and all that it wrote.
    fn ask(&self, usher: &Usher, listener: &str, options: &str) -> (i32, String) {
        let port = usher.listener(listener).unwrap().port();
        let mut command = Command::new(&self.curl);
        command.args("--disable --silent --show-error --noproxy * --max-time 50 --cacert ca.pem".split(' '));
        command.args(["--resolve", &format!("*:{port}:127.0.0.1"), &format!("https://site.test:{port}/")]);
        let mut peer = Peer::start(command.args(options.split(' ')).current_dir(self.pki.path("")));
        let code = peer.wait(PATIENCE).code().unwrap_or(-1);
        (code, peer.output())
    }

    /// Asks with `s_client` as Ann, who keeps or shows a session.
    fn return_as_ann(&self, usher: &Usher, options: &str) -> String {
        let mut command = Command::new(&self.openssl);
        command.args(["s_client", "-connect", &usher.listener("").unwrap().to_string()]);
        command.args("-servername site.test -CAfile ca.pem -cert ann.pem -key ann.key -ign_eof".split(' '));
        let mut peer = Peer::start(command.args(options.split(' ')).current_dir(self.pki.path("")));
        peer.say("GET / HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r");
        peer.wait(PATIENCE);
        peer.output()
    }
}

#[test]
fn a_revoked_client_is_refused_and_others_are_not() {
    let Some(members) = Members::new() else { return };
    members.revoke("bob");
    let usher = members.pki.usher(CONFIG).start().unwrap();
    for listener in ["", "der"] {
        for version in ["--tlsv1.3", "--tls-max 1.2"] {
            let ann = members.ask(&usher, listener, &format!("--cert ann.pem --key ann.key {version}"));
            assert_eq!(ann, (0, "CN=ann resumed=false\n".to_owned()), "{listener} {version}");
            let (code, out) =
                members.ask(&usher, listener, &format!("--cert bob.pem --key bob.key {version}"));
            assert!(code != 0 && out.contains("revoked"), "{listener} {version}: {out}");
        }
    }
    logged(&usher, "why", |line| {
        says(line, "reason", "tls_handshake") && says(line, "detail", "the certificate is revoked")
    });
    // Who needs none and shows none is no case for the list.
    assert_eq!(members.ask(&usher, "der", "--http1.1"), (0, " resumed=false\n".to_owned()));
}

#[test]
fn who_is_revoked_later_does_not_come_back_on_a_session() {
    let Some(members) = Members::new() else { return };
    members.revoke("bob");
    let mut usher = members.pki.usher(CONFIG).start().unwrap();
    for version in ["-tls1_3", "-tls1_2"] {
        let out = members.return_as_ann(&usher, &format!("{version} -sess_out {version}"));
        assert!(out.contains("CN=ann resumed=false\n"), "{out}");
        let out = members.return_as_ann(&usher, &format!("{version} -sess_in {version}"));
        assert!(out.contains("CN=ann resumed=true\n"), "{out}");
    }
    members.revoke("ann");
    for list in ["list.pem", "list.der"] {
        fs::copy(members.pki.path(list), usher.dir().join(list)).unwrap();
    }
    usher.reload(&with_certificate(CONFIG)).unwrap();
    for version in ["-tls1_3", "-tls1_2"] {
        let out = members.return_as_ann(&usher, &format!("{version} -sess_in {version}"));
        assert!(out.contains("certificate revoked") && !out.contains("CN=ann resumed"), "{out}");
    }
}
