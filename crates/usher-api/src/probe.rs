//! Probes: how an endpoint is asked whether it is well, beside the requests of clients.
//!
//! A probe belongs to a cluster. It is asked once for the whole process, on a thread of its own, for each endpoint again
//! and again; whoever calls it counts the answers, limits their time and says what follows from them.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use usher_config::Node;
use usher_config::config::UpstreamProtocol;
use usher_config::schema::Schema;
use usher_net::tls::TlsConnector;
use usher_net::{Address, SystemDialer};

use crate::build::BuildContext;

/// The endpoint that is asked, and how its cluster speaks to it.
#[derive(Clone, Debug)]
pub struct ProbeTarget {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// The endpoint's name in logs and metrics.
    pub label: Arc<str>,
    /// Where it is asked.
    pub address: Address,
    /// What it is called in a Host field.
    pub host: Arc<str>,
    /// What is sent before anything else on a connection: a PROXY header that names nobody, where the cluster has one.
    pub introduction: Arc<[u8]>,
    /// TLS, if it is spoken there, and the name that its certificate shall have.
    pub tls: Option<(Arc<TlsConnector>, Arc<str>)>,
    /// The version of HTTP.
    pub protocol: UpstreamProtocol,
    /// How long an answer may take. Whoever calls the probe gives up then; a probe that leaves something behind when its
    /// future is dropped, such as a program that runs, must end that itself.
    pub timeout: Duration,
}

/// Why an endpoint is not well, in a few words for a line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwell(Cow<'static, str>);

impl Unwell {
    /// The longest reason (characters): peers may have written some of it.
    const MAX: usize = 200;

    /// For this reason. What cannot be printed is replaced, what is too long cut off.
    pub fn new(why: impl Into<Cow<'static, str>>) -> Self {
        let why = why.into();
        let is_fine = why.len() <= Self::MAX && !why.chars().any(char::is_control);
        if is_fine {
            return Self(why);
        }
        let shown = why.chars().take(Self::MAX).map(|char| if char.is_control() { ' ' } else { char });
        Self(Cow::Owned(shown.collect()))
    }
}

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An answer that is waited for.
pub type Probing<'a> = Pin<Box<dyn Future<Output = Result<(), Unwell>> + 'a>>;

/// A configured way to ask. One is shared by all endpoints of a cluster.
pub trait Probe: Send + Sync {
    /// Asks once, and says whether the endpoint is well. Polled on one thread, within a local runtime of tokio, which it
    /// must not block. Dropping the future gives up.
    fn ask<'a>(&'a self, target: &'a ProbeTarget, dialer: &'a SystemDialer) -> Probing<'a>;

    /// What one question costs, compared with opening a connection: so that not too much is done at once.
    fn cost(&self) -> u32 {
        1
    }
}

/// What the engine and the tools know of a probe: one `FACTORY` per extension folder.
pub struct ProbeFactory {
    /// The name after `probe =`.
    pub name: &'static str,
    /// One line for the manual and the schema.
    pub summary: &'static str,
    /// The options beside those that all probes have.
    pub schema: fn() -> Schema,
    /// Reads the options and builds it.
    pub build: BuildProbe,
}

/// Reads a probe's options and builds it.
pub type BuildProbe = fn(&Node, &mut BuildContext<'_, '_>) -> Option<Arc<dyn Probe>>;

/// What probes say of an endpoint, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReading {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// The endpoint's name in logs and metrics.
    pub label: Arc<str>,
    /// The endpoint's address.
    pub address: Arc<str>,
    /// Whether it is well.
    pub well: bool,
    /// How many probes there were, and how many of them failed.
    pub probes: (u64, u64),
}

/// Who tells what probes say.
pub trait ProbeReport: Send + Sync {
    /// All endpoints that are asked, by cluster and address.
    fn readings(&self) -> Vec<ProbeReading>;
}

#[cfg(test)]
mod tests {
    use super::Unwell;

    #[test]
    fn reasons_are_short_and_printable() {
        let cases = [
            ("connection refused", "connection refused".to_owned()),
            ("a\r\n2026 warn b\u{1b}[2J", "a  2026 warn b [2J".to_owned()),
            (&"x".repeat(1000), "x".repeat(200)),
        ];
        for (why, shown) in cases {
            assert_eq!(Unwell::new(why.to_owned()).to_string(), shown);
        }
    }
}
