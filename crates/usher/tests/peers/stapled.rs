//! OCSP responses, from the responder of openssl to the handshake of its client.

use std::fs;
use std::process::Command;

use usher_testkit::Port;

use crate::peer::{PATIENCE, Peer, find, until};
use crate::secure::Pki;

const CONFIG: &str = r#"
workers = 2
[automatic_https]
storage = "certificates"
[[listener]]
bind = "$LISTEN"
tls = true
[[route]]
respond = "hello\n"
[[certificate]]
cert = "stapled.pem"
key = "stapled.key"
default = true
"#;

#[test]
fn responses_are_stapled() {
    let Some(openssl) = find("openssl", "openssl") else { return };
    let (pki, port) = (Pki::new(), Port::reserve().unwrap());
    let begin = |arguments: &str| {
        Peer::start(Command::new(&openssl).args(arguments.split(' ')).current_dir(pki.path("")))
    };
    let run = |arguments: &str| begin(arguments).finish();
    let responder_at = port.address();
    let extensions =
        format!("subjectAltName = DNS:site.test\nauthorityInfoAccess = OCSP;URI:http://{responder_at}/\n");
    fs::write(pki.path("extensions"), extensions).unwrap();
    fs::write(pki.path("index.txt"), "V\t491231235959Z\t\t42\tunknown\t/CN=site.test\n").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    run(&format!("req -x509 {key} -subj /CN=issuer -keyout issuer.key -out issuer.pem"));
    run(&format!("req {key} -subj /CN=site.test -keyout stapled.key -out stapled.csr"));
    run(
        "x509 -req -in stapled.csr -CA issuer.pem -CAkey issuer.key -set_serial 0x42 -days 30 -extfile extensions -out leaf.pem",
    );
    let chain = ["leaf.pem", "issuer.pem"].map(|name| fs::read_to_string(pki.path(name)).unwrap());
    fs::write(pki.path("stapled.pem"), chain.concat()).unwrap();

    let signer = "-CA issuer.pem -rsigner issuer.pem -rkey issuer.key -ndays 4";
    let _responder = begin(&format!("ocsp -index index.txt {signer} -port {}", port.number()));
    let usher = pki.usher_as_is(CONFIG).start().unwrap();
    let at = usher.listener("").unwrap();
    until("a response is stapled", || {
        let ask = format!("s_client -connect {at} -servername site.test -CAfile issuer.pem -status -ign_eof");
        let mut client = begin(&ask);
        client.say("GET / HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r");
        client.wait(PATIENCE);
        let said = client.output();
        assert!(said.contains("hello") && said.contains("Verify return code: 0 (ok)"), "{said}");
        said.contains("OCSP Response Status: successful") && said.contains("Cert Status: good")
    });
}
