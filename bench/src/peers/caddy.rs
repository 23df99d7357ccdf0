//! Caddy, for HTTP/3: what it does unless told otherwise, with the fields that the others add. Why each setting is as it
//! is: `bench/README.md`.

use std::ffi::OsString;
use std::fs;
use std::io;

use super::{POOL, Place, Settings};
use crate::http::HOST;

/// Writes the config and gives the arguments.
pub(super) fn configure(place: &Place<'_>, settings: &Settings) -> io::Result<Vec<OsString>> {
    let (port, endpoint) = (place.listen.port(), settings.endpoint);
    let folder = place.folder.display();
    let (certificate, key) = (place.certificate.certificate.display(), place.certificate.key.display());
    let text = format!(
        r#"{{
  admin off
  auto_https off
  persist_config off
  storage file_system {folder}/caddy
  servers {{
    protocols h1 h2 h3
  }}
}}
https://{HOST}:{port} {{
  bind 127.0.0.1
  tls {certificate} {key}
  reverse_proxy {endpoint} {{
    header_up X-Forwarded-Port {{http.request.local.port}}
    header_up X-Real-IP {{remote_host}}
    header_up X-Request-Id {{http.request.uuid}}
    transport http {{
      versions 1.1
      compression off
      keepalive 300s
      keepalive_idle_conns_per_host {POOL}
    }}
  }}
}}
"#
    );
    let file = place.file("Caddyfile");
    fs::write(&file, text)?;
    Ok(vec!["run".into(), "--adapter".into(), "caddyfile".into(), "--config".into(), file.into()])
}
