//! The sockets that are open, and what a new snapshot changes about them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use usher_config::BindAddress;
use usher_engine::Snapshot;
use usher_engine::snapshot::ListenerSpec;
use usher_net::quic::{UdpOptions, bind_udp};
use usher_net::{Address, BoundSocket, ListenOptions, SocketOptions, bind};

use super::worker::Opened;

/// By which workers know a socket: all of one address have the same.
pub(super) type SocketId = u64;

/// An address that is open, on all workers.
#[derive(Debug, Clone)]
pub(super) struct Held {
    id: SocketId,
    /// The name of its listener.
    pub(super) listener: Arc<str>,
    bind: BindAddress,
    listen: ListenOptions,
    socket: SocketOptions,
    /// Whether HTTP/3 is spoken, on a socket of its own.
    quic: bool,
    /// Where it really listens: port 0 is replaced by the one that the system chose.
    pub(super) local: Address,
}

impl Held {
    /// Whether the same sockets would be opened for this address of this listener.
    fn fits(&self, spec: &ListenerSpec, bind: &BindAddress) -> bool {
        let is_there = self.bind == *bind && self.listener == spec.name;
        is_there && self.listen == spec.listen && self.socket == spec.socket && self.quic == spec.protocols.h3
    }
}

/// What is open.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// In the order of the config.
    pub(super) held: Vec<Held>,
    /// What was closed last, and when: workers take a moment for it.
    closing: Vec<(BindAddress, Instant)>,
    next: SocketId,
}

/// How long an address that was just closed may be in use by ourselves, and how often that is looked at.
const CLOSING: Duration = Duration::from_secs(1);
const CLOSING_CHECK: Duration = Duration::from_millis(10);

/// What a new snapshot needs; its sockets are bound already.
pub(super) struct Plan {
    held: Vec<Held>,
    next: SocketId,
    /// For each worker: sockets to open.
    pub(super) open: Vec<Vec<Opened>>,
    /// What to close.
    pub(super) close: Vec<SocketId>,
    /// What cannot be changed while the process runs.
    pub(super) warnings: Vec<String>,
}

impl Sockets {
    /// Binds what `snapshot` has more than is open.
    ///
    /// # Errors
    /// Everything that cannot be bound; then nothing has changed.
    pub(super) fn plan(&self, snapshot: &Snapshot, workers: usize) -> Result<Plan, Vec<io::Error>> {
        let mut plan = Plan {
            held: Vec::new(),
            next: self.next,
            open: (0..workers).map(|_| Vec::new()).collect(),
            close: Vec::new(),
            warnings: Vec::new(),
        };
        let mut errors = Vec::new();
        for (index, spec) in snapshot.listeners.iter().enumerate() {
            for address in &spec.bind {
                match self.kept(spec, address, &mut plan) {
                    Some(held) => plan.held.push(held),
                    None => errors.extend(self.open(&mut plan, (index, spec), address, workers).err()),
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let stays = |id: SocketId| plan.held.iter().any(|held| held.id == id);
        plan.close = self.held.iter().map(|held| held.id).filter(|id| !stays(*id)).collect();
        Ok(plan)
    }

    /// What is open and stays.
    fn kept(&self, spec: &ListenerSpec, address: &BindAddress, plan: &mut Plan) -> Option<Held> {
        if let Some(held) = self.held.iter().find(|held| held.fits(spec, address)) {
            return Some(held.clone());
        }
        // A Unix socket's path is taken by its socket: unlike a port, it cannot have two for a moment.
        let held = self.held.iter().find(|held| held.bind == *address)?;
        matches!(address, BindAddress::Unix(_)).then(|| {
            plan.warnings.push(format!("other options for `{address}` hold after a restart"));
            held.clone()
        })
    }

    fn open(
        &self,
        plan: &mut Plan,
        (index, spec): (usize, &Arc<ListenerSpec>),
        address: &BindAddress,
        workers: usize,
    ) -> io::Result<()> {
        // What we listen on ourselves is no conflict: the old sockets drain while the new ones take over.
        let ours =
            self.held.iter().any(|held| port(&held.local).is_some() && port(&held.local) == asked(address));
        let options = ListenOptions { shared: spec.listen.shared || ours, ..spec.listen.clone() };
        let sockets = self.bind_again(address, &options, workers)?;
        let local = sockets.first().map(|socket| socket.address().clone());
        let Some(local) = local else { return Err(io::ErrorKind::AddrNotAvailable.into()) };
        let udp = match &local {
            Address::Ip(local) if spec.protocols.h3 => {
                let options =
                    UdpOptions { shared: options.shared, only_v6: options.only_v6 && local.is_ipv6() };
                bind_udp(*local, options, workers)?.into_iter().map(Some).collect()
            }
            _ => Vec::new(),
        };
        let mut udp = udp.into_iter().chain(std::iter::repeat_with(|| None));
        let id = plan.next;
        plan.next += 1;
        let (bind, listen, socket) = (address.clone(), spec.listen.clone(), spec.socket);
        let quic = spec.protocols.h3;
        plan.held.push(Held { id, listener: spec.name.clone(), bind, listen, socket, quic, local });
        for (worker, socket) in plan.open.iter_mut().zip(sockets) {
            worker.push(Opened {
                id,
                socket,
                udp: udp.next().flatten(),
                spec: spec.clone(),
                index: u32::try_from(index).unwrap_or(u32::MAX),
            });
        }
        Ok(())
    }

    /// Binds; an address that a reload just gave up and another takes again is waited for.
    fn bind_again(
        &self,
        address: &BindAddress,
        options: &ListenOptions,
        n: usize,
    ) -> io::Result<Vec<BoundSocket>> {
        loop {
            let bound = bind_any(address, options, n);
            let is_closing =
                |(closed, at): &(BindAddress, Instant)| closed == address && at.elapsed() < CLOSING;
            match bound {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse && self.closing.iter().any(is_closing) =>
                {
                    std::thread::sleep(CLOSING_CHECK);
                }
                bound => return bound,
            }
        }
    }

    /// The plan is carried out: gives what each worker is to open, and what all are to close.
    pub(super) fn adopt(&mut self, plan: Plan) -> (Vec<Vec<Opened>>, Vec<SocketId>) {
        self.closing.retain(|(_, at)| at.elapsed() < CLOSING);
        let gone = self.held.iter().filter(|held| plan.close.contains(&held.id));
        self.closing.extend(gone.map(|held| (held.bind.clone(), Instant::now())));
        self.held = plan.held;
        self.next = plan.next;
        (plan.open, plan.close)
    }
}

fn port(address: &Address) -> Option<u16> {
    match address {
        Address::Ip(address) => Some(address.port()),
        Address::Unix(_) => None,
    }
}

fn asked(address: &BindAddress) -> Option<u16> {
    match address {
        BindAddress::Any(port) => Some(*port),
        BindAddress::Socket(address) => Some(address.port()),
        BindAddress::Unix(_) => None,
    }
}

/// Binds one socket for each worker. `:80` is IPv6 and IPv4 in one; where the system has no IPv6, IPv4 alone.
pub(super) fn bind_any(
    address: &BindAddress,
    options: &ListenOptions,
    n: usize,
) -> io::Result<Vec<BoundSocket>> {
    match address {
        BindAddress::Unix(path) => bind(&Address::Unix(path.clone()), options, n),
        BindAddress::Socket(address) => bind(&Address::Ip(*address), options, n),
        BindAddress::Any(port) => {
            let everywhere = Address::Ip(SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port)));
            let options = ListenOptions { only_v6: false, ..options.clone() };
            bind(&everywhere, &options, n).or_else(|error| match error.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
                _ => bind(&Address::Ip(SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port))), &options, n),
            })
        }
    }
}
