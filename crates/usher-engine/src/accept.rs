//! Step 1: connections are taken from a listener, within the limits.

mod datagrams;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use usher_api::metrics::Refusal;
use usher_net::shortage::{self, Deed, Level};
use usher_net::{AcceptFault, Accepted, Address, Dialer, Listener, Peer};
use usher_wire::turns::{COMING, Crowd};

use crate::connection::{self, Door, IdleConnection, IdleConnections};
use crate::snapshot::ListenerSpec;
use crate::worker::{Refused, Worker};

pub use datagrams::run as run_quic;

/// Pause after the system ran out of descriptors or memory.
const RESOURCE_PAUSE: Duration = Duration::from_millis(100);
/// Connections that a listener of a worker takes in each tick of 50 ms while the process is short of memory.
const TIGHT_PACE: u32 = 64;
const SHORT_PACE: u32 = 16;
const FULL_PACE: u32 = 1;
/// Connections of a worker that cannot be what the memory is used up by.
const FEW: u32 = 16;
/// Pause while the process is short of memory or descriptors.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(20);
/// How long a listener that ends still takes connections whose handshake is under way.
const LAST_CALL: Duration = Duration::from_millis(100);

/// Tells an accept loop to end.
#[derive(Default)]
pub struct Stop {
    stopped: Cell<bool>,
    notify: Notify,
}

impl Stop {
    /// Ends the loop: it takes what is in the queue and closes the listener.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.notify.notify_one();
    }

    /// Waits until that was said.
    pub(crate) async fn stopped(&self) {
        while !self.stopped.get() {
            self.notify.notified().await;
        }
    }
}

/// Accepts and serves connections until `stop`. `index` is the listener's number in the snapshot of now.
pub async fn run<D: Dialer>(
    worker: Rc<Worker<D>>,
    idle: Rc<IdleConnections<D, Accepted>>,
    mut listener: Listener,
    spec: Arc<ListenerSpec>,
    index: u32,
    stop: Rc<Stop>,
) {
    let local = match listener.address() {
        Address::Ip(address) => Some(*address),
        Address::Unix(_) => None,
    };
    let door =
        Door { listener: spec, index, peer: None, local, is_fresh: true, is_known: false, session: None };
    let mut pace = Pace::default();
    let mut crowd = Crowd::default();
    while !stop.stopped.get() {
        if !pace.allows(&worker) {
            wait_for_room(&stop).await;
            continue;
        }
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = stop.notify.notified() => break,
        };
        if !take(&worker, &idle, &door, accepted).await {
            return;
        }
        crowd.one_more(COMING).await;
    }
    // Whoever began a handshake is still let in; see `Listener::refuse_new` for what the kernel allows.
    let is_closed = listener.refuse_new().is_ok();
    let late = async {
        loop {
            let accepted = listener.accept().await;
            if !take(&worker, &idle, &door, accepted).await {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LAST_CALL, late).await;
    if let Ok(queued) = listener.drain() {
        for accepted in queued {
            take(&worker, &idle, &door, accepted).await;
            // Where newcomers still slip in, the queue is to be emptied faster than they fill it.
            if is_closed {
                crowd.one_more(COMING).await;
            }
        }
    }
}

/// How many connections are taken while there is little memory: what each will hold is only known when it has been served
/// for a moment.
#[derive(Default)]
struct Pace {
    /// The tick of the worker's clock that is counted, and how many came in it.
    tick: u64,
    taken: u32,
}

impl Pace {
    /// Whether one more may come now.
    fn allows<D: Dialer>(&mut self, worker: &Worker<D>) -> bool {
        let most = match shortage::level() {
            Level::Calm => return true,
            Level::Tight => TIGHT_PACE,
            Level::Short => SHORT_PACE,
            // Whoever behaves comes in too, if slowly; while there is nobody who could be ended, in any case.
            Level::Full => FULL_PACE,
            Level::Spent | Level::Over if worker.connections() < FEW => FULL_PACE,
            Level::Spent | Level::Over => return false,
        };
        let tick = worker.deadlines.coarse_millis();
        if tick != self.tick {
            *self = Self { tick, taken: 0 };
        }
        self.taken += 1;
        self.taken <= most
    }
}

/// Leaves those who come in the kernel's queue for a moment.
async fn wait_for_room(stop: &Stop) {
    shortage::did(Deed::PausedAccept, 1);
    tokio::select! {
        () = tokio::time::sleep(NO_ROOM_PAUSE) => {}
        () = stop.notify.notified() => {}
    }
}

/// Starts serving an accepted connection; false if the listener is of no more use.
async fn take<D: Dialer>(
    worker: &Rc<Worker<D>>,
    idle: &Rc<IdleConnections<D, Accepted>>,
    door: &Door,
    accepted: std::io::Result<(Accepted, Peer)>,
) -> bool {
    match accepted {
        Ok((stream, _)) if !shortage::may_keep(stream.descriptor()) => {
            shortage::did(Deed::TurnedAway, 1);
            worker.metrics.connections.refused(Refusal::Descriptors);
            true
        }
        Ok((stream, peer)) => {
            let peer = match peer {
                Peer::Ip(address) => Some(address),
                Peer::Unix => None,
            };
            admit(worker, idle, stream, Door { peer, ..door.clone() });
            true
        }
        Err(error) => {
            worker.metrics.connections.refused(Refusal::AcceptError);
            match AcceptFault::of(&error) {
                AcceptFault::Connection => true,
                AcceptFault::Resource => {
                    tokio::time::sleep(RESOURCE_PAUSE).await;
                    true
                }
                AcceptFault::Fatal => false,
            }
        }
    }
}

/// Claims a place for the connection and serves it, or closes it.
fn admit<D: Dialer>(
    worker: &Rc<Worker<D>>,
    idle: &Rc<IdleConnections<D, Accepted>>,
    stream: Accepted,
    mut door: Door,
) {
    // The settings of now, not of when the loop began.
    let local = worker.local();
    if let Some(spec) = local.shared.listeners.iter().find(|spec| spec.name == door.listener.name) {
        door.listener = spec.clone();
    }
    if local.shared.wants_local(door.local) {
        door.local = stream.local().or(door.local);
    }
    drop(local);
    match worker.admit(door.peer.map(|peer| peer.ip()), &door.listener) {
        Ok(permit) => {
            let connection = IdleConnection::new(stream, door, Some(permit));
            tokio::task::spawn_local(connection::attend(worker.clone(), connection, Some(idle.clone())));
        }
        Err(Refused::Total) => worker.metrics.connections.refused(Refusal::Limit),
        Err(Refused::Client) => worker.metrics.connections.refused(Refusal::ClientLimit),
    }
}

#[cfg(test)]
mod tests;
