//! Where clients send to.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;

use super::outgoing::Sender;
use super::{BoundDatagrams, Sent, Train, Way, receive};
use crate::sys;

/// A socket that anybody may send to, in the runtime of one worker.
#[derive(Debug)]
pub struct Door {
    io: AsyncFd<UdpSocket>,
    address: SocketAddr,
    sender: Sender,
}

impl Door {
    /// # Errors
    /// When the runtime has no I/O driver, or the kernel does not tell where datagrams were sent to.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(bound: BoundDatagrams) -> io::Result<Self> {
        let BoundDatagrams { socket, address } = bound;
        socket.set_nonblocking(true)?;
        if address.ip().is_unspecified() {
            sys::tell_local(&socket, address.is_ipv6())?;
        }
        // An old kernel gives them one by one.
        let _ = sys::receive_trains(&socket);
        Ok(Self { io: sys::watch_datagrams(socket)?, address, sender: Sender::default() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Receives a batch and gives it to `each`, with the number of those that were too large.
    ///
    /// # Errors
    /// What the system call says; the next call may do better.
    pub fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        each: impl FnOnce(&[Train<'_>], u64),
    ) -> Poll<io::Result<()>> {
        let mut guard = ready!(self.io.poll_read_ready(cx))?;
        match receive(self.io.get_ref(), each) {
            Ok(true) => Poll::Ready(Ok(())),
            // Fewer than a batch: there is no more, and what comes later is announced again.
            Ok(false) => {
                guard.clear_ready();
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                guard.clear_ready();
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Sends datagrams to a client.
    pub fn send(&self, way: Way, trains: &[Train<'_>]) -> Sent {
        self.sender.send(self.io.get_ref(), way, &[], trains)
    }
}
