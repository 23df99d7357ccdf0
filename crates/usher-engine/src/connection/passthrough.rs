//! Connections that are passed on still encrypted: an endpoint is chosen, and bytes go both ways.

use usher_api::{Client, Exchange};
use usher_net::tls::Secured;
use usher_net::{Dialer, Transport};
use usher_wire::Connection;

use super::Guest;
use crate::snapshot::Destination;
use crate::steps::{record, relay};

/// Endpoints that are tried for one connection.
const MAX_TRIES: usize = 5;

/// Passes a connection on to where its listener says of this name.
pub(super) async fn run<D: Dialer, T: Transport>(guest: &mut Guest<D>, stream: T, ahead: &[u8], name: &str) {
    let local = guest.worker.local();
    // A reload since the connection came in may have changed the numbers by which clusters go. Those of a listener that
    // is gone say nothing.
    guest.door.follow(&local.shared);
    let listener = guest.door.listener.clone();
    let rules = match &listener.tls {
        Some(tls) if guest.door.index != u32::MAX => &tls.passthrough[..],
        _ => &[],
    };
    let Some(rule) = rules.iter().find(|rule| rule.takes(name)) else { return };
    let cluster = local.clusters.get(rule.destination.cluster as usize).cloned();
    let Some(cluster) = cluster else { return };
    // It may go on for long, and needs nothing else of the config of now.
    drop(local);
    let mut exchange = guest.worker.take_exchange();
    exchange.client = Client {
        ip: guest.door.peer.map(|peer| peer.ip()),
        peer: guest.door.peer,
        local: guest.door.local,
        trusted: false,
        listener: listener.name.clone(),
        tls: None,
    };
    match connect(guest, &cluster, &exchange, &rule.destination).await {
        Ok((lease, mut up)) => {
            let mut down = Connection::with_input(Secured::Plain(stream), ahead);
            guest.worker.metrics.tunnels.opened();
            relay::pass(&guest.deadline, &mut down, &mut up, listener.timeouts.tunnel_idle).await;
            guest.worker.metrics.tunnels.closed();
            cluster.release(&lease, None);
        }
        // The client was told nothing: it speaks to an endpoint that is not there.
        Err(why) => {
            let detail = format!("`{name}` is passed on: {why}");
            record::connection(&guest.worker, &guest.door, ("connect_failed", &detail));
        }
    }
    exchange.client = Client::default();
    guest.worker.give_exchange(exchange);
}

type Reached<S> = (crate::cluster::Lease<S>, Connection<Secured<S>>);

/// Connects to one endpoint after another, until one is there; else says why the last was not.
async fn connect<D: Dialer>(
    guest: &Guest<D>,
    cluster: &crate::cluster::Cluster<D::Stream>,
    exchange: &Exchange,
    destination: &Destination,
) -> Result<Reached<D::Stream>, String> {
    let (mut tried, mut why) = (Vec::new(), "no endpoint may be chosen".to_owned());
    while tried.len() < MAX_TRIES {
        let Ok(lease) = cluster.pick(exchange, &tried) else { break };
        let dialing = guest.worker.dialer.dial(&lease.endpoint.resolved.address);
        let dialed = guest.deadline.limit(destination.timeouts.connect, dialing).await;
        lease.endpoint.connected(matches!(dialed, Ok(Ok(_))));
        let address = &lease.endpoint.resolved.address;
        why = match dialed {
            Ok(Ok(stream)) => return Ok((lease, Connection::new(Secured::Plain(stream)))),
            Ok(Err(error)) => format!("{address}: {error}"),
            Err(_) => format!("{address}: timed out"),
        };
        lease.endpoint.metrics.failed();
        cluster.release(&lease, None);
        tried.push(lease.endpoint.clone());
    }
    Err(why)
}

#[cfg(test)]
mod tests;
