//! Opens what lies below a folder, and nothing else.
//!
//! The kernel does the checking where it can: `openat2(2)` with `RESOLVE_BENEATH` refuses every way out, symbolic
//! links and races included. Where it cannot (before Linux 5.6, or in a sandbox that forbids the call), the path is
//! walked one segment at a time and every symbolic link is refused.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::config::Symlinks;

/// Neither wait for the writer of a FIFO, nor become the terminal of one, nor be inherited.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
/// A folder to look things up in.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// How often a lookup is tried again when something is renamed meanwhile (`EAGAIN` of `openat2`).
const MAX_TRIES: usize = 8;

/// Why nothing was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    /// There is no such file, or it lies outside.
    NotFound,
    /// The process may not read it.
    Forbidden,
    /// The process has too many files open.
    TooMany,
    /// The disk or the kernel failed.
    Failed,
}

impl From<Errno> for OpenError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP | Errno::XDEV | Errno::INVAL => {
                Self::NotFound
            }
            // Sockets and devices without a driver.
            Errno::NXIO | Errno::NODEV => Self::NotFound,
            Errno::ACCESS | Errno::PERM => Self::Forbidden,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::TooMany,
            _ => Self::Failed,
        }
    }
}

/// A folder, looked up anew for every request, so that one that is replaced (a new release) is seen at once.
pub(super) struct Root {
    path: PathBuf,
    symlinks: Symlinks,
    /// `openat2` was refused before.
    walk: AtomicBool,
}

impl Root {
    /// A folder.
    pub(super) fn new(path: PathBuf, symlinks: Symlinks) -> Self {
        Self { path, symlinks, walk: AtomicBool::new(false) }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Always walk, as on an old kernel.
    #[cfg(test)]
    pub(super) fn walking(self) -> Self {
        self.walk.store(true, Ordering::Relaxed);
        self
    }

    /// Opens the folder, for the lookups of one request.
    pub(super) fn open(&self) -> Result<Folder<'_>, OpenError> {
        let fd = openat(CWD, &self.path, FOLDER, Mode::empty())?;
        Ok(Folder { root: self, fd })
    }
}

/// The folder, open.
pub(super) struct Folder<'r> {
    root: &'r Root,
    fd: OwnedFd,
}

impl Folder<'_> {
    /// Opens a file or folder for reading. `path` is relative and without `.`, `..` and empty segments; empty is the
    /// folder itself.
    pub(super) fn read(&self, path: &[u8]) -> Result<File, OpenError> {
        let path = if path.is_empty() { b".".as_slice() } else { path };
        if self.root.symlinks == Symlinks::Follow {
            return Ok(File::from(openat(&self.fd, path, READ, Mode::empty())?));
        }
        if !self.root.walk.load(Ordering::Relaxed) {
            match self.beneath(path) {
                // A sandbox answers `EPERM`; so does the kernel, but never to a plain lookup.
                Err(Errno::NOSYS | Errno::PERM) => self.root.walk.store(true, Ordering::Relaxed),
                Err(error) => return Err(error.into()),
                Ok(fd) => return Ok(File::from(fd)),
            }
        }
        Ok(File::from(self.walk(path)?))
    }

    fn beneath(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        if self.root.symlinks == Symlinks::Refuse {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        for _ in 1..MAX_TRIES {
            match openat2(&self.fd, path, READ, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
        openat2(&self.fd, path, READ, Mode::empty(), resolve)
    }

    /// One segment at a time; a symbolic link ends it.
    fn walk(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let mut here: Option<OwnedFd> = None;
        let mut segments = path.split(|&byte| byte == b'/').peekable();
        while let Some(segment) = segments.next() {
            if segment.is_empty() || segment == b".." {
                return Err(Errno::NOENT);
            }
            let flags = if segments.peek().is_some() { FOLDER } else { READ };
            let at = here.as_ref().unwrap_or(&self.fd);
            here = Some(openat(at, segment, flags | OFlags::NOFOLLOW, Mode::empty())?);
        }
        here.ok_or(Errno::NOENT)
    }
}

/// The kind of what was opened, and when it was changed.
pub(super) fn metadata(file: &File) -> Result<std::fs::Metadata, OpenError> {
    file.metadata().map_err(|error: io::Error| {
        error.raw_os_error().map_or(OpenError::Failed, |code| Errno::from_raw_os_error(code).into())
    })
}
