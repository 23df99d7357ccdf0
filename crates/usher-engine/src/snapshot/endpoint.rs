//! Endpoints: as somebody wrote them, and at the addresses where they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use usher_config::config::{self, ProxyVersion, UpstreamProtocol};
use usher_config::value::EndpointAddress;
use usher_net::Address;

use super::{Manner, Zone};

/// An endpoint as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSpec {
    /// Where it is; perhaps a name.
    pub address: EndpointAddress,
    /// How it is spoken to.
    pub speech: Speech,
    /// Its share; 0 takes no new requests.
    pub weight: u32,
    /// Its group; a lower one goes first.
    pub priority: u8,
    /// For logs and metrics.
    pub label: Arc<str>,
    /// It was given its label as a name.
    pub is_named: bool,
    /// By which parts of a cluster choose it.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Where it is.
    pub zone: Zone,
    /// Who says that there is such an endpoint.
    pub origin: Origin,
}

/// Who says that there is an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The config.
    #[default]
    Config,
    /// The cluster's `endpoints_file`.
    File,
    /// An administrator, while it served.
    Hand,
}

impl Origin {
    /// One word for logs, metrics and the admin API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::File => "file",
            Self::Hand => "hand",
        }
    }
}

/// How an endpoint is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    /// Over TLS, under this name; none for plain connections.
    pub tls: Option<Arc<str>>,
    /// The version of HTTP.
    pub protocol: UpstreamProtocol,
    /// The PROXY header that each connection begins with.
    pub proxy: Option<ProxyVersion>,
}

/// An endpoint by address. A name stands for all addresses that it resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedEndpoint {
    /// Where it is.
    pub address: Address,
    /// Its share.
    pub weight: u32,
    /// Its group; a lower one goes first.
    pub priority: u8,
    /// For logs and metrics.
    pub label: Arc<str>,
    /// What it is called in a Host field, under the policy `endpoint`.
    pub host: Arc<str>,
    /// How it is spoken to.
    pub speech: Speech,
    /// In which zone it is.
    pub zone: Zone,
    /// Who says that there is such an endpoint.
    pub origin: Origin,
}

impl EndpointSpec {
    /// The endpoints that are known without resolving a name.
    pub fn fixed(&self) -> Option<ResolvedEndpoint> {
        let address = match &self.address {
            EndpointAddress::Socket(address) => Address::Ip(*address),
            EndpointAddress::Unix(path) => Address::Unix(path.clone()),
            EndpointAddress::Name { .. } | EndpointAddress::Service { .. } => return None,
        };
        Some(self.at(address))
    }

    /// This endpoint at an address that its name resolved to.
    pub fn at(&self, address: Address) -> ResolvedEndpoint {
        let host = match &self.address {
            EndpointAddress::Name { host, port } => format!("{host}:{port}").into(),
            EndpointAddress::Service { name } => name.as_str().into(),
            EndpointAddress::Socket(address) => address.to_string().into(),
            EndpointAddress::Unix(_) => "localhost".into(),
        };
        let (label, speech, zone) = (self.label.clone(), self.speech.clone(), self.zone.clone());
        let Self { weight, priority, origin, .. } = *self;
        ResolvedEndpoint { address, weight, priority, label, host, speech, zone, origin }
    }

    pub(super) fn new(one: &config::Endpoint, manner: &Manner, origin: Origin) -> Self {
        let label = match &one.name {
            Some(name) => name.value.as_str().into(),
            None => one.address.address.to_string().into(),
        };
        Self {
            address: one.address.value.address.clone(),
            speech: manner.speech(&one.address.value),
            weight: one.weight,
            priority: one.priority,
            label,
            is_named: one.name.is_some(),
            zone: manner.zone_of(&one.labels),
            labels: Arc::new(one.labels.clone()),
            origin,
        }
    }

    /// Whether it has all of these labels.
    pub fn has(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.iter().all(|(label, value)| self.labels.get(label) == Some(value))
    }
}
