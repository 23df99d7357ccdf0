//! Listening sockets: opened by the control thread, handed to the workers, drained at the end.
//!
//! [`bind`] opens one socket per worker. Each worker makes a [`Listener`] of its own in its own runtime. A listener
//! that goes away first refuses new connections and then gives out those that already stand in its queue.

mod accept;
mod adopt;
mod bind;
mod drain;
mod error;
mod share;
mod unix;

use std::time::Duration;

pub use accept::{AcceptFault, Listener};
pub use adopt::{Inherited, Kept, adopt, keep};
pub use bind::{BoundSocket, bind};
pub use drain::Drain;
pub use error::BindError;

/// How many connections may wait in the queue of a socket unless told otherwise; the kernel caps it at
/// `net.core.somaxconn`.
pub const DEFAULT_BACKLOG: u32 = 4096;

/// How to open listening sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenOptions {
    /// Connections that may wait to be accepted, per socket.
    pub backlog: u32,
    /// One queue per worker (SO_REUSEPORT) rather than one for all. TCP only; Unix sockets always share one queue.
    pub reuse_port: bool,
    /// Let another process listen on the same address at the same time, for a hand-over. Needs `reuse_port`.
    /// Without it, an address that somebody else listens on is an error, also if SO_REUSEPORT would allow it.
    pub shared: bool,
    /// Leave IPv4 out of an IPv6 wildcard listener (IPV6_V6ONLY).
    pub only_v6: bool,
    /// Data in the first packet (TCP_FASTOPEN): how many such connections may be pending. The kernel must be told
    /// to allow it (`net.ipv4.tcp_fastopen`, bit 2).
    pub fast_open: Option<u32>,
    /// Hand over a connection only when its first bytes are there, or after this time (TCP_DEFER_ACCEPT, whole
    /// seconds, rounded up).
    pub defer_accept: Option<Duration>,
    /// Permissions of a Unix socket's file, for example `0o660`; otherwise what the umask leaves.
    pub unix_mode: Option<u32>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: DEFAULT_BACKLOG,
            reuse_port: true,
            shared: false,
            only_v6: false,
            fast_open: None,
            defer_accept: None,
            unix_mode: None,
        }
    }
}

#[cfg(test)]
mod tests;
