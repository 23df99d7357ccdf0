//! `usher man`

use std::fs;
use std::path::Path;

use crate::cli;
use crate::terminal::{Failure, print};

/// Without a folder, usher(1) goes to standard output; with one, a page for every command is written there.
pub(super) fn run(dir: Option<&Path>) -> Result<(), Failure> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(cli::command()).render(&mut page);
        rendered.map_err(|error| Failure::of("cannot make the page", error))?;
        return print(page);
    };
    let written = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(cli::command(), dir));
    written.map_err(|error| Failure::of(format!("cannot write to `{}`", dir.display()), error))
}
