//! The probe `grpc` asks the servers of Python's grpcio.

use std::path::Path;
use std::process::Command;

use crate::peer::{PATIENCE, Peer, usher, wheels};

const SCRIPT: &str = include_str!("health.py");

const CONFIG: &str = "
workers = 1
access_log = \"off\"
[[listener]]
bind = \"$LISTEN\"
[[route]]
cluster = \"api\"
[cluster.api]
endpoints = [\"h2c://$ENDPOINT[grpc]\", \"h2c://$ENDPOINT[bare]\"]
health = { probe = \"grpc\", service = \"app.Api\", interval = \"50ms\", healthy_after = 1, unhealthy_after = 1 }
";

fn serve(python: &Path, arguments: &[&str]) -> (Peer, String) {
    let mut server = Peer::start(Command::new(python).args(["-u", "-c", SCRIPT]).args(arguments));
    let address = format!("127.0.0.1:{}", server.line_after("port "));
    (server, address)
}

#[test]
fn a_server_is_asked_by_the_health_protocol() {
    let Some(python) = wheels("grpc") else { return };
    let ((mut server, address), (_bare, bare)) = (serve(&python, &[]), serve(&python, &["bare"]));
    let builder = usher(CONFIG).endpoint_address("grpc", &address).endpoint_address("bare", &bare);
    let mut usher = builder.start().unwrap();
    let says = |address: &str, what: &str| format!("endpoint {address} of cluster api is {what}");
    let no_service = says(&bare, "unhealthy: it has no health service (grpc-status 12)");
    usher.wait_for_output(&no_service, PATIENCE).unwrap();
    let steps = [
        ("rest", "unhealthy: its state is NOT_SERVING"),
        ("serve", "healthy again"),
        ("forget", "unhealthy: it does not know the service (grpc-status 5)"),
    ];
    for (word, what) in steps {
        server.say(word);
        usher.wait_for_output(&says(&address, what), PATIENCE).unwrap();
    }
    assert_eq!(usher.output().matches("unhealthy").count(), 3, "{}", usher.output());
}
