//! nginx: one worker, upstream keep-alive, otherwise what Debian's package and nginx's defaults say. Why each setting
//! is as it is: `bench/README.md`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;

use super::{MAX_CONNECTIONS, POOL, Place, Settings};
use crate::works::{Door, Tuning};

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
    let files = &place.certificate;
    let tls = format!(
        "ssl_certificate {};\n    ssl_certificate_key {};\n    ssl_protocols TLSv1.3;",
        files.certificate.display(),
        files.key.display()
    );
    let (modes, tls) = match settings.door {
        Door::Http => ("", ""),
        Door::Tcp => return tcp(place, settings),
        Door::Https(_) => (" ssl", tls.as_str()),
        Door::H2 => (" ssl http2", tls.as_str()),
        Door::H2c => (" http2", ""),
        Door::H3 => return Err(io::Error::other("this nginx speaks no HTTP/3")),
    };
    let location = location(settings, buffering);
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
    listen {listen}{modes};
    {tls}
    location / {{
{location}    }}
  }}
}}
"#
    );
    let file = place.file("nginx.conf");
    fs::write(&file, text)?;
    Ok(vec!["-p".into(), place.folder.into(), "-c".into(), file.into(), "-e".into(), "stderr".into()])
}

/// Where Debian's package `libnginx-mod-stream` puts what carries TCP.
const STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// Connections that are passed on as they are.
fn tcp(place: &Place<'_>, settings: &Settings) -> io::Result<Vec<OsString>> {
    let folder = place.folder.display();
    let (listen, endpoint) = (place.listen, settings.endpoint);
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let text = format!(
        r#"load_module {STREAM};
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections {MAX_CONNECTIONS}; }}
stream {{
  tcp_nodelay on;
  proxy_timeout 300s;
  server {{
    listen {listen};
    proxy_pass {endpoint};
  }}
}}
"#
    );
    let file = place.file("nginx.conf");
    fs::write(&file, text)?;
    Ok(vec!["-p".into(), place.folder.into(), "-c".into(), file.into(), "-e".into(), "stderr".into()])
}

/// The fields that all proxies add.
const FIELDS: [(&str, &str); 8] = [
    ("Host", "$http_host"),
    ("X-Forwarded-For", "$remote_addr"),
    ("X-Forwarded-Proto", "$scheme"),
    ("X-Forwarded-Host", "$http_host"),
    ("X-Forwarded-Port", "$server_port"),
    ("X-Real-IP", "$remote_addr"),
    ("X-Request-Id", "$request_id"),
    ("Via", "\"1.1 nginx\""),
];

/// What is done with requests.
fn location(settings: &Settings, buffering: &str) -> String {
    let (mut text, module) = if settings.grpc {
        ("      grpc_pass grpc://endpoint;\n".to_owned(), "grpc")
    } else {
        let lines = [
            "proxy_pass http://endpoint;",
            "proxy_http_version 1.1;",
            &format!("proxy_request_buffering {buffering};"),
            "proxy_set_header Connection \"\";",
        ];
        (lines.map(|line| format!("      {line}\n")).concat(), "proxy")
    };
    for (name, value) in FIELDS {
        let _ = writeln!(text, "      {module}_set_header {name} {value};");
    }
    text
}
