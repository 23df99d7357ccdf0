//! `cargo xtask bench`: installs the peers, builds Usher and the benchmark, runs it.

use std::process::{Command, Stdio};

use crate::{Outcome, paths, tools};

const PEERS: &[tools::Package] = &[("nginx", "nginx"), ("haproxy", "haproxy")];

pub(crate) fn main(arguments: &[String]) -> Outcome {
    build("usher-bench")?;
    let bench = paths::target().join("release/usher-bench");
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        let _ = Command::new(bench).arg("--help").status();
        return Ok(());
    }
    tools::debian(PEERS)?;
    let chosen = arguments.iter().skip_while(|argument| *argument != "--proxies").nth(1);
    let own_binary = arguments.iter().any(|argument| argument == "--usher");
    let mut command = Command::new(bench);
    command.arg("run").args(arguments).stdin(Stdio::null());
    if !own_binary && chosen.is_none_or(|proxies| proxies.split(',').any(|proxy| proxy == "usher")) {
        build("usher")?;
        command.arg("--usher").arg(paths::target().join("release/usher"));
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the benchmark did not finish; what went wrong is above".to_owned()),
        Err(error) => Err(format!("cannot start the benchmark: {error}")),
    }
}

fn build(package: &str) -> Outcome {
    let mut command = Command::new(paths::cargo());
    command.args(["build", "--release", "--package", package]);
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("`cargo build --release --package {package}` failed")),
    }
}
