//! `usher upgrade`

use rustix::process::Signal;

use super::admin_client::Asked;
use super::reload::signal;
use crate::cli::UpgradeArgs;
use crate::terminal::{Failure, print, say};

/// Asks the running process to let another one take over; waits until that one serves, or has failed.
pub(super) fn run(args: &UpgradeArgs) -> Result<(), Failure> {
    if let Some(path) = &args.pid_file {
        return signal(path, Signal::USR2, "SIGUSR2");
    }
    let asked = match &args.admin {
        Some(address) => Asked::named(address.clone()),
        None => Asked::configured(&args.config)?,
    };
    let (status, report) = asked.ask("POST", "/upgrade")?;
    match status {
        200..=299 => print(&report),
        _ => {
            say(&report);
            Err(Failure::Said)
        }
    }
}
