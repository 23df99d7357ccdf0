//! How each proxy is set up: as somebody would who knows it well, and all alike where they have the same setting. An
//! endpoint has 500 ms to be connected to and a second to answer; what is idempotent may go to another one; endpoints are
//! asked for their health each second, by those who do that; names are looked up again after a second.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::fleet::{PORT, ask};
use super::load::path;
use super::names::NAME;
use crate::options::Options;
use crate::peers::Proxy;
use crate::process::{Launch, Process, Scratch};

/// Where each listens, in a network of its own.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);
/// How long a proxy may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// A proxy that serves.
pub(super) struct Running {
    process: Process,
    pub(super) address: SocketAddr,
    proxy: Proxy,
    scratch: Scratch,
}

/// Starts a proxy and waits until it serves.
pub(super) fn start(proxy: Proxy, options: &Options) -> io::Result<Running> {
    let scratch = Scratch::new()?;
    let folder = scratch.path();
    let arguments = match proxy {
        Proxy::Nginx => nginx(folder)?,
        Proxy::Haproxy => haproxy(folder)?,
        Proxy::Bare => usher(folder, "", "")?,
        _ => usher(folder, RETRY, GUARDS)?,
    };
    let (stdout, stderr) = (folder.join("stdout"), folder.join("stderr"));
    let launch = Launch { program: proxy.program(options), arguments, stdout, stderr };
    let mut process = Process::start_anywhere(&launch)?;
    let begin = Instant::now();
    while let Err(error) = ask(LISTEN, "/") {
        if process.ended() || begin.elapsed() > READY_WITHIN {
            let complaint = process.complaint();
            return Err(io::Error::other(format!("{} does not serve: {error}\n{complaint}", proxy.title())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Running { process, address: LISTEN, proxy, scratch })
}

impl Running {
    /// The name stands for other addresses, and somebody has noticed: nginx before 1.27.3 needs to be told.
    pub(super) fn noticed(&self) -> io::Result<()> {
        if self.proxy == Proxy::Nginx { self.process.signal(Signal::HUP) } else { Ok(()) }
    }

    /// What the log says of a request.
    pub(super) fn logged(&self, number: u64) -> Option<String> {
        let lines = BufReader::new(File::open(self.scratch.path().join("access.log")).ok()?).lines();
        let path = path(number);
        let is_of_it = |line: &String| {
            line.match_indices(&path)
                .any(|(at, _)| !line[at + path.len()..].starts_with(|next: char| next.is_ascii_digit()))
        };
        lines.map_while(Result::ok).find(is_of_it)
    }
}

/// What `docs/endpoints.md` says of clusters that shall show nothing of what happens to their endpoints, for routes …
const RETRY: &str = r#"
[route.retry]
on = ["connect_failure", "refused_stream", "reset", "timeout", 500, 502, 503, 504]
per_try = "1s"
buffer_response = "64KiB"
hedge = { after = "p95", max = "10%" }
"#;
/// … and for clusters.
const GUARDS: &str = r#"timeouts = { connect = "500ms" }
dns = { min_ttl = "1s" }
health = { path = "/healthz", interval = "1s", timeout = "500ms" }
outliers = { slower_than = 10, interval = "500ms", min_requests = 10 }
"#;

/// Usher, with what is said for the route and the cluster.
fn usher(folder: &Path, retry: &str, guards: &str) -> io::Result<Vec<OsString>> {
    let log = folder.join("access.log");
    let text = format!(
        r#"admin = "off"
access_log = {{ path = "{log}" }}

[[listener]]
bind = "{LISTEN}"

[[route]]
cluster = "app"
{retry}
[cluster.app]
endpoints = "{NAME}:{PORT}"
{guards}"#,
        log = log.display()
    );
    let file = folder.join("usher.toml");
    fs::write(&file, text)?;
    Ok(vec!["run".into(), "--config".into(), file.into()])
}

/// Passive checks, as it has no others; names as they are at its start, unless it is reloaded. With the usual
/// `fail_timeout` of 10 s, a restart of all endpoints one after another leaves it with none.
fn nginx(folder: &Path) -> io::Result<Vec<OsString>> {
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let text = format!(
        r#"{user}
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log {folder}/access.log combined;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream app {{
    zone app 128k;
    least_conn;
    server {NAME}:{PORT} max_fails=3 fail_timeout=3s;
    keepalive 64;
  }}
  server {{
    listen {LISTEN};
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_connect_timeout 500ms;
      proxy_read_timeout 1s;
      proxy_send_timeout 1s;
      proxy_next_upstream error timeout http_500 http_502 http_503 http_504;
      proxy_next_upstream_tries 5;
    }}
  }}
}}
"#,
        folder = folder.display()
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, text)?;
    Ok(vec!["-p".into(), folder.into(), "-c".into(), file.into(), "-e".into(), "stderr".into()])
}

/// Active checks, errors of responses counted with them, and retries on another server.
fn haproxy(folder: &Path) -> io::Result<Vec<OsString>> {
    let text = format!(
        r#"global
  maxconn 4096
  no strict-limits
resolvers names
  nameserver here 127.0.0.1:53
  resolve_retries 3
  timeout resolve 1s
  timeout retry 500ms
  hold valid 1s
  hold obsolete 1s
defaults
  mode http
  timeout connect 500ms
  timeout client 30s
  timeout server 1s
  timeout queue 1s
  timeout check 500ms
  timeout http-keep-alive 60s
  retries 4
  option redispatch 1
  retry-on all-retryable-errors
  http-reuse safe
frontend door
  bind {LISTEN}
  default_backend app
backend app
  balance leastconn
  option httpchk GET /healthz
  http-request disable-l7-retry if METH_POST
  default-server check inter 1s fall 2 rise 2 observe layer7 error-limit 5 on-error mark-down
  server-template app 6 {NAME}:{PORT} resolvers names init-addr libc,none
"#
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text)?;
    Ok(vec!["-db".into(), "-f".into(), file.into()])
}
