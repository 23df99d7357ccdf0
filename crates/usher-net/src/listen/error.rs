//! Why an address cannot be listened on, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io;

use crate::address::Address;

/// The cause inside the `io::Error` that [`bind`](super::bind) returns; its `Display` names the address and the way
/// out. The kind of the outer error is that of the system's.
#[derive(Debug)]
pub struct BindError {
    address: Address,
    cause: io::Error,
}

impl BindError {
    /// Wraps what the system said about `address`.
    pub(super) fn wrap(address: &Address, cause: io::Error) -> io::Error {
        let kind = cause.kind();
        io::Error::new(kind, Self { address: address.clone(), cause })
    }

    /// The address that was asked for.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on `{}`: ", self.address)?;
        match (self.cause.kind(), &self.address) {
            (io::ErrorKind::AddrInUse, Address::Ip(address)) => {
                let port = address.port();
                write!(
                    f,
                    "the address is in use; `ss -ltnp 'sport = :{port}'` shows by whom: stop that or choose another port"
                )?;
                if address.is_ipv6() && address.ip().is_unspecified() {
                    write!(f, "; if it is a listener on `0.0.0.0:{port}`, set `only_v6`")?;
                }
                Ok(())
            }
            (io::ErrorKind::AddrInUse, Address::Unix(_)) => {
                f.write_str("another process answers on it; stop that or choose another path")
            }
            (io::ErrorKind::AlreadyExists, _) => {
                f.write_str("something that is no socket has this path; remove it or choose another path")
            }
            (io::ErrorKind::PermissionDenied, Address::Ip(address)) if address.port() < 1024 => {
                f.write_str("permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE")
            }
            (io::ErrorKind::PermissionDenied, Address::Unix(_)) => {
                f.write_str("permission denied; the folder must be writable for this user")
            }
            (io::ErrorKind::AddrNotAvailable, _) => {
                f.write_str("no interface has this address; `ip address` lists those that exist")
            }
            (io::ErrorKind::NotFound, _) => f.write_str("the folder does not exist; create it first"),
            _ if self.cause.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
                f.write_str("this system has IPv6 switched off; listen on an IPv4 address")
            }
            _ => self.cause.fmt(f),
        }
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}
