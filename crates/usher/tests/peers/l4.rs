//! TCP before nginx and HAProxy, which are told by PROXY headers who the client is.

use std::fs;
use std::process::Command;

use tempfile::{TempDir, tempdir};
use usher_testkit::{Client, Port, Usher};

use crate::nginx::Nginx;
use crate::peer::{PATIENCE, Peer, find};
use crate::secure::{Pki, logged, with_certificate};

const NGINX: &str = r#"
    server {
        listen ADDRESS proxy_protocol;
        location / {
            return 200 "nginx $proxy_protocol_addr $proxy_protocol_server_port requests=$connection_requests\n";
        }
    }
"#;

const HAPROXY: &str = r#"
global
    maxconn 200
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend told
    bind ADDRESS accept-proxy
    http-request return status 200 content-type text/plain lf-string "haproxy %[src] %[dst_port] %[fc_pp_authority]\n"
"#;

/// For each form of the header: over TCP, over TCP with TLS that ends here, and over HTTP.
fn config(version: &str) -> String {
    let listener = |name: &str, more: &str| {
        format!("[[listener]]\nname = \"{name}\"\nbind = \"$LISTEN[{name}]\"\n{more}\n")
    };
    let cluster = |name: &str| {
        format!("[cluster.{name}]\nendpoints = \"$ENDPOINT[{name}]\"\nproxy_protocol = \"{version}\"\n")
    };
    let mut text = "access_log = \"access.log\"\nworkers = 1\n".to_owned();
    for name in ["nginx", "haproxy"] {
        text += &listener(name, &format!("protocol = \"tcp\"\ncluster = \"{name}\""));
        text += &listener(
            &format!("{name}-tls"),
            &format!("protocol = \"tcp\"\ntls = true\ncluster = \"{name}\""),
        );
        text += &listener(&format!("{name}-http"), "");
        text += &format!("[[route]]\nlistener = \"{name}-http\"\ncluster = \"{name}\"\n{}", cluster(name));
    }
    text
}

struct Chain {
    pki: Pki,
    _nginx: Nginx,
    _haproxy: (Peer, TempDir),
    usher: Usher,
}

impl Chain {
    fn start(version: &str) -> Option<Self> {
        let (_, program, pki) = (find("curl", "curl")?, find("haproxy", "haproxy")?, Pki::new());
        let nginx = Nginx::start_with(NGINX)?;
        let (port, folder) = (Port::reserve().unwrap(), tempdir().unwrap());
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, HAPROXY.replace("ADDRESS", &port.address().to_string())).unwrap();
        let mut haproxy = Peer::start(Command::new(program).arg("-db").arg("-f").arg(path));
        haproxy.until("HAProxy to accept connections", |_| Client::connect(port.address()).is_ok());
        let usher = pki.usher_as_is(&with_certificate(&config(version)));
        let usher = usher.endpoint_address("nginx", &nginx.address().to_string());
        let usher = usher.endpoint_address("haproxy", &port.address().to_string()).start().unwrap();
        Some(Self { pki, _nginx: nginx, _haproxy: (haproxy, folder), usher })
    }

    /// The answer to two requests on one connection, by a client at `127.0.0.9`.
    fn ask(&self, listener: &str, scheme: &str) -> String {
        let port = self.usher.listener(listener).unwrap().port();
        let mut command = Command::new("curl");
        command.args(["--disable", "-sS", "--noproxy", "*", "--max-time", "50", "--cacert", "ca.pem"]);
        command.args(["--interface", "127.0.0.9", "--connect-to", &format!("::127.0.0.1:{port}")]);
        let url = format!("{scheme}://site.test:{port}/");
        let mut peer = Peer::start(command.args([&url, &url]).current_dir(self.pki.path("")));
        peer.wait(PATIENCE);
        peer.output()
    }
}

#[test]
fn both_forms_are_understood() {
    for version in ["v1", "v2"] {
        let Some(chain) = Chain::start(version) else { return };
        let port = |name: &str| chain.usher.listener(name).unwrap().port();
        for (name, scheme) in [("nginx", "http"), ("nginx-tls", "https"), ("nginx-http", "http")] {
            let line = format!("nginx 127.0.0.9 {} requests=", port(name));
            // One connection of TCP is one for both requests; of HTTP, each has its own.
            let second = if name == "nginx-http" { 1 } else { 2 };
            assert_eq!(chain.ask(name, scheme), format!("{line}1\n{line}{second}\n"), "{version} {name}");
        }
        for (name, scheme) in [("haproxy", "http"), ("haproxy-tls", "https"), ("haproxy-http", "http")] {
            let host = if version == "v2" && scheme == "https" { "site.test" } else { "" };
            let line = format!("haproxy 127.0.0.9 {} {host}\n", port(name));
            assert_eq!(chain.ask(name, scheme), format!("{line}{line}"), "{version} {name}");
        }
        logged(&chain.usher, "a connection with its host", |line| {
            line["version"] == "TCP" && line["host"] == "site.test" && line["client"] == "127.0.0.9"
        });
    }
}
