//! `cargo xtask generate`: files that the binary itself writes, so that nothing is written twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Outcome, paths};

/// Files, and what to ask the binary for them.
const FILES: &[(&str, &[&str])] = &[
    ("docs/schema.json", &["schema"]),
    ("docs/reference.md", &["schema", "--reference"]),
    ("packaging/completions/usher.bash", &["completions", "bash"]),
    ("packaging/completions/_usher", &["completions", "zsh"]),
    ("packaging/completions/usher.fish", &["completions", "fish"]),
    ("packaging/man/usher.1", &["man"]),
];

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let only_check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        [first, ..] => return crate::unknown(first),
    };
    let usher = binary()?;
    let mut differing = Vec::new();
    for (file, question) in FILES {
        let wanted = ask(&usher, question)?;
        let present = fs::read(file).ok();
        if present.as_deref() == Some(&wanted[..]) {
            continue;
        }
        if only_check {
            differing.push(difference(file, present.as_deref(), &wanted));
        } else {
            write(Path::new(file), &wanted)?;
            println!("wrote {file}");
        }
    }
    if differing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "generated files are out of date; run `cargo xtask generate` and look at what changed\n{}",
        differing.join("\n")
    ))
}

/// `USHER_BIN`, or the development build.
fn binary() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("USHER_BIN") {
        return Ok(path.into());
    }
    let mut command = Command::new(paths::cargo());
    command.args(["build", "--quiet", "--package", "usher"]).stdin(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(paths::target().join("debug/usher")),
        _ => Err("`cargo build --package usher` failed".to_owned()),
    }
}

fn ask(usher: &Path, question: &[&str]) -> Result<Vec<u8>, String> {
    let asked = format!("`usher {}`", question.join(" "));
    let output = Command::new(usher).args(question).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot start `{}`: {error}", usher.display()))?;
    if !output.status.success() {
        return Err(format!("{asked} failed\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    if output.stdout.is_empty() {
        return Err(format!("{asked} wrote nothing"));
    }
    Ok(output.stdout)
}

fn write(file: &Path, text: &[u8]) -> Outcome {
    let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| fs::write(file, text))
        .map_err(|error| format!("cannot write `{}`: {error}", file.display()))
}

/// Where the file and what the binary says part ways.
fn difference(file: &str, present: Option<&[u8]>, wanted: &[u8]) -> String {
    let Some(present) = present else { return format!("  {file}: missing") };
    let (present, wanted) = (String::from_utf8_lossy(present), String::from_utf8_lossy(wanted));
    let same = present.lines().zip(wanted.lines()).take_while(|(old, new)| old == new).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(the end)").to_owned();
    format!("  {file}:{}: has `{}`, should be `{}`", same + 1, line(&present), line(&wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_line_that_differs() {
        let cases = [
            (None, "  f: missing"),
            (Some("a\nb\n"), "  f:2: has `b`, should be `c`"),
            (Some("a\n"), "  f:2: has `(the end)`, should be `c`"),
        ];
        for (present, expected) in cases {
            assert_eq!(difference("f", present.map(str::as_bytes), b"a\nc\n"), expected);
        }
    }
}
