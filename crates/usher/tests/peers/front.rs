//! nginx and HAProxy before Usher, as where they end TLS: HTTP/1.0 and 1.1, PROXY headers, health checks, WebSocket.

use std::fs;
use std::process::Command;

use tempfile::{TempDir, tempdir};
use usher_testkit::{Client, Port, Usher};

use crate::curl::curl;
use crate::nginx::{HELLO, Nginx};
use crate::peer::{Peer, find, noise, until, usher};
use crate::websocket;

/// `/` is how nginx passes requests on when nothing is said: HTTP/1.0, a connection for each.
const NGINX: &str = r#"
    client_max_body_size 16m;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    upstream usher { server USHER; keepalive 8; }
    server {
        listen ADDRESS;
        location / { proxy_pass http://USHER; }
        location /kept/ {
            proxy_pass http://usher/;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header Connection "";
        }
        location /chat {
            proxy_pass http://USHER;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
    }
"#;

/// Bytes as they are with version 1; HTTP with version 2, and health checks that say `LOCAL`.
const HAPROXY: &str = "
global
    maxconn 200
defaults
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen one
    mode tcp
    bind ONE
    server usher USHER send-proxy
listen two
    mode http
    bind TWO
    option httpchk GET /health
    server usher USHER send-proxy-v2 check-send-proxy check inter 100ms rise 1 fall 1
";

const CONFIG: &str = "
trusted_proxies = [\"127.0.0.1\"]
access_log = { path = \"access.log\", format = \"{client.ip} {request.target} {status}\" }
[[listener]]
bind = \"$LISTEN\"
[[listener]]
name = \"behind\"
bind = \"$LISTEN[behind]\"
proxy_protocol = { trusted = [\"127.0.0.1\"] }
[[route]]
to = \"$ENDPOINT[nginx]\"
[[route]]
path = \"/health\"
respond = \"fine\"
";

fn start(nginx: &Nginx) -> Usher {
    usher(CONFIG).endpoint_address("nginx", &nginx.address().to_string()).start().unwrap()
}

#[test]
fn nginx_passes_requests_on_through_usher() {
    let (Some(program), Some(back)) = (find("curl", "curl"), Nginx::start()) else { return };
    let usher = start(&back);
    let front =
        Nginx::start_with(&NGINX.replace("USHER", &usher.listen().unwrap().to_string())).expect("was found");
    let folder = tempdir().unwrap();
    let content = noise(1 << 20);
    fs::write(folder.path().join("sent"), &content).unwrap();
    let large = fs::read(back.path("site/large.bin")).unwrap();
    for prefix in ["", "/kept"] {
        let url = |path: &str| format!("http://{}{prefix}{path}", front.address());
        let ask = |arguments: &[&str]| curl(&program, folder.path(), arguments);
        assert_eq!(ask(&["-o", "out", &url("/large.bin")]), "");
        assert!(fs::read(folder.path().join("out")).unwrap() == large, "{prefix}");
        assert_eq!(ask(&["--compressed", &url("/gzip/words.txt")]).len(), 65_541, "{prefix}");
        let name = format!("upload{}", prefix.len());
        let chunked = ["-H", "Transfer-Encoding: chunked", "-T", "sent", "-w", "%{http_code}"];
        assert_eq!(ask(&[&chunked[..], &[&url(&format!("/upload/{name}"))]].concat()), "201", "{prefix}");
        assert!(fs::read(back.path("uploads").join(name)).unwrap() == content, "{prefix}");
        // Another client than the proxy itself, which is to be seen by the endpoint.
        let seen = ask(&["--interface", "127.0.0.9", "-H", "Host: shop.test", &url("/seen")]);
        assert_eq!(seen, "GET /seen HTTP/1.1 host=shop.test for=127.0.0.9, 127.0.0.1\n", "{prefix}");
        // A claim of the client's stays left of what nginx saw.
        let forged =
            ask(&["--interface", "127.0.0.9", "-H", "X-Forwarded-For: 192.0.2.1", &url("/seen?forged")]);
        assert!(forged.ends_with(" for=192.0.2.1, 127.0.0.9, 127.0.0.1\n"), "{forged}");
        assert_eq!(ask(&["-I", "-w", "%{http_code}", "-o", "out", &url("/hello.txt")]), "200");
        assert_eq!(ask(&["-r", "6-9", &url("/hello.txt")]), "from");
    }
    until("the client's address in the log", || {
        let log = fs::read_to_string(usher.dir().join("access.log")).unwrap_or_default();
        log.lines().filter(|line| line.starts_with("127.0.0.9 /seen")).count() == 4
    });
}

#[test]
fn a_websocket_passes_nginx_and_usher() {
    if find("nginx", "nginx").is_none() {
        return;
    }
    let Some((python, _server, usher)) = websocket::start() else { return };
    let front =
        Nginx::start_with(&NGINX.replace("USHER", &usher.listen().unwrap().to_string())).expect("was found");
    websocket::run(&python, &["client", &format!("ws://{}/chat", front.address())]).finish();
}

/// HAProxy before a listener, on two ports.
struct Haproxy {
    _process: Peer,
    one: Port,
    two: Port,
    _folder: TempDir,
}

impl Haproxy {
    fn start(usher: &Usher) -> Option<Self> {
        let program = find("haproxy", "haproxy")?;
        let (folder, one, two) = (tempdir().unwrap(), Port::reserve().unwrap(), Port::reserve().unwrap());
        let behind = usher.listener("behind").unwrap().to_string();
        let config = HAPROXY.replace("USHER", &behind).replace("ONE", &one.address().to_string());
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, config.replace("TWO", &two.address().to_string())).unwrap();
        let mut process = Peer::start(Command::new(program).arg("-db").arg("-f").arg(path));
        for port in [&one, &two] {
            process.until("HAProxy to accept connections", |_| Client::connect(port.address()).is_ok());
        }
        Some(Self { _process: process, one, two, _folder: folder })
    }
}

#[test]
fn haproxy_says_who_the_client_is_and_checks_health() {
    let (Some(program), Some(nginx)) = (find("curl", "curl"), Nginx::start()) else { return };
    let usher = start(&nginx);
    let Some(haproxy) = Haproxy::start(&usher) else { return };
    let log = || fs::read_to_string(usher.dir().join("access.log")).unwrap_or_default();
    // The balancer's own connections have its own address, and find Usher well.
    let checks = || log().lines().filter(|line| *line == "127.0.0.1 /health 200").count();
    until("health checks", || checks() >= 3);
    let folder = tempdir().unwrap();
    for port in [&haproxy.one, &haproxy.two] {
        let url = |path: &str| format!("http://{}{path}", port.address());
        let from = |path: &str| {
            curl(&program, folder.path(), &["--interface", "127.0.0.9", &url(path), &url("/hello.txt")])
        };
        let (seen, hello) = (from("/seen"), HELLO);
        assert_eq!(seen, format!("GET /seen HTTP/1.1 host={} for=127.0.0.9\n{hello}", port.address()));
    }
    until("more health checks", || checks() >= 6);
    assert!(!log().contains("/health 4") && !log().contains("/health 5"), "{}", log());
}
