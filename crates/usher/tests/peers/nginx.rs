//! nginx as an endpoint.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use usher_testkit::{Client, Port};

use crate::peer::{Peer, find, noise};

/// One process without a master, so that killing it leaves nobody behind.
const FRAME: &str = r#"
daemon off;
master_process off;
pid DIR/nginx.pid;
error_log DIR/error.log info;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path DIR/bodies;
    proxy_temp_path DIR/proxied;
    fastcgi_temp_path DIR/fastcgi;
    uwsgi_temp_path DIR/uwsgi;
    scgi_temp_path DIR/scgi;
    HTTP
}
"#;

const CONFIG: &str = r#"
    types { text/plain txt; application/octet-stream bin; }
    absolute_redirect off;
    upstream itself { server ADDRESS; keepalive 4; }
    server {
        listen ADDRESS;
        root DIR/site;
        keepalive_requests 100000;
        location / { }
        location /gzip/ { alias DIR/site/; gzip on; gzip_proxied any; gzip_min_length 1; gzip_types *; }
        location /proxied/ {
            proxy_pass http://itself/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }
        location /upload/ { alias DIR/uploads/; dav_methods PUT DELETE; client_max_body_size 16m; }
        location /strict/ { alias DIR/uploads/; dav_methods PUT; client_max_body_size 1k; }
        location /moved { return 301 /hello.txt; }
        location /nothing { return 204; }
        location /place { return 200 "connection=$connection request=$connection_requests\n"; }
        location /seen {
            return 200 "$request_method $request_uri $server_protocol host=$http_host for=$http_x_forwarded_for\n";
        }
    }
    server {
        listen unix:DIR/impatient.sock;
        root DIR/site;
        keepalive_requests 3;
    }
"#;

/// What `hello.txt` holds.
pub(crate) const HELLO: &str = "hello from nginx\n";

/// A running nginx. Its site has `hello.txt`, `words.txt` (64 KiB that compress well) and `large.bin` (8 MiB).
pub(crate) struct Nginx {
    _process: Peer,
    port: Port,
    folder: TempDir,
}

impl Nginx {
    /// Starts it, unless it is missing.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(CONFIG)
    }

    /// The same with something else in its `http`, where `DIR` and `ADDRESS` are replaced.
    pub(crate) fn start_with(http: &str) -> Option<Self> {
        let program = find("nginx", "nginx")?;
        let folder = tempfile::tempdir().unwrap();
        let port = Port::reserve().unwrap();
        let dir = folder.path().display().to_string();
        let config = FRAME.replace("HTTP", http.trim());
        let config = config.replace("DIR", &dir).replace("ADDRESS", &port.address().to_string());
        fs::write(folder.path().join("nginx.conf"), &config).unwrap();
        if config.contains("/site;") {
            write_site(folder.path());
        }
        let mut command = Command::new(program);
        command.args(["-p", &dir, "-c", "nginx.conf", "-e", "error.log"]);
        let mut process = Peer::start(&mut command);
        process.until("nginx to accept connections", |_| Client::connect(port.address()).is_ok());
        Some(Self { _process: process, port, folder })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The Unix socket on which it closes every connection after three requests.
    pub(crate) fn impatient(&self) -> String {
        format!("unix:{}", self.path("impatient.sock").display())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn write_site(dir: &Path) {
    for name in ["site", "uploads"] {
        fs::create_dir(dir.join(name)).unwrap();
    }
    fs::write(dir.join("site/hello.txt"), HELLO).unwrap();
    fs::write(dir.join("site/words.txt"), "the same words again\n".repeat(3121)).unwrap();
    fs::write(dir.join("site/large.bin"), noise(8 << 20)).unwrap();
}
