//! A site that names a host and an endpoint, at a certificate authority: pebble, which rejects half of the nonces.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use usher_testkit::{Endpoint, Port, Reply};

use crate::peer::{PATIENCE, Peer, find, until, usher};
use crate::secure::Pki;

const HOST: &str = "site.example.com";

const CONFIG: &str = r#"
workers = 2
admin = "$ADMIN"
access_log = "access.log"
[automatic_https]
storage = "certificates"
ca = { directory = "https://DIRECTORY/dir", roots = "ca.pem" }
[[listener]]
bind = "$LISTEN"
[[listener]]
bind = "PLAIN"
redirect_https = true
[[listener]]
bind = "SECURE"
tls = true
[[route]]
host = "site.example.com"
to = "$ENDPOINT"
[[route]]
host = "shop.internal"
to = "$ENDPOINT"
"#;

/// The addresses of pebble, its name server, and of the listeners that it looks at.
pub(crate) struct Addresses {
    pub(crate) directory: Port,
    management: Port,
    pub(crate) names: Port,
    pub(crate) records: Port,
    plain: Port,
    secure: Port,
}

impl Addresses {
    pub(crate) fn reserve() -> Self {
        let [directory, management, names, records, plain, secure] =
            [(); 6].map(|()| Port::reserve().unwrap());
        Self { directory, management, names, records, plain, secure }
    }
}

/// Pebble and the name server that it asks, which knows every name as this machine.
pub(crate) fn authority(at: &Addresses, folder: &Path) -> Option<(Peer, Peer)> {
    let (pebble, names) = (find("pebble", "pebble")?, find("pebble-challtestsrv", "pebble")?);
    let config = serde_json::json!({ "pebble": {
        "listenAddress": at.directory.address().to_string(),
        "managementListenAddress": at.management.address().to_string(),
        "certificate": folder.join("pebble.pem"),
        "privateKey": folder.join("pebble.key"),
        "httpPort": at.plain.address().port(),
        "tlsPort": at.secure.address().port(),
        "ocspResponderURL": "",
        "externalAccountBindingRequired": false,
    }});
    fs::write(folder.join("pebble.json"), config.to_string()).unwrap();
    let (dns, records) = (at.names.address().to_string(), at.records.address().to_string());
    let mut command = Command::new(names);
    command.args([
        "-defaultIPv4",
        "127.0.0.1",
        "-defaultIPv6",
        "",
        "-http01",
        "",
        "-https01",
        "",
        "-tlsalpn01",
        "",
    ]);
    let names = Peer::start(command.args(["-dns01", &dns, "-management", &records]));
    let mut command = Command::new(pebble);
    command.args(["-strict", "-dnsserver", &dns, "-config", "pebble.json"]).current_dir(folder);
    let pebble = Peer::start(command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "50"));
    Some((pebble, names))
}

#[test]
fn a_host_is_served_with_a_certificate_that_was_obtained() {
    let (Some(curl), pki, at) = (find("curl", "curl"), Pki::new(), Addresses::reserve()) else { return };
    pki.write("pebble", &pki.authority.server(&["127.0.0.1"]).unwrap());
    let Some(_authority) = authority(&at, &pki.path("")) else { return };
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(&curl);
        command.args(["--disable", "--silent", "--noproxy", "*", "--max-time", "20"]).args(arguments);
        for port in [&at.plain, &at.secure].map(|port| port.address().port()) {
            command.args(["--resolve", &format!("*:{port}:127.0.0.1")]);
        }
        let out = command.current_dir(pki.path("")).stderr(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let root = format!("https://{}/roots/0", at.management.address());
    until("pebble", || {
        ask(&["--cacert", "ca.pem", "--output", "root.pem", "--write-out", "%{http_code}", &root]) == "200"
    });
    let endpoint = Endpoint::start(|_| Reply::ok("hello")).unwrap();
    let config = CONFIG.replace("DIRECTORY", &at.directory.address().to_string());
    let config = config.replace("PLAIN", &at.plain.address().to_string());
    let config = config.replace("SECURE", &at.secure.address().to_string());
    let builder = usher(&config).endpoint(&endpoint).file("ca.pem", fs::read(pki.path("ca.pem")).unwrap());
    let mut usher = builder.start().unwrap();
    let site = format!("https://{HOST}:{}/", at.secure.address().port());
    for version in ["--http2", "--http1.1"] {
        until("the certificate", || ask(&[version, "--cacert", "root.pem", &site]) == "hello");
    }
    let plain = format!("http://{HOST}:{}/a?b=c", at.plain.address().port());
    assert_eq!(ask(&["--output", "out", "--write-out", "%{redirect_url}", &plain]), format!("{site}a?b=c"));
    let all = ask(&[&format!("http://{}/certificates", usher.admin().unwrap())]);
    let all: serde_json::Value = serde_json::from_str(&all).expect("JSON");
    let states =
        all.as_array().expect("a list").iter().map(|one| (one["names"][0].clone(), one["state"].clone()));
    for (name, state) in states {
        assert_eq!(state, "valid", "{name}");
    }
    // Who has no certificate is refused, and nobody else is affected.
    assert_eq!(ask(&["--insecure", &site.replace("site.", "other.")]), "");
    usher.signal(usher_testkit::Signal::Term).unwrap();
    assert!(usher.wait_exit(PATIENCE).unwrap().success(), "{}", usher.output());
}
