//! Limits on handshakes: how many at once, and how long one may take.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use crate::peer::{PATIENCE, Peer, find, until};
use crate::secure::Pki;

const CONFIG: &str = r#"
workers = 2
admin = "$ADMIN"
limits = { handshakes = 2 }
[[listener]]
bind = "$LISTEN"
tls = true
[[route]]
respond = "hello\n"
"#;

/// A client that connects and says nothing.
fn silent(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Waits for the end of a connection on which nothing is said.
fn ended(mut stream: TcpStream) {
    let mut said = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut said);
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn only_so_many_are_made_at_once() {
    let (Some(curl), pki) = (find("curl", "curl"), Pki::new()) else { return };
    let usher = pki.usher(CONFIG).start().unwrap();
    let at = usher.listen().unwrap();
    let refused = || usher.metric("usher_connections_refused_total{reason=\"handshake_limit\"}").unwrap();
    let (first, second) = (silent(at), silent(at));
    until("a third one to be refused", || {
        ended(silent(at));
        refused().is_some_and(|refused| refused >= 1.0)
    });
    // Who leaves makes room: a real client is served, on either worker.
    drop((first, second));
    let url = format!("https://site.test:{}/", at.port());
    until("room for a client", || {
        let mut command = Command::new(&curl);
        command
            .args(["-s", "--connect-to", &format!("::{at}"), "--cacert"])
            .arg(pki.path("ca.pem"))
            .arg(&url);
        let mut client = Peer::start(&mut command);
        client.wait(PATIENCE);
        client.output() == "hello\n"
    });
}

#[test]
fn none_may_take_for_ever() {
    let pki = Pki::new();
    let config = format!("{CONFIG}[timeouts]\nhandshake = \"300ms\"\n");
    let usher = pki.usher(&config).start().unwrap();
    ended(silent(usher.listen().unwrap()));
    let failed = "usher_tls_handshakes_failed_total{reason=\"silent\"}";
    until("it to be counted", || usher.metric(failed).unwrap().is_some_and(|failed| failed >= 1.0));
}
