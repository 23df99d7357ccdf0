//! `cargo xtask simulate`: the pictures of the book that show how balancers and limits behave.

use std::process::{Command, Stdio};

use crate::{Outcome, paths};

/// Where the pictures belong.
const FOLDER: &str = "docs/pictures";

/// Which example of which package draws.
const DRAW: [(&str, &str); 2] = [("usher-extensions", "simulate"), ("usher-engine", "overload")];

pub(crate) fn main() -> Outcome {
    DRAW.into_iter().try_for_each(|(package, example)| draw(package, example))
}

fn draw(package: &str, example: &str) -> Outcome {
    let mut command = Command::new(paths::cargo());
    command.args(["run", "--quiet", "--package", package, "--example", example, "--", FOLDER]);
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the simulation did not finish; what went wrong is above".to_owned()),
        Err(error) => Err(format!("cannot start cargo: {error}")),
    }
}
