//! `usher init`

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::terminal::{Failure, print};

/// The config to begin with.
pub(crate) const STARTER: &str = include_str!("starter.toml");

pub(super) fn run(path: &Path, force: bool) -> Result<(), Failure> {
    let shown = path.display();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    if !force {
        options.create_new(true);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(STARTER.as_bytes()));
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Failure::Message(format!("`{shown}` is there already; `--force` replaces it")));
        }
        Err(error) => return Err(Failure::of(format!("cannot write `{shown}`"), error)),
    }
    let named = if path == Path::new(crate::origin::DEFAULT_FILE) {
        String::new()
    } else {
        format!(" --config {shown}")
    };
    print(format!("wrote {shown}\nnext: edit it, then `usher check{named}` and `usher run{named}`\n"))
}
