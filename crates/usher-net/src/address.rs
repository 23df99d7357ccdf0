//! Where a socket is, and who is at its other end.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Where to listen or to dial. Names are resolved elsewhere: this is an address already.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// TCP over IPv4 or IPv6.
    Ip(SocketAddr),
    /// A Unix stream socket by its path; empty for a socket without a name.
    Unix(PathBuf),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

/// `127.0.0.1:80`, `[::1]:80` or `unix:/run/app.sock`; the inverse of [`Address::from_str`].
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = io::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() || path.contains('\0') {
                return Err(refused(text));
            }
            return Ok(Self::Unix(path.into()));
        }
        text.parse().map(Self::Ip).map_err(|_| refused(text))
    }
}

fn refused(text: &str) -> io::Error {
    let message = format!("`{text}` is not an address: write `1.2.3.4:80`, `[::1]:80` or `unix:/path`");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Who is at the other end of an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A TCP peer. An IPv4 peer of a dual-stack IPv6 socket is given as IPv4.
    Ip(SocketAddr),
    /// A local process; its end of the socket has no name.
    Unix,
}

impl Peer {
    /// The peer's IP address, if it has one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }
}

/// `127.0.0.1:80`, `[::1]:80` or `unix:`.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix => f.write_str("unix:"),
        }
    }
}

/// `::ffff:1.2.3.4` as `1.2.3.4`: one client must not have two names (RFC 4291 section 2.5.5.2).
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests;
