//! Connections that are passed on still encrypted: an endpoint is chosen, and bytes go both ways.

use usher_api::{Client, Exchange};
use usher_net::tls::Secured;
use usher_net::{Dialer, Transport};
use usher_wire::Connection;

use super::Guest;
use crate::snapshot::{Destination, Snapshot};
use crate::steps::relay;

/// Endpoints that are tried for one connection.
const MAX_TRIES: usize = 5;

/// Passes the connection on by a rule of its listener.
pub(super) async fn run<D: Dialer, T: Transport>(
    guest: &mut Guest<D>,
    stream: T,
    ahead: &[u8],
    snapshot: &Snapshot,
    rule: usize,
) {
    let listener = guest.door.listener.clone();
    let Some(rule) = listener.tls.as_ref().and_then(|tls| tls.passthrough.get(rule)) else { return };
    let Some(name) =
        snapshot.clusters.get(rule.destination.cluster as usize).map(|cluster| cluster.name.clone())
    else {
        return;
    };
    let local = guest.worker.local();
    // By name: a reload may have changed the numbers since.
    let Some(cluster) = local.clusters.iter().find(|cluster| cluster.spec.name == name) else { return };
    let mut exchange = guest.worker.take_exchange();
    exchange.client = Client {
        ip: guest.door.peer.map(|peer| peer.ip()),
        peer: guest.door.peer,
        local: guest.door.local,
        trusted: false,
        listener: listener.name.clone(),
        tls: None,
    };
    if let Some((lease, mut up)) = connect(guest, cluster, &exchange, &rule.destination).await {
        let mut down = Connection::with_input(Secured::Plain(stream), ahead);
        guest.worker.metrics.tunnels.opened();
        relay::pass(&guest.deadline, &mut down, &mut up, listener.timeouts.tunnel_idle).await;
        guest.worker.metrics.tunnels.closed();
        cluster.release(&lease, None);
    }
    exchange.client = Client::default();
    guest.worker.give_exchange(exchange);
}

type Reached<S> = (crate::cluster::Lease<S>, Connection<Secured<S>>);

/// Connects to one endpoint after another, until one is there.
async fn connect<D: Dialer>(
    guest: &Guest<D>,
    cluster: &crate::cluster::Cluster<D::Stream>,
    exchange: &Exchange,
    destination: &Destination,
) -> Option<Reached<D::Stream>> {
    let mut tried = Vec::new();
    while tried.len() < MAX_TRIES {
        let lease = cluster.pick(exchange, &tried).ok()?;
        let dialing = guest.worker.dialer.dial(&lease.endpoint.resolved.address);
        let dialed = guest.deadline.limit(destination.timeouts.connect, dialing).await;
        lease.endpoint.connected(matches!(dialed, Ok(Ok(_))));
        if let Ok(Ok(stream)) = dialed {
            return Some((lease, Connection::new(Secured::Plain(stream))));
        }
        lease.endpoint.metrics.failed();
        cluster.release(&lease, None);
        tried.push(lease.endpoint.clone());
    }
    None
}
