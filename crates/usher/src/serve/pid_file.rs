//! `pid_file`

use std::path::{Path, PathBuf};

use crate::log;
use crate::terminal::Failure;

/// The file with the process's number; removed when dropped, unless another process has put its own there.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
    content: String,
}

impl PidFile {
    /// Writes it.
    pub(super) fn write(path: &Path) -> Result<Self, Failure> {
        let content = format!("{}\n", std::process::id());
        let written = std::fs::write(path, &content);
        written
            .map_err(|error| Failure::of(format!("cannot write the pid_file `{}`", path.display()), error))?;
        Ok(Self { path: path.to_path_buf(), content })
    }
}

impl PidFile {
    /// Writes it again if another process, which was to take over and did not, has put its own there, or has removed it.
    pub(super) fn restore(&self) {
        let is_ours = std::fs::read_to_string(&self.path).is_ok_and(|found| found == self.content);
        if !is_ours && let Err(error) = std::fs::write(&self.path, &self.content) {
            log::warn(format_args!("cannot write the pid_file `{}` again: {error}", self.path.display()));
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let is_ours = std::fs::read_to_string(&self.path).is_ok_and(|found| found == self.content);
        if is_ours && let Err(error) = std::fs::remove_file(&self.path) {
            log::warn(format_args!("cannot remove the pid_file `{}`: {error}", self.path.display()));
        }
    }
}
