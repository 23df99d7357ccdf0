//! The files in `cases/`: bad configs with the diagnostics they get, good ones with what they mean.
//!
//! `USHER_BLESS=1 cargo test -p usher-config` writes the expectations anew; read the difference before keeping it.

use std::path::{Path, PathBuf};

use crate::{Decode, Input, LoadOptions, Loaded, Report, load};

const FILTERS: [&str; 3] = ["rewrite", "rate_limit", "redirect"];

fn env(name: &str) -> Option<String> {
    match name {
        "USHER_PORT" => Some("8080".to_owned()),
        "USHER_WORKERS" => Some("4".to_owned()),
        "USHER_WATCH" => Some("true".to_owned()),
        "USHER_EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn loaded(path: &Path) -> Result<Loaded, Box<Report>> {
    let options = LoadOptions { format: None, env: &env, known_filters: &FILTERS };
    load(Input::Path(path.to_owned()), &options)?.sound()
}

fn configs(directory: &str) -> Vec<PathBuf> {
    let is_config = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_expectation = name.ends_with(".txt") || name.ends_with(".expected.json");
        path.is_file() && !is_expectation && !name.starts_with('.')
    };
    let entries = std::fs::read_dir(directory).expect("the folder of cases");
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry").path()).filter(is_config).collect();
    found.sort();
    assert!(!found.is_empty(), "no cases in {directory}");
    found
}

/// Compares with a file, or writes it.
fn compare(expectation: &Path, found: &str, failures: &mut Vec<String>) {
    if std::env::var_os("USHER_BLESS").is_some() {
        std::fs::write(expectation, found).expect("writing an expectation");
        return;
    }
    let expected = std::fs::read_to_string(expectation).unwrap_or_default();
    if expected != found {
        failures.push(format!("{}\n--- expected\n{expected}\n--- found\n{found}", expectation.display()));
    }
}

#[test]
fn bad_configs_are_refused_with_the_diagnostics_beside_them() {
    let mut failures = Vec::new();
    for path in configs("cases/bad") {
        match loaded(&path) {
            Ok(_) => failures.push(format!("{} is accepted", path.display())),
            Err(report) => {
                let expectation = PathBuf::from(format!("{}.txt", path.display()));
                compare(&expectation, &report.render(false), &mut failures);
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn good_configs_mean_the_same_in_every_format() {
    let mut failures = Vec::new();
    for path in configs("cases/good") {
        match loaded(&path) {
            Err(report) => failures.push(format!("{}:\n{report}", path.display())),
            Ok(loaded) => {
                let found = format!("{:#}\n", loaded.config.encode());
                compare(&path.with_extension("expected.json"), &found, &mut failures);
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
