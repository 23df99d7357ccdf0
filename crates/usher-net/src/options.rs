//! Options that every TCP connection gets, accepted or dialed.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Options of a TCP connection. A listening socket hands them to what it accepts, so they cost nothing per connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketOptions {
    /// Send small segments at once (TCP_NODELAY). A proxy writes whole messages, so there is nothing to wait for.
    pub nodelay: bool,
    /// Ask a silent peer whether it is still there (SO_KEEPALIVE).
    pub keepalive: Option<Keepalive>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { nodelay: true, keepalive: None }
    }
}

/// When and how often a silent TCP peer is asked for a sign of life. The kernel counts in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first question.
    pub idle: Duration,
    /// Time between questions.
    pub interval: Duration,
    /// Unanswered questions until the connection counts as dead.
    pub probes: u32,
}

impl SocketOptions {
    /// Sets the options on a TCP socket.
    pub(crate) fn apply(&self, socket: &SockRef<'_>) -> io::Result<()> {
        if self.nodelay {
            socket.set_tcp_nodelay(true)?;
        }
        if let Some(Keepalive { idle, interval, probes }) = self.keepalive {
            let keepalive = TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(probes);
            socket.set_tcp_keepalive(&keepalive)?;
        }
        Ok(())
    }
}
