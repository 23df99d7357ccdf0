//! Sockets of listeners of UDP.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use usher_config::BindAddress;
use usher_engine::snapshot::ListenerSpec;
use usher_net::Address;
use usher_net::datagrams::{BoundDatagrams, bind_datagrams, inherited_datagrams};

use super::{Held, Opened, Plan, SocketId, Sockets, Source, asked, label, port};

/// Sockets, and for how many of them, the first, sessions of another process come first.
type Found = (Vec<BoundDatagrams>, usize);

impl Held {
    pub(super) fn is_udp(&self) -> bool {
        self.datagrams.is_some()
    }
}

impl Sockets {
    /// The address of a listener that is open and stays.
    pub(super) fn kept_datagrams(
        &self,
        spec: &ListenerSpec,
        address: &BindAddress,
        plan: &mut Plan,
    ) -> Option<Held> {
        let is_there = |held: &&Held| held.is_udp() && held.bind == *address && held.listener == spec.name;
        let held = self.held.iter().find(is_there)?;
        if held.listen.only_v6 != spec.listen.only_v6 {
            plan.warnings.push(format!("the new value of `ipv6_only` for `{address}` holds after a restart"));
        }
        Some(held.clone())
    }

    pub(super) fn open_datagrams(
        &self,
        plan: &mut Plan,
        (index, spec): (usize, &Arc<ListenerSpec>),
        address: &BindAddress,
        workers: usize,
    ) -> io::Result<()> {
        let (sockets, waiting) = self.find_datagrams(spec, address, workers)?;
        let local = sockets.first().map(BoundDatagrams::address);
        let local = Address::Ip(local.ok_or(io::ErrorKind::AddrNotAvailable)?);
        let kept = sockets.iter().map(BoundDatagrams::try_clone).collect::<io::Result<Vec<_>>>()?;
        let id = plan.next;
        plan.next += 1;
        plan.held.push(Held {
            id,
            listener: spec.name.clone(),
            bind: address.clone(),
            listen: spec.listen.clone(),
            socket: spec.socket,
            quic: false,
            local,
            kept: Arc::default(),
            udp: None,
            datagrams: Some(Arc::new(kept)),
            owns_file: false,
        });
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        for (number, socket) in sockets.into_iter().enumerate() {
            let source = Source::Datagrams { socket, number, waits: number < waiting };
            if let Some(worker) = plan.open.get_mut(number % workers) {
                worker.push(Opened { id, source, spec: spec.clone(), index });
            }
        }
        Ok(())
    }

    /// Those that are there: of this address under another name, or from another process; else new ones. Where clients have
    /// sessions that last, no socket is added to those of the process that has them: clients would come to others then.
    fn find_datagrams(
        &self,
        spec: &ListenerSpec,
        address: &BindAddress,
        workers: usize,
    ) -> io::Result<Found> {
        let renamed = self.held.iter().find(|held| held.bind == *address && held.is_udp());
        if let Some(sockets) = renamed.and_then(|held| held.datagrams.as_ref()) {
            return Ok((sockets.iter().map(BoundDatagrams::try_clone).collect::<io::Result<_>>()?, 0));
        }
        let inherited = self.inheritance.udp(&label(&spec.name, address), address);
        if !inherited.is_empty() {
            let waiting = if self.inheritance.is_predecessors() { inherited.len() } else { 0 };
            let lasts = spec.udp.as_ref().is_none_or(|udp| udp.requests != Some(1));
            let more = if waiting > 0 && lasts { 0 } else { workers };
            return Ok((inherited_datagrams(inherited, more)?, waiting));
        }
        let is_ours = |held: &Held| port(&held.local).is_some() && port(&held.local) == asked(address);
        let shared = self.held.iter().any(|held| (held.is_udp() || held.quic) && is_ours(held));
        let only_v6 = spec.listen.only_v6;
        let bind = |at: SocketAddr, only_v6| bind_datagrams(at, (shared, only_v6), workers);
        let sockets = self.again(address, || match address {
            BindAddress::Socket(address) => bind(*address, only_v6),
            BindAddress::Any(port) => {
                // IPv6 and IPv4 in one; where the system has no IPv6, IPv4 alone.
                bind((Ipv6Addr::UNSPECIFIED, *port).into(), false).or_else(|error| match error.kind() {
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
                    _ => bind((Ipv4Addr::UNSPECIFIED, *port).into(), false),
                })
            }
            BindAddress::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        });
        Ok((sockets?, 0))
    }

    /// The listeners of UDP that another process goes on with.
    pub(in crate::serve) fn passed_datagrams(&self, taken: &[String]) -> Vec<SocketId> {
        let all = self.held.iter().filter(|held| held.is_udp() && taken.contains(&held.label()));
        all.map(|held| held.id).collect()
    }

    /// What a socket is called where it is handed over.
    pub(in crate::serve) fn label_of(&self, id: SocketId) -> Option<String> {
        self.held.iter().find(|held| held.id == id).map(Held::label)
    }

    /// The listener of UDP of this label.
    pub(in crate::serve) fn labelled(&self, label: &str) -> Option<SocketId> {
        self.held.iter().find(|held| held.is_udp() && held.label() == label).map(|held| held.id)
    }
}
