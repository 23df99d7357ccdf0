//! `usher completions`

use clap_complete::{Shell, generate};

use crate::cli;
use crate::terminal::{Failure, print};

pub(super) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(shell, &mut cli::command(), "usher", &mut script);
    print(script)
}
