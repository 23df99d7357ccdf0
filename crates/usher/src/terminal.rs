//! What goes to the terminal: results to standard output, everything else to standard error.

use std::io::{IsTerminal, Write};

use usher_config::{Diagnostic, Report, Sources};

/// Why a command failed, as it is shown.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A line behind `error:`.
    Message(String),
    /// A config with errors.
    Config(Box<Report>),
    /// It has been said already; only the exit code is missing.
    Said,
}

impl Failure {
    /// A failure of something with a cause.
    pub(crate) fn of(what: impl std::fmt::Display, cause: impl std::fmt::Display) -> Self {
        Self::Message(format!("{what}: {cause}"))
    }

    /// A failure, and what to do next.
    pub(crate) fn with_help(what: impl std::fmt::Display, help: impl std::fmt::Display) -> Self {
        Self::Message(format!("{what}\n  = help: {help}"))
    }

    /// The text for people.
    pub(crate) fn text(&self, colour: bool) -> String {
        match self {
            Self::Message(message) if colour => format!("\x1b[1;31merror\x1b[0m: {message}\n"),
            Self::Message(message) => format!("error: {message}\n"),
            Self::Config(report) => report.render(colour),
            Self::Said => String::new(),
        }
    }

    /// Shows it on standard error.
    pub(crate) fn show(&self) {
        say(&self.text(colour()));
    }
}

impl From<Box<Report>> for Failure {
    fn from(report: Box<Report>) -> Self {
        Self::Config(report)
    }
}

/// Whether standard error takes colours: a terminal, and nobody set `NO_COLOR` (<https://no-color.org>).
pub(crate) fn colour() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !unwanted && std::io::stderr().is_terminal()
}

/// Shows warnings on standard error, if there are any.
pub(crate) fn warn(warnings: &[Diagnostic], sources: &Sources) {
    if !warnings.is_empty() {
        say(&Report::new(warnings.to_vec(), sources.clone()).render(colour()));
    }
}

/// Writes to standard error. Nobody is left to be told if that fails.
pub(crate) fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a result to standard output. A reader that has gone away (`usher schema | head`) is no failure.
pub(crate) fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::of("cannot write to standard output", error))
        }
        _ => Ok(()),
    }
}
