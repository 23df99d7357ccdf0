//! TCP and Unix sockets behind one face: the kit's connections and listeners do not care which.

use crate::{CANCEL_CHECK, Error, Kind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A flag that ends the waits of a thread: raised when the test is over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// One connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects to `127.0.0.1:80` or `unix:/path`, optionally from a given source address.
    pub(crate) fn connect(address: &str, from: Option<IpAddr>, timeout: Duration) -> Result<Self> {
        let failed = |error: io::Error| Error::io(&format!("connecting to `{address}`"), &error);
        if let Some(path) = address.strip_prefix("unix:") {
            return UnixStream::connect(path).map(Self::Unix).map_err(failed);
        }
        let to: SocketAddr =
            address.parse().map_err(|_| Error::usage(format!("`{address}` is not IP:PORT or unix:PATH")))?;
        let stream = match from {
            None => TcpStream::connect_timeout(&to, timeout).map_err(failed)?,
            Some(from) => connect_from(from, to).map_err(failed)?,
        };
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Self::Tcp(stream))
    }

    pub(crate) fn set_timeouts(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(timeout)).and_then(|()| stream.set_write_timeout(Some(timeout)))
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(timeout)).and_then(|()| stream.set_write_timeout(Some(timeout)))
            }
        }
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        }
    }

    /// Ends a TCP connection by RST (`SO_LINGER` of zero); a Unix socket is closed.
    pub(crate) fn reset(self) -> io::Result<()> {
        if let Self::Tcp(stream) = &self {
            set_socket_linger(stream, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

fn connect_from(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let descriptor = socket(family, SocketType::STREAM, None)?;
    bind(&descriptor, &SocketAddr::new(from, 0))?;
    connect(&descriptor, &to)?;
    Ok(TcpStream::from(descriptor))
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One listening socket. Its accepts never block: they wait in [`Listener::accept`], which has a deadline.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Listens on a free port of 127.0.0.1; the address is as a config writes it.
    pub(crate) fn tcp() -> Result<(Self, String)> {
        let failed = |error: io::Error| Error::io("listening on 127.0.0.1:0", &error);
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        Ok((Self::Tcp(listener), address))
    }

    /// Listens on a Unix socket at `path`; the address is `unix:PATH`.
    pub(crate) fn unix(path: &Path) -> Result<(Self, String)> {
        let failed = |error: io::Error| Error::io(&format!("listening on `{}`", path.display()), &error);
        let listener = UnixListener::bind(path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok((Self::Unix(listener), format!("unix:{}", path.display())))
    }

    /// The next connection; `Kind::Timeout` when none comes by the deadline.
    pub(crate) fn accept(&self, deadline: Instant, cancel: &Cancel) -> Result<Stream> {
        loop {
            if let Some(stream) = self.accept_pending()? {
                return Ok(stream);
            }
            if cancel.is_raised() {
                return Err(Error::new(Kind::Cancelled, "waiting for a connection: the test ended"));
            }
            if Instant::now() >= deadline {
                return Err(Error::new(Kind::Timeout, "no connection came in time"));
            }
            let slice = Timespec { tv_sec: 0, tv_nsec: i64::from(CANCEL_CHECK.subsec_nanos()) };
            let _ = poll(&mut [PollFd::new(&self.as_fd(), PollFlags::IN)], Some(&slice));
        }
    }

    /// A connection that already waits in the backlog.
    pub(crate) fn accept_pending(&self) -> Result<Option<Stream>> {
        let accepted = match self {
            Self::Tcp(listener) => listener.accept().and_then(|(stream, _)| {
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }),
            Self::Unix(listener) => listener.accept().and_then(|(stream, _)| {
                stream.set_nonblocking(false)?;
                Ok(Stream::Unix(stream))
            }),
        };
        match accepted {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(Error::io("accepting a connection", &error)),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}
