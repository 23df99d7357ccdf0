//! nginx: one worker, upstream keep-alive, otherwise what Debian's package and nginx's defaults say. Why each setting
//! is as it is: `bench/README.md`.

use std::ffi::OsString;
use std::fs;
use std::io;

use super::{MAX_CONNECTIONS, POOL, Place, Settings};
use crate::works::Tuning;

/// Fewer, larger reads and writes, and no file between the two sides.
const LARGE: &str = "  proxy_max_temp_file_size 0;
  proxy_buffer_size 16k;
  proxy_buffers 16 64k;
  proxy_busy_buffers_size 512k;
  client_body_buffer_size 256k;
";

/// Writes the config and gives the arguments.
pub(super) fn configure(place: &Place<'_>, settings: &Settings) -> io::Result<Vec<OsString>> {
    let folder = place.folder.display();
    let (listen, endpoint) = (place.listen, settings.endpoint);
    // As root nginx would drop to a user who cannot enter the scratch folder.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let access_log =
        if settings.access_log { format!("{folder}/access.log combined") } else { "off".to_owned() };
    let buffering = if settings.tuning == Tuning::Spooled { "on" } else { "off" };
    let large = if settings.tuning == Tuning::LargeBodies { LARGE } else { "" };
    let text = format!(
        r#"{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections {MAX_CONNECTIONS}; }}
http {{
  sendfile on;
  tcp_nopush on;
  access_log {access_log};
{large}  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  upstream endpoint {{
    server {endpoint};
    keepalive {POOL};
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
  }}
  server {{
    listen {listen};
    location / {{
      proxy_pass http://endpoint;
      proxy_http_version 1.1;
      proxy_request_buffering {buffering};
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Request-Id $request_id;
      proxy_set_header Via "1.1 nginx";
    }}
  }}
}}
"#
    );
    let file = place.file("nginx.conf");
    fs::write(&file, text)?;
    Ok(vec!["-p".into(), place.folder.into(), "-c".into(), file.into(), "-e".into(), "stderr".into()])
}
