//! Where lines go.

mod stream;
mod syslog;

use std::io;

use usher_config::config::SyslogAddress;

use super::options::{Destination, OpenError};
pub(super) use syslog::SyslogHeader;

#[cfg(test)]
pub(super) use stream::{Reopen, Stream};

/// What could not be written.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// So many lines.
    pub(super) lines: u64,
    /// The last reason.
    pub(super) cause: Option<io::Error>,
}

impl Losses {
    fn add(&mut self, lines: u64, cause: io::Error) {
        self.lines += lines;
        self.cause = Some(cause);
    }
}

/// Takes whole lines, each with its newline. May block: it is on the writer's thread.
pub(super) trait Output: Send {
    /// Takes a line; may keep it until `finish`.
    fn put(&mut self, line: &[u8], losses: &mut Losses);

    /// Writes what it kept.
    fn finish(&mut self, losses: &mut Losses);

    /// Opens its file anew. If that fails, it goes on with the old one.
    fn reopen(&mut self, losses: &mut Losses);

    /// For messages.
    fn name(&self) -> String;
}

/// Opens a destination.
pub(super) fn open(destination: &Destination) -> Result<Box<dyn Output>, OpenError> {
    Ok(match destination {
        Destination::Stdout => Box::new(stream::stdout()?),
        Destination::File(path) => Box::new(stream::file(path)?),
        Destination::Syslog { address: SyslogAddress::Unix(path), .. } => Box::new(syslog::unix(path)),
        Destination::Syslog { address: SyslogAddress::Udp(address), .. } => Box::new(syslog::udp(*address)),
    })
}
