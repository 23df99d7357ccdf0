//! Datagrams to and from one endpoint.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::outgoing::{Sender, is_refusal};
use super::{Sent, Train, Way, receive};
use crate::sys;

/// After so many trains the endpoint is asked for longer ones: it costs a system call, which short sessions spare.
const MANY: u32 = 32;

/// A socket that is connected to an endpoint, from a port that nobody can foresee. Nobody else's datagrams come in by it.
#[derive(Debug)]
pub struct Flow {
    io: AsyncFd<UdpSocket>,
    sender: Sender,
    received: Cell<u32>,
    /// The last batch was full, so that there may be more.
    more: Cell<bool>,
}

/// What a flow has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Datagrams, or nothing yet.
    Datagrams,
    /// The endpoint refuses what was sent to it.
    Refusal,
}

impl Flow {
    /// Connects to an endpoint. Nothing is sent by that, so nobody knows whether somebody is there.
    ///
    /// # Errors
    /// There is no way to it, or no descriptor left.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let kind = Type::DGRAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
        socket.connect(&SockAddr::from(address))?;
        Self::adopt(OwnedFd::from(socket))
    }

    /// Goes on with a connected socket of another process.
    ///
    /// # Errors
    /// The runtime has no I/O driver.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn adopt(descriptor: OwnedFd) -> io::Result<Self> {
        let io = sys::watch_datagrams(UdpSocket::from(descriptor))?;
        Ok(Self { io, sender: Sender::default(), received: Cell::new(0), more: Cell::new(false) })
    }

    /// A second owner of the socket, for another process.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.io.get_ref().as_fd().try_clone_to_owned()
    }

    /// Waits until [`receive`](Self::receive) may have something.
    ///
    /// # Errors
    /// The runtime ends.
    pub async fn readable(&self) -> io::Result<()> {
        if self.more.get() {
            // Others of the thread have their turn: an endpoint may send faster than anybody can pass on.
            tokio::task::yield_now().await;
            return Ok(());
        }
        // Forgotten before it is looked at: what comes from here on is announced again.
        self.io.ready(Interest::READABLE | Interest::ERROR).await?.clear_ready();
        Ok(())
    }

    /// Receives a batch, without waiting, and gives it to `each`.
    pub fn receive(&self, each: impl FnOnce(&[Train<'_>], u64)) -> Heard {
        let count = self.received.get();
        if count == MANY {
            let _ = sys::receive_trains(self.io.get_ref());
        }
        self.received.set(count.saturating_add(1));
        let received = receive(self.io.get_ref(), each);
        self.more.set(matches!(received, Ok(true)));
        match received {
            Err(error) if is_refusal(&error) => Heard::Refusal,
            // Whatever else a router says (too large, no way for now) is no word of the endpoint's.
            _ => Heard::Datagrams,
        }
    }

    /// Sends datagrams to the endpoint, each behind `head`.
    pub fn send(&self, head: &[u8], trains: &[Train<'_>]) -> Sent {
        self.sender.send(self.io.get_ref(), Way::default(), head, trains)
    }
}
