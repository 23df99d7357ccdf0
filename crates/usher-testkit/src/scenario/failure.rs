//! What a scenario that fails says: where, what was expected, what was received.

use crate::show::visible;
use crate::{Error, Kind};
use std::fmt;
use std::path::{Path, PathBuf};

/// What is wrong at one line, before it is known in which file and for whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Mismatch {
    /// The line of the check, where it is not that of the step.
    pub(super) line: Option<usize>,
    pub(super) message: String,
    pub(super) expected: Option<String>,
    pub(super) received: Option<String>,
    /// The bytes of the whole message under way.
    pub(super) bytes: Vec<u8>,
    /// True for a wait that ended because something else had failed.
    pub(super) cancelled: bool,
}

impl Mismatch {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    pub(super) fn differs(message: &str, expected: impl Into<String>, received: impl Into<String>) -> Self {
        Self { expected: Some(expected.into()), received: Some(received.into()), ..Self::new(message) }
    }

    pub(super) fn with_bytes(mut self, bytes: &[u8]) -> Self {
        self.bytes = bytes.to_vec();
        self
    }
}

impl From<Error> for Mismatch {
    fn from(error: Error) -> Self {
        let cancelled = error.kind == Kind::Cancelled;
        Self { message: error.message, bytes: error.received, cancelled, ..Self::default() }
    }
}

/// A scenario that failed, or a file that is no scenario.
#[derive(Clone)]
pub struct Failure {
    /// The scenario file.
    pub file: PathBuf,
    /// The line of the step or check, from 1; 0 where none applies.
    pub line: usize,
    /// Whose script it is: `client`, `endpoint api`; empty for the file itself.
    pub who: String,
    /// What went wrong.
    pub message: String,
    /// What the line asks for and what was there instead, where both are known.
    pub differs: Option<Box<(String, String)>>,
    /// All bytes received where they help, what else was found, and the log of the proxy.
    pub notes: Vec<String>,
}

impl Failure {
    pub(super) fn at(file: &Path, line: usize, who: &str, mismatch: Mismatch) -> Self {
        let Mismatch { line: own, message, expected, received, bytes, .. } = mismatch;
        let notes = match bytes.is_empty() {
            true => Vec::new(),
            false => vec![format!("all {} bytes received:{}", bytes.len(), indented(&visible(&bytes)))],
        };
        let differs = expected.zip(received).map(Box::new);
        Self {
            file: file.to_path_buf(),
            line: own.unwrap_or(line),
            who: who.to_owned(),
            message,
            differs,
            notes,
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("\n    {line}")).collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: ", self.file.display(), self.line)?;
        if !self.who.is_empty() {
            write!(out, "{}: ", self.who)?;
        }
        out.write_str(&self.message)?;
        if let Some((expected, received)) = self.differs.as_deref() {
            write!(out, "\n  expected:{}\n  received:{}", indented(expected), indented(received))?;
        }
        self.notes.iter().try_for_each(|note| write!(out, "\n  {}", note.trim_end().replace('\n', "\n  ")))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl std::error::Error for Failure {}
