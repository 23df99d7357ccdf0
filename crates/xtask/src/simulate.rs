//! `cargo xtask simulate`: the pictures of the book that show how balancers behave.

use std::process::{Command, Stdio};

use crate::{Outcome, paths};

/// Where the pictures belong.
const FOLDER: &str = "docs/pictures";

pub(crate) fn main() -> Outcome {
    let mut command = Command::new(paths::cargo());
    command.args(["run", "--quiet", "--package", "usher-extensions", "--example", "simulate", "--", FOLDER]);
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the simulation did not finish; what went wrong is above".to_owned()),
        Err(error) => Err(format!("cannot start cargo: {error}")),
    }
}
