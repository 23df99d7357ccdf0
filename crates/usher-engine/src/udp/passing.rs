//! Sessions that go on in another process, which has the same listening sockets.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use usher_net::datagrams::Flow;
use usher_net::{Address, Dialer};

use super::reach::Far;
use super::session::{Asked, End, Session};
use super::{Key, Port, State};

/// A session without the process that served it.
#[derive(Debug)]
pub struct PassedSession {
    /// The client, as the listening socket names it.
    pub client: SocketAddr,
    /// The address of this machine that it sends to, where the socket listens on several.
    pub local: Option<IpAddr>,
    /// Its endpoint.
    pub endpoint: SocketAddr,
    /// Datagrams from the client, and their bytes.
    pub received: (u64, u64),
    /// Datagrams to the client, and their bytes.
    pub sent: (u64, u64),
    /// How long it has lasted.
    pub age: Duration,
    /// The socket that is connected to the endpoint.
    pub socket: OwnedFd,
}

impl<D: Dialer> Port<D> {
    /// Takes nothing more, and gives the sessions away. Those that only wait for last answers stay, as do those whose socket
    /// cannot be passed on.
    pub fn hand_over(&self) -> Vec<PassedSession> {
        self.turn(State::HandedOver);
        let sessions: Vec<Rc<Session<D>>> = self.table.borrow().values().cloned().collect();
        sessions.iter().filter_map(|session| session.passed()).collect()
    }

    /// Goes on with sessions of another process. One whose endpoint is no longer in the cluster, or that the limits have no
    /// place for, is not taken: its client's next datagram begins another.
    pub fn adopt(self: &Rc<Self>, sessions: Vec<PassedSession>) {
        for passed in sessions {
            let _ = self.adopt_one(passed);
        }
    }

    fn adopt_one(self: &Rc<Self>, passed: PassedSession) -> Option<()> {
        let key = Key { peer: passed.client, local: passed.local };
        let local = self.worker.local();
        self.door.borrow_mut().follow(&local.shared);
        let mut door = self.door.borrow().clone();
        let udp = door.listener.udp.clone()?;
        let cluster = local.clusters.get(udp.destination.cluster as usize)?.clone();
        let peer = key.client();
        let permit = self.worker.admit(Some(peer.ip()), &door.listener).ok()?;
        door.peer = Some(peer);
        if let Some(ip) = key.local {
            door.local = Some(SocketAddr::new(ip.to_canonical(), self.socket.address().port()));
        }
        let flow = Rc::new(Flow::adopt(passed.socket).ok()?);
        let lease = cluster.at(passed.endpoint)?;
        lease.endpoint.metrics.started(true);
        self.worker.metrics.upstream.started(true);
        // How endpoints stand is looked at with its first datagram.
        let session = Session::aged((self, passed.age), (key, door), (cluster, udp), permit);
        let head = session.introduction(&lease);
        let far = Far { flow, lease, head, since: Instant::now(), version: 0 };
        session.far.replace(Some(far));
        let asked = |(datagrams, bytes)| Asked { datagrams, bytes };
        session.resume(asked(passed.received), asked(passed.sent));
        session.start();
        Some(())
    }
}

impl<D: Dialer> Session<D> {
    fn passed(&self) -> Option<PassedSession> {
        let far = self.far.borrow();
        let far = far.as_ref()?;
        let Address::Ip(endpoint) = far.lease.endpoint.resolved.address else { return None };
        let (forth, back) = self.counts();
        let passed = PassedSession {
            client: self.key().peer,
            local: self.key().local,
            endpoint,
            received: (forth.datagrams, forth.bytes),
            sent: (back.datagrams, back.bytes),
            age: self.started.elapsed(),
            socket: far.flow.descriptor().ok()?,
        };
        self.over(End::HandedOver);
        Some(passed)
    }
}
