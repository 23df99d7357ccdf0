//! A network of its own: port 53 is free there, addresses are, and nobody else's traffic passes.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use crate::process::Scratch;

/// Set in the process that runs there.
const INSIDE: &str = "USHER_BENCH_CHAOS";
const RESOLV: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n";

/// Whether this process runs there.
pub(super) fn is_own() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the same command there, with `/etc/resolv.conf` naming the name server that will be there.
pub(super) fn enter(arguments: &[String]) -> io::Result<()> {
    let scratch = Scratch::new()?;
    let resolv = scratch.path().join("resolv.conf");
    fs::write(&resolv, RESOLV)?;
    let script = "ip link set lo up && mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "sh", "-c", script, "sh"]).arg(&resolv);
    command.arg(std::env::current_exe()?).arg("chaos").args(arguments).env(INSIDE, "1");
    let status = command.stdin(Stdio::null()).status().map_err(|error| {
        io::Error::other(format!("cannot start `unshare`, which makes a network of its own: {error}"))
    })?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other("it did not finish; making a network of its own takes root, and `ip` of iproute2"))
}
