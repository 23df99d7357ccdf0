//! The sockets that are open, and what a new snapshot changes about them.

mod datagrams;
mod passing;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use usher_config::BindAddress;
use usher_engine::Snapshot;
use usher_engine::snapshot::ListenerSpec;
use usher_net::datagrams::BoundDatagrams;
use usher_net::quic::{BoundUdp, UdpGroup, UdpOptions};
use usher_net::{Address, BoundSocket, Kept, ListenOptions, SocketOptions, adopt, bind, keep};

use super::inheritance::Inheritance;
use super::worker::{Opened, Source};

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
    /// The sockets, to hand them over; gone when they are to close.
    kept: Arc<Vec<Kept>>,
    /// Those of HTTP/3. They stay until the end, as the kernel would number the others anew.
    udp: Option<Arc<UdpGroup>>,
    /// Those of a listener of UDP, in the order in which the kernel numbers them.
    datagrams: Option<Arc<Vec<BoundDatagrams>>>,
    /// Whether this process is to remove the file of a Unix socket.
    owns_file: bool,
}

impl Held {
    /// Whether the same sockets would be opened for this address of this listener.
    fn fits(&self, spec: &ListenerSpec, bind: &BindAddress) -> bool {
        let is_there =
            self.bind == *bind && self.listener == spec.name && !self.is_udp() && spec.udp.is_none();
        is_there && self.listen == spec.listen && self.socket == spec.socket && self.quic == spec.protocols.h3
    }
}

/// What is open.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// In the order of the config.
    pub(super) held: Vec<Held>,
    /// Groups of HTTP/3 at addresses where it is spoken no more, the oldest first, until their last connection ends. If it is
    /// spoken again before, it must be in the same group: the kernel numbers all sockets of an address as one.
    retired: Vec<Arc<UdpGroup>>,
    /// What was closed last, and when: workers take a moment for it.
    closing: Vec<(BindAddress, Instant)>,
    next: SocketId,
    /// Sockets that were there before this process; at its start only.
    pub(super) inheritance: Inheritance,
}

/// Groups that are kept after HTTP/3 was switched off. When an older one goes, some of its connections break if they go on
/// still.
const MAX_RETIRED: usize = 16;
/// How long an address that was just closed may be in use by ourselves, as workers close it when they have a moment for that;
/// and how often that is looked at.
const CLOSING: Duration = Duration::from_secs(5);
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
    /// None yet, but for what was there before.
    pub(super) fn with(inheritance: Inheritance) -> Self {
        Self { inheritance, ..Self::default() }
    }

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
        if spec.udp.is_some() {
            return self.kept_datagrams(spec, address, plan);
        }
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
        if spec.udp.is_some() {
            return self.open_datagrams(plan, (index, spec), address, workers);
        }
        // What we listen on ourselves is no conflict: the old sockets drain while the new ones take over. Neither is the
        // process that this one takes over from.
        let ours =
            self.held.iter().any(|held| {
                !held.is_udp() && port(&held.local).is_some() && port(&held.local) == asked(address)
            }) || asked(address).is_some_and(|port| self.inheritance.has_port(port));
        let options = ListenOptions { shared: spec.listen.shared || ours, ..spec.listen.clone() };
        let inherited = self.inheritance.streams(&label(&spec.name, address), address);
        let owns_file = inherited.first().is_none_or(|first| first.owns_file());
        let sockets: Vec<Vec<BoundSocket>> = if inherited.is_empty() {
            self.again(address, || bind_any(address, &options, workers))?
                .into_iter()
                .map(|one| vec![one])
                .collect()
        } else {
            adopt(inherited, &options, workers)?
        };
        let local = sockets.iter().flatten().next().map(|socket| socket.address().clone());
        let Some(local) = local else { return Err(io::ErrorKind::AddrNotAvailable.into()) };
        let (group, udp) = match &local {
            Address::Ip(local) if spec.protocols.h3 => {
                let options =
                    UdpOptions { shared: options.shared, only_v6: options.only_v6 && local.is_ipv6() };
                let (group, udp) = self.open_udp(*local, options, workers)?;
                (Some(Arc::new(group)), udp)
            }
            _ => (None, Vec::new()),
        };
        let mut udp = udp.into_iter();
        let id = plan.next;
        plan.next += 1;
        plan.held.push(Held {
            id,
            listener: spec.name.clone(),
            bind: address.clone(),
            listen: spec.listen.clone(),
            socket: spec.socket,
            quic: spec.protocols.h3,
            local,
            kept: Arc::new(keep(sockets.iter().flatten())?),
            udp: group,
            datagrams: None,
            owns_file,
        });
        for (worker, sockets) in plan.open.iter_mut().zip(sockets) {
            // The one for HTTP/3 goes with the first.
            let mut udp = udp.next();
            worker.extend(sockets.into_iter().map(|socket| Opened {
                id,
                source: Source::Streams(socket, udp.take()),
                spec: spec.clone(),
                index: u32::try_from(index).unwrap_or(u32::MAX),
            }));
        }
        Ok(())
    }

    /// The sockets for HTTP/3 at an address. Where there are such of this process, or of the one before it, connections on
    /// them go on.
    fn open_udp(
        &self,
        address: SocketAddr,
        options: UdpOptions,
        workers: usize,
    ) -> io::Result<(UdpGroup, Vec<BoundUdp>)> {
        let own = || {
            let held = self.held.iter().filter_map(|held| held.udp.as_ref());
            held.chain(self.retired.iter().rev()).find(|udp| udp.address() == address)
        };
        if let Some(adopted) = self.inheritance.systemds_udp(address) {
            let sockets = adopted.len();
            let mut group = UdpGroup::inherited(vec![(false, adopted)])?;
            // Where no more can be opened beside them, only so many workers have one.
            let bound = group.take_over(options, workers).or_else(|_| group.take_over(options, sockets))?;
            return Ok((group, bound));
        }
        let known = match self.inheritance.datagrams(address) {
            None => own().map(|group| group.try_clone()).transpose()?,
            inherited => inherited,
        };
        let Some(mut group) = known else { return UdpGroup::bind(address, options, workers) };
        if group.is_full() {
            // After so many changes of a listener, the oldest connections give way.
            group.retire_others();
        }
        let bound = group.take_over(options, workers)?;
        Ok((group, bound))
    }

    /// Binds until it is done; an address that a reload just gave up and another takes again is waited for.
    fn again<T>(&self, address: &BindAddress, bind: impl Fn() -> io::Result<T>) -> io::Result<T> {
        loop {
            let is_closing =
                |(closed, at): &(BindAddress, Instant)| closed == address && at.elapsed() < CLOSING;
            match bind() {
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
        let before = std::mem::replace(&mut self.held, plan.held);
        self.retire_groups(before);
        self.next = plan.next;
        self.steer();
        (plan.open, plan.close)
    }

    /// Keeps the groups of HTTP/3 at addresses where it is spoken no more.
    fn retire_groups(&mut self, before: Vec<Held>) {
        self.retired.extend(before.into_iter().filter_map(|held| held.udp));
        let held = &self.held;
        let is_spoken =
            |address| held.iter().filter_map(|held| held.udp.as_ref()).any(|udp| udp.address() == address);
        self.retired.retain(|group| !is_spoken(group.address()));
        self.close_retired();
        let surplus = self.retired.len().saturating_sub(MAX_RETIRED);
        self.retired.drain(..surplus);
    }

    /// Whether there are sockets that are to be closed with their last connection.
    pub(super) fn has_retired(&self) -> bool {
        !self.retired.is_empty()
    }

    /// Closes those on which nothing is served any more.
    pub(super) fn close_retired(&mut self) {
        self.retired.retain(|group| group.is_served());
    }
}

/// What the sockets of an address are called where they are handed over.
pub(super) fn label(listener: &str, bind: &BindAddress) -> String {
    format!("{listener} {bind}")
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
fn bind_any(address: &BindAddress, options: &ListenOptions, n: usize) -> io::Result<Vec<BoundSocket>> {
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
