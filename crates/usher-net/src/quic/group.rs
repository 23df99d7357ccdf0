//! All sockets of one address, also those of a process that is about to end.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use socket2::SockRef;

use super::bind::{BoundUdp, UdpOptions, explain, udp_socket};
use crate::datagrams::bind_group;
use crate::sys::{Bank as Steered, MAX_BANKS, attach_steering};

/// The sockets of one address in the order in which they were bound, as the kernel numbers them. A bank is those of one
/// generation of workers: connections say in their IDs whose they are, so that a process that drains gets the packets of
/// its own while new connections go to the next one.
///
/// The kernel renumbers the sockets when one of them closes, so all stay open in whoever serves, although nobody reads
/// from those of a former generation; the next one of as many workers does again. There are as many banks as
/// generations that served at a time, not as there ever were.
#[derive(Debug)]
pub struct UdpGroup {
    address: SocketAddr,
    banks: Vec<Bank>,
    /// The bank that new connections go to.
    active: usize,
}

#[derive(Debug)]
struct Bank {
    sockets: Vec<UdpSocket>,
    /// Its connections are served.
    is_busy: bool,
    /// By the process that handed it over.
    is_inherited: bool,
    /// Gone when no worker of this process uses its sockets any more.
    used: Weak<()>,
}

impl UdpGroup {
    /// Opens one socket per worker, at least one, in the order of the workers.
    ///
    /// # Errors
    /// An error whose text names the address and what to do. Nothing stays open then.
    pub fn bind(
        address: SocketAddr,
        options: UdpOptions,
        workers: usize,
    ) -> io::Result<(Self, Vec<BoundUdp>)> {
        Self::open(address, options, workers).map_err(|error| explain(address, &error))
    }

    fn open(address: SocketAddr, options: UdpOptions, workers: usize) -> io::Result<(Self, Vec<BoundUdp>)> {
        let bind = |at: SocketAddr, reuse_port: bool| udp_socket(at, options, reuse_port);
        let (address, sockets) = bind_group((address, options.shared), workers, bind)?;
        let steered = sockets.len() == 1;
        let bank = Bank { sockets, is_busy: true, is_inherited: false, used: Weak::new() };
        let mut group = Self { address, banks: vec![bank], active: 0 };
        let steered = steered || group.steer().is_ok();
        let bound = group.bound(steered)?;
        Ok((group, bound))
    }

    /// The group that another process hands over: for each bank, whether its connections are served yet, and its sockets.
    ///
    /// # Errors
    /// There are none, or one is no UDP socket, or of another address.
    pub fn inherited(banks: Vec<(bool, Vec<OwnedFd>)>) -> io::Result<Self> {
        let bank = |(is_busy, sockets): (bool, Vec<OwnedFd>)| Bank {
            sockets: sockets.into_iter().map(UdpSocket::from).collect(),
            is_busy,
            is_inherited: true,
            used: Weak::new(),
        };
        let banks: Vec<Bank> = banks.into_iter().map(bank).collect();
        let first = banks.iter().find_map(|bank| bank.sockets.first());
        let address = first.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?.local_addr()?;
        for socket in banks.iter().flat_map(|bank| &bank.sockets) {
            if socket.local_addr()? != address {
                return Err(io::ErrorKind::AddrNotAvailable.into());
            }
            // Whoever opened it may not have thought of others beside it: of the same user, they may be.
            SockRef::from(socket).set_reuse_port(true)?;
        }
        Ok(Self { address, banks, active: 0 })
    }

    /// Where it listens; port 0 is replaced by the one that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Each bank: whether its connections are served, and its sockets.
    pub fn banks(&self) -> impl Iterator<Item = (bool, &[UdpSocket])> {
        self.banks.iter().map(|bank| (bank.is_busy, &bank.sockets[..]))
    }

    /// A second owner of all its sockets.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        let bank = |bank: &Bank| {
            let sockets = bank.sockets.iter().map(UdpSocket::try_clone).collect::<io::Result<_>>()?;
            let (is_busy, is_inherited) = (bank.is_busy, bank.is_inherited);
            Ok(Bank { sockets, is_busy, is_inherited, used: bank.used.clone() })
        };
        let banks = self.banks.iter().map(bank).collect::<io::Result<_>>()?;
        Ok(Self { address: self.address, banks, active: self.active })
    }

    /// Another generation of `workers` takes over: in a bank that is free and as large, or in a new one. New connections
    /// go there from the next [`steer`](Self::steer) on.
    ///
    /// # Errors
    /// An error whose text names the address; too many generations serve at once.
    pub fn take_over(&mut self, options: UdpOptions, workers: usize) -> io::Result<Vec<BoundUdp>> {
        let workers = workers.max(1);
        let free = self.banks.iter().position(|bank| !bank.is_busy && bank.sockets.len() == workers);
        self.active = match free {
            Some(free) => free,
            None => self.append(options, workers).map_err(|error| explain(self.address, &error))?,
        };
        if let Some(bank) = self.banks.get_mut(self.active) {
            (bank.is_busy, bank.is_inherited) = (true, false);
        }
        self.bound(true)
    }

    fn append(&mut self, options: UdpOptions, workers: usize) -> io::Result<usize> {
        if self.banks.len() >= MAX_BANKS {
            return Err(io::Error::other(format!("{MAX_BANKS} generations of processes share it already")));
        }
        let open =
            |_| udp_socket(self.address, UdpOptions { shared: true, ..options }, true).map(UdpSocket::from);
        let sockets = (0..workers).map(open).collect::<io::Result<_>>()?;
        self.banks.push(Bank { sockets, is_busy: true, is_inherited: false, used: Weak::new() });
        Ok(self.banks.len() - 1)
    }

    /// Whether no more generations can be told apart.
    pub fn is_full(&self) -> bool {
        self.banks.len() == MAX_BANKS && self.banks.iter().all(|bank| bank.is_busy)
    }

    /// The other generations have ended.
    pub fn retire_others(&mut self) {
        let active = self.active;
        self.banks.iter_mut().enumerate().for_each(|(index, bank)| bank.is_busy = index == active);
    }

    /// The process that handed the group over has ended, and those before it. What this one has served since, it may
    /// serve still.
    pub fn retire_inherited(&mut self) {
        self.banks.iter_mut().filter(|bank| bank.is_inherited).for_each(|bank| bank.is_busy = false);
    }

    /// Whether a connection of it may be served still, in this process or in one that handed it over.
    pub fn is_served(&self) -> bool {
        let by_others = |bank: &Bank| bank.is_inherited && bank.is_busy;
        self.banks.iter().any(|bank| by_others(bank) || bank.used.strong_count() > 0)
    }

    /// Tells the kernel which packets are whose: those of connections are their bank's, all others the active one's.
    ///
    /// # Errors
    /// Where the kernel cannot; connections then break when there are several banks or workers.
    pub fn steer(&self) -> io::Result<()> {
        let mut first = 0u16;
        let mut banks = Vec::new();
        for (number, bank) in self.banks.iter().enumerate() {
            let sockets = u16::try_from(bank.sockets.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
            let is_active = number == self.active;
            if bank.is_busy || is_active {
                banks.push(Steered { number: number as u8, first, sockets, is_active });
            }
            first = first.checked_add(sockets).ok_or(io::ErrorKind::InvalidInput)?;
        }
        let socket = self.banks.iter().find_map(|bank| bank.sockets.first());
        attach_steering(socket.ok_or(io::ErrorKind::InvalidInput)?, &banks)
    }

    /// The active bank's sockets, for workers.
    fn bound(&mut self, steered: bool) -> io::Result<Vec<BoundUdp>> {
        let Some(bank) = self.banks.get_mut(self.active) else { return Ok(Vec::new()) };
        let used = bank.used.upgrade().unwrap_or_default();
        bank.used = Arc::downgrade(&used);
        let sockets = &bank.sockets[..];
        let workers = u16::try_from(sockets.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let bound = |(socket, worker): (&UdpSocket, u16)| {
            Ok(BoundUdp {
                socket: socket.try_clone()?,
                address: self.address,
                worker,
                workers,
                bank: self.active as u8,
                steered,
                used: used.clone(),
            })
        };
        sockets.iter().zip(0..).map(bound).collect()
    }
}
