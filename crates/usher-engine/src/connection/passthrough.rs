//! Connections that are passed on as they come: where to, by the config of now.

use usher_net::tls::Secured;
use usher_net::{Dialer, Transport};

use super::Guest;
use crate::l4::Passage;
use crate::snapshot::{ListenerSpec, Onward};

/// Passes a connection on, still encrypted, to where its listener says of this name.
pub(super) async fn encrypted<D: Dialer, T: Transport>(
    guest: &mut Guest<D>,
    stream: T,
    ahead: Vec<u8>,
    name: String,
) {
    let find = |listener: &ListenerSpec| {
        let rules = listener.tls.as_ref().map(|tls| &tls.passthrough[..]).unwrap_or_default();
        rules.iter().find(|rule| rule.takes(&name)).map(|rule| rule.onward.clone())
    };
    pass(guest, Secured::Plain(stream), (ahead, &name), find).await;
}

/// Passes a connection on whose listener carries TCP.
pub(super) async fn tcp<D: Dialer, T: Transport>(guest: &mut Guest<D>, stream: Secured<T>, ahead: Vec<u8>) {
    let session = stream.session().cloned();
    let name = session.as_ref().and_then(|session| session.server_name.as_deref()).unwrap_or_default();
    pass(guest, stream, (ahead, name), |listener| listener.tcp.clone()).await;
}

async fn pass<D: Dialer, T: Transport>(
    guest: &mut Guest<D>,
    stream: Secured<T>,
    (ahead, host): (Vec<u8>, &str),
    find: impl Fn(&ListenerSpec) -> Option<Onward>,
) {
    let local = guest.worker.local();
    // A reload since the connection came in may have changed the numbers by which clusters go. Those of a listener that
    // is gone say nothing.
    guest.door.follow(&local.shared);
    if guest.door.index == u32::MAX {
        return;
    }
    let Some(onward) = find(&guest.door.listener) else { return };
    let cluster = local.clusters.get(onward.destination.cluster as usize).cloned();
    let Some(cluster) = cluster else { return };
    // It may go on for long, and needs nothing else of the config of now.
    drop(local);
    let Guest { worker, door, deadline, .. } = guest;
    Passage { worker, door, deadline, cluster: &cluster, onward: &onward, host }.run(stream, ahead).await;
}

#[cfg(test)]
mod tests;
