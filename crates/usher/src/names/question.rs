//! What name servers are asked, and what they say.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use usher_config::EndpointAddress;

/// What is asked of name servers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Question {
    /// The addresses of a host (A and AAAA).
    Host(String),
    /// Where a service is (SRV, RFC 2782), and the addresses of the hosts there.
    Service(String),
}

impl Question {
    /// What must be asked to know where an endpoint is, if anything.
    pub(crate) fn of(address: &EndpointAddress) -> Option<Self> {
        match address {
            EndpointAddress::Name { host, .. } => Some(Self::Host(host.clone())),
            EndpointAddress::Service { name } => Some(Self::Service(name.clone())),
            EndpointAddress::Socket(_) | EndpointAddress::Unix(_) => None,
        }
    }

    /// One as it is [shown](fmt::Display).
    pub(super) fn written(text: &str) -> Self {
        match text.strip_prefix("srv:") {
            Some(name) => Self::Service(name.to_owned()),
            None => Self::Host(text.to_owned()),
        }
    }
}

/// As it is written in the config.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Service(name) => write!(f, "srv:{name}"),
        }
    }
}

/// An address of an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) address: IpAddr,
    /// The record that led there, if a service was asked for.
    pub(super) record: Option<Record>,
}

impl From<IpAddr> for Found {
    fn from(address: IpAddr) -> Self {
        Self { address, record: None }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.record {
            Some(record) => write!(f, "{}:{} ({})", record.target, record.port, self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

/// A record of type SRV.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    /// A lower one goes first.
    pub(super) priority: u16,
    /// The host, without a final dot; empty means that the service is not there (RFC 2782: "decidedly not available").
    pub(super) target: Arc<str>,
    pub(super) port: u16,
    /// Its share among those of the same priority; 0 is a very small one.
    pub(super) weight: u16,
}
