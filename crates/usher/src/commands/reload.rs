//! `usher reload`

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::admin_client::Asked;
use crate::cli::ReloadArgs;
use crate::terminal::{Failure, print, say};

pub(super) fn run(args: &ReloadArgs) -> Result<(), Failure> {
    if let Some(path) = &args.pid_file {
        return signal(path, Signal::HUP, "SIGHUP");
    }
    let asked = match &args.admin {
        Some(address) => Asked::named(address.clone()),
        None => Asked::configured(&args.config)?,
    };
    let (status, report) = asked.ask("POST", "/reload")?;
    match status {
        200..=299 => print(&report),
        _ => {
            say(&report);
            Err(Failure::Said)
        }
    }
}

/// A signal to the process in the file.
pub(super) fn signal(path: &Path, signal: Signal, name: &str) -> Result<(), Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::of(format!("cannot read `{shown}`"), error))?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw).filter(|pid| pid.as_raw_nonzero().get() > 0);
    let pid = pid.ok_or_else(|| Failure::Message(format!("`{shown}` holds no process number")))?;
    let number = pid.as_raw_nonzero();
    kill_process(pid, signal)
        .map_err(|error| Failure::of(format!("cannot signal process {number}"), error))?;
    print(format!("sent {name} to process {number}; what became of it is in its log\n"))
}
