//! HAProxy in TCP mode before a listener with TLS: the PROXY header comes before the handshake, and some names are
//! passed on still encrypted, to an nginx that ends TLS itself.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::{TempDir, tempdir};
use usher_testkit::{Client, Port, Usher};

use crate::nginx::Nginx;
use crate::peer::{PATIENCE, Peer, find};
use crate::secure::{Pki, logged, says};

const CONFIG: &str = r#"
access_log = "access.log"
[[listener]]
bind = "$LISTEN"
proxy_protocol = { trusted = ["127.0.0.1"] }
[listener.tls]
passthrough = [{ host = ["raw.test", "*.raw.test"], to = "$ENDPOINT[nginx]" }]
[[listener]]
name = "open"
bind = "$LISTEN[open]"
[listener.tls]
passthrough = [{ host = ["raw.test", "*.raw.test"], to = "$ENDPOINT[nginx]" }]
[[route]]
respond = "usher {request.version} {client.ip} {tls.server_name}\n"
"#;

const HAPROXY: &str = "
global
    maxconn 200
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen one
    bind ONE
    server usher USHER send-proxy
listen two
    bind TWO
    server usher USHER send-proxy-v2 check-send-proxy check inter 100ms
";

/// Ends TLS for names that Usher passes on.
const NGINX: &str = r#"
    server {
        listen ADDRESS ssl http2;
        ssl_certificate PKI/raw.pem;
        ssl_certificate_key PKI/raw.key;
        location / { return 200 "nginx $server_protocol $ssl_server_name\n"; }
    }
"#;

struct Chain {
    curl: PathBuf,
    pki: Pki,
    usher: Usher,
    ports: [Port; 2],
    nginx: Option<Nginx>,
    _haproxy: (Peer, TempDir),
}

impl Chain {
    fn start() -> Option<Self> {
        let (curl, haproxy, pki) = (find("curl", "curl")?, find("haproxy", "haproxy")?, Pki::new());
        pki.write("raw", &pki.authority.server(&["raw.test", "*.raw.test"]).unwrap());
        let nginx = Nginx::start_with(&NGINX.replace("PKI/", &pki.path("").display().to_string()))?;
        let usher =
            pki.usher(CONFIG).endpoint_address("nginx", &nginx.address().to_string()).start().unwrap();
        let (ports, folder) = ([Port::reserve().unwrap(), Port::reserve().unwrap()], tempdir().unwrap());
        let config = HAPROXY.replace("USHER", &usher.listen().unwrap().to_string());
        let config = config.replace("ONE", &ports[0].address().to_string());
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, config.replace("TWO", &ports[1].address().to_string())).unwrap();
        let mut process = Peer::start(Command::new(haproxy).arg("-db").arg("-f").arg(path));
        for port in &ports {
            process.until("HAProxy to accept connections", |_| Client::connect(port.address()).is_ok());
        }
        Some(Self { curl, pki, usher, ports, nginx: Some(nginx), _haproxy: (process, folder) })
    }

    fn curl(&self, port: u16, host: &str, options: &[&str]) -> (i32, String) {
        let mut command = Command::new(&self.curl);
        command.args(["--disable", "-sS", "--noproxy", "*", "--max-time", "50", "--cacert", "ca.pem"]);
        command.args(["--resolve", &format!("*:{port}:127.0.0.1")]).args(options);
        let mut peer =
            Peer::start(command.arg(format!("https://{host}:{port}/")).current_dir(self.pki.path("")));
        let status = peer.wait(PATIENCE);
        (status.code().unwrap_or(-1), peer.output())
    }
}

#[test]
fn the_client_is_known_and_names_go_their_ways() {
    let Some(chain) = Chain::start() else { return };
    let fine = |text: String| (0, text);
    for port in chain.ports.iter().map(Port::number) {
        for (option, usher, nginx) in
            [("--http2", "HTTP/2.0", "HTTP/2.0"), ("--http1.1", "HTTP/1.1", "HTTP/1.1")]
        {
            let ask = |host: &str| chain.curl(port, host, &[option, "--interface", "127.0.0.9"]);
            assert_eq!(ask("site.test"), fine(format!("usher {usher} 127.0.0.9 site.test\n")));
            assert_eq!(ask("raw.test"), fine(format!("nginx {nginx} raw.test\n")));
            assert_eq!(ask("a.raw.test"), fine(format!("nginx {nginx} a.raw.test\n")));
            let (code, out) = ask("other.test");
            assert_eq!(code, 35, "{out}");
        }
    }
    logged(&chain.usher, "the refusal", |line| {
        line["client"] == "127.0.0.9" && says(line, "reason", "tls_handshake")
    });
    // The same names without a balancer before.
    let open = chain.usher.listener("open").unwrap().port();
    assert_eq!(chain.curl(open, "site.test", &[]), fine("usher HTTP/2.0 127.0.0.1 site.test\n".into()));
    assert_eq!(chain.curl(open, "raw.test", &[]), fine("nginx HTTP/2.0 raw.test\n".into()));
    // Whoever comes without a header where one is required is not heard.
    let (code, out) = chain.curl(chain.usher.listen().unwrap().port(), "site.test", &[]);
    assert!([35, 56].contains(&code), "{code} {out}");
}

#[test]
fn an_endpoint_that_is_gone_costs_only_its_own_names() {
    let Some(mut chain) = Chain::start() else { return };
    let open = chain.usher.listener("open").unwrap().port();
    assert_eq!(chain.curl(open, "raw.test", &[]).0, 0);
    drop(chain.nginx.take());
    let (code, out) = chain.curl(open, "raw.test", &[]);
    assert!([35, 56].contains(&code), "{code} {out}");
    assert_eq!(chain.curl(open, "site.test", &[]).0, 0);
    logged(&chain.usher, "the failure", |line| says(line, "detail", "refused"));
}
