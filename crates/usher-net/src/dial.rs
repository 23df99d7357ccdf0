//! Connecting to an address. The engine is generic over [`Dialer`], so a simulation dials without sockets.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use socket2::SockRef;
use tokio::net::{TcpSocket, UnixStream};

use crate::address::Address;
use crate::options::SocketOptions;
use crate::stream::Stream;
use crate::transport::Transport;

/// Opens connections to endpoints.
pub trait Dialer: 'static {
    /// What a successful dial gives.
    type Stream: Transport;

    /// Connects to `address`. It has no timeout of its own; dropping the future gives up and closes.
    fn dial(&self, address: &Address) -> impl Future<Output = io::Result<Self::Stream>>;
}

/// Dials with the system's sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDialer {
    /// Set on every TCP socket before it connects.
    pub options: SocketOptions,
}

impl Dialer for SystemDialer {
    type Stream = Stream;

    async fn dial(&self, address: &Address) -> io::Result<Stream> {
        match address {
            Address::Ip(address) => self.dial_tcp(*address).await,
            Address::Unix(path) => dial_unix(path).await,
        }
    }
}

impl SystemDialer {
    async fn dial_tcp(&self, address: SocketAddr) -> io::Result<Stream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        self.options.apply(&SockRef::from(&socket))?;
        socket.connect(address).await.map(Stream::Tcp)
    }
}

async fn dial_unix(path: &Path) -> io::Result<Stream> {
    match UnixStream::connect(path).await {
        // A Unix listener whose queue is full says EAGAIN and offers nothing to wait for.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "the socket's queue of connections is full"))
        }
        stream => stream.map(Stream::Unix),
    }
}

#[cfg(test)]
mod tests;
