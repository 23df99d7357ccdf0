//! Step 1 and 2 for HTTP/3: QUIC makes the handshake before there is a connection.

use std::rc::Rc;
use std::sync::Arc;

use usher_api::metrics::Refusal;
use usher_net::Dialer;
use usher_net::quic::{Connection, FailedHandshake, QuicListener};
use usher_net::shortage::{self, Deed, Level};

use super::{LAST_CALL, Stop};
use crate::connection::{Door, streams};
use crate::snapshot::ListenerSpec;
use crate::steps::record;
use crate::worker::{Refused, Worker};

/// Accepts and serves connections of HTTP/3 until `stop`, then until the last one is served.
pub async fn run<D: Dialer>(
    worker: Rc<Worker<D>>,
    listener: QuicListener,
    spec: Arc<ListenerSpec>,
    index: u32,
    stop: Rc<Stop>,
) {
    let mut door = Door {
        listener: spec,
        index,
        peer: None,
        local: None,
        is_fresh: false,
        is_known: false,
        session: None,
    };
    while !stop.stopped.get() {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = worker.swapped() => {
                follow(&worker, &listener, &mut door);
                continue;
            }
            Some(handshake) = listener.failed() => {
                failed(&worker, &door, &handshake);
                continue;
            }
            () = stop.notify.notified() => break,
        };
        match accepted {
            Some(connection) => take(&worker, &door, connection),
            None => return,
        }
    }
    // Whoever began a handshake is still let in.
    listener.refuse_new();
    let late = async {
        while let Some(connection) = listener.accept().await {
            take(&worker, &door, connection);
        }
    };
    let _ = tokio::time::timeout(LAST_CALL, late).await;
}

/// After a reload: new handshakes are made by what holds now.
fn follow<D: Dialer>(worker: &Worker<D>, listener: &QuicListener, door: &mut Door) {
    let before = door.listener.clone();
    door.follow(&worker.local().shared);
    if !Arc::ptr_eq(&before, &door.listener)
        && let Some(tls) = door.listener.tls.as_ref().and_then(|tls| tls.quic.clone())
    {
        // A config that QUIC cannot use was refused when it was built.
        let _ = listener.set_tls(tls);
    }
}

/// Counts and logs a handshake that failed, as `connection::secure` does where it makes them itself.
fn failed<D: Dialer>(worker: &Worker<D>, door: &Door, handshake: &FailedHandshake) {
    worker.metrics.handshakes.failed.of(handshake.reason()).increment();
    let door = Door { peer: Some(handshake.peer), local: Some(handshake.local), ..door.clone() };
    record::connection(worker, &door, ("tls_handshake", &handshake.text()));
}

fn take<D: Dialer>(worker: &Rc<Worker<D>>, door: &Door, connection: Connection) {
    let peer = connection.peer();
    if shortage::level() >= Level::Full {
        shortage::did(Deed::TurnedAway, 1);
        return connection.close(EXCESSIVE_LOAD, b"");
    }
    match worker.admit(Some(peer.ip()), &door.listener) {
        Ok(permit) => {
            let session = connection.session().map(Arc::new);
            worker.metrics.handshakes.done.increment();
            if session.as_ref().is_some_and(|session| session.resumed) {
                worker.metrics.handshakes.resumed.increment();
            }
            let door = Door { peer: Some(peer), local: connection.local(), session, ..door.clone() };
            tokio::task::spawn_local(streams::serve_h3(worker.clone(), connection, door, permit));
        }
        Err(refused) => {
            worker.metrics.connections.refused(match refused {
                Refused::Total => Refusal::Limit,
                Refused::Client => Refusal::ClientLimit,
            });
            connection.close(EXCESSIVE_LOAD, b"");
        }
    }
}

/// H3_EXCESSIVE_LOAD (RFC 9114 section 8.1).
const EXCESSIVE_LOAD: u64 = 0x0107;
