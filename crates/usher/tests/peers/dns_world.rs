//! A certificate authority that looks at DNS, and the API of a DNS host that writes what it finds there.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use usher_testkit::{Client, Endpoint, Usher};

use crate::acme::{Addresses, authority};
use crate::peer::{PATIENCE, Peer, until, usher};
use crate::secure::Pki;

const CONFIG: &str = r#"
workers = 1
admin = "$ADMIN"
access_log = "off"
[automatic_https]
storage = "certificates"
challenges = "dns-01"
ca = { directory = "https://DIRECTORY/dir", roots = "ca.pem" }
[automatic_https.dns]
resolvers = "NAMES"
follow_cname = false
PROVIDER
[[listener]]
bind = "$LISTEN"
tls = true
[[route]]
host = HOSTS
to = "$ENDPOINT"
"#;

/// Pebble, its name server, and a service.
pub(crate) struct World {
    pki: Pki,
    at: Addresses,
    _authority: (Peer, Peer),
    service: Peer,
    /// Where the service is.
    pub(crate) url: String,
    questions: usize,
}

impl World {
    /// The service is a program in Python, whose last argument is where the management of the name server is.
    pub(crate) fn start(python: &Path, script: &str, arguments: &[&Path]) -> Option<Self> {
        let (pki, at) = (Pki::new(), Addresses::reserve());
        pki.write("pebble", &pki.authority.server(&["127.0.0.1"]).unwrap());
        let authority = authority(&at, &pki.path(""))?;
        let records = at.records.address();
        until("the name server", || std::net::TcpStream::connect(records).is_ok());
        until("pebble", || std::net::TcpStream::connect(at.directory.address()).is_ok());
        let mut command = Command::new(python);
        command.args(["-u", "-c", script]).args(arguments).arg(records.to_string());
        let mut service = Peer::start(&mut command);
        let url = format!("http://127.0.0.1:{}", service.line_after("port "));
        Some(Self { pki, at, _authority: authority, service, url, questions: 0 })
    }

    /// A proxy that obtains a certificate for each of these hosts.
    pub(crate) fn usher(&self, endpoint: &Endpoint, provider: &str, hosts: &[&str]) -> Usher {
        let config = CONFIG
            .replace("DIRECTORY", &self.at.directory.address().to_string())
            .replace("NAMES", &self.at.names.address().to_string())
            .replace("PROVIDER", provider)
            .replace("HOSTS", &format!("{hosts:?}"));
        let root = std::fs::read(self.pki.path("ca.pem")).unwrap();
        usher(&config).endpoint(endpoint).file("ca.pem", root).start().unwrap()
    }

    /// What the service says of what it has and was asked.
    pub(crate) fn state(&mut self) -> Value {
        self.questions += 1;
        let word = format!("state-{} ", self.questions);
        self.service.say(word.trim());
        serde_json::from_str(&self.service.line_after(&word)).expect("JSON")
    }
}

/// Waits until all certificates are there.
pub(crate) fn obtained(usher: &Usher, count: usize) {
    certificates(usher, "are valid", |all| {
        all.len() == count && all.iter().all(|one| one["state"] == "valid")
    });
}

/// Waits until the first one failed: why.
pub(crate) fn failed(usher: &Usher) -> String {
    let is_failed = |all: &[Value]| all.first().is_some_and(|one| one["last_error"].is_string());
    let all = certificates(usher, "failed", is_failed);
    all[0]["last_error"].as_str().unwrap().to_owned()
}

/// Waits until certificates are as they should.
fn certificates(usher: &Usher, what: &str, are_right: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut client = Client::connect(usher.admin().unwrap()).unwrap();
        let text = client.request("GET", "/certificates", &[("Host", "localhost")], b"").unwrap().text();
        let all: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
        if are_right(&all) {
            return all;
        }
        assert!(Instant::now() < deadline, "no certificates that {what}: {text}");
        thread::sleep(Duration::from_millis(20));
    }
}
