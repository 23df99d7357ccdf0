//! nginx over TLS: before Usher, and as an endpoint whose certificate is verified and that asks for one.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use usher_testkit::Usher;

use crate::nginx::{HELLO, Nginx};
use crate::peer::{PATIENCE, Peer, find, noise};
use crate::secure::{Pki, logged, says};

/// An endpoint with two faces: for everybody, and for clients with a certificate.
const ENDPOINT: &str = r#"
    ssl_certificate PKI/site.pem;
    ssl_certificate_key PKI/site.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:sessions:1m;
    server {
        listen ADDRESS ssl http2;
        root DIR/site;
        client_max_body_size 16m;
        location / { }
        location /upload/ { alias DIR/uploads/; dav_methods PUT; }
        location /seen { return 200 "$server_protocol $ssl_protocol sni=$ssl_server_name reused=$ssl_session_reused\n"; }
    }
    server {
        listen unix:DIR/members.sock ssl http2;
        ssl_client_certificate PKI/ca.pem;
        ssl_verify_client on;
        location / { return 200 "$ssl_client_verify $ssl_client_s_dn\n"; }
    }
"#;

/// nginx as it ends TLS and HTTP/2 itself, and speaks TLS to what is behind it.
const FRONT: &str = r#"
    client_max_body_size 16m;
    upstream usher { server USHER; keepalive 8; }
    server {
        listen ADDRESS ssl http2;
        ssl_certificate PKI/site.pem;
        ssl_certificate_key PKI/site.key;
        location / {
            proxy_pass https://usher;
            proxy_http_version 1.1;
            proxy_set_header Host site.test;
            proxy_set_header Connection "";
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate PKI/ca.pem;
            proxy_ssl_name site.test;
            proxy_ssl_server_name on;
        }
    }
"#;

const CONFIG: &str = r#"
workers = 1
access_log = "access.log"
[[listener]]
bind = "$LISTEN"
tls = true
[cluster.good]
endpoints = ["https://$ENDPOINT[nginx]"]
tls = { ca = "ca.pem", server_name = "site.test" }
[cluster.h1]
endpoints = ["https://$ENDPOINT[nginx]"]
protocol = "h1"
pool = { idle = 0 }
tls = { ca = "ca.pem", server_name = "site.test" }
[cluster.strangers]
endpoints = ["https://$ENDPOINT[nginx]"]
tls = { ca = "strangers.pem", server_name = "site.test" }
[cluster.system]
endpoints = ["https://$ENDPOINT[nginx]"]
[cluster.other_name]
endpoints = ["https://$ENDPOINT[nginx]"]
tls = { ca = "ca.pem", server_name = "other.test" }
[cluster.careless]
endpoints = ["https://$ENDPOINT[nginx]"]
tls = { verify = false, server_name = "other.test" }
[cluster.no_tls_there]
endpoints = ["https://$ENDPOINT[clear]"]
tls = { ca = "ca.pem", server_name = "site.test" }
[cluster.member]
endpoints = ["$ENDPOINT[members]"]
tls = { ca = "ca.pem", server_name = "site.test", cert = "client.pem", key = "client.key" }
[cluster.nobody]
endpoints = ["$ENDPOINT[members]"]
tls = { ca = "ca.pem", server_name = "site.test" }
"#;

const CLUSTERS: &[&str] =
    &["good", "h1", "strangers", "system", "other_name", "careless", "no_tls_there", "member", "nobody"];

struct Chain {
    curl: PathBuf,
    pki: Pki,
    usher: Usher,
    nginx: Nginx,
    _clear: Nginx,
}

impl Chain {
    fn start() -> Option<Self> {
        let (curl, pki, clear) = (find("curl", "curl")?, Pki::new(), Nginx::start()?);
        let nginx = Nginx::start_with(&ENDPOINT.replace("PKI/", &pki.path("").display().to_string()))?;
        let route = |name: &&str| {
            format!(
                "[[route]]\npath = \"/{name}/*\"\ncluster = \"{name}\"\nrewrite = {{ strip_prefix = \"/{name}\" }}\n"
            )
        };
        let config = format!("{CONFIG}{}", CLUSTERS.iter().map(route).collect::<String>());
        let members = format!("unix:{}", nginx.path("members.sock").display());
        let builder = pki.usher(&config).endpoint_address("nginx", &nginx.address().to_string());
        let builder = builder.endpoint_address("clear", &clear.address().to_string());
        let usher = builder.endpoint_address("members", &members).start().unwrap();
        Some(Self { curl, pki, usher, nginx, _clear: clear })
    }

    /// Asks on a port; gives what curl wrote, with the status behind it.
    fn ask(&self, port: u16, path: &str, options: &[&str]) -> String {
        let mut command = Command::new(&self.curl);
        command.args(["--disable", "-sS", "--noproxy", "*", "--max-time", "50", "--cacert", "ca.pem"]);
        command.args(["--resolve", &format!("*:{port}:127.0.0.1"), "-w", "%{http_code}"]).args(options);
        command.arg(format!("https://site.test:{port}{path}")).current_dir(self.pki.path(""));
        let mut peer = Peer::start(&mut command);
        peer.wait(PATIENCE);
        peer.output()
    }

    fn through(&self, path: &str) -> String {
        self.ask(self.usher.listen().unwrap().port(), path, &[])
    }
}

#[test]
fn endpoints_are_verified_and_spoken_to() {
    let Some(chain) = Chain::start() else { return };
    assert_eq!(chain.through("/good/hello.txt"), format!("{HELLO}200"));
    assert_eq!(chain.through("/good/seen"), "HTTP/2.0 TLSv1.3 sni=site.test reused=.\n200");
    // Without a pool each request is a handshake, and those after the first resume the session.
    assert_eq!(chain.through("/h1/seen"), "HTTP/1.1 TLSv1.3 sni=site.test reused=.\n200");
    assert_eq!(chain.through("/h1/seen"), "HTTP/1.1 TLSv1.3 sni=site.test reused=r\n200");
    assert_eq!(chain.through("/careless/seen"), "HTTP/2.0 TLSv1.3 sni=other.test reused=.\n200");
    let (large, content) = (fs::read(chain.nginx.path("site/large.bin")).unwrap(), noise(3 << 20));
    fs::write(chain.pki.path("sent"), &content).unwrap();
    for cluster in ["good", "h1"] {
        let port = chain.usher.listen().unwrap().port();
        for version in ["--http1.1", "--http2"] {
            let path = format!("/{cluster}/large.bin");
            assert_eq!(chain.ask(port, &path, &[version, "-o", "out"]), "200", "{path} {version}");
            assert!(fs::read(chain.pki.path("out")).unwrap() == large, "{path} {version}");
            let name = format!("{cluster}{version}");
            let path = format!("/{cluster}/upload/{name}");
            assert_eq!(chain.ask(port, &path, &[version, "-T", "sent"]), "201", "{path}");
            assert!(fs::read(chain.nginx.path("uploads").join(name)).unwrap() == content, "{path}");
        }
    }
}

#[test]
fn an_endpoint_that_is_not_who_it_should_be_is_not_asked() {
    let Some(chain) = Chain::start() else { return };
    let cases = [
        ("strangers", "certificate"),
        ("system", "certificate"),
        ("other_name", "certificate"),
        ("no_tls_there", "tls"),
    ];
    for (cluster, word) in cases {
        assert!(chain.through(&format!("/{cluster}/hello.txt")).ends_with("502"), "{cluster}");
        let line = logged(&chain.usher, cluster, |line| line["cluster"] == cluster);
        assert_eq!(line["status"], 502, "{line}");
        let detail = line["detail"].as_str().unwrap_or_default().to_ascii_lowercase();
        assert!(detail.contains(word), "{cluster}: {line}");
    }
}

#[test]
fn usher_shows_a_certificate_to_endpoints() {
    let Some(chain) = Chain::start() else { return };
    assert_eq!(chain.through("/member/"), "SUCCESS CN=client.test\n200");
    // nginx says so itself, in HTTP.
    assert!(chain.through("/nobody/").contains("No required SSL certificate was sent"));
}

#[test]
fn nginx_ends_tls_and_begins_it_again() {
    let Some(chain) = Chain::start() else { return };
    let config = FRONT.replace("PKI/", &chain.pki.path("").display().to_string());
    let front =
        Nginx::start_with(&config.replace("USHER", &chain.usher.listen().unwrap().to_string())).unwrap();
    let large = fs::read(chain.nginx.path("site/large.bin")).unwrap();
    let port = front.address().port();
    for version in ["--http1.1", "--http2"] {
        assert_eq!(chain.ask(port, "/good/hello.txt", &[version]), format!("{HELLO}200"));
        assert_eq!(chain.ask(port, "/good/large.bin", &[version, "-o", "out"]), "200");
        assert!(fs::read(chain.pki.path("out")).unwrap() == large, "{version}");
    }
    let line = logged(&chain.usher, "a request", |line| says(line, "target", "/good/hello.txt"));
    assert_eq!((&line["version"], &line["host"]), (&"HTTP/1.1".into(), &"site.test".into()), "{line}");
}
