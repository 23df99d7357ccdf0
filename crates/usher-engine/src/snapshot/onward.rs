//! Where connections go whose bytes are passed on as they come.

use std::time::Duration;

use super::Destination;

/// Hosts whose connections are passed on still encrypted.
pub struct Passthrough {
    /// The host, or what follows the `*` of `*.example.com`; in lower case.
    pub host: Box<str>,
    /// Where to.
    pub onward: Onward,
}

/// Where connections go whose bytes are passed on as they come.
#[derive(Clone, Debug)]
pub struct Onward {
    /// The cluster.
    pub destination: Destination,
    /// How long there may be no byte in either direction.
    pub idle: Duration,
}

impl Passthrough {
    /// Whether it takes connections for this name (lower case).
    pub fn takes(&self, name: &str) -> bool {
        match self.host.strip_prefix('*') {
            Some(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
            None => name == &*self.host,
        }
    }
}
