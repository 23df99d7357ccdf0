//! The book holds what it says: every `toml` block of `README.md` and `docs/` passes `usher check`, and every link
//! leads to a file. What is not a whole config is a `text` block there. Files below `/etc/usher/certs/` are made for the
//! test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

#[path = "examples/certs.rs"]
mod certs;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

/// In the place of `/etc/usher/`.
static FILES: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(certs::FOLDER)).unwrap();
    for (name, text) in certs::files().unwrap() {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
});

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn binary() -> PathBuf {
    std::env::var_os("USHER_BIN").map_or_else(|| env!("CARGO_BIN_EXE_usher").into(), PathBuf::from)
}

/// The pages: documents at the root, and the book without what is generated.
fn pages() -> Vec<PathBuf> {
    let in_folder = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let mut pages = [in_folder("."), in_folder("docs"), in_folder("examples")].concat();
    pages.retain(|path| {
        path.extension().is_some_and(|ending| ending == "md") && !path.ends_with("reference.md")
    });
    pages.sort();
    pages
}

/// The fenced blocks of a language, each with the number of its first line.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut inside = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), inside) {
            (Some(opens), None) => {
                inside = Some(opens == language);
                if opens == language {
                    found.push((number + 2, String::new()));
                }
            }
            (Some(_), Some(_)) => inside = None,
            (None, Some(true)) => {
                if let Some((_, block)) = found.last_mut() {
                    block.push_str(line);
                    block.push('\n');
                }
            }
            (None, _) => {}
        }
    }
    found
}

/// What `usher check` says of a config on its standard input, if it is not good. Relative paths lead into `examples/`.
fn complaint(config: &str) -> Option<String> {
    let here = format!("\"{}/{}/", FILES.path().display(), certs::FOLDER);
    let config = config.replace("\"/etc/usher/certs/", &here);
    let mut command = Command::new(binary());
    command.args(["check", "--config", "-", "--format", "toml"]).current_dir(root().join("examples"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(config.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (!output.status.success()).then(|| String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn every_config_in_the_book_is_good() {
    let mut complaints = Vec::new();
    let mut count = 0;
    for page in pages() {
        for (line, config) in blocks(&fs::read_to_string(&page).unwrap(), "toml") {
            count += 1;
            complaints
                .extend(complaint(&config).map(|said| format!("{}, line {line}:\n{said}", page.display())));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(count > 20, "only {count} blocks were found");
}

/// The page on the config language shows a config with mistakes, and then what is said of them.
#[test]
fn the_report_in_the_book_is_a_real_one() {
    let page = fs::read_to_string(root().join("docs/config.md")).unwrap();
    let (_, rest) = page.split_once("<!-- mistakes").unwrap();
    let shown = blocks(rest, "text");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("usher.toml"), &shown[0].1).unwrap();
    let mut command = Command::new(binary());
    let output = command.arg("check").current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr).trim_end(), shown[1].1.trim_end());
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let folder = page.parent().unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            if target.contains("://") {
                continue;
            }
            let to = if file.is_empty() { page.clone() } else { folder.join(file) };
            let there = match fs::read_to_string(&to) {
                Ok(text) if !anchor.is_empty() => {
                    text.lines().any(|line| anchor_of(line).as_deref() == Some(anchor))
                }
                Ok(_) => true,
                Err(_) => to.exists(),
            };
            if !there {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The anchor of a heading, as the common renderers of Markdown make it.
fn anchor_of(line: &str) -> Option<String> {
    let text = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let kept = text.to_lowercase();
    let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    Some(kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect())
}
