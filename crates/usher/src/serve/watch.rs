//! `watch = true`: a reload when one of the config's files changes. Files that name endpoints are watched in the same way.
//!
//! Folders are watched rather than files, as editors and config management replace files. What the system reports is
//! only a hint to look: a change is a different fingerprint of the files, so that reading them, or a log file beside
//! them, is none.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use usher_config::Format;

use super::event::Event;

/// A change counts when nothing has happened for so long: several files are written one after another.
const QUIET: Duration = Duration::from_millis(100);
/// Or after so long, if it never gets quiet.
const LONGEST: Duration = Duration::from_secs(1);
/// How often files are looked at without a hint: nobody tells of folders that were replaced or came to be after the start,
/// nor of where a symbolic link leads.
const WITHOUT_HINT: Duration = Duration::from_secs(5);
/// Files of a folder that are looked at; a config may include new ones by a pattern.
const MAX_LISTED: usize = 10_000;

/// Who hears of a change, and what.
pub(super) type Told = (mpsc::Sender<Event>, fn() -> Event);

/// Watches until it is dropped.
pub(super) struct Watch {
    _watcher: RecommendedWatcher,
    place: Place,
}

impl Watch {
    /// Watches these files, and their folders for new ones. What differs from `seen` counts as a change at once.
    ///
    /// # Errors
    /// The system cannot watch, often because the user watches too much already.
    pub(super) fn start(files: &[PathBuf], seen: Fingerprint, told: Told) -> Result<Self, notify::Error> {
        let (hints, hinted) = mpsc::sync_channel(1);
        let hint = move |event: notify::Result<notify::Event>| {
            // Reading is no change. A full channel holds a hint already.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                let _ = hints.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(hint)?;
        let place = Place::of(files);
        for folder in &place.folders {
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                // It may yet be made; the files in it are looked at in any case.
                Err(_) if !folder.exists() => {}
                watched => watched?,
            }
        }
        let looked_at = place.clone();
        let look = move || looked_at.look(seen, &hinted, &told);
        thread::Builder::new().name("watch".to_owned()).spawn(look)?;
        Ok(Self { _watcher: watcher, place })
    }

    /// Whether it watches exactly these files.
    pub(super) fn covers(&self, files: &[PathBuf]) -> bool {
        self.place == Place::of(files)
    }
}

fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// What is watched.
#[derive(Clone, PartialEq)]
struct Place {
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

/// Device, inode, length and time of change of a file; none if it is not there.
type FileState = Option<(u64, u64, u64, SystemTime)>;

/// What tells one state of files and folders from another.
#[derive(PartialEq, Default)]
pub(super) struct Fingerprint {
    files: BTreeMap<PathBuf, FileState>,
    folders: BTreeMap<PathBuf, BTreeSet<OsString>>,
}

impl Fingerprint {
    /// Of files as they are now, and of their folders.
    pub(super) fn of(files: &[PathBuf]) -> Self {
        Place::of(files).fingerprint()
    }

    /// With what `before` says of the same files and folders in its place.
    #[must_use]
    pub(super) fn with(mut self, before: &Self) -> Self {
        for (path, state) in &mut self.files {
            if let Some(before) = before.files.get(path) {
                *state = *before;
            }
        }
        for (path, names) in &mut self.folders {
            if let Some(before) = before.folders.get(path) {
                names.clone_from(before);
            }
        }
        self
    }
}

impl Place {
    fn of(files: &[PathBuf]) -> Self {
        let folders = files.iter().map(|file| folder(file)).collect();
        Self { files: files.iter().cloned().collect(), folders }
    }

    /// Looks now, after each hint, and every [`WITHOUT_HINT`], until the watcher is gone.
    fn look(&self, mut seen: Fingerprint, hinted: &Receiver<()>, (events, changed): &Told) {
        loop {
            let now = self.fingerprint();
            if now != seen {
                seen = now;
                if events.send(changed()).is_err() {
                    return;
                }
            }
            match hinted.recv_timeout(WITHOUT_HINT) {
                Ok(()) | Err(RecvTimeoutError::Timeout) if settle(hinted) => {}
                _ => return,
            }
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        let of_file = |path: &PathBuf| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.dev(), found.ino(), found.len(), found.modified().ok()?))
        };
        let of_folder = |path: &PathBuf| {
            let names =
                std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name());
            names.filter(|name| Format::of_path(Path::new(name)).is_some()).take(MAX_LISTED).collect()
        };
        Fingerprint {
            files: self.files.iter().map(|path| (path.clone(), of_file(path))).collect(),
            folders: self.folders.iter().map(|path| (path.clone(), of_folder(path))).collect(),
        }
    }
}

/// Waits until it is quiet; false if the watcher is gone.
fn settle(hinted: &Receiver<()>) -> bool {
    let latest = Instant::now() + LONGEST;
    while Instant::now() < latest {
        match hinted.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}
