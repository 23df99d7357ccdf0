//! Where accounts, keys and certificates are kept.
//!
//! ```text
//! <storage>/                      mode 700, as are all folders; all files have mode 600
//!   accounts/<host>-<hash>/       one per directory of a CA
//!     account.json                the key and URL of the account
//!     orders.json                 when orders were placed, for the limits
//!   certificates/<name>/          one per certificate; see `names::folder`
//!     chain.pem, key.pem          what is served
//!     key.next.pem                the key of an order that is under way
//!     chain.next.pem              a finished order that was not yet moved in place
//!     meta.json                   names, CA, attempts, the order under way
//!     lock                        held by the process that is obtaining it
//!   internal/                     root.pem, root.key.pem, intermediate.pem, intermediate.key.pem
//!   ocsp/<fingerprint>.der        the response that is stapled
//!   aside/                        what could not be read: kept for a look, never used
//! ```
//! A file is written beside its place, flushed, and renamed: whoever reads sees the old or the new one, whole. Nothing is
//! deleted that could be a key in use.

mod certificate;
mod meta;
#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

pub(crate) use meta::{Meta, PendingOrder, Window, count_since, is_recent, remember};

use crate::time::unix_seconds;

/// The largest file that is read, in bytes: a chain of a hundred names is a tenth of it.
const MAX_FILE: u64 = 1 << 20;
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// What could not be done to which file.
#[derive(Debug)]
pub(crate) struct StorageError {
    what: &'static str,
    path: PathBuf,
    cause: io::Error,
}

impl std::fmt::Display for StorageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot {} `{}`: {}", self.what, self.path.display(), self.cause)
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// The folder of all that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    root: PathBuf,
}

/// A lock on a file, until it is dropped. The kernel lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Storage {
    /// Makes the folder if need be, and sees to its mode.
    pub(crate) fn open(root: &Path) -> Result<Self, StorageError> {
        let storage = Self { root: root.to_owned() };
        for folder in ["", "accounts", "certificates", "internal", "ocsp"] {
            storage.make_folder(folder)?;
        }
        Ok(storage)
    }

    /// Where `relative` is. It is made of constants and validated names only.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    fn make_folder(&self, relative: &str) -> Result<(), StorageError> {
        let path = self.path(relative);
        let error = |what| move |cause| StorageError { what, path: self.path(relative), cause };
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(&path)
            .map_err(error("make the folder"))?;
        let mode = fs::metadata(&path).map_err(error("look at"))?.permissions().mode();
        if mode & 0o077 != 0 {
            let permissions = fs::Permissions::from_mode(FOLDER_MODE);
            fs::set_permissions(&path, permissions).map_err(error("make private"))?;
        }
        Ok(())
    }

    /// The content of a file; None if there is none.
    pub(crate) fn read(&self, relative: &str) -> Result<Option<Vec<u8>>, StorageError> {
        match read_bounded(&self.path(relative)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(StorageError { what: "read", path: self.path(relative), cause }),
        }
    }

    /// Puts `content` in the place of a file, whole or not at all.
    pub(crate) fn write(&self, relative: &str, content: &[u8]) -> Result<(), StorageError> {
        if let Some((folder, _)) = relative.rsplit_once('/') {
            self.make_folder(folder)?;
        }
        let path = self.path(relative);
        write_atomically(&path, content).map_err(|cause| StorageError { what: "write", path, cause })
    }

    /// Gives a file another name in the same folder, in the place of what was there. It is fine if it is gone: another process
    /// that completes the same move was faster.
    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let error = |cause| StorageError { what: "rename", path: self.path(from), cause };
        match fs::rename(self.path(from), self.path(to)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(error(cause)),
            _ => sync_folder(&self.path(to)).map_err(error),
        }
    }

    /// When a file was last changed; None if it cannot be told.
    pub(crate) fn changed(&self, relative: &str) -> Option<SystemTime> {
        fs::metadata(self.path(relative)).ok()?.modified().ok()
    }

    /// Removes a folder with all that is in it.
    pub(crate) fn remove_folder(&self, relative: &str) -> Result<(), StorageError> {
        let path = self.path(relative);
        fs::remove_dir_all(&path).map_err(|cause| StorageError { what: "remove", path, cause })
    }

    /// Removes a file that nobody needs; it is fine if there is none.
    pub(crate) fn remove(&self, relative: &str) -> Result<(), StorageError> {
        match fs::remove_file(self.path(relative)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(StorageError { what: "remove", path: self.path(relative), cause })
            }
            _ => Ok(()),
        }
    }

    /// Moves a file that cannot be used to `aside/`, and gives its new place.
    pub(crate) fn put_aside(&self, relative: &str) -> Result<PathBuf, StorageError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.make_folder("aside")?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}-{}", unix_seconds(SystemTime::now()), relative.replace('/', "-"));
        let place = self.path("aside").join(name);
        fs::rename(self.path(relative), &place).map_err(|cause| StorageError {
            what: "put aside",
            path: self.path(relative),
            cause,
        })?;
        Ok(place)
    }

    /// The names in a folder, without hidden ones.
    pub(crate) fn list(&self, relative: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(relative)) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// Takes the lock of a file, which is made if need be; None if another process, or another task of this one, has it.
    pub(crate) fn lock(&self, relative: &str) -> Result<Option<Lock>, StorageError> {
        if let Some((folder, _)) = relative.rsplit_once('/') {
            self.make_folder(folder)?;
        }
        let error = |cause| StorageError { what: "lock", path: self.path(relative), cause };
        let mut options = OpenOptions::new();
        let file =
            options.create(true).append(true).mode(FILE_MODE).open(self.path(relative)).map_err(error)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(cause)) => Err(error(cause)),
        }
    }
}

/// The content of a file of at most a mebibyte.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(content)
}

fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let beside = path.with_file_name(format!(".{name}.{}-{number}", std::process::id()));
    let written = write_new(&beside, content).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written?;
    sync_folder(path)
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    // A leftover of a process that was killed and had the same number.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A rename is durable when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
