//! HAProxy: one thread, connections to the endpoint shared by all clients, splicing where HAProxy finds it worthwhile.
//! Why each setting is as it is: `bench/README.md`.

use std::ffi::OsString;
use std::fs;
use std::io;

use super::{MAX_CONNECTIONS, POOL, Place, Settings};
use crate::works::{Door, Tuning};

/// Larger reads, and as much in a pipe as the kernel allows.
const LARGE: &str = "  tune.bufsize 65536
  tune.pipesize 1048576
";

/// The fields of the combined log format, with the two request fields captured.
const LOG: &str = r#"  log global
  http-request capture req.hdr(Referer) len 128
  http-request capture req.hdr(User-Agent) len 128
  log-format "%ci - - [%trl] %{+Q}r %ST %B %[capture.req.hdr(0)] %[capture.req.hdr(1)]"
"#;

/// Connections that are passed on as they are.
fn tcp(place: &Place<'_>, settings: &Settings, (tune, splice): (&str, &str)) -> io::Result<Vec<OsString>> {
    let (listen, endpoint) = (place.listen, settings.endpoint);
    let text = format!(
        r#"global
  nbthread 1
  maxconn {MAX_CONNECTIONS}
  no strict-limits
{tune}defaults
  mode tcp
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  option {splice}
frontend door
  bind {listen}
  default_backend endpoint
backend endpoint
  server endpoint {endpoint}
"#
    );
    let file = place.file("haproxy.cfg");
    fs::write(&file, text)?;
    Ok(vec!["-db".into(), "-f".into(), file.into()])
}

/// Writes the config and gives the arguments.
pub(super) fn configure(place: &Place<'_>, settings: &Settings) -> io::Result<Vec<OsString>> {
    let (listen, endpoint) = (place.listen, settings.endpoint);
    let (log_to, log) = if settings.access_log { ("log stdout format raw local0", LOG) } else { ("", "") };
    let large = settings.tuning == Tuning::LargeBodies;
    let (tune, splice) = if large { (LARGE, "splice-response") } else { ("", "splice-auto") };
    let tls = format!(" ssl crt {}", place.certificate.both.display());
    let bind = match settings.door {
        Door::Http => String::new(),
        Door::Tcp => return tcp(place, settings, (tune, splice)),
        Door::Https(_) => format!("{tls} alpn http/1.1"),
        Door::H2 => format!("{tls} alpn h2,http/1.1"),
        Door::H2c => " proto h2".to_owned(),
        Door::H3 => return Err(io::Error::other("this HAProxy speaks no HTTP/3")),
    };
    let (scheme, upstream) = (settings.scheme(), if settings.grpc { " proto h2" } else { "" });
    let text = format!(
        r#"global
  nbthread 1
  maxconn {MAX_CONNECTIONS}
  no strict-limits
{tune}  {log_to}
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
  option {splice}
  http-reuse always
frontend door
  bind {listen}{bind}
{log}  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto {scheme}
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Request-Id %[uuid()]
  http-request set-header Via "1.1 haproxy"
  default_backend endpoint
backend endpoint
  server endpoint {endpoint}{upstream} pool-max-conn {POOL} pool-purge-delay 300s
"#
    );
    let file = place.file("haproxy.cfg");
    fs::write(&file, text)?;
    Ok(vec!["-db".into(), "-f".into(), file.into()])
}
