//! Python's grpcio on both sides: the four shapes of a call, deadlines, statuses; and gRPC-Web before it.

use std::path::{Path, PathBuf};
use std::process::Command;

use usher_testkit::Usher;

use crate::peer::{Peer, python, wheels};
use crate::secure::{Pki, logged, says};

const SCRIPT: &str = include_str!("grpc.py");
const WEB: &str = include_str!("grpc_web.py");

const CONFIG: &str = r#"
workers = 2
access_log = "access.log"
[[listener]]
bind = "$LISTEN"
tls = true
[[listener]]
name = "plain"
bind = "$LISTEN[plain]"
[[route]]
to = "h2c://$ENDPOINT[grpc]"
grpc_web = true
[[route]]
path = "/ill.AtOnce/*"
cluster = "at_once"
[[route]]
path = "/ill.Later/*"
cluster = "later"
[cluster.at_once]
endpoints = "h2c://$ENDPOINT[grpc]"
breaker = true
[cluster.later]
endpoints = "h2c://$ENDPOINT[grpc]"
breaker = true
"#;

struct Chain {
    python: PathBuf,
    pki: Pki,
    server: Peer,
    usher: Usher,
}

fn run(python: &Path, arguments: &[&str]) -> Peer {
    Peer::start(Command::new(python).args(["-u", "-c", SCRIPT]).args(arguments))
}

impl Chain {
    fn start() -> Option<Self> {
        let (python, pki) = (wheels("grpc")?, Pki::new());
        let mut server = run(&python, &["serve"]);
        let address = format!("127.0.0.1:{}", server.line_after("port "));
        let usher = pki.usher(CONFIG).endpoint_address("grpc", &address).start().unwrap();
        Some(Self { python, pki, server, usher })
    }

    /// Runs a part of the script against a listener.
    fn client(&self, part: &str, listener: &str) -> String {
        let address = self.usher.listener(listener).unwrap().to_string();
        let trusted = match listener {
            "plain" => "plain".to_owned(),
            _ => self.pki.path("ca.pem").display().to_string(),
        };
        run(&self.python, &[part, &address, &trusted]).finish()
    }
}

#[test]
fn calls_of_all_shapes_over_tls() {
    let Some(mut chain) = Chain::start() else { return };
    assert!(chain.client("client", "").ends_with("done\n"));
    // What the client no longer waits for, the server need not finish.
    let both = |server: &Peer| server.output().matches("cancelled\n").count() >= 2;
    chain.server.until("both calls to be cancelled", both);
    let line = logged(&chain.usher, "a call", |line| line["target"] == "/test.Echo/Both");
    assert_eq!((&line["version"], &line["status"]), (&"HTTP/2.0".into(), &200.into()), "{line}");
}

#[test]
fn calls_of_all_shapes_without_tls() {
    let Some(chain) = Chain::start() else { return };
    assert!(chain.client("client", "plain").ends_with("done\n"));
}

#[test]
fn a_server_that_is_gone_is_unavailable() {
    let Some(Chain { python, pki, server, usher }) = Chain::start() else { return };
    let mut chain = Chain { python, pki, server, usher };
    assert!(chain.client("client", "").ends_with("done\n"));
    chain.server.signal(rustix::process::Signal::KILL);
    chain.server.wait(crate::peer::PATIENCE);
    assert!(chain.client("down", "").ends_with("done\n"));
    logged(&chain.usher, "the failure", |line| says(line, "reason", "connect_failed"));
}

#[test]
fn calls_that_fail_open_a_circuit() {
    let Some(chain) = Chain::start() else { return };
    assert!(chain.client("ill", "").ends_with("done\n"));
}

#[test]
fn browsers_speak_grpc_web() {
    let (Some(python), Some(chain)) = (python("http.client, ssl", "python3"), Chain::start()) else { return };
    let address = chain.usher.listen().unwrap();
    let mut command = Command::new(python);
    command.args(["-c", WEB, "localhost", &address.port().to_string()]).arg(chain.pki.path("ca.pem"));
    assert_eq!(Peer::start(&mut command).finish(), "done\n");
}
