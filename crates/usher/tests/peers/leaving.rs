//! Reloads and shutdowns while TLS, HTTP/2 and HTTP/3 are busy: nothing fails, and clients are told.

use std::process::Command;
use std::time::Duration;

use usher_testkit::{Endpoint, Reply, Signal};

use crate::peer::{PATIENCE, Peer, find, until, wheels};
use crate::secure::{Pki, log, with_certificate};
use crate::{nghttp2, quic};

const SCRIPT: &str = concat!(include_str!("frames.py"), include_str!("leaving.py"));

/// The pause of an endpoint that takes its time: the whole answer takes a second.
const PAUSE: Duration = Duration::from_millis(20);

fn leave(part: &str, modules: &str) {
    let Some(python) = wheels(modules) else { return };
    let pki = Pki::new();
    let body = "word ".repeat(3000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let endpoint = Endpoint::start(move |_| Reply::pieces(&answer, 300, PAUSE)).unwrap();
    let mut usher = pki.usher(quic::CONFIG).endpoint(&endpoint).start().unwrap();
    let port = usher.listen().unwrap().port().to_string();
    let mut command = Command::new(python);
    let mut client = Peer::start(command.args(["-u", "-c", SCRIPT, part, &port]).arg(pki.path("ca.pem")));
    client.until("the requests to be answered", |client| client.output().contains("begun"));
    usher.signal(Signal::Term).unwrap();
    client.until("the farewell", |client| client.output().contains("farewell"));
    assert!(usher.wait_exit(PATIENCE).unwrap().success(), "{}", usher.output());
    assert!(client.finish().ends_with("done\n"));
    let lines = log(&usher);
    let whole = lines.iter().filter(|line| line["status"] == 200 && line["reason"].is_null()).count();
    assert_eq!(whole, 3, "{lines:#?}");
}

#[test]
fn streams_of_h2_are_finished_and_clients_told() {
    leave("h2", "hyperframe, hpack");
}

#[test]
fn streams_of_h3_are_finished_and_clients_told() {
    leave("h3", "hyperframe, hpack, aioquic");
}

#[test]
fn reloads_disturb_nobody() {
    let (Some(h2load), Some((python, pki, _endpoint, mut usher))) =
        (find("h2load", "nghttp2-client"), quic::start())
    else {
        return;
    };
    let url = format!("https://localhost:{}/seen", usher.listen().unwrap().port());
    let load = |more: &[&str]| {
        let mut command = Command::new(&h2load);
        Peer::start(command.args(["-c", "6", "-t", "1", "-n", "12000"]).args(more).arg(&url))
    };
    let runs = [load(&["-m", "10"]), load(&["--npn-list", "http/1.1"])];
    let mut over_h3 = quic::run(&python, &pki, &usher, "stay", "");
    over_h3.until("a request over HTTP/3", |client| client.output().contains("begun"));
    let other = format!("{}\n[[route]]\npath = \"/other\"\nrespond = \"other\"\n", quic::CONFIG);
    for number in 0..20 {
        let config = if number % 2 == 0 { &other } else { quic::CONFIG };
        usher.reload(&with_certificate(config)).unwrap();
    }
    over_h3.say("enough");
    assert!(over_h3.finish().ends_with("done\n"));
    for run in runs {
        nghttp2::all_succeeded(&run.finish(), 12_000);
    }
    until("all requests to be logged", || {
        log(&usher).iter().filter(|line| line["target"] == "/seen").count() == 24_000
    });
    let broken = log(&usher).into_iter().find(|line| line["method"].is_string() && line["status"] != 200);
    assert!(broken.is_none(), "{broken:?}");
}
