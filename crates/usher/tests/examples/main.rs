//! Every config under `examples/` is started with the real binary and asked what its `.expect` file says. What the
//! lines of such a file mean is in `examples/README.md`.
//!
//! Addresses of a config become free ports; its endpoints become fakes that answer `endpoint NAME` and then the request
//! as they received it. Certificates are made for the test: those that `examples/certs/make.sh` makes.

mod certs;
mod curl;
mod datagrams;
mod expect;
mod fakes;
mod running;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use expect::Example;
use running::Running;

type Outcome<T = ()> = Result<T, String>;

macro_rules! examples {
    ($($test:ident = $file:literal,)*) => {
        const TESTED: &[&str] = &[$($file,)*];
        $(
            #[test]
            fn $test() {
                if let Err(message) = Example::read($file).and_then(|example| run(&example)) {
                    panic!("examples/{}: {message}", $file);
                }
            }
        )*
    };
}

examples! {
    api_gateway = "api-gateway.toml",
    automatic_https = "automatic-https.toml",
    balancing = "balancing.toml",
    behind_load_balancer = "behind-load-balancer.toml",
    discovery = "discovery.toml",
    gradual_release = "gradual-release.toml",
    progressive_shift = "progressive-shift.toml",
    grpc = "grpc.toml",
    health = "health.toml",
    endpoints = "endpoints.toml",
    http_versions = "http-versions.toml",
    https_files = "https-files.toml",
    multi_file = "multi-file.toml",
    mutual_tls = "mutual-tls.toml",
    observability = "observability.toml",
    overload = "overload.toml",
    password = "password.toml",
    redirects = "redirects.toml",
    regex = "regex.json",
    smallest = "smallest.toml",
    static_site = "static-site.toml",
    tcp = "tcp.toml",
    udp = "udp.toml",
    tls_passthrough = "tls-passthrough.toml",
    virtual_hosts = "virtual-hosts.yaml",
    websocket = "websocket.toml",
}

/// A config that nobody starts would rot.
#[test]
fn every_example_is_tested_and_listed() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let configs: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| [".toml", ".yaml", ".json"].iter().any(|ending| name.ends_with(ending)))
        .collect();
    assert_eq!(configs, TESTED.iter().map(|name| (*name).to_owned()).collect());
    for name in configs {
        assert!(readme.contains(&format!("]({name})")), "examples/README.md does not list {name}");
    }
}

fn run(example: &Example) -> Outcome {
    if example.asks.iter().any(expect::Ask::needs_curl) && !curl::is_there()? {
        println!("skipped: `curl` is missing; try `apt-get install curl`");
        return Ok(());
    }
    let mut running = Running::start(example)?;
    for ask in &example.asks {
        let asked = running.ask(ask);
        asked.map_err(|error| {
            let output = running.kill();
            format!("line {} of its .expect: {error}\noutput of usher:\n{output}", ask.line)
        })?;
    }
    Ok(())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn binary() -> PathBuf {
    std::env::var_os("USHER_BIN").map_or_else(|| env!("CARGO_BIN_EXE_usher").into(), PathBuf::from)
}
