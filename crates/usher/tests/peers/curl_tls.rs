//! curl over TLS: versions of HTTP and of TLS, names. nginx is the endpoint.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use usher_testkit::{Endpoint, Reply, Usher};

use crate::nginx::{HELLO, Nginx};
use crate::peer::{PATIENCE, Peer, find, noise};
use crate::secure::{Pki, WITH_TRAILERS, logged, says};

const CONFIG: &str = r#"
workers = 2
access_log = "access.log"
[[listener]]
bind = "$LISTEN"
tls = true
[[listener]]
name = "plain"
bind = "$LISTEN[plain]"
[[listener]]
name = "modern"
bind = "$LISTEN[modern]"
tls = { policy = "modern" }
protocols = ["h1"]
[[listener]]
name = "members"
bind = "$LISTEN[members]"
tls = { client_certificate = "ca.pem" }
[[listener]]
name = "visitors"
bind = "$LISTEN[visitors]"
tls = { client_certificate = { ca = "ca.pem", mode = "optional" } }
[[route]]
to = "$ENDPOINT[nginx]"
[[route]]
path = "/about"
respond = "{request.version} {request.scheme} {tls.version} {tls.alpn} {tls.server_name}\n"
[[route]]
path = "/trailers"
to = "$ENDPOINT[trailers]"
[[route]]
path = "/me"
respond = "{tls.client.subject}\n"
[[route]]
path = "/members"
client_certificate = { san = "DNS:*.test", forward = true }
to = "$ENDPOINT[trailers]"
"#;

/// Options of every curl, as in the tests without TLS.
const ALWAYS: &str = "--disable --silent --show-error --no-progress-meter --noproxy * --max-time 50";

/// curl, Usher, and two endpoints.
pub(crate) struct Chain {
    curl: PathBuf,
    pub(crate) usher: Usher,
    nginx: Nginx,
    pub(crate) endpoint: Endpoint,
    pub(crate) pki: Pki,
}

impl Chain {
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(CONFIG)
    }

    fn start_with(config: &str) -> Option<Self> {
        let (curl, nginx, pki) = (find("curl", "curl")?, Nginx::start()?, Pki::new());
        let endpoint = Endpoint::start(|_| Reply::bytes(WITH_TRAILERS)).unwrap();
        let builder = pki.usher(config).endpoint_address("nginx", &nginx.address().to_string());
        let usher = builder.endpoint_named("trailers", &endpoint).start().unwrap();
        Some(Self { curl, usher, nginx, endpoint, pki })
    }

    fn address(&self, listener: &str) -> SocketAddr {
        self.usher.listener(listener).unwrap()
    }

    pub(crate) fn url(&self, listener: &str, path: &str) -> String {
        format!("https://site.test:{}{path}", self.address(listener).port())
    }

    /// Runs curl, which knows the authority and finds all names here; gives its exit code and what it wrote.
    pub(crate) fn attempt(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(&self.curl);
        command.args(ALWAYS.split(' ')).args(["--cacert", "ca.pem"]).args(arguments);
        for listener in ["", "plain", "modern", "members", "visitors"] {
            if let Ok(address) = self.usher.listener(listener) {
                command.args(["--resolve", &format!("*:{}:127.0.0.1", address.port())]);
            }
        }
        let mut peer = Peer::start(command.current_dir(self.pki.path("")));
        let status = peer.wait(PATIENCE);
        (status.code().unwrap_or(-1), peer.output())
    }

    pub(crate) fn curl(&self, arguments: &[&str]) -> String {
        let (code, out) = self.attempt(arguments);
        assert_eq!(code, 0, "{arguments:?}: {out}");
        out
    }

    fn got(&self, name: &str) -> Vec<u8> {
        fs::read(self.pki.path(name)).unwrap()
    }
}

#[test]
fn large_bodies_and_trailers_over_each_version() {
    let Some(chain) = Chain::start() else { return };
    let large = fs::read(chain.nginx.path("site/large.bin")).unwrap();
    let content = noise(5 << 20);
    fs::write(chain.pki.path("sent"), &content).unwrap();
    let plain = |path: &str| format!("http://{}{path}", chain.address("plain"));
    let secure = |path: &str| chain.url("", path);
    type Url<'a> = &'a dyn Fn(&str) -> String;
    let cases: [(&str, Url<'_>, &str); 4] = [
        ("--http1.1", &secure, "1.1"),
        ("--http2", &secure, "2"),
        ("--http2-prior-knowledge", &plain, "2"),
        ("--http1.1", &plain, "1.1"),
    ];
    for (number, (option, url, version)) in cases.iter().enumerate() {
        let shape = "%{http_version} %{http_code} %{num_connects}\n";
        let out = chain.curl(&[option, "-w", shape, "-o", "out", &url("/large.bin")]);
        assert_eq!(out, format!("{version} 200 1\n"), "{option}");
        assert!(chain.got("out") == large, "{option}");
        // With prior knowledge, curl before 8.0 fails at the second request of a connection, whatever the server.
        if !option.ends_with("knowledge") {
            let out = chain.curl(&[option, "-w", shape, &url("/hello.txt"), &url("/hello.txt")]);
            assert_eq!(out, format!("{HELLO}{version} 200 1\n{HELLO}{version} 200 0\n"), "{option}");
        }
        let name = format!("upload{number}");
        let upload = url(&format!("/upload/{name}"));
        assert_eq!(
            chain.curl(&[option, "-H", "Expect:", "-T", "sent", "-w", "%{http_code}", &upload]),
            "201"
        );
        assert!(fs::read(chain.nginx.path("uploads").join(name)).unwrap() == content, "{option}");
        // Fields behind the body are written to the same file as the head.
        chain.curl(&[option, "-H", "TE: trailers", "-D", "head", "-o", "out", &url("/trailers")]);
        let head = String::from_utf8(chain.got("head")).unwrap().to_ascii_lowercase();
        assert!(head.contains("x-sum: 5d41\r\n"), "{option}: {head}");
        assert_eq!(chain.got("out"), b"hello", "{option}");
    }
}

#[test]
fn a_refusal_in_the_middle_of_an_upload_is_seen() {
    let Some(chain) = Chain::start() else { return };
    fs::write(chain.pki.path("sent"), noise(5 << 20)).unwrap();
    let url = chain.url("", "/strict/x");
    for option in ["--http1.1", "--http2"] {
        let shape = ["-o", "out", "-w", "%{http_code}", "-T", "sent", &url];
        let out = chain.curl(
            &[&[option, "-H", "Expect: 100-continue", "--expect100-timeout", "40"], &shape[..]].concat(),
        );
        assert_eq!(out, "413", "{option}");
        // Without waiting: the answer comes while it sends.
        let (_, out) = chain.attempt(&[&[option, "-H", "Expect:"], &shape[..]].concat());
        assert!(out.contains("413"), "{option}: {out}");
    }
}

#[test]
fn many_requests_at_once_share_a_connection() {
    let Some(chain) = Chain::start() else { return };
    let urls = chain.url("", "/hello.txt?[1-200]");
    let options = ["--http2", "--parallel", "--parallel-max", "50", "-o", "out#1"];
    let out = chain.curl(&[&options[..], &["-w", "%{http_code} %{num_connects}\n", &urls]].concat());
    assert_eq!(out.matches("200 ").count(), 200, "{out}");
    assert_eq!(out.matches("200 1").count(), 1, "{out}");
    assert!((1..=200).all(|number| chain.got(&format!("out{number}")) == HELLO.as_bytes()));
}

#[test]
fn versions_of_tls_are_those_of_the_policy() {
    let Some(chain) = Chain::start() else { return };
    let (about, modern) = (chain.url("", "/about"), chain.url("modern", "/about"));
    let old = ["--tlsv1.2", "--tls-max", "1.2"];
    assert_eq!(chain.curl(&[&old[..], &[&about]].concat()), "HTTP/2.0 https TLSv1.2 h2 site.test\n");
    assert_eq!(chain.curl(&["--tlsv1.3", &about]), "HTTP/2.0 https TLSv1.3 h2 site.test\n");
    // What a listener does not speak it does not offer.
    assert_eq!(chain.curl(&["--http2", &modern]), "HTTP/1.1 https TLSv1.3 http/1.1 site.test\n");
    let (code, out) = chain.attempt(&[&old[..], &[&modern]].concat());
    assert_eq!(code, 35, "{out}");
    logged(&chain.usher, "the refusal", |line| {
        says(line, "reason", "tls_handshake") && says(line, "detail", "version")
    });
    // Versions that nobody should speak any more.
    let (code, out) =
        chain.attempt(&["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0", &about]);
    assert_eq!(code, 35, "{out}");
}

#[test]
fn only_known_names_are_served() {
    let Some(chain) = Chain::start() else { return };
    let port = chain.address("").port();
    for (host, fine) in
        [("a.site.test", true), ("LOCALHOST", true), ("a.b.site.test", false), ("other.test", false)]
    {
        let (code, out) = chain.attempt(&[&format!("https://{host}:{port}/about")]);
        match fine {
            true => {
                assert_eq!((code, out), (0, format!("HTTP/2.0 https TLSv1.3 h2 {}\n", host.to_lowercase())))
            }
            false => {
                assert_eq!(code, 35, "{host}: {out}");
                assert!(out.contains("unrecognized name"), "{host}: {out}");
            }
        }
    }
    logged(&chain.usher, "the refusal and the name", |line| {
        says(line, "reason", "tls_handshake") && says(line, "detail", "other.test")
    });
    // Another host within a connection for this one: it is asked to come again (RFC 9110 section 15.5.20), or served.
    let out =
        chain.curl(&["-H", "Host: other.test", "-o", "out", "-w", "%{http_code}", &chain.url("", "/about")]);
    assert!(["200", "421"].contains(&out.as_str()), "{out}");
}

#[test]
fn a_default_certificate_is_for_everybody_else() {
    let Some(chain) = Chain::start_with(&format!(
        "{CONFIG}\n[[certificate]]\ncert = \"site.pem\"\nkey = \"site.key\"\ndefault = true\n"
    )) else {
        return;
    };
    // A client that goes to an address names no host.
    let by_address = format!("https://{}/about", chain.address(""));
    assert_eq!(chain.curl(&[&by_address]), "HTTP/2.0 https TLSv1.3 h2 \n");
    let other = format!("https://other.test:{}/about", chain.address("").port());
    assert_eq!(chain.curl(&["--insecure", &other]), "HTTP/2.0 https TLSv1.3 h2 other.test\n");
    // curl verifies: it refuses us with an alert, and that is logged as its doing.
    let (code, out) = chain.attempt(&[&other]);
    assert_eq!(code, 60, "{out}");
}

#[test]
fn http_on_the_port_of_https_is_told_so() {
    let Some(chain) = Chain::start() else { return };
    let url = format!("http://{}/", chain.address(""));
    for option in ["--http1.1", "--http1.0"] {
        let out = chain.curl(&[option, "-w", "\n%{http_code}", &url]);
        assert!(out.ends_with("\n400") && out.to_ascii_lowercase().contains("https"), "{option}: {out}");
    }
    logged(&chain.usher, "the plain request", |line| line["status"] == 400);
    // And what is neither.
    let mut client = chain.usher.client().unwrap();
    client.send(b"\x16\x03\x01\x00\x05hello").unwrap();
    let _ = client.read_response();
    assert_eq!(chain.curl(&[&chain.url("", "/hello.txt")]), HELLO);
}
