//! `usher man`
//!
//! What `--help` says behind the options (`Examples:`, `Files:`) becomes sections of their own: man(7).

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap::builder::Resettable;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli;
use crate::terminal::{Failure, print};

/// Without a folder, usher(1) goes to standard output; with one, a page for every command is written there.
pub(super) fn run(dir: Option<&Path>) -> Result<(), Failure> {
    let mut command = cli::command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = dir else {
        let page = page(&command).map_err(|error| Failure::of("cannot make the page", error))?;
        return print(page);
    };
    let written = fs::create_dir_all(dir).and_then(|()| write_all(&command, dir));
    written.map_err(|error| Failure::of(format!("cannot write to `{}`", dir.display()), error))
}

/// The pages of a command and of its commands.
fn write_all(command: &Command, dir: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    fs::write(dir.join(format!("{name}.1")), page(command)?)?;
    command.get_subcommands().try_for_each(|one| write_all(one, dir))
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let behind = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let mut page = Vec::new();
    Man::new(command.clone().after_long_help(Resettable::Reset)).render(&mut page)?;
    page.extend(behind.split("\n\n").flat_map(section).collect::<String>().into_bytes());
    Ok(page)
}

/// `Examples:` and indented lines become the section EXAMPLES, with its lines as they are.
fn section(text: &str) -> Option<String> {
    let (title, lines) = text.split_once(":\n")?;
    let mut roff = Roff::new();
    roff.control("SH", [title.to_uppercase().as_str()]);
    roff.control("nf", []);
    for line in lines.lines() {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []);
    Some(roff.to_roff())
}
