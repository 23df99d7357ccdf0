//! WebSockets over TLS, HTTP/2 and HTTP/3, bridged to a server that speaks HTTP/1.1.

use std::process::Command;

use usher_testkit::Usher;

use crate::peer::{Peer, python, wheels};
use crate::secure::{Pki, logged};
use crate::websocket;

const SCRIPT: &str = include_str!("tunnel.py");

const CONFIG: &str = r#"
workers = 2
access_log = "access.log"
[[listener]]
bind = "$LISTEN"
tls = true
[[route]]
path = "/chat"
to = "$ENDPOINT[websocket]"
"#;

fn start(pki: &Pki) -> Option<(Peer, Usher)> {
    let mut server = websocket::run(&python("websockets", "python3-websockets")?, &["serve"]);
    let address = format!("127.0.0.1:{}", server.line_after("port "));
    let usher = pki.usher(CONFIG).endpoint_address("websocket", &address).start().unwrap();
    Some((server, usher))
}

#[test]
fn a_client_over_tls() {
    let pki = Pki::new();
    let Some((_server, usher)) = start(&pki) else { return };
    let python = python("websockets", "python3-websockets").expect("was found");
    let url = format!("wss://localhost:{}/chat", usher.listen().unwrap().port());
    let mut command = Command::new(python);
    command.args(["-u", "-c", websocket::SCRIPT, "client", &url]).env("SSL_CERT_FILE", pki.path("ca.pem"));
    Peer::start(&mut command).finish();
}

fn check(part: &str, modules: &str, version: &str) {
    let pki = Pki::new();
    let (Some(python), Some((mut server, usher))) = (wheels(modules), start(&pki)) else { return };
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, part, &usher.listen().unwrap().port().to_string()]).arg(pki.path("ca.pem"));
    assert_eq!(Peer::start(&mut command).finish(), "done\n");
    let end = "closed 4001 'enough'";
    server.until(end, |server| server.output().contains(end));
    let line = logged(&usher, "the tunnel", |line| line["target"] == "/chat");
    assert_eq!(line["version"], version, "{line}");
}

#[test]
fn extended_connect_of_http2() {
    check("h2", "h2", "HTTP/2.0");
}

#[test]
fn extended_connect_of_http3() {
    check("h3", "aioquic", "HTTP/3.0");
}
