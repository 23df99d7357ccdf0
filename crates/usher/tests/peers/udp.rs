//! UDP among programs of others: dnsmasq behind Usher, dig before it.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::tempdir;
use usher_testkit::{Port, Usher};

use crate::dnsmasq::name_server;
use crate::peer::{PATIENCE, Peer, find, usher};

/// Questions that dig asks one after another, each from a port of its own.
const QUESTIONS: usize = 200;
/// Addresses of `many`: more than a datagram of DNS holds, so that dig asks again over TCP.
const MANY: usize = 120;

fn start(program: &Path, port: &Port, dir: &Path) -> Peer {
    let many = (1..=MANY).map(|last| format!("--host-record=many.example.com,127.0.1.{last}"));
    let more = ["--host-record=app.example.com,192.0.2.7".to_owned(), format!("--port={}", port.number())];
    let pid = dir.join(format!("{}.pid", port.number()));
    name_server(program, (Path::new("/dev/null"), &pid), many.chain(more))
}

/// What dig says, in short, to each of these names.
fn dig(program: &Path, usher: &Usher, names: &[&str]) -> Vec<String> {
    let file = usher.dir().join("names");
    std::fs::write(&file, names.join("\n") + "\n").unwrap();
    let port = usher.listen().unwrap().port().to_string();
    let mut command = Command::new(program);
    // Once, so that nothing may be lost on the way.
    command.args(["@127.0.0.1", "-p", &port, "+tries=1", "+time=10", "+short", "-f"]).arg(file);
    let out = Peer::start(&mut command).finish_within(2 * PATIENCE);
    out.lines().map(str::to_owned).collect()
}

#[test]
fn questions_of_dig_are_answered_also_while_a_name_server_is_down() {
    let (Some(dnsmasq), Some(digs)) = (find("dnsmasq", "dnsmasq-base"), find("dig", "bind9-dnsutils")) else {
        return;
    };
    let (dir, one, two) = (tempdir().unwrap(), Port::reserve().unwrap(), Port::reserve().unwrap());
    let mut first = start(&dnsmasq, &one, dir.path());
    let second = start(&dnsmasq, &two, dir.path());
    let config = format!(
        "workers = 2\nadmin = \"$ADMIN\"\n[[listener]]\nbind = \"$LISTEN\"\nprotocol = \"udp\"\ncluster = \"dns\"\n\
         sessions = {{ idle = \"10s\", requests = 1, responses = 1 }}\n\
         [[listener]]\nbind = \"$LISTEN\"\nprotocol = \"tcp\"\ncluster = \"dns\"\n\
         [cluster.dns]\nendpoints = [\"{}\", \"{}\"]\n",
        one.address(),
        two.address(),
    );
    let usher = usher(&config).start().unwrap();
    let metric = |name: &str| usher.metric(name).unwrap().unwrap_or_default() as usize;
    assert_eq!(dig(&digs, &usher, &["app.example.com"; QUESTIONS]), vec!["192.0.2.7"; QUESTIONS]);
    let asked = |peer: &Peer| peer.output().matches("query[A] app.example.com").count();
    assert!(asked(&first) > QUESTIONS / 3 && asked(&second) > QUESTIONS / 3, "both are asked");
    assert_eq!(metric("usher_udp_sessions_total"), QUESTIONS);
    assert_eq!(metric("usher_udp_sessions_active"), 0, "each is over when it is answered");
    // Too long for a datagram, which says so: the same question over TCP.
    assert_eq!(dig(&digs, &usher, &["many.example.com"]).len(), MANY);
    assert!(metric("usher_tcp_connections_total") > 0);
    first.signal(Signal::TERM);
    let _ = first.wait(PATIENCE);
    assert_eq!(dig(&digs, &usher, &["app.example.com"; QUESTIONS]), vec!["192.0.2.7"; QUESTIONS]);
    drop(second);
}
