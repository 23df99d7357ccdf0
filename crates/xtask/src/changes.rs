//! `cargo xtask changes`: reloads and upgrades under load, the whole of it.

use std::process::{Command, Stdio};

use crate::{Outcome, paths};

pub(crate) fn main() -> Outcome {
    let mut command = Command::new(paths::cargo());
    command.args(["test", "--package", "usher", "--test", "process", "--"]);
    command.args(["changes::the_whole", "--exact", "--ignored", "--nocapture"]);
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("something was lost; what it was is above".to_owned()),
        Err(error) => Err(format!("cannot start cargo: {error}")),
    }
}
