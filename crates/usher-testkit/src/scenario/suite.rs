//! Finds scenario files and runs them side by side.

use super::{Failure, run_file};
use crate::lock;
use std::fs;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Deepest nesting of folders that is looked into.
const MAX_DEPTH: usize = 8;

/// Scenarios mostly wait for one another's bytes, so more of them than cores run at once.
const THREADS_PER_CORE: usize = 2;

/// How one scenario went.
#[derive(Debug)]
pub struct Outcome {
    /// Its path below the folder of scenarios, without the ending: `framing/bare_lf`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What it said.
    pub result: Result<(), Failure>,
}

/// Every `.scn` file below `folder` with its name, in order of names.
pub fn discover(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    collect(folder, 0, &mut files)?;
    let mut named: Vec<(String, PathBuf)> = files
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
            (inside.to_string_lossy().into_owned(), path)
        })
        .collect();
    named.sort();
    Ok(named)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && depth < MAX_DEPTH {
            collect(&path, depth + 1, files)?;
        } else if path.extension().is_some_and(|ending| ending == "scn") {
            files.push(path);
        }
    }
    Ok(())
}

/// Runs the cases on a few threads and calls `report` as each ends; the outcomes come back in order of names.
pub fn run_suite(cases: &[(String, PathBuf)], report: impl Fn(&Outcome) + Sync) -> Vec<Outcome> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get) * THREADS_PER_CORE;
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((name, path)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (name, path) = (name.clone(), path.clone());
                    let outcome = Outcome { result: run_file(&path), name, path };
                    report(&outcome);
                    lock(&outcomes).push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_default();
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    outcomes
}
