//! Datagrams of clients that are passed on as they come, each client's to one endpoint.
//!
//! - this file: a listener of one worker, its table of sessions, and who is let in;
//! - `session.rs`: one client's datagrams, forth and back, until its end;
//! - `reach.rs`: from a session to an endpoint, and to another one if that is not there;
//! - `passing.rs`: sessions that go on in another process.
//!
//! The kernel gives a client's datagrams to the same socket, and so to the same worker, by a hash of its address and port.
//! A session has a task, a place within the limits, and a socket of its own towards its endpoint: its answers cannot be
//! mistaken for another's, the port is none that could be foreseen, and ICMP tells it when nobody is there. Nothing waits in
//! a queue: a datagram is passed on at once, or it is lost and counted.

mod passing;
mod reach;
mod session;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use usher_api::metrics::Refusal;
use usher_net::Dialer;
use usher_net::datagrams::{Door as Socket, Train, Way};
use usher_net::shortage::{self, Deed, Level};

use crate::accept::Stop;
use crate::connection::Door;
use crate::snapshot::ListenerSpec;
use crate::steps::record;
use crate::worker::{Refused, Worker};

pub use passing::PassedSession;
use session::{Asked, Session};

/// When the listener or the process ends: a session without a datagram for so long has ended too.
const QUIET: Duration = Duration::from_secs(1);
/// How long sessions of the process before are waited for, if that says nothing at all.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Pause after the system could not receive.
const RESOURCE_PAUSE: Duration = Duration::from_millis(100);
/// How often it is logged that clients are refused (milliseconds).
const COMPLAINTS: u64 = 10_000;

/// Whose datagrams: a client's, to one address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    peer: SocketAddr,
    local: Option<IpAddr>,
}

impl Key {
    fn of(train: &Train<'_>) -> Option<Self> {
        Some(Self { peer: train.peer?, local: train.local })
    }

    /// The client, as everybody else calls it: one of IPv4 by such an address.
    fn client(self) -> SocketAddr {
        SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port())
    }

    /// The way back.
    fn way(self) -> Way {
        Way { to: Some(self.peer), from: self.local }
    }
}

/// A listener of UDP on one worker.
pub struct Port<D: Dialer> {
    worker: Rc<Worker<D>>,
    socket: Socket,
    /// The listener as it was when it was last looked at.
    door: RefCell<Door>,
    /// Sessions by whom they are of; those that have had all their datagrams are not in it any more.
    table: RefCell<HashMap<Key, Rc<Session<D>>>>,
    /// Sessions whose tasks run.
    live: Cell<usize>,
    state: Cell<State>,
    /// The state is another, or a session has ended.
    changed: Notify,
    /// When it was last logged that somebody was refused, by the worker's clock (milliseconds), and how many since.
    complained: Cell<(Option<u64>, u64)>,
}

/// What a listener does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits for sessions of the process before; datagrams wait in the socket.
    Waits,
    /// Takes what comes.
    Open,
    /// Takes what comes of clients that have a session.
    Draining,
    /// Takes nothing more; answers still go out.
    Closing,
    /// The same, and another process has the sessions.
    HandedOver,
}

impl<D: Dialer> Port<D> {
    /// A listener, which begins when [`run`](Self::run) is polled; if it `waits`, when [`open`](Self::open) is called.
    pub fn new(
        worker: Rc<Worker<D>>,
        socket: Socket,
        (listener, index): (Arc<ListenerSpec>, u32),
        waits: bool,
    ) -> Rc<Self> {
        let address = socket.address();
        let local = Some(address).filter(|address| !address.ip().is_unspecified());
        let door =
            Door { listener, index, peer: None, local, is_fresh: false, is_known: false, session: None };
        Rc::new(Self {
            worker,
            socket,
            door: RefCell::new(door),
            table: RefCell::default(),
            live: Cell::new(0),
            state: Cell::new(if waits { State::Waits } else { State::Open }),
            changed: Notify::new(),
            complained: Cell::default(),
        })
    }

    /// Takes what comes, if that was waited with.
    pub fn open(&self) {
        if self.state.get() == State::Waits {
            self.turn(State::Open);
        }
    }

    /// Takes datagrams until `stop`, then until the last session has ended: if the process ends, sessions go on until nothing
    /// is said for a moment; if only the listener does, what is answered within a moment goes out.
    pub async fn run(self: Rc<Self>, stop: Rc<Stop>) {
        tokio::select! {
            () = stop.stopped() => {}
            () = self.take_all() => {}
        }
        if self.state.get() != State::HandedOver {
            self.turn(if self.worker.is_draining() { State::Draining } else { State::Closing });
            let sessions: Vec<_> = self.table.borrow().values().cloned().collect();
            sessions.iter().for_each(|session| session.hurry());
        }
        tokio::select! {
            () = self.take_all() => {}
            () = self.last() => {}
        }
    }

    fn turn(&self, state: State) {
        self.state.set(state);
        self.changed.notify_waiters();
    }

    /// Waits until no session is left.
    async fn last(&self) {
        while self.live.get() > 0 {
            self.changed.notified().await;
        }
    }

    /// Takes datagrams, for as long as it is polled, whenever the state says so.
    async fn take_all(self: &Rc<Self>) {
        loop {
            match self.state.get() {
                State::Open | State::Draining => {}
                State::Waits => {
                    let changed = tokio::time::timeout(LONGEST_WAIT, self.changed.notified());
                    if changed.await.is_err() {
                        self.open();
                    }
                    continue;
                }
                State::Closing | State::HandedOver => {
                    self.changed.notified().await;
                    continue;
                }
            }
            let received = tokio::select! {
                biased;
                () = self.changed.notified() => continue,
                received = poll_fn(|cx| self.socket.poll_receive(cx, |trains, cut| self.take(trains, cut))) => received,
            };
            if received.is_err() {
                tokio::time::sleep(RESOURCE_PAUSE).await;
            }
        }
    }

    /// Passes on what came.
    fn take(self: &Rc<Self>, trains: &[Train<'_>], cut: u64) {
        self.worker.metrics.udp.dropped("too_large", cut);
        // Where sessions are counted by datagrams, each of these may be in another one.
        let counts = self.door.borrow().listener.udp.as_ref().is_some_and(|udp| udp.requests.is_some());
        for same in trains.chunk_by(|one, next| Key::of(one) == Key::of(next)) {
            let Some(key) = same.first().and_then(Key::of) else { continue };
            if counts {
                same.iter().flat_map(Train::datagrams).for_each(|one| self.pass(key, &[one]));
            } else {
                self.pass(key, same);
            }
        }
    }

    /// Passes on what came of one client: by its session, or by a new one.
    fn pass(self: &Rc<Self>, key: Key, trains: &[Train<'_>]) {
        let known = self.table.borrow().get(&key).cloned();
        let done = known.map_or(0, |session| session.forward(trains));
        if let Some(rest) = trains.get(done..).filter(|rest| !rest.is_empty())
            && let Err((reason, kind)) = self.begin(key, rest)
        {
            self.refuse((reason, kind), key, rest);
        }
    }

    /// Begins a session, and passes these on.
    ///
    /// # Errors
    /// Why it is not begun, for metrics and logs.
    fn begin(self: &Rc<Self>, key: Key, trains: &[Train<'_>]) -> Result<(), (&'static str, Option<Refusal>)> {
        if self.is_ending() {
            return Err(("draining", None));
        }
        // Nothing waits here as connections do, and whoever begins may have a forged address.
        if shortage::level() >= Level::Short {
            shortage::did(Deed::TurnedAway, 1);
            return Err(("memory", None));
        }
        let local = self.worker.local();
        self.door.borrow_mut().follow(&local.shared);
        let mut door = self.door.borrow().clone();
        let Some(udp) = door.listener.udp.clone() else { return Err(("draining", None)) };
        let Some(cluster) = local.clusters.get(udp.destination.cluster as usize).cloned() else {
            return Err(("no_endpoint", None));
        };
        drop(local);
        if udp.ration.as_ref().is_some_and(|ration| !ration.take(tokio::time::Instant::now().into_std())) {
            return Err(("rate", None));
        }
        let peer = key.client();
        let permit = self.worker.admit(Some(peer.ip()), &door.listener).map_err(|refused| match refused {
            Refused::Total => ("limit", Some(Refusal::Limit)),
            Refused::Client => ("client_limit", Some(Refusal::ClientLimit)),
        })?;
        door.peer = Some(peer);
        if let Some(ip) = key.local {
            door.local = Some(SocketAddr::new(ip.to_canonical(), self.socket.address().port()));
        }
        let session = Session::new(self, (key, door), (cluster, udp), permit);
        match session.begin(trains) {
            Ok(()) => Ok(()),
            Err(reason) => Err((reason, None)),
        }
    }

    /// Counts datagrams that no session takes, and says so now and then.
    fn refuse(&self, (reason, kind): (&'static str, Option<Refusal>), key: Key, trains: &[Train<'_>]) {
        let datagrams = trains.iter().map(|train| train.count() as u64).sum();
        self.worker.metrics.udp.dropped(reason, datagrams);
        if let Some(kind) = kind {
            self.worker.metrics.connections.refused(kind);
        }
        let (last, since) = self.complained.get();
        let (now, since) = (self.worker.deadlines.coarse_millis(), since + datagrams);
        if last.is_some_and(|last| now < last + COMPLAINTS) {
            return self.complained.set((last, since));
        }
        self.complained.set((Some(now), 0));
        let door = Door { peer: Some(key.client()), ..self.door.borrow().clone() };
        let detail = format!("datagrams that were not passed on, the last of this client: {since}");
        record::connection(&self.worker, &door, (reason, &detail));
    }

    fn is_ending(&self) -> bool {
        self.worker.is_draining() || !matches!(self.state.get(), State::Open | State::Waits)
    }

    fn enter(&self, session: &Rc<Session<D>>) {
        self.table.borrow_mut().insert(session.key(), session.clone());
    }

    /// The next datagram of this client is another session's.
    fn unbind(&self, session: &Session<D>) {
        let mut table = self.table.borrow_mut();
        let is_this =
            table.get(&session.key()).is_some_and(|known| std::ptr::eq(&raw const **known, session));
        let gone = if is_this { table.remove(&session.key()) } else { None };
        drop(table);
        drop(gone);
    }

    fn began(&self) {
        self.live.set(self.live.get() + 1);
        self.worker.metrics.udp.sessions.opened();
    }

    fn ended(&self) {
        self.live.set(self.live.get().saturating_sub(1));
        self.worker.metrics.udp.sessions.closed();
        self.changed.notify_waiters();
    }

    /// Sends a client what its endpoint has said; gives how many went out, and their bytes.
    fn answer(&self, key: Key, trains: &[Train<'_>], cut: u64) -> Asked {
        let sent = self.socket.send(key.way(), trains);
        let udp = &self.worker.metrics.udp;
        udp.sent(sent.datagrams, sent.bytes);
        udp.dropped("too_large", cut);
        udp.dropped(sent.why_lost(), sent.lost);
        Asked { datagrams: sent.datagrams + sent.lost + cut, bytes: sent.bytes }
    }
}
