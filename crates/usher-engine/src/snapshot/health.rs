//! How the endpoints of a cluster are probed. The engine probes nothing: whoever runs the process does.

use std::sync::Arc;
use std::time::Duration;

use usher_api::{Probe, ProbeTarget};
use usher_config::config::{HostPolicy, ProxyVersion};
use usher_config::value::Percent;
use usher_net::Address;
use usher_net::proxy_protocol::{Details, Endpoints, encode_v1, encode_v2};

use super::{ClusterSpec, ResolvedEndpoint};

/// How the endpoints of a cluster are asked whether they are well.
#[derive(Clone)]
pub struct HealthSpec {
    /// Asks.
    pub probe: Arc<dyn Probe>,
    /// The probe's name.
    pub probe_name: &'static str,
    /// From one question to the next.
    pub interval: Duration,
    /// How much each pause differs from that.
    pub jitter: Percent,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Good answers in a row after which an endpoint comes back.
    pub healthy_after: u32,
    /// Bad answers in a row after which it is out.
    pub unhealthy_after: u32,
    /// The port that is asked, in place of the endpoint's own.
    pub port: Option<u16>,
    /// What endpoints see as Host.
    pub host: Option<Arc<str>>,
    /// All that is written of it: where this is equal, the same is asked.
    pub written: String,
}

impl ClusterSpec {
    /// How an endpoint is probed, if the cluster's are.
    pub fn probed(&self, endpoint: &ResolvedEndpoint) -> Option<ProbeTarget> {
        let health = self.health.as_ref()?;
        let address = match (&endpoint.address, health.port) {
            (Address::Ip(address), Some(port)) => Address::Ip((address.ip(), port).into()),
            (address, _) => address.clone(),
        };
        let tls = match (&self.tls, &endpoint.speech.tls) {
            (Some(connectors), Some(name)) => Some((connectors.usual.clone(), name.clone())),
            _ => None,
        };
        Some(ProbeTarget {
            cluster: self.name.clone(),
            label: endpoint.label.clone(),
            address,
            host: self.probed_host(endpoint, health),
            introduction: introduction(endpoint.speech.proxy),
            tls,
            protocol: endpoint.speech.protocol,
            timeout: health.timeout,
        })
    }

    fn probed_host(&self, endpoint: &ResolvedEndpoint, health: &HealthSpec) -> Arc<str> {
        match (&health.host, &self.host, health.port) {
            (Some(host), ..) => host.clone(),
            (None, HostPolicy::Literal(host), _) => host.as_str().into(),
            (None, _, Some(port)) => match endpoint.host.rsplit_once(':') {
                Some((host, _)) => format!("{host}:{port}").into(),
                None => endpoint.host.clone(),
            },
            (None, _, None) => endpoint.host.clone(),
        }
    }
}

/// A PROXY header of a connection of our own, if the endpoint expects one.
fn introduction(version: Option<ProxyVersion>) -> Arc<[u8]> {
    let mut header = Vec::new();
    match version {
        None => {}
        Some(ProxyVersion::V1) => encode_v1(&Endpoints::Own, &mut header),
        Some(ProxyVersion::V2) => {
            let encoded = encode_v2(&Endpoints::Own, &Details::default(), false, &mut header);
            debug_assert!(encoded.is_ok(), "it has no parts that could be too long");
        }
    }
    header.into()
}

#[cfg(test)]
mod tests;
