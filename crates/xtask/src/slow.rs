//! `cargo xtask slow-clients`: a crowd of slow clients against a ceiling on memory.

use std::process::{Command, Stdio};

use crate::{Outcome, bench, paths};

/// Where the table is kept.
const TABLE: &str = "bench/SLOW_CLIENTS.md";

pub(crate) fn main(arguments: &[String]) -> Outcome {
    bench::build("usher-bench")?;
    bench::build("usher")?;
    let mut command = Command::new(paths::target().join("release/usher-bench"));
    command.args(["slow-clients", "--keep", TABLE, "--usher"]).arg(paths::target().join("release/usher"));
    match command.args(arguments).stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("a goal was missed, or it did not finish; what went wrong is above".to_owned()),
        Err(error) => Err(format!("cannot start the benchmark: {error}")),
    }
}
