//! Loopback ports that no other test takes, in this process or another, from reservation to drop.
//!
//! Binding port 0 and letting it go is a race: the kernel may give the same port to the next who asks. Reserved ports
//! lie below the kernel's own range (32768 and up on Linux), so nobody is given one by chance, and a locked file per
//! port keeps test processes apart. A listener with `SO_REUSEPORT` would otherwise share a port without a word.

use crate::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 20_000;
const COUNT: u16 = 8_000;
/// How far apart the searches of processes with neighbouring numbers begin; coprime to [`COUNT`].
const SPREAD: u32 = 2_711;

/// Where the search of this process goes on.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A reserved port on 127.0.0.1, of TCP and UDP; free again when dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a port on which nobody listens.
    pub fn reserve() -> Result<Self> {
        let folder =
            std::env::temp_dir().join(format!("usher-testkit-ports-{}", rustix::process::getuid().as_raw()));
        fs::create_dir_all(&folder).map_err(|error| Error::io("making the folder of port locks", &error))?;
        // Processes that start together have neighbouring numbers: they shall not look at the same ports.
        let start = (std::process::id().wrapping_mul(SPREAD) % u32::from(COUNT)) as u16;
        for _ in 0..COUNT {
            let offset =
                (u32::from(start) + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % u32::from(COUNT);
            let number = FIRST + offset as u16;
            let path = folder.join(number.to_string());
            let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
            let file = opened.map_err(|error| Error::io("opening a port lock", &error))?;
            let address = (Ipv4Addr::LOCALHOST, number);
            let is_free = || TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok();
            if file.try_lock().is_ok() && is_free() {
                return Ok(Self { number, _lock: file });
            }
        }
        Err(Error::usage(format!("no free port in {FIRST}..{}", FIRST + COUNT)))
    }

    /// The number of the port.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// 127.0.0.1 with this port.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn reserves_no_port_twice() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve().unwrap()).collect();
        let numbers: HashSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
    }
}
