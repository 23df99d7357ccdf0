//! libcurl as a client of HTTP/3, in the two forms that come as wheels.

use std::path::PathBuf;
use std::process::Command;

use usher_testkit::Endpoint;

use crate::peer::{Peer, wheels};
use crate::quic::{CONFIG, answer};
use crate::secure::{Pki, logged};

const SCRIPT: &str = include_str!("http3.py");

fn check(python: Option<PathBuf>, part: &str) {
    let Some(python) = python else { return };
    let pki = Pki::new();
    let endpoint = Endpoint::start(answer).unwrap();
    let usher = pki.usher(CONFIG).endpoint(&endpoint).start().unwrap();
    let base = format!("https://site.test:{}", usher.listen().unwrap().port());
    let mut command = Command::new(python);
    command.args(["-u", "-c", SCRIPT, part, &base]).arg(pki.path("ca.pem")).current_dir(pki.path(""));
    assert_eq!(Peer::start(&mut command).finish(), "done\n");
    logged(&usher, "a request", |line| line["version"] == "HTTP/3.0" && line["target"] == "/large");
}

#[test]
fn curl_with_ngtcp2() {
    check(wheels("pycurl"), "pycurl");
}

#[test]
fn curl_as_a_browser_has_it() {
    check(wheels("curl_cffi"), "curl_cffi");
}
