//! Connecting to an address. The engine is generic over [`Dialer`], so a simulation dials without sockets.

use std::cell::OnceCell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpSocket, UnixStream};

use crate::address::Address;
use crate::datagrams::Flow;
use crate::options::SocketOptions;
use crate::quic::{self, QuicConnector, QuicKeys, QuicOptions};
use crate::stream::Stream;
use crate::transport::Transport;

/// How often a connection of QUIC that is in use says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Opens connections to endpoints.
pub trait Dialer: 'static {
    /// What a successful dial gives.
    type Stream: Transport;

    /// Connects to `address`. It has no timeout of its own; dropping the future gives up and closes.
    fn dial(&self, address: &Address) -> impl Future<Output = io::Result<Self::Stream>>;

    /// Begins a connection of QUIC to `address`, under this name.
    ///
    /// # Errors
    /// Unsupported, where there is no UDP; or what the system says.
    fn dial_quic(
        &self,
        address: SocketAddr,
        tls: Arc<rustls::ClientConfig>,
        name: &str,
    ) -> io::Result<quic::Connection> {
        let _ = (address, tls, name);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// A socket for datagrams to and from `address`.
    ///
    /// # Errors
    /// Unsupported, where there is no UDP; or what the system says.
    fn dial_udp(&self, address: SocketAddr) -> io::Result<Flow> {
        let _ = address;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Dials with the system's sockets.
#[derive(Debug, Default)]
pub struct SystemDialer {
    /// Set on every TCP socket before it connects.
    pub options: SocketOptions,
    /// Made when it is first needed.
    quic: OnceCell<QuicConnector>,
}

impl Dialer for SystemDialer {
    type Stream = Stream;

    async fn dial(&self, address: &Address) -> io::Result<Stream> {
        match address {
            Address::Ip(address) => self.dial_tcp(*address).await,
            Address::Unix(path) => dial_unix(path).await,
        }
    }

    fn dial_quic(
        &self,
        address: SocketAddr,
        tls: Arc<rustls::ClientConfig>,
        name: &str,
    ) -> io::Result<quic::Connection> {
        if self.quic.get().is_none() {
            let keys = Arc::new(QuicKeys::random()?);
            let options = QuicOptions { keep_alive: Some(KEEP_ALIVE), ..QuicOptions::new(keys) };
            let _ = self.quic.set(QuicConnector::new(options));
        }
        let connector = self.quic.get().ok_or(io::ErrorKind::Unsupported)?;
        connector.connect(address, name, tls)
    }

    fn dial_udp(&self, address: SocketAddr) -> io::Result<Flow> {
        Flow::connect(address)
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
