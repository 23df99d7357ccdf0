//! nghttp2's programs: h2load and nghttp as clients, nghttpd as an endpoint that speaks HTTP/2.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::{TempDir, tempdir};
use usher_testkit::{Client, Port, Usher};

use crate::nginx::{HELLO, Nginx};
use crate::peer::{Peer, find, noise};
use crate::secure::{Pki, log, logged};

const CONFIG: &str = r#"
workers = 2
access_log = "access.log"
[[listener]]
bind = "$LISTEN"
tls = true
[[listener]]
name = "plain"
bind = "$LISTEN[plain]"
[[route]]
to = "$ENDPOINT[nginx]"
[cluster.secure]
endpoints = ["https://$ENDPOINT[secure]"]
tls = { ca = "ca.pem", server_name = "site.test" }
[[route]]
path = "/secure/*"
cluster = "secure"
rewrite = { strip_prefix = "/secure" }
[[route]]
path = "/plain/*"
to = "h2c://$ENDPOINT[h2c]"
rewrite = { strip_prefix = "/plain" }
"#;

/// nghttpd twice, over TLS and without, on a folder with `small` and `large`.
struct Nghttpd {
    ports: [Port; 2],
    folder: TempDir,
    _processes: [Peer; 2],
}

impl Nghttpd {
    fn start(pki: &Pki) -> Option<Self> {
        let (program, folder) = (find("nghttpd", "nghttp2-server")?, tempdir().unwrap());
        fs::write(folder.path().join("small"), HELLO).unwrap();
        fs::write(folder.path().join("large"), noise(4 << 20)).unwrap();
        let ports = [Port::reserve().unwrap(), Port::reserve().unwrap()];
        let start = |number: usize| {
            let mut command = Command::new(&program);
            command.args(["-a", "127.0.0.1", "-d"]).arg(folder.path()).args(["--trailer", "x-last: word"]);
            command.arg("--echo-upload");
            match number {
                0 => command
                    .arg(ports[0].number().to_string())
                    .arg(pki.path("site.key"))
                    .arg(pki.path("site.pem")),
                _ => command.arg("--no-tls").arg(ports[1].number().to_string()),
            };
            let mut process = Peer::start(&mut command);
            process
                .until("nghttpd to accept connections", |_| Client::connect(ports[number].address()).is_ok());
            process
        };
        Some(Self { _processes: [start(0), start(1)], ports, folder })
    }
}

struct Chain {
    pki: Pki,
    usher: Usher,
    nginx: Nginx,
    nghttpd: Nghttpd,
}

impl Chain {
    fn start() -> Option<Self> {
        let (pki, nginx) = (Pki::new(), Nginx::start()?);
        let nghttpd = Nghttpd::start(&pki)?;
        let builder = pki.usher(CONFIG).endpoint_address("nginx", &nginx.address().to_string());
        let builder = builder.endpoint_address("secure", &nghttpd.ports[0].address().to_string());
        let usher = builder.endpoint_address("h2c", &nghttpd.ports[1].address().to_string()).start().unwrap();
        Some(Self { pki, usher, nginx, nghttpd })
    }

    fn url(&self, listener: &str, path: &str) -> String {
        let scheme = if listener.is_empty() { "https" } else { "http" };
        // nghttp's programs do not verify; localhost is a name that the certificate has.
        format!("{scheme}://localhost:{}{path}", self.usher.listener(listener).unwrap().port())
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> String {
        Peer::start(Command::new(program).args(arguments).current_dir(self.pki.path(""))).finish()
    }

    fn curl(&self, program: &Path, arguments: &[&str]) -> Vec<u8> {
        let (always, url) = (["-sS", "--disable", "--noproxy", "*", "--cacert", "ca.pem"], arguments);
        self.run(program, &[&always[..], url, &["--max-time", "50", "-o", "out"]].concat());
        fs::read(self.pki.path("out")).unwrap()
    }
}

/// What h2load says of its requests.
pub(crate) fn all_succeeded(out: &str, count: u32) {
    assert!(out.contains(&format!("{count} succeeded, 0 failed, 0 errored, 0 timeout")), "{out}");
    assert!(out.contains(&format!("status codes: {count} 2xx")), "{out}");
}

#[test]
fn h2load_sees_no_failure() {
    let (Some(h2load), Some(chain)) = (find("h2load", "nghttp2-client"), Chain::start()) else { return };
    let content = noise(100_000);
    fs::write(chain.pki.path("sent"), &content).unwrap();
    let cases: &[(&str, &str, u32, &[&str])] = &[
        // No more at once than nginx has connections for.
        ("", "/hello.txt", 20_000, &["-c", "4", "-m", "100"]),
        ("plain", "/hello.txt", 10_000, &["-c", "40", "-m", "10"]),
        // One connection per request, which is a handshake each.
        ("", "/hello.txt", 200, &["-c", "200", "-m", "1"]),
        ("", "/large.bin", 20, &["-c", "2", "-m", "10"]),
        // Windows that are small: 16 KiB per stream, 32 KiB per connection.
        ("", "/large.bin", 4, &["-c", "1", "-m", "4", "-w", "14", "-W", "15"]),
        ("", "/upload/sent", 100, &["-c", "4", "-m", "5", "-d", "sent", "-H", ":method: PUT"]),
        ("", "/secure/small", 5_000, &["-c", "4", "-m", "50"]),
        ("", "/plain/small", 5_000, &["-c", "4", "-m", "50"]),
        ("", "/secure/large", 20, &["-c", "2", "-m", "10"]),
        ("plain", "/plain/large", 20, &["-c", "2", "-m", "10"]),
        ("", "/hello.txt", 2_000, &["-c", "4", "-m", "10", "--npn-list", "http/1.1"]),
    ];
    for (listener, path, count, options) in cases {
        let (number, url) = (count.to_string(), chain.url(listener, path));
        let arguments = [options, &["-t", "1", "-n", &number, &url][..]].concat();
        all_succeeded(&chain.run(&h2load, &arguments), *count);
    }
    assert!(fs::read(chain.nginx.path("uploads/sent")).unwrap() == content);
    let strange = log(&chain.usher)
        .into_iter()
        .find(|line| line["method"] != "" && line["status"].as_u64() >= Some(300));
    assert!(strange.is_none(), "{strange:?}");
}

#[test]
fn nghttp_with_priorities_uploads_and_trailers() {
    let (Some(nghttp), Some(chain)) = (find("nghttp", "nghttp2-client"), Chain::start()) else { return };
    let content = noise(1 << 20);
    fs::write(chain.pki.path("sent"), &content).unwrap();
    let (hello, words) = (chain.url("", "/hello.txt"), chain.url("", "/words.txt"));
    for options in [
        &["-p", "1", "-p", "256"][..],
        &["--no-dep"],
        &["-H", "priority: u=0, i"],
        &["-b", "100", "-H", "x-long: 1234567890"],
        &["-c", "0", "--encoder-header-table-size", "0"],
        &["-M", "1"],
    ] {
        let out = chain.run(&nghttp, &[options, &["-v", "-m", "2", &hello, &words]].concat());
        assert_eq!(out.matches(":status: 200").count(), 4, "{options:?}: {out}");
        assert!(!out.contains("RST_STREAM"), "{options:?}: {out}");
    }
    // The trailers of the request are allowed and lead nowhere; the body is whole.
    let upload = chain.url("", "/upload/one");
    let options = ["-v", "-H", ":method: PUT", "-d", "sent", "--trailer", "x-sum: 1"];
    for more in [&[][..], &["--no-content-length"], &["--expect-continue"]] {
        let out = chain.run(&nghttp, &[&options[..], more, &[&upload]].concat());
        assert!(out.contains(":status: 20"), "{more:?}: {out}");
        assert!(fs::read(chain.nginx.path("uploads/one")).unwrap() == content, "{more:?}");
        assert_eq!(out.contains(":status: 100"), more == ["--expect-continue"], "{out}");
        fs::remove_file(chain.nginx.path("uploads/one")).unwrap();
    }
    // Trailers of an endpoint that speaks HTTP/2 come through.
    for path in ["/secure/small", "/plain/small"] {
        let out = chain.run(&nghttp, &["-v", "-H", "te: trailers", &chain.url("", path)]);
        assert!(out.contains(":status: 200") && out.contains("x-last: word"), "{path}: {out}");
    }
    // An answer while the body is still sent: whole, and then the client is told that the rest is not needed.
    let out = chain.run(&nghttp, &["-v", "-H", ":method: PUT", "-d", "sent", &chain.url("", "/strict/x")]);
    assert!(out.contains(":status: 413") && !out.contains("error_code=CANCEL"), "{out}");
}

#[test]
fn an_endpoint_that_speaks_h2_gets_every_kind_of_client() {
    let (Some(curl), Some(chain)) = (find("curl", "curl"), Chain::start()) else { return };
    let large = fs::read(chain.nghttpd.folder.path().join("large")).unwrap();
    let content = noise(3 << 20);
    fs::write(chain.pki.path("sent"), &content).unwrap();
    for version in ["--http1.1", "--http2"] {
        for prefix in ["/secure", "/plain"] {
            let ask = |options: &[&str], path: &str| {
                chain.curl(
                    &curl,
                    &[&[version], options, &[&chain.url("", &format!("{prefix}{path}"))]].concat(),
                )
            };
            assert_eq!(ask(&[], "/small"), HELLO.as_bytes(), "{version} {prefix}");
            assert!(ask(&[], "/large") == large, "{version} {prefix}");
            assert!(ask(&["--data-binary", "@sent"], "/echo") == content, "{version} {prefix}");
            assert!(ask(&["-H", "Transfer-Encoding: chunked", "--data-binary", "@sent"], "/echo") == content);
            assert!(ask(&["-I"], "/large").ends_with(b"\r\n\r\n"), "a head and nothing more");
        }
    }
    logged(&chain.usher, "a connection that was kept", |line| {
        line["reused"] == true && line["cluster"] == "secure"
    });
}
