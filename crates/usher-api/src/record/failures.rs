//! What endpoints failed at, for the operator's log.

use std::fmt::{self, Write as _};
use std::io;

use crate::error::{Error, ErrorKind};

#[cfg(test)]
mod tests;

/// What endpoints failed at, such as `10.0.0.1:3000: connection refused; 10.0.0.2:3000: timed out`. It names
/// endpoints, so it is for the operator's log only. Costs nothing until one fails.
#[derive(Clone, Debug, Default)]
pub struct Failures(String);

impl Failures {
    /// The longest text that is kept (bytes); what comes then is left out.
    pub const MAX_BYTES: usize = 512;

    /// Notes that an endpoint failed, and why: the system's error if there is one.
    pub fn note(&mut self, endpoint: &str, error: &Error) {
        let between = if self.0.is_empty() { "" } else { "; " };
        // What does not fit is left out.
        let _ = write!(Bounded(&mut self.0), "{between}{endpoint}: {}", Why(error));
    }

    /// Notes what no endpoint failed at: a handshake, a connection.
    pub fn say(&mut self, text: &str) {
        // What does not fit is left out.
        let _ = Bounded(&mut self.0).write_str(text);
    }

    /// All that was noted; empty if no endpoint failed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A text that does not grow beyond its limit.
struct Bounded<'a>(&'a mut String);

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = Failures::MAX_BYTES.saturating_sub(self.0.len());
        let fits = text.floor_char_boundary(room);
        self.0.push_str(&text[..fits]);
        if fits < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Why, in a few words.
struct Why<'a>(&'a Error);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error { kind, detail, cause, .. } = self.0;
        match (cause, *kind) {
            (Some(cause), _) => system(cause, f),
            (None, _) if !detail.is_empty() => f.write_str(detail),
            (None, ErrorKind::ConnectTimeout) => f.write_str("timed out"),
            (None, kind) => f.write_str(kind.as_str()),
        }
    }
}

/// The system's error: what it means if the standard library knows, else as the system says it.
fn system(cause: &io::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let known = cause.kind().to_string();
    match cause.kind() {
        io::ErrorKind::NotFound => f.write_str("no such socket"),
        io::ErrorKind::Other => write!(f, "{cause}"),
        _ if known.starts_with("uncategorized") => write!(f, "{cause}"),
        _ => f.write_str(&known),
    }
}
