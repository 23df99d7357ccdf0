//! Files and standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Losses, Output};
use crate::sinks::access_log::options::OpenError;

/// Lines are written together up to this size (bytes).
const BATCH: usize = 64 * 1024;

/// A new log may be read by its owner's group and nobody else: it holds addresses of people.
const MODE: u32 = 0o640;

/// Bytes to a file or the like.
pub(in super::super) struct Stream<W> {
    to: W,
    path: Option<PathBuf>,
    batch: Vec<u8>,
    /// The last write ended within a line.
    torn: bool,
}

impl<W> Stream<W> {
    pub(in super::super) fn new(to: W, path: Option<PathBuf>) -> Self {
        Self { to, path, batch: Vec::new(), torn: false }
    }
}

pub(super) fn file(path: &Path) -> Result<Stream<File>, OpenError> {
    let failed = |cause| OpenError::File { path: path.to_owned(), cause };
    Ok(Stream::new(append_to(path).map_err(failed)?, Some(path.to_owned())))
}

pub(super) fn stdout() -> Result<Stream<File>, OpenError> {
    let own = io::stdout().as_fd().try_clone_to_owned().map_err(OpenError::Stdout)?;
    Ok(Stream::new(File::from(own), None))
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(MODE).open(path)
}

/// Opens again what a path names.
pub(in super::super) trait Reopen: Sized {
    fn reopen(path: &Path) -> io::Result<Self>;
}

impl Reopen for File {
    fn reopen(path: &Path) -> io::Result<Self> {
        append_to(path)
    }
}

impl<W: Write + Send + Reopen> Output for Stream<W> {
    fn put(&mut self, line: &[u8], losses: &mut Losses) {
        self.batch.extend_from_slice(line);
        if self.batch.len() >= BATCH {
            self.finish(losses);
        }
    }

    fn finish(&mut self, losses: &mut Losses) {
        if self.batch.is_empty() {
            return;
        }
        // What was cut off by an error must not run into the next line.
        let repaired = if self.torn { self.to.write_all(b"\n") } else { Ok(()) };
        let (written, result) = match repaired {
            Ok(()) => write_fully(&mut self.to, &self.batch),
            Err(cause) => (0, Err(cause)),
        };
        if written > 0 {
            self.torn = self.batch.get(written - 1) != Some(&b'\n');
        }
        if let Err(cause) = result {
            let lines = self.batch.iter().skip(written).filter(|byte| **byte == b'\n').count();
            losses.add(lines as u64, cause);
        }
        self.batch.clear();
    }

    fn reopen(&mut self, losses: &mut Losses) {
        let Some(path) = &self.path else { return };
        match W::reopen(path) {
            Ok(file) => (self.to, self.torn) = (file, false),
            Err(cause) => losses.add(0, cause),
        }
    }

    fn name(&self) -> String {
        self.path.as_ref().map_or("standard output".to_owned(), |path| format!("`{}`", path.display()))
    }
}

/// Like `write_all`, but says how much was written before an error.
fn write_fully(to: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match to.write(rest) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) => return (written, Err(cause)),
        }
    }
    (written, Ok(()))
}
