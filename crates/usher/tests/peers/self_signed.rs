//! An endpoint with the certificate that `openssl req -x509` makes: signed by itself, and an authority by its own words.

use std::process::Command;

use usher_testkit::{Client, Port};

use crate::peer::{Peer, find, usher};

const CONFIG: &str = r#"
[[listener]]
bind = "$LISTEN"
[[route]]
cluster = "named"
[[route]]
path = "/stranger"
cluster = "stranger"
[[route]]
path = "/misnamed"
cluster = "misnamed"
[cluster.named]
endpoints = ["https://$ENDPOINT[openssl]"]
host = "endpoint"
tls = { ca = "own.pem", server_name = "endpoint.test" }
[cluster.stranger]
endpoints = ["https://$ENDPOINT[openssl]"]
tls = { ca = "other.pem", server_name = "endpoint.test" }
[cluster.misnamed]
endpoints = ["https://$ENDPOINT[openssl]"]
tls = { ca = "own.pem", server_name = "other.test" }
"#;

#[test]
fn an_endpoint_that_signed_itself_is_trusted_if_it_is_named() {
    let Some(openssl) = find("openssl", "openssl") else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in ["own", "other"] {
        let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=endpoint.test";
        let files = format!("-addext subjectAltName=DNS:endpoint.test -keyout {name}.key -out {name}.pem");
        let mut command = Command::new(&openssl);
        command.args(make.split(' ')).args(files.split(' ')).current_dir(folder.path());
        Peer::start(&mut command).finish();
    }
    let port = Port::reserve().unwrap();
    let address = port.address().to_string();
    let mut command = Command::new(&openssl);
    command.args("s_server -www -cert own.pem -key own.key -accept".split(' ')).arg(&address);
    let mut server = Peer::start(command.current_dir(folder.path()));
    server.until("s_server to accept connections", |_| Client::connect(port.address()).is_ok());
    let file = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let builder = usher(CONFIG).endpoint_address("openssl", &address);
    let usher =
        builder.file("own.pem", file("own.pem")).file("other.pem", file("other.pem")).start().unwrap();
    for (path, status) in [("/", 200), ("/stranger", 502), ("/misnamed", 502)] {
        let mut client = usher.client().unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        client.send(request.as_bytes()).unwrap();
        assert_eq!(client.read_response().unwrap().status, status, "{path}");
    }
}
